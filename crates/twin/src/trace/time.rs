//! Instants as files write them.

use super::mapping::TimeFormat;

/// Milliseconds since 1970-01-01 UTC (or since the trace's own start, for relative time).
pub(super) fn parse(text: &str, format: TimeFormat) -> Option<i64> {
    let text = text.trim();
    match format {
        TimeFormat::DateTime => date_time(text),
        TimeFormat::EpochS | TimeFormat::RelativeS => scaled(text, 1000.0),
        TimeFormat::EpochMs => scaled(text, 1.0),
    }
}

fn scaled(text: &str, factor: f64) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    value.is_finite().then(|| (value * factor).round() as i64)
}

/// `YYYY-MM-DD HH:MM:SS[.fff][Z]`, a `T` allowed in the middle, read as UTC.
fn date_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-');
    let year: i64 = date.next()?.parse().ok()?;
    let month: i64 = date.next()?.parse().ok()?;
    let day: i64 = date.next()?.parse().ok()?;
    let mut time = time.splitn(3, ':');
    let hour: i64 = time.next()?.parse().ok()?;
    let minute: i64 = time.next()?.parse().ok()?;
    let second: f64 = time.next().unwrap_or("0").parse().ok()?;
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second);
    fits.then(|| {
        let days = days_from_civil(year, month, day);
        (days * 86_400 + hour * 3600 + minute * 60) * 1000 + (second * 1000.0).round() as i64
    })
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_every_format() {
        let date = |text| parse(text, TimeFormat::DateTime);
        assert_eq!(date("1970-01-01 00:00:00"), Some(0));
        assert_eq!(date("2023-03-19 17:46:00"), Some(1_679_247_960_000));
        assert_eq!(date("2024-02-29T12:00:00.250Z"), Some(1_709_208_000_250));
        assert_eq!(date("2023-13-19 17:46:00"), None);
        assert_eq!(parse("12.5", TimeFormat::RelativeS), Some(12_500));
        assert_eq!(
            parse("1700000000000", TimeFormat::EpochMs),
            Some(1_700_000_000_000)
        );
        assert_eq!(parse("soon", TimeFormat::EpochS), None);
    }
}

//! One column of a text table, in steps of an interval.

use super::{TraceError, TraceOptions};
use crate::{units::Seconds, yaml::shortened};

/// Most characters of a cell that are told.
const MOST_CHARACTERS: usize = 40;

/// A row of the table: its line in the file and its cells.
struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
}

/// A column of a table, in steps of an interval.
pub(super) struct Column {
    /// One value per interval; NaN where there is none.
    pub(super) values: Vec<f64>,
    /// The time between most rows, where a column tells when they were.
    pub(super) spacing: Option<Seconds>,
}

/// The column that `options` choose.
pub(super) fn column(text: &str, file: &str, options: &TraceOptions) -> Result<Column, TraceError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut rows = rows(text);
    let empty = || TraceError::Empty {
        file: file.to_owned(),
    };
    let first = rows.first().ok_or_else(empty)?;
    let width = first.cells.len();
    let header = is_header(first).then(|| rows.remove(0));
    let header = header.map(|row| row.cells);
    let column = find(file, options.column.as_deref(), header.as_deref(), width)?;
    let first = rows.first().ok_or_else(empty)?;
    let times = time_column(first, header.as_deref(), column);
    let mut values = Vec::with_capacity(rows.len());
    for row in &rows {
        values.push(rate(row, column, file)?);
    }
    let Some(times) = times else {
        let name = header.and_then(|names| names.get(column).copied());
        if options.column.is_none() && looks_like_times(&values, name, width) {
            return Err(TraceError::Time {
                file: file.to_owned(),
                name: name
                    .map(|name| format!(" ({})", shortened(name, MOST_CHARACTERS)))
                    .unwrap_or_default(),
            });
        }
        return Ok(Column {
            values,
            spacing: None,
        });
    };
    Ok(Column {
        values: in_steps(&rows, &values, times, file, options.interval)?,
        spacing: spacing(&rows, times),
    })
}

/// Whether a column that nobody asked for holds times: it is called so, or it always rises, either
/// as no count of requests would be (seconds since 1970) or by equal steps beside other columns.
fn looks_like_times(values: &[f64], name: Option<&str>, width: usize) -> bool {
    const LEAST_ROWS: usize = 5;
    const SINCE_1970: f64 = 1e9;
    if name.is_some_and(is_time) {
        return true;
    }
    let rises = values.len() >= LEAST_ROWS && values.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises {
        return false;
    }
    let step = values[1] - values[0];
    let is_even = |pair: &[f64]| (pair[1] - pair[0] - step).abs() < 0.1 * step;
    values[0] >= SINCE_1970 || (width > 1 && values.windows(2).all(is_even))
}

/// The median of the times between rows.
fn spacing(rows: &[Row<'_>], times: usize) -> Option<Seconds> {
    let at = |row: &Row<'_>| seconds_of(row.cells.get(times)?);
    let mut gaps: Vec<f64> = rows
        .windows(2)
        .filter_map(|pair| Some(at(&pair[1])? - at(&pair[0])?))
        .collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied().map(Seconds)
}

/// Whether a column of this name says when.
fn is_time(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "time",
        "time_s",
        "timestamp",
        "ts",
        "second",
        "seconds",
        "unix",
        "epoch",
    ];
    NAMES.contains(&name.to_ascii_lowercase().as_str())
}

/// Lines with something on them, cut at the separator that the first one shows.
fn rows(text: &str) -> Vec<Row<'_>> {
    let content = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let first = text.lines().find(content).unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().find(|s| first.contains(*s));
    text.lines()
        .enumerate()
        // In a table an empty cell is a hole; in a single column an empty line could be one, too,
        // but every editor leaves some at the end.
        .filter(|(_, line)| content(line))
        .map(|(i, line)| Row {
            line: i + 1,
            cells: cells(line, separator),
        })
        .collect()
}

fn cells(line: &str, separator: Option<char>) -> Vec<&str> {
    let Some(separator) = separator else {
        // A date and a time with a blank between them are one cell.
        let line = line.trim();
        return if seconds_of(line).is_some() {
            vec![line]
        } else {
            line.split_whitespace().collect()
        };
    };
    let mut quoted = false;
    line.split(|c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .map(|cell| cell.trim().trim_matches('"').trim())
    .collect()
}

/// A header has a name, and no cell of it is a number or a time.
fn is_header(row: &Row<'_>) -> bool {
    let name = |cell: &&str| value(cell).is_none() && seconds_of(cell).is_none();
    let mut cells = row.cells.iter();
    cells.clone().any(name) && cells.all(|cell| cell.is_empty() || name(cell))
}

fn find(
    file: &str,
    asked: Option<&str>,
    header: Option<&[&str]>,
    width: usize,
) -> Result<usize, TraceError> {
    let Some(asked) = asked else {
        return Ok(width - 1);
    };
    let named = header.and_then(|names| names.iter().position(|name| *name == asked));
    let index = named.or_else(|| asked.parse().ok().filter(|index| *index < width));
    index.ok_or_else(|| TraceError::Column {
        file: file.to_owned(),
        column: asked.to_owned(),
        known: match header {
            Some(names) => shortened(&names.join(", "), 5 * MOST_CHARACTERS),
            None => format!("no header and columns 0 to {}", width - 1),
        },
    })
}

/// The number in a cell; NaN for a hole; `None` for anything else.
fn value(cell: &str) -> Option<f64> {
    if ["", "nan", "na", "null", "none", "-"].contains(&cell.to_ascii_lowercase().as_str()) {
        return Some(f64::NAN);
    }
    cell.parse().ok()
}

fn rate(row: &Row<'_>, column: usize, file: &str) -> Result<f64, TraceError> {
    let cell = row.cells.get(column).copied().unwrap_or_default();
    match value(cell) {
        Some(rate) if rate.is_nan() || (rate.is_finite() && rate >= 0.0) => Ok(rate),
        _ => Err(TraceError::Value {
            file: file.to_owned(),
            line: row.line,
            text: shortened(cell, MOST_CHARACTERS),
            expected: "a number of requests",
        }),
    }
}

/// The column that says when: the first one that holds dates, or numbers under a name for time.
fn time_column(first: &Row<'_>, header: Option<&[&str]>, column: usize) -> Option<usize> {
    (0..first.cells.len()).filter(|&i| i != column).find(|&i| {
        let name = header.and_then(|names| names.get(i));
        date_seconds(first.cells[i]).is_some()
            || (name.is_some_and(|name| is_time(name)) && seconds_of(first.cells[i]).is_some())
    })
}

/// Puts every value at the step its time says. Steps without a row are holes.
fn in_steps(
    rows: &[Row<'_>],
    values: &[f64],
    times: usize,
    file: &str,
    interval: Seconds,
) -> Result<Vec<f64>, TraceError> {
    let step = interval.seconds();
    let mut placed = Vec::with_capacity(values.len());
    let mut before: Option<f64> = None;
    for (row, value) in rows.iter().zip(values) {
        let cell = row.cells.get(times).copied().unwrap_or_default();
        let now = seconds_of(cell).ok_or_else(|| TraceError::Value {
            file: file.to_owned(),
            line: row.line,
            text: shortened(cell, MOST_CHARACTERS),
            expected: "a time",
        })?;
        let gap = before.map_or(step, |before| now - before);
        let steps = (gap / step).round();
        // Rows closer than the interval, a second row not a whole number of intervals after the
        // first, or more holes than rows mean that the interval is wrong.
        let off = placed.len() == 1 && (steps - gap / step).abs() > 0.1;
        if steps < 1.0 || off || placed.len() as f64 + steps > 2.0 * rows.len() as f64 {
            return Err(TraceError::Interval {
                file: file.to_owned(),
                line: row.line,
                found: Seconds(gap),
                interval,
            });
        }
        placed.resize(placed.len() + steps as usize - 1, f64::NAN);
        placed.push(*value);
        before = Some(now);
    }
    Ok(placed)
}

/// A time as seconds from some fixed instant: a number (seconds, or milliseconds since 1970) or a
/// date.
fn seconds_of(cell: &str) -> Option<f64> {
    const MILLISECONDS_FROM: f64 = 1e11;
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() && number < MILLISECONDS_FROM => Some(number),
        Ok(number) if number.is_finite() => Some(number / 1000.0),
        _ => date_seconds(cell),
    }
}

/// `YYYY-MM-DD HH:MM[:SS[.fff]]`, blank or T between, in one zone throughout.
fn date_seconds(cell: &str) -> Option<f64> {
    let (date, time) = cell.split_once(['T', ' '])?;
    let time = time.trim_end_matches("UTC").trim_end_matches('Z').trim();
    let time = time.split('+').next()?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.split(':');
    let hour: f64 = time.next()?.parse().ok()?;
    let minute: f64 = time.next()?.parse().ok()?;
    let second: f64 = time.next().map_or(Some(0.0), |s| s.parse().ok())?;
    // Days in the civil calendar, counted from 0000-03-01 so that leap days end a year.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day;
    Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

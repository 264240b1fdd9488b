//! When users have back what they had before a disturbance.

use karma_cluster::emulator::{BIN_S, BinRow};

use crate::summary::Span;

/// Span before the onset that says what users had.
const BEFORE_S: f64 = 120.0;
/// How far success and p95 may be from it.
const WITHIN: f64 = 0.10;
/// How long they must stay there.
const STAY_S: f64 = 30.0;

/// Time from an onset to recovery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recovery {
    /// Seconds from the onset; 0 if users noticed nothing.
    pub(crate) seconds: f64,
    /// Whether it never came: `seconds` is then the rest of the episode.
    pub(crate) censored: bool,
}

/// Finds the recovery from `disturbance` in the bins of an episode that ends at `end_s`.
///
/// A bin is bad where its success is below 90 % of the success of the 120 s before the onset, or its
/// p95 above 110 % of the median p95 of those bins. A single bad bin between good ones is taken as
/// good: in a quiet cluster, the p95 of 5 s strays that far by itself. Users notice the disturbance in
/// the first bad bin during it; they have recovered where the first good bins after that start which
/// last 30 s within the episode. `None` where nothing was measured before the onset.
pub(crate) fn recovery(bins: &[BinRow], disturbance: Span, end_s: f64) -> Option<Recovery> {
    let onset = bins.partition_point(|bin| bin.time_s < disturbance.from_s);
    let first = bins.partition_point(|bin| bin.time_s < disturbance.from_s - BEFORE_S);
    let is_as_before = Before::of(&bins[first..onset])?.judge();

    let during = bins.partition_point(|bin| bin.time_s < disturbance.to_s) - onset;
    let bins = &bins[onset..];
    let bad: Vec<bool> = bins.iter().map(|bin| !is_as_before(bin)).collect();
    let is_bad = |index: usize| {
        let is_bad_at = |index: Option<usize>| index.is_some_and(|i| bad.get(i) == Some(&true));
        bad[index] && (is_bad_at(index.checked_sub(1)) || is_bad_at(Some(index + 1)))
    };
    let Some(noticed) = (0..during).find(|index| is_bad(*index)) else {
        return Some(Recovery {
            seconds: 0.0,
            censored: false,
        });
    };
    let needed = (STAY_S / BIN_S).round() as usize;
    let recovered = (noticed..(bins.len() + 1).saturating_sub(needed))
        .find(|from| !(*from..from + needed).any(is_bad))
        .map(|index| bins[index].time_s);
    Some(Recovery {
        seconds: recovered.unwrap_or(end_s) - disturbance.from_s,
        censored: recovered.is_none(),
    })
}

/// What users had before the onset.
struct Before {
    success: f64,
    p95_ms: f64,
}

impl Before {
    fn of(bins: &[BinRow]) -> Option<Self> {
        let arrived: u64 = bins.iter().map(|bin| u64::from(bin.arrived)).sum();
        let ok: u64 = bins.iter().map(|bin| u64::from(bin.ok)).sum();
        let mut p95: Vec<f64> = bins
            .iter()
            .map(|bin| bin.p95_ms)
            .filter(|ms| ms.is_finite())
            .collect();
        if arrived == 0 || p95.is_empty() {
            return None;
        }
        p95.sort_by(f64::total_cmp);
        let middle = p95.len() / 2;
        let p95_ms = if p95.len().is_multiple_of(2) {
            f64::midpoint(p95[middle - 1], p95[middle])
        } else {
            p95[middle]
        };
        Some(Self {
            success: ok as f64 / arrived as f64,
            p95_ms,
        })
    }

    /// Whether a bin is as good as before. One without arrivals proves nothing bad; one whose
    /// requests were all lost has no p95 and fails by its success.
    fn judge(self) -> impl Fn(&BinRow) -> bool {
        let least = self.success * (1.0 - WITHIN);
        let most_ms = self.p95_ms * (1.0 + WITHIN);
        move |bin| {
            bin.arrived == 0
                || (f64::from(bin.ok) >= least * f64::from(bin.arrived)
                    && (bin.p95_ms.is_nan() || bin.p95_ms <= most_ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACK: Span = Span {
        from_s: 150.0,
        to_s: 300.0,
    };
    const END_S: f64 = 600.0;

    /// Bins of one episode in which `bad` says where p95 doubles.
    fn bins(bad: impl Fn(f64) -> bool) -> Vec<BinRow> {
        (0..120)
            .map(|index| {
                let time_s = f64::from(index) * BIN_S;
                BinRow {
                    time_s,
                    arrived: 100,
                    ok: 99,
                    p95_ms: if bad(time_s) { 200.0 } else { 100.0 },
                }
            })
            .collect()
    }

    fn found(bins: &[BinRow]) -> Option<(f64, bool)> {
        recovery(bins, ATTACK, END_S).map(|r| (r.seconds, r.censored))
    }

    #[test]
    fn users_who_notice_nothing_recover_at_once() {
        assert_eq!(found(&bins(|_| false)), Some((0.0, false)));
        assert_eq!(
            found(&bins(|t| t >= 300.0)),
            Some((0.0, false)),
            "what begins after the disturbance is not its effect"
        );
    }

    #[test]
    fn recovery_runs_from_the_onset_to_the_first_lasting_return() {
        assert_eq!(
            found(&bins(|t| (150.0..240.0).contains(&t))),
            Some((90.0, false))
        );
        assert_eq!(
            found(&bins(|t| (200.0..240.0).contains(&t))),
            Some((90.0, false)),
            "noticed late, counted from the onset"
        );
        assert_eq!(
            found(&bins(|t| (150.0..240.0).contains(&t)
                || t == 260.0
                || t == 265.0)),
            Some((120.0, false)),
            "20 s of peace are not a return"
        );
    }

    #[test]
    fn a_single_bad_bin_is_sampling_noise() {
        assert_eq!(found(&bins(|t| t == 200.0)), Some((0.0, false)));
        assert_eq!(
            found(&bins(|t| (150.0..240.0).contains(&t) || t == 250.0)),
            Some((90.0, false))
        );
    }

    #[test]
    fn a_return_that_cannot_last_thirty_seconds_is_censored() {
        assert_eq!(
            found(&bins(|t| (150.0..575.0).contains(&t))),
            Some((450.0, true))
        );
        assert_eq!(
            found(&bins(|t| (150.0..570.0).contains(&t))),
            Some((420.0, false))
        );
        assert_eq!(found(&bins(|t| t >= 150.0)), Some((450.0, true)));
    }

    #[test]
    fn lost_requests_count_even_where_no_latency_was_measured() {
        let mut bins = bins(|_| false);
        for bin in &mut bins {
            if (150.0..180.0).contains(&bin.time_s) {
                (bin.ok, bin.p95_ms) = (0, f64::NAN);
            }
        }
        assert_eq!(found(&bins), Some((30.0, false)));
    }

    #[test]
    fn ten_percent_worse_is_still_as_before() {
        let mut bins = bins(|_| false);
        for bin in &mut bins {
            if bin.time_s >= 150.0 {
                bin.p95_ms = 109.9;
                bin.ok = 90;
            }
        }
        assert_eq!(found(&bins), Some((0.0, false)));
    }

    #[test]
    fn a_disturbance_from_the_first_second_has_nothing_to_return_to() {
        let attack = Span {
            from_s: 0.0,
            to_s: 60.0,
        };
        assert_eq!(recovery(&bins(|_| false), attack, END_S), None);
    }

    #[test]
    fn a_bin_without_arrivals_proves_nothing_bad() {
        let mut bins = bins(|_| false);
        bins[40].arrived = 0;
        bins[40].ok = 0;
        bins[40].p95_ms = f64::NAN;
        assert_eq!(found(&bins), Some((0.0, false)));
    }
}

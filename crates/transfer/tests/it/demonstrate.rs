//! Faults on purpose on the emulator, over seeds.

use std::sync::atomic::{AtomicU32, Ordering};

use karma_cluster::{Silent, Watch, hpa::HpaController};
use karma_transfer::{
    Demonstration, Plain, Reason, Source, State, TransferError, demonstrate, files::write_decisions,
};

use crate::fake::{Eager, scenario};

#[test]
fn every_demonstration_ends_in_fallback_with_its_reason_and_nothing_falls()
-> Result<(), TransferError> {
    for seed in 1..=8 {
        for shown in demonstrate(&scenario(), &|| Eager, seed, &Silent)? {
            assert!(
                shown.passed(),
                "{} of seed {seed}: noticed after {:?}, fell {:?}, {:?}",
                shown.name,
                shown.noticed_after_s,
                shown.fell,
                shown.violations
            );
            // A broken policy is noticed in the next window, an outage once metrics have aged.
            let patience_s = if shown.name == "metric_outage" {
                30.0
            } else {
                15.0
            };
            assert!(
                shown
                    .noticed_after_s
                    .is_some_and(|after_s| after_s <= patience_s),
                "{} of seed {seed} was noticed after {:?} s",
                shown.name,
                shown.noticed_after_s
            );
            // Without the guard this decider would have shrunk: in its own words it asks to.
            let asks_to_shrink = |d: &karma_transfer::Decision| {
                d.proposed
                    .iter()
                    .flatten()
                    .zip(&d.current)
                    .any(|(p, c)| p.is_some_and(|p| p < *c as f32))
            };
            let during = shown
                .decisions
                .iter()
                .filter(|d| shown.injected.on(d.time_s));
            assert!(shown.name != "metric_outage" || during.clone().any(asks_to_shrink));
            // The policy comes back by itself.
            let last = shown.decisions.last().expect("decisions were made");
            assert_eq!((last.state, last.source), (State::Active, Source::Policy));
            assert_eq!(last.reason, Reason::Healthy);
        }
    }
    Ok(())
}

/// Asks to stop once it was told of some finished demonstrations.
struct Impatient {
    patience: u64,
    told: AtomicU32,
}

impl Watch for Impatient {
    fn progress(&self, _: &str, done: u64, total: u64, _: &str) {
        assert_eq!(total, 3);
        assert!(
            done <= self.patience,
            "work went on after it was asked to stop"
        );
        self.told.store(done as u32, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        u64::from(self.told.load(Ordering::Relaxed)) == self.patience
    }
}

#[test]
fn demonstrations_stop_before_the_next_one_when_asked() {
    for patience in 0..3 {
        let watch = Impatient {
            patience,
            told: AtomicU32::new(0),
        };
        let shown = demonstrate(&scenario(), &|| Eager, 1, &watch);
        assert!(matches!(shown, Err(TransferError::Interrupted(_))));
        assert_eq!(u64::from(watch.told.into_inner()), patience);
    }
}

#[test]
fn the_fallback_itself_can_stand_behind_the_guard() -> Result<(), TransferError> {
    let shipped = || Plain(HpaController::as_shipped(&scenario()));
    for shown in demonstrate(&scenario(), &shipped, 3, &Silent)? {
        assert!(shown.passed(), "{}: {:?}", shown.name, shown.violations);
    }
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_file() -> Result<(), TransferError> {
    let write = |name: &str| -> Result<String, TransferError> {
        let path = std::env::temp_dir().join(format!("karma-{name}-{}.jsonl", std::process::id()));
        let shown: Vec<Demonstration> = demonstrate(&scenario(), &|| Eager, 5, &Silent)?;
        write_decisions(&path, &shown)?;
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        drop(std::fs::remove_file(&path));
        Ok(text)
    };
    let (first, second) = (write("first")?, write("second")?);
    assert_eq!(first, second);
    assert_eq!(first.lines().count(), 3 * 60);
    for line in first.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row is JSON");
        for key in [
            "demonstration",
            "window",
            "time_s",
            "state",
            "source",
            "reason",
            "desired",
        ] {
            assert!(!row[key].is_null(), "{key} in {line}");
        }
    }
    Ok(())
}

//! Rules that every trace has to keep, and how gaps are held.

use rayon::prelude::*;

use super::{Number, Text, Texts, Trace};
use crate::error::{Result, TwinError};

impl Trace {
    /// Refuses unsorted or repeated instants of one service in one run, negative counts, rows without
    /// run or service, and columns that hold nothing but nulls where something is needed.
    ///
    /// # Errors
    /// [`TwinError::Trace`] names the first row that breaks a rule.
    pub fn check(&self) -> Result<()> {
        let nameless = [Text::Run, Text::Service].map(|field| {
            let row = self.first_without(field);
            row.map(|row| (row, field))
        });
        // Of two fields that lack in one row, the first is told.
        if let Some((row, field)) = nameless.into_iter().flatten().min_by_key(|(row, _)| *row) {
            return Err(refuse(format!("row {row} has no {}", field.name())));
        }
        let negative = |field: &Number| self.check_counts(*field).err();
        if let Some(error) = Number::ALL.par_iter().find_map_first(negative) {
            return Err(error);
        }
        self.check_instants()
    }

    /// The first row that has no text in `field`.
    fn first_without(&self, field: Text) -> Option<usize> {
        match self.texts(field) {
            Some(texts) => texts.codes().iter().position(|code| *code == Texts::NULL),
            None => (!self.is_empty()).then_some(0),
        }
    }

    fn check_counts(&self, field: Number) -> Result<()> {
        let Some(column) = self.numbers(field).filter(|_| field.is_count()) else {
            return Ok(());
        };
        // Behind a null is 0.
        match column.parts().0.iter().position(|value| *value < 0.0) {
            Some(row) => Err(refuse(format!(
                "{} is negative in row {row} ({})",
                field.name(),
                column.get(row).unwrap_or(f64::NAN)
            ))),
            None => Ok(()),
        }
    }

    fn check_instants(&self) -> Result<()> {
        let (places, firsts) = self.places();
        let mut before: Vec<Option<i64>> = vec![None; firsts.len()];
        for (row, (place, now)) in places.into_iter().zip(self.ts_ms()).enumerate() {
            let before = before[place].replace(*now);
            if before.is_some_and(|before| *now <= before) {
                let what = if before == Some(*now) {
                    "repeated"
                } else {
                    "out of order"
                };
                let name = |field| self.text(field, row).unwrap_or_default();
                return Err(refuse(format!(
                    "instant {now} ms of service {} in run {} is {what} (row {row})",
                    name(Text::Service),
                    name(Text::Run),
                )));
            }
        }
        Ok(())
    }
}

fn refuse(reason: String) -> TwinError {
    TwinError::Trace(reason)
}

/// Holds the last known replicas of each service over gaps: replicas are steps, never interpolated.
pub fn hold_replicas(trace: &mut Trace) {
    for field in [Number::Desired, Number::Ready, Number::Total] {
        hold(trace, field, usize::MAX);
    }
}

/// Holds latencies over at most one interval; longer gaps stay null.
pub fn hold_latency(trace: &mut Trace) {
    for field in [
        Number::LatMean,
        Number::LatP50,
        Number::LatP90,
        Number::LatP95,
        Number::LatP99,
    ] {
        hold(trace, field, 1);
    }
}

fn hold(trace: &mut Trace, field: Number, most: usize) {
    if trace.numbers(field).is_none() {
        return;
    }
    for series in trace.series() {
        let (mut last, mut held) = (None, 0);
        for row in series.rows {
            match trace.get(field, row) {
                Some(value) => (last, held) = (Some(value), 0),
                None if held < most => {
                    held += 1;
                    trace.set_at(field, row, last);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(values: &[Option<f64>], field: Number) -> Trace {
        let mut trace = Trace::new();
        for (i, value) in values.iter().enumerate() {
            trace.push_row(i as i64 * 1000);
            trace.set_text(Text::Run, "r");
            trace.set_text(Text::Service, "s");
            trace.set(field, *value);
        }
        trace
    }

    fn column(trace: &Trace, field: Number) -> Vec<Option<f64>> {
        (0..trace.len()).map(|row| trace.get(field, row)).collect()
    }

    #[test]
    fn replicas_are_held_as_steps_and_never_invented_before_the_first() {
        let mut t = trace(
            &[None, Some(2.0), None, None, Some(4.0), None],
            Number::Total,
        );
        hold_replicas(&mut t);
        let held = [None, Some(2.0), Some(2.0), Some(2.0), Some(4.0), Some(4.0)];
        assert_eq!(column(&t, Number::Total), held);
    }

    #[test]
    fn a_latency_is_held_for_one_interval_and_then_null() {
        let mut t = trace(&[Some(5.0), None, None, Some(7.0)], Number::LatP95);
        hold_latency(&mut t);
        let held = [Some(5.0), Some(5.0), None, Some(7.0)];
        assert_eq!(column(&t, Number::LatP95), held);
    }

    #[test]
    fn negative_counts_and_repeated_instants_are_refused() {
        let t = trace(&[Some(1.0), Some(-1.0)], Number::Rps);
        assert!(t.check().is_err_and(|e| e.to_string().contains("negative")));
        assert!(
            trace(&[Some(1.0), Some(-1.0)], Number::Action)
                .check()
                .is_ok()
        );
        let mut t = trace(&[Some(1.0)], Number::Rps);
        t.push_row(0);
        t.set_text(Text::Run, "r");
        t.set_text(Text::Service, "s");
        assert!(t.check().is_err_and(|e| e.to_string().contains("repeated")));
    }

    #[test]
    fn a_value_that_is_not_a_number_is_null() {
        let t = trace(
            &[Some(f64::NAN), Some(f64::INFINITY), Some(0.0)],
            Number::Rps,
        );
        assert_eq!(column(&t, Number::Rps), [None, None, Some(0.0)]);
    }
}

//! What was done after each row: the column `action`.

use super::{Number, Trace};

impl Trace {
    /// Fills in `action`: the change of desired replicas that follows in the same series; of all
    /// replicas where desired ones are unknown; null in the last row of a series.
    pub(crate) fn fill_actions(&mut self) {
        let counted = |trace: &Self, row| {
            trace
                .get(Number::Desired, row)
                .or_else(|| trace.get(Number::Total, row))
        };
        for series in self.series() {
            for pair in series.rows.windows(2) {
                let action = counted(self, pair[1])
                    .zip(counted(self, pair[0]))
                    .map(|(next, now)| next - now);
                self.set_at(Number::Action, pair[0], action);
            }
        }
    }
}

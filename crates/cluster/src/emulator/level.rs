//! A number over time and its integral.

/// The integral is kept as an offset to `value × now`: a change costs two additions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    value: f64,
    offset: f64,
}

impl Level {
    #[inline]
    pub(super) fn rise(&mut self, now: f64) {
        self.value += 1.0;
        self.offset -= now;
    }

    #[inline]
    pub(super) fn fall(&mut self, now: f64) {
        self.value -= 1.0;
        self.offset += now;
    }

    pub(super) fn change(&mut self, now: f64, by: f64) {
        self.value += by;
        self.offset -= by * now;
    }

    /// The integral from 0 to `now`, which no change is after.
    pub(super) fn integral(&self, now: f64) -> f64 {
        self.value.mul_add(now, self.offset)
    }
}

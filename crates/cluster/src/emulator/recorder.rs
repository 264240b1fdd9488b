//! Fills the [`EpisodeRecord`] while the episode runs.

use std::collections::VecDeque;

use super::{
    histogram::LatencyHistogram,
    record::{BIN_S, BinRow, EpisodeRecord, SecondRow},
};
use crate::scenario::Scenario;

/// A bin some of whose requests may still be answered in time.
#[derive(Clone, Debug, Default)]
struct OpenBin {
    arrived: u32,
    ok: u32,
    failed: u32,
    latency: LatencyHistogram,
}

/// Sorts outcomes of legitimate requests by when the requests arrived.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) record: EpisodeRecord,
    /// Bins from number `record.bins.len()` on.
    open: VecDeque<OpenBin>,
    spare: Vec<OpenBin>,
    timeout_s: f64,
    slo_s: f64,
}

impl Recorder {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.duration.seconds();
        Self {
            record: EpisodeRecord {
                seconds: vec![SecondRow::default(); seconds.ceil().max(1.0) as usize],
                bins: Vec::with_capacity((seconds / BIN_S) as usize + 1),
                windows: Vec::with_capacity(scenario.windows() as usize),
                ..EpisodeRecord::default()
            },
            open: VecDeque::new(),
            spare: Vec::new(),
            timeout_s: scenario.slo.timeout.seconds(),
            slo_s: scenario.slo.latency.seconds(),
        }
    }

    #[inline]
    fn second(&mut self, sent: f64) -> &mut SecondRow {
        let last = self.record.seconds.len() - 1;
        &mut self.record.seconds[(sent as usize).min(last)]
    }

    /// A request arrives.
    #[inline]
    pub(super) fn arrive(&mut self, now: f64) {
        self.record.arrived += 1;
        self.second(now).arrived += 1;
        let bin = (now / BIN_S) as usize - self.record.bins.len();
        while bin >= self.open.len() {
            self.open.push_back(self.spare.pop().unwrap_or_default());
        }
        self.open[bin].arrived += 1;
    }

    /// A request that was sent at `sent` is answered, well or not. Nobody hears an answer after
    /// the timeout.
    #[inline]
    pub(super) fn outcome(&mut self, sent: f64, now: f64, answered: bool) {
        let latency_s = now - sent;
        if latency_s > self.timeout_s {
            return;
        }
        let number = (sent / BIN_S) as usize;
        let Some(bin) = number
            .checked_sub(self.record.bins.len())
            .and_then(|at| self.open.get_mut(at))
        else {
            return;
        };
        if !answered {
            bin.failed += 1;
            return;
        }
        bin.ok += 1;
        bin.latency.add(latency_s * 1000.0);
        self.record.answered_in_timeout += 1;
        self.record.within_slo += u64::from(latency_s <= self.slo_s);
        self.second(sent).ok += 1;
    }

    /// Closes every bin whose requests have all been answered or given up by `now`.
    pub(super) fn close(&mut self, now: f64) {
        while !self.open.is_empty() {
            let time_s = self.record.bins.len() as f64 * BIN_S;
            if time_s + BIN_S + self.timeout_s > now {
                return;
            }
            self.close_first();
        }
    }

    /// Closes every bin.
    pub(super) fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        let Some(mut bin) = self.open.pop_front() else {
            return;
        };
        let late = bin.arrived - bin.ok - bin.failed;
        bin.latency
            .add_many(self.timeout_s * 1000.0, u64::from(late));
        self.record.bins.push(BinRow {
            time_s: self.record.bins.len() as f64 * BIN_S,
            arrived: bin.arrived,
            ok: bin.ok,
            p95_ms: bin.latency.percentile(0.95),
        });
        self.record.latency.merge(&bin.latency);
        bin.latency.clear();
        (bin.arrived, bin.ok, bin.failed) = (0, 0, 0);
        self.spare.push(bin);
    }
}

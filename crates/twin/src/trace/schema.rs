//! The common long-row schema: names, units, types. See `data/README.md` of the data sets for the
//! meaning of each field and its null rule.
//!
//! Beyond the fields that recorded sets have, a trace of our own carries what a real cluster shows
//! and no set recorded (`out_rps`, `replicas_failed`), and what was done to the cluster on purpose
//! (`given_…`): faults that the attacker chose are inputs of a transition, not secrets.

/// How a number is kept in a Parquet file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Double.
    F64,
    /// Float.
    F32,
    /// Whole number.
    I32,
}

macro_rules! fields {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $enum { $($(#[$doc])* $variant),+ }

        impl $enum {
            /// All fields in the order of the schema.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name of the column.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The field whose column is called `name`.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|field| field.name() == name)
            }
        }
    };
}

fields! {
    /// Columns of texts.
    Text {
        /// `absolute` or `relative`.
        TsKind = "ts_kind",
        /// Data set.
        Source = "source",
        /// Run.
        Run = "run_id",
        /// Application.
        App = "app",
        /// Service.
        Service = "service",
        /// Pod.
        Pod = "pod",
        /// `request`, `limit` or `unknown`.
        UtilBase = "util_base",
        /// What decided.
        Policy = "policy",
        /// `normal`, `anomaly`, `attack` or `flash`.
        Label = "label",
        /// Kind of fault; the name of the context in traces of our own.
        LabelKind = "label_kind",
        /// Service at fault.
        RootCause = "root_cause",
        /// Name of a series that fits no field.
        MetricName = "metric_name",
    }
}

fields! {
    /// Columns of numbers. The position in [`Number::ALL`] is the bit of `mask`.
    Number {
        /// Nominal interval, s.
        DtS = "dt_s",
        /// Requests per second.
        Rps = "rps",
        /// Mean latency, ms.
        LatMean = "lat_mean_ms",
        /// Median latency, ms.
        LatP50 = "lat_p50_ms",
        /// 90th percentile, ms.
        LatP90 = "lat_p90_ms",
        /// 95th percentile, ms.
        LatP95 = "lat_p95_ms",
        /// 99th percentile, ms.
        LatP99 = "lat_p99_ms",
        /// Processor use of all pods, cores.
        Cpu = "cpu_cores",
        /// Processor use over its base.
        CpuUtil = "cpu_util",
        /// Memory of all pods, bytes.
        Mem = "mem_bytes",
        /// Memory over its base.
        MemUtil = "mem_util",
        /// Pods asked for.
        Desired = "replicas_desired",
        /// Pods that take traffic.
        Ready = "replicas_ready",
        /// Pods that exist.
        Total = "replicas_total",
        /// Queue length, requests.
        Queued = "pending_requests",
        /// Pods that exist and are not ready.
        PendingPods = "pending_pods",
        /// Failed requests per second.
        Errors = "errors_ps",
        /// Failed over all requests.
        ErrorRatio = "error_ratio",
        /// Container restarts during the window (a counter in recorded sets).
        Restarts = "restarts",
        /// Change of desired replicas that follows.
        Action = "action",
        /// Value of `metric_name`.
        Value = "value",
        /// Requests answered well per second.
        OutRps = "out_rps",
        /// Pods that crashed or wait in back-off.
        FailedPods = "replicas_failed",
        /// Processor of all nodes, cores.
        NodeCpu = "node_cpu_cores",
        /// Pods deleted on purpose during the window.
        GivenKills = "given_kills",
        /// Pods kept from serving on purpose, mean over the window.
        GivenPodFailures = "given_pod_failures",
        /// Share of every pod's rate taken away, mean over the window.
        GivenCpuStress = "given_cpu_stress",
        /// Memory taken in every pod, bytes, mean over the window.
        GivenMemoryStress = "given_memory_stress_bytes",
        /// Delay on every request, ms, mean over the window.
        GivenDelay = "given_delay_ms",
        /// Share of requests lost, mean over the window.
        GivenLoss = "given_loss",
        /// Slow connections held open, mean over the window.
        GivenSlowConnections = "given_slow_connections",
        /// Work of a request over that of a legitimate one, mean over the requests.
        GivenPayload = "given_payload",
        /// Share of the window without metrics.
        GivenOutage = "given_metric_outage",
    }
}

impl Number {
    /// How the column is kept in a file.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::DtS => Kind::F32,
            Self::Desired
            | Self::Ready
            | Self::Total
            | Self::PendingPods
            | Self::Restarts
            | Self::Action
            | Self::FailedPods
            | Self::GivenKills => Kind::I32,
            _ => Kind::F64,
        }
    }

    /// Whether values below 0 make no sense.
    #[must_use]
    pub const fn is_count(self) -> bool {
        !matches!(self, Self::Action | Self::Value)
    }

    /// The bit of this field in `mask`.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// Flags of `quality`.
pub mod quality {
    /// The lowest bucket's middle stands for a percentile.
    pub const BUCKET_FLOOR: u32 = 1;
    /// A repeated old value.
    pub const STALE: u32 = 1 << 1;
    /// A rate per pod.
    pub const PER_POD_RATE: u32 = 1 << 2;
    /// Put onto another interval.
    pub const RESAMPLED: u32 = 1 << 3;
    /// The source left rows out.
    pub const CENSORED: u32 = 1 << 4;
    /// The clock was shifted by an estimate.
    pub const CLOCK_EST: u32 = 1 << 5;
    /// The unit is a guess.
    pub const UNIT_GUESS: u32 = 1 << 6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_bit_of_its_own() {
        let all = Number::ALL.iter().fold(0_u64, |mask, f| mask | f.bit());
        assert_eq!(all.count_ones() as usize, Number::ALL.len());
    }

    #[test]
    fn names_find_their_fields() {
        for &field in Number::ALL {
            assert_eq!(Number::named(field.name()), Some(field));
        }
        assert_eq!(Text::named("run_id"), Some(Text::Run));
        assert_eq!(Number::named("nonsense"), None);
    }
}

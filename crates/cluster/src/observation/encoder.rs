//! The one encoding of observations for policies.

use super::ServiceMetrics;
use crate::scenario::Scenario;

/// The one encoder of observations.
///
/// For each service [`Encoder::PER_SERVICE`] numbers, roughly in [-1, 3]: shares of the replica
/// bound, logarithms of load against declared capacity, latency against the SLO, differences to the
/// window before, and whether the metrics were measured at all.
#[derive(Clone, Debug)]
pub struct Encoder {
    scales: Vec<ServiceScale>,
    slo_ms: f32,
}

#[derive(Clone, Copy, Debug)]
struct ServiceScale {
    max_replicas: f32,
    rate_per_replica: f32,
    cpu_request_millicores: f32,
    memory_request_mib: f32,
}

impl Encoder {
    /// Numbers per service.
    pub const PER_SERVICE: usize = 18;

    /// Names of the numbers of one service, in order, for those who read an encoded observation
    /// elsewhere. `log` is the logarithm of 1 plus a share, `change` the difference to the window
    /// before; shares are of the replica bound, requests, capacity or SLO.
    pub const NAMES: [&'static str; Self::PER_SERVICE] = [
        "replicas_desired_share",
        "replicas_ready_share",
        "replicas_pending_share",
        "replicas_failed_share",
        "backlog_log",
        "cpu_share",
        "memory_share",
        "load_share",
        "in_rate_share",
        "out_rate_share",
        "latency_p50_log",
        "latency_p95_log",
        "latency_p99_log",
        "error_share",
        "restarts",
        "load_change",
        "backlog_change",
        "is_measured",
    ];

    /// Takes the scales (bounds, requests, declared rate, SLO) from the scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let scales = scenario
            .services
            .iter()
            .map(|service| ServiceScale {
                max_replicas: service.replicas.max as f32,
                rate_per_replica: service.rate_per_replica as f32,
                cpu_request_millicores: service.cpu_request.millicores() as f32,
                memory_request_mib: service.memory_request.mebibytes() as f32,
            })
            .collect();
        Self {
            scales,
            slo_ms: (scenario.slo.latency.seconds() * 1000.0) as f32,
        }
    }

    /// Length of an encoded observation: services × [`Self::PER_SERVICE`].
    #[must_use]
    pub fn width(&self) -> usize {
        self.scales.len() * Self::PER_SERVICE
    }

    /// Encodes the newest window with the one before it into `out` (length [`Self::width`]).
    ///
    /// Both slices hold one entry per service. In the first window pass the same slice twice.
    ///
    /// # Panics
    /// If a length does not match the scenario.
    pub fn encode(&self, before: &[ServiceMetrics], now: &[ServiceMetrics], out: &mut [f32]) {
        assert!(
            before.len() == self.scales.len()
                && now.len() == self.scales.len()
                && out.len() == self.width(),
            "an observation has one entry per service of the scenario"
        );
        for (((scale, before), now), out) in self
            .scales
            .iter()
            .zip(before)
            .zip(now)
            .zip(out.chunks_exact_mut(Self::PER_SERVICE))
        {
            self.encode_service(scale, before, now, out);
        }
    }

    fn encode_service(
        &self,
        scale: &ServiceScale,
        before: &ServiceMetrics,
        now: &ServiceMetrics,
        out: &mut [f32],
    ) {
        let ready = now.replicas_ready.max(1.0);
        let capacity = scale.rate_per_replica * ready;
        let load = |m: &ServiceMetrics| m.in_rate_rps / scale.rate_per_replica / scale.max_replicas;
        let backlog = |m: &ServiceMetrics| m.queued / scale.rate_per_replica;
        // Eight, though nobody needs the last three: so many the compiler takes side by side.
        let [backlog, backlog_before, p50, p95, p99, ..] = [
            backlog(now),
            backlog(before),
            now.latency_p50_ms / self.slo_ms,
            now.latency_p95_ms / self.slo_ms,
            now.latency_p99_ms / self.slo_ms,
            0.0,
            0.0,
            0.0,
        ]
        .map(ln_1p);
        // In the order of NAMES.
        let features = [
            now.replicas_desired / scale.max_replicas,
            now.replicas_ready / scale.max_replicas,
            now.replicas_pending / scale.max_replicas,
            now.replicas_failed / scale.max_replicas,
            backlog,
            now.cpu_millicores / (scale.cpu_request_millicores * ready),
            now.memory_mib / (scale.memory_request_mib * ready),
            load(now),
            (now.in_rate_rps / capacity).min(4.0),
            (now.out_rate_rps / capacity).min(4.0),
            p50,
            p95,
            p99,
            now.errors_ps / now.in_rate_rps.max(1.0),
            now.restarts.min(4.0),
            load(now) - load(before),
            backlog - backlog_before,
            // Whether the service was scraped at all; the other zeros then mean "unknown".
            if now.in_rate_rps.is_nan() { 0.0 } else { 1.0 },
        ];
        for (out, feature) in out.iter_mut().zip(features) {
            *out = if feature.is_finite() {
                feature.clamp(-4.0, 4.0)
            } else {
                0.0
            };
        }
    }
}

/// ln(1 + x) of what is not negative; anything else counts as 0.
///
/// Within 1.3 units in the last place, without branches or fused operations, so that several are
/// computed side by side and bits are the same on every machine. Method and coefficients are those
/// of FDLIBM's `log1pf`: 1 + x = 2^k (1 + f) with f in [√½ - 1, √2 - 1), ln(1 + f) as
/// f - f²/2 + s (f²/2 + R(s²)) with s = f / (2 + f), and a term for what rounding took from 1 + x.
#[inline(always)]
fn ln_1p(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_138_1;
    const LN_2_LOW: f32 = 9.058_001e-6;
    const SQRT_HALF_BITS: u32 = 0x3f35_04f7;
    /// About √2 - 1: what is below is f itself.
    const NOT_REDUCED: f32 = 0.414_213_87;
    let x = if x > 0.0 { x } else { 0.0 };
    let sum = 1.0 + x;
    let shifted = sum.to_bits().wrapping_sub(SQRT_HALF_BITS);
    let exponent = (shifted as i32 >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF_BITS));
    let f = if x < NOT_REDUCED { x } else { mantissa - 1.0 };
    let lost = if sum < 2.0 {
        x - (sum - 1.0)
    } else {
        1.0 - (sum - x)
    } / sum;
    let lost = if exponent > 0.0 { lost } else { 0.0 };
    let half_square = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let series = z
        * (0.666_666_7
            + z * (0.4
                + z * (0.285_714_3
                    + z * (0.222_221_99
                        + z * (0.181_835_72 + z * (0.153_138_38 + z * 0.147_981_99))))));
    let tail = s * (half_square + series) + (exponent * LN_2_LOW + lost);
    exponent * LN_2_HIGH - ((half_square - tail) - f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_close_to_the_exact_ones_everywhere() {
        // Every 5000th number that there is, and all that lie where the method changes.
        let seam = 0.414_213_87_f32.to_bits();
        let numbers = (0..f32::INFINITY.to_bits()).step_by(5000);
        for bits in numbers.chain(seam - 5000..seam + 5000) {
            let x = f32::from_bits(bits);
            let exact = f64::from(x).ln_1p();
            let unit = f64::from((exact as f32).next_up() - exact as f32);
            let error = (f64::from(ln_1p(x)) - exact).abs();
            assert!(
                error <= 1.3 * unit,
                "ln(1 + {x}): off by {} units",
                error / unit
            );
        }
    }

    #[test]
    fn what_is_no_number_or_below_zero_counts_as_nothing() {
        for x in [0.0, -0.0, -0.5, -3.0, f32::NEG_INFINITY, f32::NAN] {
            assert_eq!(ln_1p(x).to_bits(), 0, "{x}");
        }
    }

    #[test]
    fn logarithms_have_the_same_bits_on_every_machine() {
        // As glibc's log1pf gives them.
        for (x, bits) in [
            (1e-30, 0x0da2_4260),
            (1e-9, 0x3089_705f),
            (0.001, 0x3a83_01ab),
            (0.1, 0x3dc3_31fc),
            (0.414_213_8, 0x3eb1_721e),
            (0.414_213_96, 0x3eb1_7220),
            (0.5, 0x3ecf_991f),
            (1.0, 0x3f31_7218),
            (1.5, 0x3f6a_9208),
            (3.0, 0x3fb1_7218),
            (7.25, 0x4007_0dbc),
            (100.0, 0x4093_af11),
            (12_345.678, 0x4116_bd00),
            (1e9, 0x41a5_c940),
            (3e38, 0x42b1_3196),
        ] {
            assert_eq!(ln_1p(x).to_bits(), bits, "{x}");
        }
    }
}

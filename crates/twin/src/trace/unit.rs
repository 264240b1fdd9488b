//! The one table of unit conversions.

use super::Number;

/// What a field measures, and so which units make sense for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Time,
    Processor,
    Memory,
    Rate,
    Ratio,
    Count,
}

/// (quantity, unit as a mapping file writes it, factor to the unit of the common schema).
const TABLE: &[(Quantity, &str, f64)] = &[
    (Quantity::Time, "ms", 1.0),
    (Quantity::Time, "s", 1e3),
    (Quantity::Time, "us", 1e-3),
    (Quantity::Processor, "cores", 1.0),
    (Quantity::Processor, "millicores", 1e-3),
    (Quantity::Processor, "percent_of_core", 1e-2),
    (Quantity::Memory, "bytes", 1.0),
    (Quantity::Memory, "KiB", 1024.0),
    (Quantity::Memory, "MiB", 1_048_576.0),
    (Quantity::Memory, "MB", 1e6),
    (Quantity::Rate, "per_s", 1.0),
    (Quantity::Rate, "per_min", 1.0 / 60.0),
    (Quantity::Ratio, "ratio", 1.0),
    (Quantity::Ratio, "percent", 1e-2),
    (Quantity::Count, "count", 1.0),
];

/// The unit that stands for "as many per interval"; its factor depends on the interval.
const PER_INTERVAL: &str = "per_interval";

fn quantity(field: Number) -> Quantity {
    use Number as N;
    match field {
        N::LatMean | N::LatP50 | N::LatP90 | N::LatP95 | N::LatP99 | N::GivenDelay => {
            Quantity::Time
        }
        N::Cpu | N::NodeCpu => Quantity::Processor,
        N::Mem | N::GivenMemoryStress => Quantity::Memory,
        N::Rps | N::Errors | N::OutRps => Quantity::Rate,
        N::CpuUtil | N::MemUtil | N::ErrorRatio | N::GivenCpuStress | N::GivenLoss => {
            Quantity::Ratio
        }
        _ => Quantity::Count,
    }
}

/// Factor from `unit` to the unit of `field` in the common schema; the field's own unit where
/// `unit` is absent. `None` if the unit does not measure what the field holds.
#[must_use]
pub fn to_common(field: Number, unit: Option<&str>, interval_s: f64) -> Option<f64> {
    let quantity = quantity(field);
    let Some(unit) = unit else { return Some(1.0) };
    if quantity == Quantity::Rate && unit == PER_INTERVAL {
        return Some(1.0 / interval_s);
    }
    TABLE
        .iter()
        .find(|(q, name, _)| *q == quantity && *name == unit)
        .map(|(_, _, factor)| *factor)
}

/// Units that `field` accepts, for error messages.
pub(super) fn accepted(field: Number) -> Vec<&'static str> {
    let quantity = quantity(field);
    TABLE
        .iter()
        .filter(|(q, _, _)| *q == quantity)
        .map(|(_, name, _)| *name)
        .chain((quantity == Quantity::Rate).then_some(PER_INTERVAL))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One expectation for each row of the table: 3 of the unit are this much.
    const EXPECTED: &[(Number, &str, f64)] = &[
        (Number::LatMean, "ms", 3.0),
        (Number::LatMean, "s", 3000.0),
        (Number::LatMean, "us", 0.003),
        (Number::Cpu, "cores", 3.0),
        (Number::Cpu, "millicores", 0.003),
        (Number::Cpu, "percent_of_core", 0.03),
        (Number::Mem, "bytes", 3.0),
        (Number::Mem, "KiB", 3072.0),
        (Number::Mem, "MiB", 3_145_728.0),
        (Number::Mem, "MB", 3_000_000.0),
        (Number::Rps, "per_s", 3.0),
        (Number::Rps, "per_min", 0.05),
        (Number::ErrorRatio, "ratio", 3.0),
        (Number::ErrorRatio, "percent", 0.03),
        (Number::Queued, "count", 3.0),
    ];

    #[test]
    fn every_row_of_the_table_converts_as_expected() {
        assert_eq!(EXPECTED.len(), TABLE.len());
        for ((field, unit, expected), row) in EXPECTED.iter().zip(TABLE) {
            assert_eq!(row.1, *unit);
            let got = 3.0 * to_common(*field, Some(unit), 60.0).unwrap_or(f64::NAN);
            assert!(
                (got - expected).abs() < 1e-9 * expected.abs(),
                "{unit}: {got}"
            );
        }
        assert_eq!(
            to_common(Number::Rps, Some("per_interval"), 60.0),
            Some(1.0 / 60.0)
        );
    }

    #[test]
    fn a_unit_of_another_quantity_is_refused() {
        assert_eq!(to_common(Number::Cpu, Some("s"), 60.0), None);
        assert_eq!(to_common(Number::LatMean, Some("cores"), 60.0), None);
    }
}

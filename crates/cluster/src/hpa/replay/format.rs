//! What the cases of a file have in common, as it is written.
//!
//! Optional keys are absent, not null, unless null has a meaning of its own; those that have one
//! say so.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use crate::hpa::{
    Constants, Direction, Policy, PolicyKind, Recommendation, Rules, ScaleEvent, Select,
};

/// For an optional key that may be absent but not null.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}

/// A value that is written as an object. Derived readers also take an array, which would make an
/// empty one of whatever has only optional keys.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        d.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConstantsText {
    tolerance: f64,
    cpu_initialization_period_s: f64,
    initial_readiness_delay_s: f64,
    downscale_stabilization_s: f64,
    legacy_scale_up_limit_factor: f64,
    legacy_scale_up_limit_minimum: f64,
    #[serde(default, rename = "note")]
    _note: Value,
}

impl ConstantsText {
    pub(super) fn read(&self) -> Constants {
        Constants {
            tolerance: self.tolerance,
            cpu_initialization_period_s: self.cpu_initialization_period_s,
            initial_readiness_delay_s: self.initial_readiness_delay_s,
            downscale_stabilization_s: self.downscale_stabilization_s,
            legacy_scale_up_limit_factor: self.legacy_scale_up_limit_factor,
            legacy_scale_up_limit_minimum: self.legacy_scale_up_limit_minimum,
            ..Constants::default()
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultsText {
    sync_period_s: f64,
    tolerance: f64,
    cpu_initialization_period_s: f64,
    initial_readiness_delay_s: f64,
    downscale_stabilization_s: f64,
    legacy_scale_up_limit_factor: f64,
    legacy_scale_up_limit_minimum: f64,
    #[serde(default, deserialize_with = "present")]
    pub(super) behavior_scale_up: Option<Object<RulesText>>,
    #[serde(default, deserialize_with = "present")]
    pub(super) behavior_scale_down: Option<Object<RulesText>>,
    #[serde(default, rename = "note")]
    _note: Value,
}

impl DefaultsText {
    pub(super) fn constants(&self) -> Constants {
        Constants {
            sync_period_s: self.sync_period_s,
            tolerance: self.tolerance,
            cpu_initialization_period_s: self.cpu_initialization_period_s,
            initial_readiness_delay_s: self.initial_readiness_delay_s,
            downscale_stabilization_s: self.downscale_stabilization_s,
            legacy_scale_up_limit_factor: self.legacy_scale_up_limit_factor,
            legacy_scale_up_limit_minimum: self.legacy_scale_up_limit_minimum,
        }
    }
}

/// Rules of one direction; missing keys come from the defaults of the direction.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesText {
    #[serde(default, deserialize_with = "present")]
    select: Option<Select>,
    /// Null takes the downscale stabilization.
    #[serde(default, deserialize_with = "present")]
    stabilization_s: Option<Option<f64>>,
    #[serde(default, deserialize_with = "present")]
    policies: Option<Vec<PolicyText>>,
    #[serde(default, deserialize_with = "present")]
    tolerance: Option<f64>,
}

impl RulesText {
    pub(super) fn fill(&self, direction: Direction) -> Rules {
        let default = Rules::default_for(direction);
        Rules {
            select: self.select.unwrap_or(default.select),
            stabilization_s: self.stabilization_s.unwrap_or(default.stabilization_s),
            policies: self
                .policies
                .as_ref()
                .map_or(default.policies, |policies| policies_of(policies)),
            tolerance: self.tolerance,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyText(PolicyKind, i32, f64);

pub(super) fn policies_of(policies: &[PolicyText]) -> Vec<Policy> {
    policies
        .iter()
        .map(|PolicyText(kind, value, period_s)| Policy {
            kind: *kind,
            value: *value,
            period_s: *period_s,
        })
        .collect()
}

/// `[value, age_s]`.
#[derive(Debug, Deserialize)]
pub(super) struct Aged(i32, f64);

/// The moment of every case is 0, so that an age is the negative of an instant.
pub(super) const NOW_S: f64 = 0.0;

pub(super) fn recommendations(log: &[Aged]) -> Vec<Recommendation> {
    log.iter()
        .map(|Aged(replicas, age_s)| Recommendation {
            replicas: *replicas,
            at_s: NOW_S - age_s,
        })
        .collect()
}

pub(super) fn events(log: &[Aged]) -> Vec<ScaleEvent> {
    log.iter()
        .map(|Aged(change, age_s)| ScaleEvent {
            change: *change,
            at_s: NOW_S - age_s,
            outdated: false,
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Status {
    True,
    False,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Start {
    #[serde(rename = "now")]
    Now,
    #[serde(rename = "3m")]
    ThreeMinutes,
}

impl Start {
    pub(super) fn s_ago(self) -> f64 {
        match self {
            Self::Now => 0.0,
            Self::ThreeMinutes => 180.0,
        }
    }
}

//! What one HPA is asked to do, and the constants of the controller that runs it.

use serde::{Deserialize, Serialize};

/// Specification of one HPA together with the controller's constants and feature gates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HpaSpec {
    /// Fewest replicas.
    pub min: i32,
    /// Most replicas.
    pub max: i32,
    /// Metrics, in order; the highest proposal wins.
    pub metrics: Vec<Metric>,
    /// `spec.behavior`; `None` takes the older path without rate policies.
    pub behavior: Option<Behavior>,
    /// Constants of the controller.
    pub constants: Constants,
    /// Feature gates of the controller.
    pub gates: Gates,
}

impl HpaSpec {
    /// One CPU utilization target, no `behavior`, default constants: autoscaling/v2's defaults when
    /// `target_pct` is 80.
    #[must_use]
    pub fn cpu_utilization(min: i32, max: i32, target_pct: i32) -> Self {
        Self {
            min,
            max,
            metrics: vec![Metric::Resource {
                target: MetricTarget::Utilization { pct: target_pct },
            }],
            behavior: None,
            constants: Constants::default(),
            gates: Gates::default(),
        }
    }

    /// Tolerances of both directions, as `behavior` and the gate for it have them.
    #[must_use]
    pub fn tolerances(&self) -> Tolerances {
        let default = self.constants.tolerance;
        let of = |rules: fn(&Behavior) -> &Rules| {
            self.behavior
                .as_ref()
                .filter(|_| self.gates.configurable_tolerance)
                .and_then(|behavior| rules(behavior).tolerance)
                .unwrap_or(default)
        };
        Tolerances {
            down: of(|b| &b.scale_down),
            up: of(|b| &b.scale_up),
        }
    }
}

/// Constants of the HPA controller (its flags); [`Default`] gives production's values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constants {
    /// Time between two reconciles of one HPA.
    pub sync_period_s: f64,
    /// Relative deviation from the target that changes nothing.
    pub tolerance: f64,
    /// Age of a pod up to which its CPU samples are distrusted around changes of readiness.
    pub cpu_initialization_period_s: f64,
    /// Time after its start within which a pod that is not ready counts as never ready.
    pub initial_readiness_delay_s: f64,
    /// Window over which the highest recommendation holds on the way down.
    pub downscale_stabilization_s: f64,
    /// Without `behavior`: largest factor of one scale-up.
    pub legacy_scale_up_limit_factor: f64,
    /// Without `behavior`: count that one scale-up may always reach.
    pub legacy_scale_up_limit_minimum: f64,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            sync_period_s: 15.0,
            tolerance: 0.1,
            cpu_initialization_period_s: 300.0,
            initial_readiness_delay_s: 30.0,
            downscale_stabilization_s: 300.0,
            legacy_scale_up_limit_factor: 2.0,
            legacy_scale_up_limit_minimum: 4.0,
        }
    }
}

/// Feature gates that change what the controller does; all off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gates {
    /// `HPAScaleToZero`.
    pub scale_to_zero: bool,
    /// `HPAConfigurableTolerance`.
    pub configurable_tolerance: bool,
    /// `PodLevelResources`.
    pub pod_level_resources: bool,
}

/// One metric of an HPA. Resources are CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metric {
    /// CPU of whole pods.
    Resource {
        /// Utilization, or average value per pod.
        target: MetricTarget,
    },
    /// CPU of one container of every pod.
    ContainerResource {
        /// Name of the container.
        container: String,
        /// Utilization, or average value per pod.
        target: MetricTarget,
    },
    /// A metric of every pod.
    Pods {
        /// Target of the mean, in thousandths.
        average_milli: i64,
    },
    /// A metric of one object.
    Object {
        /// Value, or average value per replica.
        target: MetricTarget,
    },
    /// A metric from outside the cluster; the returned series are summed.
    External {
        /// Value, or average value per replica.
        target: MetricTarget,
    },
    /// A type that the controller does not know.
    Unknown {
        /// The type as written.
        kind: String,
    },
}

/// What a metric is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricTarget {
    /// Percent of the request.
    Utilization {
        /// Target.
        pct: i32,
    },
    /// The value itself, in thousandths.
    Value {
        /// Target.
        milli: i64,
    },
    /// The value per pod or per replica, in thousandths.
    AverageValue {
        /// Target.
        milli: i64,
    },
}

/// Relative deviations from the target that change nothing; the edges belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerances {
    /// Below the target.
    pub down: f64,
    /// Above the target.
    pub up: f64,
}

impl Tolerances {
    /// Whether `ratio` is close enough to 1 to keep the current count.
    #[must_use]
    pub fn hold(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// `spec.behavior`, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Behavior {
    /// Rules of scaling up.
    pub scale_up: Rules,
    /// Rules of scaling down.
    pub scale_down: Rules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self {
            scale_up: Rules::default_for(Direction::Up),
            scale_down: Rules::default_for(Direction::Down),
        }
    }
}

/// A direction of scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More replicas.
    Up,
    /// Fewer replicas.
    Down,
}

/// Rules of one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Which policy decides.
    pub select: Select,
    /// Stabilization window; `None` takes [`Constants::downscale_stabilization_s`].
    pub stabilization_s: Option<f64>,
    /// Rate policies.
    pub policies: Vec<Policy>,
    /// Tolerance of this direction, read where the gate for it is on.
    pub tolerance: Option<f64>,
}

impl Rules {
    /// The rules that hold where the specification is silent.
    #[must_use]
    pub fn default_for(direction: Direction) -> Self {
        let percent = Policy {
            kind: PolicyKind::Percent,
            value: 100,
            period_s: 15.0,
        };
        let (stabilization_s, policies) = match direction {
            Direction::Up => (
                Some(0.0),
                vec![
                    Policy {
                        kind: PolicyKind::Pods,
                        value: 4,
                        period_s: 15.0,
                    },
                    percent,
                ],
            ),
            Direction::Down => (None, vec![percent]),
        };
        Self {
            select: Select::Max,
            stabilization_s,
            policies,
            tolerance: None,
        }
    }

    /// The stabilization window in seconds.
    #[must_use]
    pub fn window_s(&self, constants: &Constants) -> f64 {
        self.stabilization_s
            .unwrap_or(constants.downscale_stabilization_s)
    }

    /// The longest period of any policy; 0 where there is none.
    #[must_use]
    pub fn longest_period_s(&self) -> f64 {
        self.policies.iter().map(|p| p.period_s).fold(0.0, f64::max)
    }
}

/// Which of several policies decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// The one that allows the most change.
    Max,
    /// The one that allows the least change.
    Min,
    /// None: no change in this direction.
    Disabled,
}

/// One rate policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// What the value counts.
    pub kind: PolicyKind,
    /// Pods, or percent of the count at the start of the period.
    pub value: i32,
    /// Length of the period.
    pub period_s: f64,
}

/// What the value of a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Pods.
    Pods,
    /// Percent.
    Percent,
}

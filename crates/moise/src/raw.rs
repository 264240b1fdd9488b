//! What an organization file says, word for word.
//!
//! Unknown keys are refused, nothing here is code: conditions are text in one expression language
//! whose parser is the only part of it that is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An organization as written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOrganization {
    /// Version of this format; 1.
    pub format: u32,
    /// Name of the organization.
    pub name: String,
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How guides enter the reward.
    #[serde(default)]
    pub reward: RewardSettings,
    /// Named conditions over features, for use in other conditions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Label>,
    /// Roles by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Role>,
    /// Root groups by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// Goals by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub goals: BTreeMap<String, Goal>,
    /// How goals are reached by other goals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<Plan>,
    /// Missions by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missions: BTreeMap<String, Mission>,
    /// Preferences among missions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Preference>,
    /// Obligations and permissions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub norms: Vec<Norm>,
    /// Role guides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// How guides enter the reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSettings {
    /// Most that all guides together add to or take from the reward of one step, whatever the
    /// goals say: what keeps the team's own reward (of order 1) dominant. Each agent gets an equal
    /// share of the bound.
    pub bound: f64,
    /// ε of the deontic factor 1/(1 − p + ε), p = 1 for an obligation and 0 for a permission.
    pub epsilon: f64,
}

impl Default for RewardSettings {
    fn default() -> Self {
        Self {
            bound: 0.1,
            epsilon: 0.1,
        }
    }
}

/// One expression of the condition language.
pub type Condition = String;

/// A named condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Variable that ranges over the subjects; the label then takes one argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// When the label holds.
    pub when: Condition,
    /// What it says, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Expected behavior of a position.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Role {
    /// Super-roles, whose rules and norms also hold for this role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherits: Vec<String>,
    /// What it is for, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Structure in which roles are played.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Playable roles and how many agents may hold each.
    pub roles: BTreeMap<String, Cardinality>,
    /// Sub-groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// How many instances of each sub-group there may be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub group_cardinalities: BTreeMap<String, Cardinality>,
    /// Who may know, speak to, or command whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Roles that one agent may hold together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compatibilities: Vec<Compatibility>,
}

/// A range of counts; without `max` there is no upper bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cardinality {
    /// Fewest.
    pub min: u32,
    /// Most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// Kind of a link; each implies the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// May hold a representation of the target.
    Acquaintance,
    /// May communicate with the target.
    Communication,
    /// May command the target.
    Authority,
}

/// Whether source and target are in one instance of the group or in different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// In the same instance.
    #[default]
    Intra,
    /// In different instances.
    Inter,
}

/// A link from the holders of one role to the holders of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Role of the source.
    pub from: String,
    /// Role of the target.
    pub to: String,
    /// Kind.
    pub kind: LinkKind,
    /// Scope.
    #[serde(default)]
    pub scope: Scope,
    /// Whether it holds in all sub-groups.
    #[serde(default)]
    pub extends_subgroups: bool,
    /// Whether it also holds the other way.
    #[serde(default)]
    pub both_ways: bool,
}

/// Who holds `role` may also adopt `with`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compatibility {
    /// Role held.
    pub role: String,
    /// Role that may be adopted.
    pub with: String,
    /// Scope.
    #[serde(default)]
    pub scope: Scope,
    /// Whether it holds in all sub-groups.
    #[serde(default)]
    pub extends_subgroups: bool,
    /// Whether it also holds the other way.
    #[serde(default)]
    pub both_ways: bool,
}

/// What a goal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoalKind {
    /// Satisfied once its condition has held in the episode.
    #[default]
    Achievement,
    /// Satisfied while its condition holds.
    Maintenance,
}

/// When a goal pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payout {
    /// The first time its condition holds in an episode.
    #[default]
    Once,
    /// Each time its condition begins to hold.
    OnCompletion,
    /// Every step in which its condition holds.
    EveryStep,
    /// Every step, the value of the expression `value`, clipped to [−1, 1].
    Dense,
}

/// A goal and what it pays (GRG).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Goal {
    /// What it asks for, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Kind.
    pub kind: GoalKind,
    /// When it is reached; absent where a plan says so, or for dense goals that are never finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// A trajectory pattern in place of `when`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// When it pays.
    pub payout: Payout,
    /// What it pays: a number, or for `dense` a numeric expression that is clipped to [−1, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Condition>,
}

/// How the sub-goals of a plan relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// In the stated order; reached with the last.
    Sequence,
    /// Exactly one is to be reached.
    Choice,
    /// All, in any order.
    Parallel,
}

/// How a goal is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Goal that the plan reaches.
    pub goal: String,
    /// Operator.
    pub operator: Operator,
    /// Sub-goals.
    pub goals: Vec<String>,
    /// Share of tries that succeed; documentation only.
    #[serde(default = "one")]
    pub success: f64,
}

/// Goals that an agent commits to together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mission {
    /// What it is for, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Goals with their weights.
    pub goals: Vec<MissionGoal>,
    /// How many agents may commit; at least 1, no upper bound where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Cardinality>,
}

/// A goal of a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissionGoal {
    /// Goal.
    pub goal: String,
    /// Factor on what the goal pays.
    #[serde(default = "one")]
    pub weight: f64,
}

/// One mission goes before another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preference {
    /// The mission preferred.
    pub prefer: String,
    /// The mission that waits.
    pub over: String,
}

/// Kind of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// May commit to the mission.
    Permission,
    /// Must commit to the mission.
    Obligation,
}

/// Steps of the episode from `from` to before `to`; without `to` up to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct During {
    /// First step, counted from 0.
    pub from: u32,
    /// First step that is no longer in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
}

/// An obligation or permission of a role towards a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// Name, unique among norms.
    pub id: String,
    /// Kind.
    pub kind: NormKind,
    /// Role bound.
    pub role: String,
    /// Mission.
    pub mission: String,
    /// When it binds; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
}

/// A role guide: what a role may do when a condition holds (RAG), or what it is paid for (RRG).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name, unique among rules.
    pub id: String,
    /// Role bound.
    pub role: String,
    /// Variable that ranges over the subjects: the rule then stands for one rule per subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// When it fires; always where both this and `pattern` are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// A trajectory pattern in place of `when`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// When in the episode it may fire; always where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<During>,
    /// What follows.
    pub then: Then,
    /// 1: actions outside are masked. 0: they cost `penalty`.
    #[serde(default = "one")]
    pub hardness: f64,
    /// Added to the reward of an agent that does otherwise, times (1 − hardness); for `prefer` and
    /// `avoid` the size of what is added. Not above 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub penalty: f64,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// What a rule does with the actions it lists, e.g. `up(s)` or `down(any)`. Heads of subjects that
/// the list does not mention stay free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Only these actions.
    Allow(Vec<String>),
    /// All but these actions.
    Forbid(Vec<String>),
    /// These actions are rewarded; never a mask.
    Prefer(Vec<String>),
    /// These actions are penalized; never a mask.
    Avoid(Vec<String>),
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

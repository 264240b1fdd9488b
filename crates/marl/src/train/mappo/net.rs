//! The networks of a team and who shares them.

use karma_cluster::seed::derive;
use karma_nn::{Activation, Learner, Mlp, MlpShape};

use super::{
    CriticInput, Settings,
    view::{Shape, View},
};

/// A network, its optimiser, and the rows that it reads.
#[derive(Clone, Debug)]
pub struct Net {
    /// The network.
    pub mlp: Mlp,
    /// Its optimiser.
    pub learner: Learner,
    pub(super) view: View,
}

impl Net {
    fn new(view: View, hidden: usize, outputs: usize, name: &str, index: u64, seed: u64) -> Self {
        let shape = MlpShape {
            inputs: view.width(),
            hidden: vec![hidden; 2],
            outputs,
            // D1. tanh, as on-policy trains MPE with.
            activation: Activation::Tanh,
        };
        // D2. Orthogonal weights: gain √2 in hidden layers, 0.01 in the policy's head so that the
        // first policy is uniform, 1 in the value's; biases 0 (37 details, 2; on-policy).
        let gain = if name == "actor" { 0.01 } else { 1.0 };
        let mlp = Mlp::new(shape, &mut derive(seed, name, index), gain);
        Self {
            learner: Learner::new(&mlp),
            mlp,
            view,
        }
    }
}

/// Agents of each network, in their order. `sharing` gives each agent's network; empty for one that
/// all share.
fn groups(agents: usize, sharing: &[usize]) -> Vec<Vec<usize>> {
    if sharing.is_empty() {
        return vec![(0..agents).collect()];
    }
    assert_eq!(sharing.len(), agents, "a network for each agent");
    let count = sharing.iter().max().map_or(0, |last| last + 1);
    let of = |group| (0..agents).filter(|a| sharing[*a] == group).collect();
    (0..count).map(of).collect()
}

/// The policies: what an agent sees, to its logits.
pub(super) fn actors(shape: Shape, settings: &Settings, seed: u64) -> Vec<Net> {
    let groups = groups(shape.agents, &settings.sharing).into_iter().zip(0..);
    groups
        .map(|(agents, index)| {
            let (view, outputs) = (View::sight_of(shape, agents), shape.heads.width());
            Net::new(view, settings.hidden, outputs, "actor", index, seed)
        })
        .collect()
}

/// The values, in normalised returns.
pub(super) fn critics(shape: Shape, settings: &Settings, seed: u64) -> Vec<Net> {
    let net =
        |view, outputs, index| Net::new(view, settings.hidden, outputs, "critic", index, seed);
    let view = match settings.critic {
        // D3. The critic is centralised: it sees the global state, once per step of an environment,
        // and has one output per agent, since agents share the team's reward but not what their
        // guides pay. Separate networks, separate optimisers (MAPPO).
        CriticInput::Team => return vec![net(View::team(shape), shape.agents, 0)],
        CriticInput::State => View::state_for,
        CriticInput::Sight => View::sight_of,
    };
    let groups = groups(shape.agents, &settings.sharing).into_iter().zip(0..);
    groups
        .map(|(agents, index)| net(view(shape, agents), 1, index))
        .collect()
}

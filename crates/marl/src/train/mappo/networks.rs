//! Which networks there are, and what they read.

use super::{CriticInput, Settings};
use crate::train::{
    Net,
    net::{self, Body},
    view::{Shape, View},
};

/// What networks have between inputs and outputs.
///
/// D25. Policy and value both remember, as on-policy's r-MAPPO: a value that sees less than what the
/// policy knows would call luck what was knowledge.
fn body(settings: &Settings) -> Body {
    Body {
        hidden: settings.hidden,
        recurrent: settings.recurrent.is_some(),
    }
}

/// The policies: what an agent sees, to its logits.
pub(super) fn actors(shape: Shape, settings: &Settings, seed: u64) -> Vec<Net> {
    let groups = net::groups(shape.agents, &settings.sharing);
    net::per_choice(shape, groups, body(settings), 0.01, (seed, "actor"))
}

/// The values, in normalised returns.
pub(super) fn critics(shape: Shape, settings: &Settings, seed: u64) -> Vec<Net> {
    let net = |view, outputs, index| {
        Net::new(view, body(settings), outputs, 1.0, (seed, "critic", index))
    };
    let view = match settings.critic {
        // D3. The critic is centralised: it sees the global state, once per step of an environment,
        // and has one output per agent, since agents share the team's reward but not what their
        // guides pay. Separate networks, separate optimisers (MAPPO).
        CriticInput::Team => return vec![net(View::team(shape), shape.agents, 0)],
        CriticInput::State => View::state_for,
        CriticInput::Sight => View::sight_of,
    };
    let groups = net::groups(shape.agents, &settings.sharing)
        .into_iter()
        .zip(0..);
    groups
        .map(|(agents, index)| net(view(shape, agents), 1, index))
        .collect()
}

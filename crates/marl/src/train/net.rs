//! The networks of a team and who shares them.

use karma_cluster::seed::derive;
use karma_nn::{Activation, Learner, Mlp, MlpShape, Scratch};

use super::view::{Shape, View};

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
    /// Fresh; `name` and `index` choose its random stream, `head_gain` the scale of its outputs.
    pub(super) fn new(
        view: View,
        body: Body,
        outputs: usize,
        head_gain: f32,
        stream: (u64, &str, u64),
    ) -> Self {
        let shape = MlpShape {
            inputs: view.width(),
            hidden: vec![body.hidden; 2],
            outputs,
            // D1. tanh, as on-policy trains MPE with.
            activation: Activation::Tanh,
            recurrent: body.recurrent,
        };
        let (seed, name, index) = stream;
        // D2. Orthogonal weights: gain √2 in hidden layers, 0.01 in a policy's head so that the first
        // policy is uniform, 1 in a value's; biases 0 (37 details, 2; on-policy).
        let mlp = Mlp::new(shape, &mut derive(seed, name, index), head_gain);
        Self {
            learner: Learner::new(&mlp),
            mlp,
            view,
        }
    }

    /// Numbers that it remembers of a cell.
    pub(super) fn remembered(&self) -> usize {
        self.view.rows() * self.mlp.shape().state()
    }

    /// Runs `rows` rows of `inputs` into `out`, and `states` to those after.
    pub(super) fn run(
        &self,
        inputs: &[f32],
        rows: usize,
        states: &mut [f32],
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        if self.mlp.shape().recurrent {
            self.mlp.step(inputs, rows, states, scratch, out);
        } else {
            self.mlp.forward(inputs, rows, scratch, out);
        }
    }
}

/// What networks have between inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// Width of the two hidden layers.
    pub(super) hidden: usize,
    /// Whether the second remembers.
    pub(super) recurrent: bool,
}

/// Agents of each network, in their order. `sharing` gives each agent's network; empty for one that
/// all share.
///
/// # Panics
/// If `sharing` is of another number of agents.
pub(super) fn groups(agents: usize, sharing: &[usize]) -> Vec<Vec<usize>> {
    if sharing.is_empty() {
        return vec![(0..agents).collect()];
    }
    assert_eq!(sharing.len(), agents, "a network for each agent");
    let count = sharing.iter().max().map_or(0, |last| last + 1);
    let of = |group| (0..agents).filter(|a| sharing[*a] == group).collect();
    (0..count).map(of).collect()
}

/// One network for each of `groups`, from what an agent sees to a number per choice.
pub(super) fn per_choice(
    shape: Shape,
    groups: Vec<Vec<usize>>,
    body: Body,
    head_gain: f32,
    (seed, name): (u64, &str),
) -> Vec<Net> {
    let groups = groups.into_iter().zip(0..);
    groups
        .map(|(agents, index)| {
            let (view, outputs) = (View::sight_of(shape, agents), shape.heads.width());
            Net::new(view, body, outputs, head_gain, (seed, name, index))
        })
        .collect()
}

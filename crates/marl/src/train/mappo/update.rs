//! One epoch of an update, on the kernels of this processor.

use karma_nn::{Learner, Mlp, SLOTS, Sequences, Unrolled};

use super::{
    Place, Recurrent,
    engine::Weights,
    losses::{ActorObjective, ActorWork, Batch, CriticObjective, Tally},
    memory::Memory,
    recollection::unroll,
};
use crate::train::{Fault, Net};

/// What updates compute with, kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    policies: Side<ActorWork>,
    values: Side<f64>,
}

#[derive(Debug)]
struct Side<W> {
    /// One per slot of gradients.
    works: Vec<W>,
    /// Cells of a minibatch of chunks, in the order in which a network goes through them.
    cells: Vec<Place>,
}

impl<W: Default + Clone> Default for Side<W> {
    fn default() -> Self {
        Self {
            works: vec![W::default(); SLOTS],
            cells: Vec::new(),
        }
    }
}

/// What networks learn from.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    pub(super) memories: &'a [&'a Memory],
    pub(super) recurrent: Option<Recurrent>,
    pub(super) weights: Weights,
}

/// The cells of a rollout in the order of an epoch, and how many minibatches they make.
#[derive(Clone, Copy)]
pub(super) struct Minibatches<'a> {
    pub(super) order: &'a [Place],
    pub(super) count: usize,
}

impl<'a> Minibatches<'a> {
    /// Those that have cells, numbered.
    pub(super) fn parts(self) -> impl Iterator<Item = (usize, &'a [Place])> {
        let Self { order, count } = self;
        let end = move |part| part * order.len() / count;
        let parts = (0..count).map(move |part| (part, &order[end(part)..end(part + 1)]));
        parts.filter(|(_, order)| !order.is_empty())
    }
}

impl Update<'_> {
    /// Gradients of the policies' losses on `order`, to see how far ratios are from one.
    pub(super) fn tally(self, order: &[Place], actors: &mut [Net], buffers: &mut Buffers) -> Tally {
        let mut tally = Tally::default();
        self.policy_gradients(order, actors, &mut buffers.policies, &mut tally);
        tally
    }

    /// One step of all networks on each of `minibatches`. Policies and values go through them side by
    /// side: neither reads what the other learns, and a thread that finds no block left of the one
    /// goes on with the other instead of waiting.
    pub(super) fn epoch(
        self,
        minibatches: Minibatches<'_>,
        [actors, critics]: [&mut [Net]; 2],
        buffers: &mut Buffers,
        tally: &mut Tally,
    ) -> Result<(), Fault> {
        let Buffers { policies, values } = buffers;
        let mut value_loss = tally.value_loss;
        let by_policies = |order: &[Place], nets: &mut [Net]| {
            self.policy_gradients(order, nets, policies, tally);
        };
        let by_values = |order: &[Place], nets: &mut [Net]| {
            self.value_gradients(order, nets, values, &mut value_loss);
        };
        let ended = rayon::join(
            || self.descend(minibatches, actors, "gradient of the policy", by_policies),
            || self.descend(minibatches, critics, "gradient of the value", by_values),
        );
        tally.value_loss = value_loss;
        Fault::first_of(vec![ended.0, ended.1]).map(drop)
    }

    /// One step of every net along what `gradients` finds, minibatch by minibatch; `term` is what to
    /// call it where it is not finite.
    fn descend(
        self,
        minibatches: Minibatches<'_>,
        nets: &mut [Net],
        term: &'static str,
        mut gradients: impl FnMut(&[Place], &mut [Net]),
    ) -> Result<(), Fault> {
        for (step, order) in minibatches.parts() {
            gradients(order, nets);
            for net in &mut *nets {
                let stepped = net.learner.step(&mut net.mlp, self.weights.adam);
                stepped.map_err(|_| Fault {
                    step,
                    agent: None,
                    term,
                })?;
            }
        }
        Ok(())
    }

    /// Gradients of the policies' losses on the cells in `order`.
    fn policy_gradients(
        self,
        order: &[Place],
        actors: &mut [Net],
        Side { works, cells }: &mut Side<ActorWork>,
        tally: &mut Tally,
    ) {
        for (index, net) in actors.iter_mut().enumerate() {
            let (order, unrolled) = unroll(order, self.memories, &net.view, self.recurrent, cells);
            let batch = Batch {
                memories: self.memories,
                order,
                view: &net.view,
                states: (|memory| &memory.actors, index),
            };
            let objective = ActorObjective {
                batch,
                heads: self.memories[0].shape.heads,
                level: net.mlp.level(),
                clip: self.weights.clip,
                entropy: self.weights.entropy,
                mask_loss: self.weights.mask_loss,
            };
            works.iter_mut().for_each(|w| w.sums = Tally::default());
            let network = (&mut net.learner, &net.mlp);
            gradient(network, unrolled, batch.rows(), &objective, works);
            works.iter().for_each(|w| tally.add(&w.sums));
        }
    }

    /// Gradients of the values' losses on the cells in `order`.
    fn value_gradients(
        self,
        order: &[Place],
        critics: &mut [Net],
        Side { works, cells }: &mut Side<f64>,
        loss: &mut f64,
    ) {
        for (index, net) in critics.iter_mut().enumerate() {
            let (order, unrolled) = unroll(order, self.memories, &net.view, self.recurrent, cells);
            let batch = Batch {
                memories: self.memories,
                order,
                view: &net.view,
                states: (|memory| &memory.critics, index),
            };
            let clip = self.weights.clip;
            works.fill(0.0);
            let objective = CriticObjective { batch, clip };
            let network = (&mut net.learner, &net.mlp);
            gradient(network, unrolled, batch.rows(), &objective, works);
            *loss += works.iter().sum::<f64>();
        }
    }
}

/// The gradient of `objective` over `rows` rows, which are sequences where the network remembers.
fn gradient<O: Sequences>(
    (learner, mlp): (&mut Learner, &Mlp),
    unrolled: Option<Unrolled>,
    rows: usize,
    objective: &O,
    works: &mut [O::Work],
) {
    match unrolled {
        None => learner.gradient(mlp, rows, objective, works),
        Some(batch) => learner.gradient_through_time(mlp, batch, objective, works),
    }
}

//! The team as a controller.

use karma_cluster::{
    ActionSpace, Controller, Encoder, Observation, Scenario, ServiceMetrics,
    action::{CHOICES, HOLD},
};
use karma_nn::{Heads, categorical::Distributions};

use crate::{
    Guides, Policy,
    ground::{Guidance, History},
    policy::{Layout, PolicyScratch},
};

/// What a team decided in one window, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TeamDecision {
    /// Chosen choices under the masks, agents × services.
    pub choices: Vec<u8>,
    /// What would have been chosen without masks, agents × services.
    pub unmasked: Vec<u8>,
    /// What the guides said.
    pub guidance: Guidance,
    /// The encoded observation.
    pub observation: Vec<f32>,
    /// Whether every logit was finite. Where it was not, every choice is "no change".
    pub finite: bool,
}

/// A team of agents with its policy: greedy, masked, deterministic.
///
/// What it remembers of an episode, its guides' history and where its policy is recurrent the states
/// of the actors, begins with [`Controller::reset`] and lives in memory: a team that is made anew in
/// the midst of an episode has seen nothing of it and builds that up again window by window.
#[derive(Clone, Debug)]
pub struct Team {
    /// The newest decision.
    pub last: TeamDecision,
    policy: Policy,
    guides: Guides,
    history: History,
    encoder: Encoder,
    space: ActionSpace,
    /// The window before; empty before the first.
    before: Vec<ServiceMetrics>,
    logits: Vec<f32>,
    /// What actors remember of the episode. It stays finite: observations are, and gates bound it.
    state: Vec<f32>,
    scratch: PolicyScratch,
    distributions: Distributions,
}

impl Team {
    /// A team of `scenario`.
    ///
    /// # Panics
    /// If the policy's layout is not the scenario's; [`crate::bundle::load`] checks it.
    #[must_use]
    pub fn new(policy: Policy, guides: Guides, scenario: &Scenario) -> Self {
        let layout = Layout::new(scenario, 1);
        assert!(
            policy.layout.services == layout.services && policy.layout.agents == layout.agents,
            "a policy for the services and agents of the scenario"
        );
        Self {
            last: TeamDecision::default(),
            history: guides.history(),
            encoder: Encoder::new(scenario),
            space: ActionSpace::new(scenario),
            state: vec![0.0; policy.layout.state()],
            policy,
            guides,
            before: Vec::new(),
            logits: Vec::new(),
            scratch: PolicyScratch::default(),
            distributions: Distributions::default(),
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Logits of the newest decision, agents × services × choices.
    #[must_use]
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The guides.
    #[must_use]
    pub fn guides(&self) -> &Guides {
        &self.guides
    }

    /// The memory that the guides have of the episode so far.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Adds what the guides pay each agent for the newest decision. Call once per window.
    ///
    /// # Panics
    /// If `rewards` does not have one entry per agent.
    pub fn guide_rewards(&mut self, rewards: &mut [f32]) {
        self.guides
            .reward(&self.history, &self.last.choices, rewards);
    }

    fn heads(&self) -> Heads {
        self.policy.layout.heads()
    }

    /// Writes choices and unmasked choices of the newest logits.
    fn choose(&mut self) {
        let (heads, level) = (self.heads(), self.policy.level());
        let count = self.policy.layout.agents.len() * heads.heads;
        let last = &mut self.last;
        last.choices.resize(count, HOLD);
        last.unmasked.resize(count, HOLD);
        last.finite = self.logits.iter().all(|logit| logit.is_finite());
        if !last.finite {
            last.choices.fill(HOLD);
            last.unmasked.fill(HOLD);
            return;
        }
        let of = &mut self.distributions;
        heads.evaluate(level, &self.logits, &last.guidance.masks, of);
        heads.mode(of, &mut last.choices);
        for (unmasked, logits) in last
            .unmasked
            .iter_mut()
            .zip(self.logits.chunks_exact(CHOICES))
        {
            let mut best = 0;
            for (choice, logit) in logits.iter().enumerate() {
                if *logit > logits[best] {
                    best = choice;
                }
            }
            *unmasked = best as u8;
        }
    }
}

impl Controller for Team {
    fn name(&self) -> &'static str {
        "KARMA"
    }

    /// Keeps policy and guides; `scenario` is a context of the one that the team was made for.
    fn reset(&mut self, scenario: &Scenario, _seed: u64) {
        self.encoder = Encoder::new(scenario);
        self.space = ActionSpace::new(scenario);
        self.guides.reset(&mut self.history, 0);
        self.state.fill(0.0);
        self.before.clear();
        self.last = TeamDecision::default();
    }

    fn decide(&mut self, observation: &Observation, desired: &mut [u32]) {
        let now = &observation.services;
        let before = if self.before.is_empty() {
            now
        } else {
            &self.before
        };
        self.last.observation.resize(self.encoder.width(), 0.0);
        self.encoder.encode(before, now, &mut self.last.observation);
        self.guides.observe(&mut self.history, now);
        self.guides
            .guidance(&self.history, 0, &mut self.last.guidance);
        self.policy.logits(
            &self.last.observation,
            &mut self.state,
            &mut self.scratch,
            &mut self.logits,
        );
        self.choose();
        self.space.apply(&self.last.choices, desired);
        self.before.clone_from(now);
    }
}

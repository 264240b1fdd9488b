"""Feed-forward MAPPO on MPE simple_spread in PyTorch, in one file, in the manner of CleanRL.

    python torch_mappo.py --hidden 128 --iterations 20 --threads 2

Eager mode with the fused Adam; the environment is batched in torch. The first iterations, in which
torch warms up, are not timed. The algorithm is that of README.md. Needs requirements-torch.txt.
"""

import time

import torch
from torch import nn
from torch.distributions import Categorical

import peer

AGENTS, ACTIONS, OBSERVATION, EPISODE = 3, 5, 18, 26
STATE = AGENTS * OBSERVATION
PUSH = torch.tensor([[0.0, 0.0], [-5.0, 0.0], [5.0, 0.0], [0.0, -5.0], [0.0, 5.0]])
OTHERS = torch.tensor([[1, 2], [0, 2], [0, 1]])
ITSELF = torch.eye(AGENTS)
CONTACT, SOFTNESS = 0.3, 1e-3

EPOCHS, MINIBATCHES = 4, 4
GAMMA, LAMBDA = 0.99, 0.95
CLIP, ENTROPY, CRITIC = 0.2, 0.01, 0.5
LEARNING_RATE, GRADIENT_NORM = 2e-3, 0.5
WARM_UP = 2


class Spread:
    """simple_spread for a batch of environments; every tensor begins with that axis."""

    def __init__(self, envs):
        self.agents = torch.zeros(envs, AGENTS, 2)
        self.velocities = torch.zeros(envs, AGENTS, 2)
        self.landmarks = torch.zeros(envs, AGENTS, 2)
        self.steps = torch.zeros(envs, dtype=torch.int64)
        self.reset(torch.ones(envs, dtype=torch.bool))

    def reset(self, which):
        """Begins a new episode in the environments of the mask."""
        places = torch.rand(int(which.sum()), 2 * AGENTS, 2) * 2.0 - 1.0
        self.agents[which] = places[:, :AGENTS]
        self.landmarks[which] = places[:, AGENTS:]
        self.velocities[which] = 0.0
        self.steps[which] = 0

    def observe(self):
        """Own velocity and position, landmarks and others seen from there, silence: [envs, 3, 18]."""
        here = self.agents[:, :, None]
        landmarks = (self.landmarks[:, None] - here).flatten(2)
        others = (self.agents[:, OTHERS] - here).flatten(2)
        silence = torch.zeros_like(others)
        return torch.cat([self.velocities, self.agents, landmarks, others, silence], dim=-1)

    def contact_forces(self):
        """Soft repulsion between agents that touch: [envs, 3, 2]."""
        delta = self.agents[:, :, None] - self.agents[:, None]
        distance = delta.square().sum(-1).sqrt() + ITSELF
        overlap = (CONTACT - distance) / SOFTNESS
        overlap = SOFTNESS * torch.logaddexp(overlap, torch.zeros(()))
        return (100.0 * delta * ((1.0 - ITSELF) * overlap / distance)[..., None]).sum(2)

    def rewards(self):
        """Touching others costs every agent a half, landmarks far from all cost everyone."""
        between = torch.cdist(self.agents, self.agents) + ITSELF
        uncovered = torch.cdist(self.agents, self.landmarks).amin(1).sum(1)
        return -0.5 * (between < CONTACT).sum(2) - 0.5 * uncovered[:, None]

    def advance(self, actions):
        """One step without a new episode: rewards [envs, 3] and done [envs]."""
        force = PUSH[actions] + self.contact_forces()
        self.agents = self.agents + 0.1 * self.velocities
        self.velocities = 0.75 * self.velocities + 0.1 * force
        self.steps = self.steps + 1
        return self.rewards(), self.steps >= EPISODE

    def step(self, actions):
        """Moves, and begins a new episode where one has ended: observation, rewards, done."""
        rewards, done = self.advance(actions)
        if done.any():
            self.reset(done)
        return self.observe(), rewards, done


def linear(inputs, outputs, gain):
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def network(inputs, hidden, outputs, head_gain):
    first, second = linear(inputs, hidden, 2**0.5), linear(hidden, hidden, 2**0.5)
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), linear(hidden, outputs, head_gain))


def world_of(observation):
    """The critic's input on the row of every agent: what all three observe, [..., 3, 54]."""
    world = observation.flatten(-2).unsqueeze(-2)
    return world.expand(*observation.shape[:-1], STATE)


class Trainer:
    """Networks, their optimisers, the environments, and the buffers of one rollout."""

    def __init__(self, args):
        self.steps, self.envs, self.iterations = args.steps, args.envs, args.iterations
        self.actor = network(OBSERVATION, args.hidden, ACTIONS, 0.01)
        self.critic = network(STATE, args.hidden, 1, 1.0)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, eps=1e-5, fused=True)
            for net in (self.actor, self.critic)
        ]
        self.env = Spread(self.envs)
        self.observation = self.env.observe()
        self.so_far = torch.zeros(self.envs)
        rows = self.steps, self.envs, AGENTS
        self.observations = torch.zeros(*rows, OBSERVATION)
        self.actions = torch.zeros(*rows, dtype=torch.int64)
        self.log_probabilities = torch.zeros(rows)
        self.values = torch.zeros(rows)
        self.rewards = torch.zeros(rows)
        self.dones = torch.zeros(self.steps, self.envs, 1)

    @torch.no_grad()
    def rollout(self):
        """Fills the buffers: sum and count of the returns of the episodes that ended."""
        return_sum, episodes = 0.0, 0
        for step in range(self.steps):
            policy = Categorical(logits=self.actor(self.observation), validate_args=False)
            action = policy.sample()
            self.observations[step] = self.observation
            self.actions[step] = action
            self.log_probabilities[step] = policy.log_prob(action)
            self.values[step] = self.critic(world_of(self.observation)).squeeze(-1)
            self.observation, self.rewards[step], done = self.env.step(action)
            self.dones[step] = done[:, None]
            self.so_far += self.rewards[step].sum(1)
            if done.any():
                return_sum += self.so_far[done].sum().item()
                episodes += int(done.sum())
                self.so_far[done] = 0.0
        return return_sum, episodes

    @torch.no_grad()
    def advantages(self):
        """Generalised advantage estimates; the end of an episode is terminal."""
        following = self.critic(world_of(self.observation)).squeeze(-1)
        advantages = torch.zeros_like(self.rewards)
        advantage = torch.zeros_like(following)
        for step in reversed(range(self.steps)):
            goes_on = 1.0 - self.dones[step]
            delta = self.rewards[step] + GAMMA * goes_on * following - self.values[step]
            advantage = delta + GAMMA * LAMBDA * goes_on * advantage
            advantages[step] = advantage
            following = self.values[step]
        return advantages

    def update(self):
        """Every epoch goes through all rows once, in minibatches of a new permutation."""
        advantages = self.advantages()
        rows = {
            "observation": self.observations.reshape(-1, OBSERVATION),
            "world": world_of(self.observations).reshape(-1, STATE),
            "action": self.actions.flatten(),
            "log_probability": self.log_probabilities.flatten(),
            "value": self.values.flatten(),
            "advantage": advantages.flatten(),
            "target": (advantages + self.values).flatten(),
        }
        for _ in range(EPOCHS):
            for chosen in torch.randperm(rows["action"].shape[0]).chunk(MINIBATCHES):
                self.optimise({name: values[chosen] for name, values in rows.items()})

    def optimise(self, rows):
        """One minibatch: each net has its own clip and its own Adam."""
        loss = self.policy_loss(rows) + self.value_loss(rows)
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        for net, optimiser in zip((self.actor, self.critic), self.optimisers):
            nn.utils.clip_grad_norm_(net.parameters(), GRADIENT_NORM)
            optimiser.step()

    def policy_loss(self, rows):
        """Clipped ratio with the entropy bonus."""
        policy = Categorical(logits=self.actor(rows["observation"]), validate_args=False)
        ratio = (policy.log_prob(rows["action"]) - rows["log_probability"]).exp()
        advantage = rows["advantage"]
        spread = advantage.std(correction=0) + 1e-8
        advantage = (advantage - advantage.mean()) / spread
        clipped = ratio.clamp(1.0 - CLIP, 1.0 + CLIP)
        gain = torch.minimum(ratio * advantage, clipped * advantage).mean()
        return -gain - ENTROPY * policy.entropy().mean()

    def value_loss(self, rows):
        """The worse of the squared errors of the value and of the value near the old one."""
        value = self.critic(rows["world"]).squeeze(-1)
        near = rows["value"] + (value - rows["value"]).clamp(-CLIP, CLIP)
        errors = (value - rows["target"]).square(), (near - rows["target"]).square()
        return CRITIC * 0.5 * torch.maximum(*errors).mean()

    def iterate(self, index):
        """One rollout with its update; the learning rate falls to 0 along the iterations."""
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * (1.0 - index / self.iterations)
        ended = self.rollout()
        self.update()
        return ended


def main():
    parser = peer.arguments(__doc__)
    args = parser.parse_args()
    if args.envs * args.steps * AGENTS % MINIBATCHES:
        parser.error(f"envs x steps x {AGENTS} rows do not split into {MINIBATCHES} minibatches")
    peer.keep_to_cores(args.threads)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    trainer = Trainer(args)

    ended, marks = [], [time.perf_counter()]
    for index in range(args.iterations):
        ended.append(trainer.iterate(index))
        marks.append(time.perf_counter())

    untrained, final = peer.ends(*zip(*ended))
    peer.report(
        "torch",
        args,
        ["torch", "numpy"],
        compile_s=0.0,
        env_steps_per_s=peer.speed(args, marks, WARM_UP),
        untrained_return=untrained,
        final_return=final,
    )


if __name__ == "__main__":
    main()

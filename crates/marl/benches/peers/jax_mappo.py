"""Feed-forward MAPPO on MPE simple_spread in JAX alone: the strongest peer known on a CPU.

    python jax_mappo.py --hidden 128 --iterations 20 --threads 2

The whole training is one compiled function: scans over iterations, steps, epochs and minibatches.
Compile time is reported apart. The environment is written for whole batches; --env jaxmarl takes
JaxMARL's under vmap instead. The algorithm is that of README.md. Needs requirements-jax.txt.
"""

import time
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

import peer

AGENTS, ACTIONS, OBSERVATION, EPISODE = 3, 5, 18, 26
STATE = AGENTS * OBSERVATION
PUSH = np.array([[0, 0], [-5, 0], [5, 0], [0, -5], [0, 5]], np.float32)
OTHERS = np.array([[1, 2], [0, 2], [0, 1]])
CONTACT, SOFTNESS = 0.3, 1e-3

EPOCHS, MINIBATCHES = 4, 4
GAMMA, LAMBDA = 0.99, 0.95
CLIP, ENTROPY, CRITIC = 0.2, 0.01, 0.5
LEARNING_RATE, GRADIENT_NORM = 2e-3, 0.5


class Positions(NamedTuple):
    """A batch of environments; every array begins with the axis of environments."""

    agents: jax.Array  # [envs, 3, 2]
    velocities: jax.Array  # [envs, 3, 2]
    landmarks: jax.Array  # [envs, 3, 2]
    step: jax.Array  # [envs]


class Spread:
    """simple_spread for whole batches, without a random key per environment."""

    def __init__(self, envs):
        self.envs = envs

    def reset(self, key):
        """New episodes: their states and first observations [envs, 3, 18]."""
        places = jax.random.uniform(key, (self.envs, 2 * AGENTS, 2), minval=-1.0, maxval=1.0)
        agents, landmarks = places[:, :AGENTS], places[:, AGENTS:]
        step = jnp.zeros(self.envs, jnp.int32)
        state = Positions(agents, jnp.zeros_like(agents), landmarks, step)
        return state, observe(state)

    def step(self, key, state, actions):
        """Moves, and begins a new episode where one has ended: state, observation, reward, done."""
        moved, observation, reward, done = advance(state, actions)
        fresh, first = self.reset(key)
        state = jax.tree.map(partial(where_done, done), fresh, moved)
        return state, where_done(done, first, observation), reward, done


class JaxMarl:
    """JaxMARL's simple_spread under vmap, with the interface of `Spread`."""

    def __init__(self, envs):
        import jaxmarl

        self.envs = envs
        self.env = jaxmarl.make("MPE_simple_spread_v3")

    def reset(self, key):
        observation, state = jax.vmap(self.env.reset)(jax.random.split(key, self.envs))
        return state, self.stacked(observation)

    def step(self, key, state, actions):
        taken = {agent: actions[:, i] for i, agent in enumerate(self.env.agents)}
        keys = jax.random.split(key, self.envs)
        observation, state, reward, done, _ = jax.vmap(self.env.step)(keys, state, taken)
        return state, self.stacked(observation), self.stacked(reward), done["__all__"]

    def stacked(self, by_agent):
        return jnp.stack([by_agent[agent] for agent in self.env.agents], axis=1)


def where_done(done, fresh, moved):
    """`fresh` in the environments whose episode has ended, `moved` in the others."""
    return jnp.where(done.reshape(done.shape + (1,) * (moved.ndim - 1)), fresh, moved)


def distances(delta):
    return jnp.sqrt(jnp.sum(delta * delta, axis=-1))


def contact_forces(agents):
    """Soft repulsion between agents that touch: [envs, 3, 2]."""
    delta = agents[:, :, None] - agents[:, None]
    itself = jnp.eye(AGENTS)
    distance = distances(delta) + itself
    overlap = SOFTNESS * jnp.logaddexp(0.0, (CONTACT - distance) / SOFTNESS)
    force = 100.0 * delta * ((1.0 - itself) * overlap / distance)[..., None]
    return force.sum(axis=2)


def rewards(state):
    """Touching others costs every agent a half, landmarks far from all agents cost everyone."""
    between = distances(state.agents[:, :, None] - state.agents[:, None]) + jnp.eye(AGENTS)
    touching = (between < CONTACT).sum(axis=2)
    to_landmarks = distances(state.agents[:, :, None] - state.landmarks[:, None])
    uncovered = to_landmarks.min(axis=1).sum(axis=1)
    return -0.5 * touching - 0.5 * uncovered[:, None]


def observe(state):
    """Own velocity and position, landmarks and others seen from there, silence: [envs, 3, 18]."""
    here = state.agents[:, :, None]
    landmarks = (state.landmarks[:, None] - here).reshape(-1, AGENTS, 2 * AGENTS)
    others = (state.agents[:, OTHERS] - here).reshape(-1, AGENTS, 2 * (AGENTS - 1))
    parts = [state.velocities, state.agents, landmarks, others, jnp.zeros_like(others)]
    return jnp.concatenate(parts, axis=-1)


def advance(state, actions):
    """One step without a new episode: state, observation, rewards [envs, 3], done [envs]."""
    force = jnp.asarray(PUSH)[actions] + contact_forces(state.agents)
    moved = Positions(
        agents=state.agents + 0.1 * state.velocities,
        velocities=0.75 * state.velocities + 0.1 * force,
        landmarks=state.landmarks,
        step=state.step + 1,
    )
    return moved, observe(moved), rewards(moved), state.step >= EPISODE - 1


def network(key, inputs, hidden, outputs, head_gain):
    """Weights and biases of the three layers."""
    sizes = [(inputs, hidden, 2**0.5), (hidden, hidden, 2**0.5), (hidden, outputs, head_gain)]
    return [
        (jax.nn.initializers.orthogonal(gain)(k, (n, m)), jnp.zeros(m))
        for k, (n, m, gain) in zip(jax.random.split(key, 3), sizes)
    ]


def forward(layers, x):
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return x @ weight + bias


def values_of(critic, observation):
    """The critic on the row of every agent, [..., 3]: each row holds what all three observe."""
    world = observation.reshape(observation.shape[:-2] + (1, STATE))
    world = jnp.broadcast_to(world, observation.shape[:-1] + (STATE,))
    return forward(critic, world)[..., 0]


class Transition(NamedTuple):
    """What the update needs of one step; [steps, envs, 3] and [steps, envs] after a rollout."""

    observation: jax.Array
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    reward: jax.Array
    done: jax.Array


def rollout(env, steps, networks, carry, key):
    """Plays `steps` steps: the carry, the transitions, sum and count of the ended returns."""
    actor, critic = networks

    def play(carry, key):
        state, observation, so_far = carry
        act_key, reset_key = jax.random.split(key)
        log_policy = jax.nn.log_softmax(forward(actor, observation))
        action = jax.random.categorical(act_key, log_policy)
        taken = jnp.take_along_axis(log_policy, action[..., None], axis=-1)[..., 0]
        value = values_of(critic, observation)
        state, following, reward, done = env.step(reset_key, state, action)
        so_far = so_far + reward.sum(axis=1)
        ended = jnp.where(done, so_far, 0.0).sum(), done.sum()
        transition = Transition(observation, action, taken, value, reward, done)
        return (state, following, jnp.where(done, 0.0, so_far)), (transition, ended)

    carry, (transitions, ended) = lax.scan(play, carry, jax.random.split(key, steps))
    return carry, transitions, jax.tree.map(jnp.sum, ended)


def advantages_of(transitions, last_value):
    """Generalised advantage estimates; the end of an episode is terminal."""

    def back(carry, transition):
        following, advantage = carry
        goes_on = 1.0 - transition.done[:, None]
        delta = transition.reward + GAMMA * goes_on * following - transition.value
        advantage = delta + GAMMA * LAMBDA * goes_on * advantage
        return (transition.value, advantage), advantage

    start = last_value, jnp.zeros_like(last_value)
    return lax.scan(back, start, transitions, reverse=True, unroll=16)[1]


class Rows(NamedTuple):
    """Agents' rows, the batch of the update."""

    observation: jax.Array  # [rows, 18]
    world: jax.Array  # [rows, 54]
    action: jax.Array
    log_probability: jax.Array
    value: jax.Array
    advantage: jax.Array
    target: jax.Array


def rows_of(transitions, advantages):
    """Flattens steps, environments and agents into rows."""
    steps, envs = transitions.done.shape
    world = transitions.observation.reshape(steps * envs, 1, STATE)
    return Rows(
        observation=transitions.observation.reshape(-1, OBSERVATION),
        world=jnp.broadcast_to(world, (steps * envs, AGENTS, STATE)).reshape(-1, STATE),
        action=transitions.action.ravel(),
        log_probability=transitions.log_probability.ravel(),
        value=transitions.value.ravel(),
        advantage=advantages.ravel(),
        target=(advantages + transitions.value).ravel(),
    )


def loss(networks, rows):
    """Clipped policy and value losses with the entropy bonus."""
    actor, critic = networks
    log_policy = jax.nn.log_softmax(forward(actor, rows.observation))
    taken = jnp.take_along_axis(log_policy, rows.action[:, None], axis=-1)[:, 0]
    ratio = jnp.exp(taken - rows.log_probability)
    advantage = rows.advantage
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    clipped = jnp.clip(ratio, 1.0 - CLIP, 1.0 + CLIP)
    policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
    entropy = -(jnp.exp(log_policy) * log_policy).sum(axis=-1).mean()

    value = forward(critic, rows.world)[:, 0]
    near = rows.value + jnp.clip(value - rows.value, -CLIP, CLIP)
    worse = jnp.maximum((value - rows.target) ** 2, (near - rows.target) ** 2)
    return policy_loss - ENTROPY * entropy + CRITIC * 0.5 * worse.mean()


OPTIMISER = optax.chain(
    optax.clip_by_global_norm(GRADIENT_NORM), optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-5)
)


def optimise(learning_rate, carry, rows):
    """One minibatch: each net has its own clip and its own Adam."""
    networks, moments = carry
    gradients = jax.grad(loss)(networks, rows)

    def step(net, gradient, moment):
        change, moment = OPTIMISER.update(gradient, moment)
        return jax.tree.map(lambda w, c: w - learning_rate * c, net, change), moment

    stepped = [step(*each) for each in zip(networks, gradients, moments)]
    return (tuple(net for net, _ in stepped), tuple(moment for _, moment in stepped)), None


def update(learning_rate, networks, moments, rows, key):
    """Every epoch goes through all rows once, in minibatches of a new permutation."""
    count = rows.action.shape[0]

    def epoch(carry, key):
        order = jax.random.permutation(key, count)
        shuffled = jax.tree.map(
            lambda x: x[order].reshape((MINIBATCHES, count // MINIBATCHES) + x.shape[1:]), rows
        )
        return lax.scan(partial(optimise, learning_rate), carry, shuffled)

    return lax.scan(epoch, (networks, moments), jax.random.split(key, EPOCHS))[0]


def trainer(env, steps, hidden, iterations):
    """The function to compile: from a key to sums of returns and numbers of ended episodes."""

    def iterate(carry, index):
        networks, moments, playing, key = carry
        key, play_key, shuffle_key = jax.random.split(key, 3)
        playing, transitions, ended = rollout(env, steps, networks, playing, play_key)
        last_value = values_of(networks[1], playing[1])
        rows = rows_of(transitions, advantages_of(transitions, last_value))
        learning_rate = LEARNING_RATE * (1.0 - index / iterations)
        networks, moments = update(learning_rate, networks, moments, rows, shuffle_key)
        return (networks, moments, playing, key), ended

    def train(key):
        key, actor_key, critic_key, reset_key = jax.random.split(key, 4)
        actor = network(actor_key, OBSERVATION, hidden, ACTIONS, 0.01)
        networks = actor, network(critic_key, STATE, hidden, 1, 1.0)
        playing = *env.reset(reset_key), jnp.zeros(env.envs)
        start = networks, tuple(OPTIMISER.init(net) for net in networks), playing, key
        return lax.scan(iterate, start, jnp.arange(iterations))[1]

    return train


def main():
    parser = peer.arguments(__doc__)
    parser.add_argument("--env", choices=["batched", "jaxmarl"], default="batched")
    args = parser.parse_args()
    if args.envs * args.steps * AGENTS % MINIBATCHES:
        parser.error(f"envs x steps x {AGENTS} rows do not split into {MINIBATCHES} minibatches")
    peer.keep_to_cores(args.threads)
    env = {"batched": Spread, "jaxmarl": JaxMarl}[args.env](args.envs)
    train = jax.jit(trainer(env, args.steps, args.hidden, args.iterations))
    key = jax.random.key(args.seed)

    start = time.perf_counter()
    compiled = train.lower(key).compile()
    compile_s = time.perf_counter() - start
    start = time.perf_counter()
    return_sums, episodes = jax.block_until_ready(compiled(key))
    run_s = time.perf_counter() - start

    untrained, final = peer.ends(return_sums.tolist(), episodes.tolist())
    peer.report(
        "jax" if args.env == "batched" else "jax-jaxmarl-env",
        args,
        ["jax", "jaxlib", "optax", "jaxmarl", "numpy"],
        compile_s=round(compile_s, 2),
        env_steps_per_s=round(args.envs * args.steps * args.iterations / run_s, 1),
        untrained_return=untrained,
        final_return=final,
    )


if __name__ == "__main__":
    main()

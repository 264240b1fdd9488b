"""Writes golden steps of MPE simple_spread, taken from the public JaxMARL package.

    python golden.py ../../tests/golden/simple_spread.json

Needs requirements-jax.txt. JaxMARL's `step_env` is used, which does not reset by itself, so the last
observation of an episode is the one it ends with. Every second episode starts with all positions scaled by
0.15, and there most actions lead towards the other agents, so that they collide time and again. The same steps are replayed through mpe2 (double precision) where
that is installed, and the largest differences are printed.
"""

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxmarl
import numpy as np

EPISODES = 6
STEPS = 26
AGENTS = 3
CROWDED = 0.15
TOGETHER = 0.8


def together(state, i):
    """The action that takes agent i towards the middle of all agents, along the longer way."""
    agents = np.asarray(state.p_pos[:AGENTS])
    x, y = agents.mean(axis=0) - agents[i]
    if abs(x) > abs(y):
        return 2 if x > 0 else 1
    return 4 if y > 0 else 3


def record(env, episode):
    """One episode: what it starts from, what was done, and what came of it."""
    random = np.random.default_rng(episode)
    key = jax.random.PRNGKey(1000 + episode)
    _, state = env.reset(key)
    crowded = episode % 2 == 1
    if crowded:
        state = state.replace(p_pos=state.p_pos * jnp.float32(CROWDED))
    actions = random.integers(0, 5, (STEPS, AGENTS))
    led = crowded & (random.random((STEPS, AGENTS)) < TOGETHER)
    first = env.get_obs(state)
    out = {
        "agents": np.asarray(state.p_pos[:AGENTS]),
        "landmarks": np.asarray(state.p_pos[AGENTS:]),
        "first_observation": np.stack([np.asarray(first[a]) for a in env.agents]),
        "actions": actions,
        "observations": [],
        "rewards": [],
        "done": [],
    }
    for step in range(STEPS):
        for i in np.flatnonzero(led[step]):
            actions[step, i] = together(state, i)
        taken = {a: jnp.int32(actions[step, i]) for i, a in enumerate(env.agents)}
        obs, state, rewards, dones, _ = env.step_env(key, state, taken)
        out["observations"].append(np.stack([np.asarray(obs[a]) for a in env.agents]))
        out["rewards"].append(np.array([rewards[a] for a in env.agents], np.float32))
        out["done"].append(bool(dones["__all__"]))
    return out


def number(x):
    """A float32 in the fewest digits, at most nine, that read back as the same float32."""
    x = np.float32(x)
    for digits in range(1, 10):
        text = f"{x:.{digits}g}"
        if np.float32(text) == x:
            return "0" if float(text) == 0 else text
    raise ValueError(f"not a finite float32: {x}")


def flat(values):
    return "[" + ",".join(number(v) for v in np.asarray(values, np.float32).ravel()) + "]"


def rows(values):
    return "[\n" + ",\n".join(flat(v) for v in values) + "]"


def write(episodes, path):
    source = (
        f"JaxMARL {version('jaxmarl')} MPE_simple_spread_v3, step_env (no automatic reset), float32 on CPU, "
        f"jax {jax.__version__}; observations: one row a step, {AGENTS} agents x 18 numbers"
    )
    parts = []
    for e in episodes:
        parts.append(
            "{"
            + f'"agents":{flat(e["agents"])},\n"landmarks":{flat(e["landmarks"])},\n'
            + f'"first_observation":{flat(e["first_observation"])},\n"actions":{json.dumps(e["actions"].tolist())},\n'
            + f'"observations":{rows(e["observations"])},\n"rewards":{rows(e["rewards"])},\n'
            + f'"done":{json.dumps(e["done"])}'
            + "}"
        )
    text = "{" + f'"source":{json.dumps(source)},\n"episodes":[\n' + ",\n".join(parts) + "\n]}\n"
    json.loads(text)
    Path(path).write_text(text)


def replay_in_mpe2(episodes):
    """The largest differences to the same steps in mpe2: absolute for rewards, relative to max(1, |x|) else."""
    from mpe2 import simple_spread_v3

    worst_obs = worst_reward = 0.0
    touches = 0
    for e in episodes:
        env = simple_spread_v3.parallel_env(N=AGENTS, local_ratio=0.5, max_cycles=STEPS + 1)
        env.reset(seed=0)
        world = env.aec_env.unwrapped.world if hasattr(env, "aec_env") else env.unwrapped.world
        for agent, at in zip(world.agents, e["agents"]):
            agent.state.p_pos = at.astype(np.float64)
            agent.state.p_vel = np.zeros(2)
        for landmark, at in zip(world.landmarks, e["landmarks"]):
            landmark.state.p_pos = at.astype(np.float64)
        for step in range(STEPS):
            taken = {a: int(e["actions"][step, i]) for i, a in enumerate(env.possible_agents)}
            obs, rewards, *_ = env.step(taken)
            for i, a in enumerate(env.possible_agents):
                ours = e["observations"][step][i]
                gap = np.abs(obs[a] - ours) / np.maximum(1.0, np.abs(ours))
                worst_obs = max(worst_obs, float(gap.max()))
                worst_reward = max(worst_reward, abs(float(rewards[a]) - float(e["rewards"][step][i])))
        others = np.stack(e["observations"])[:, :, 10:14].reshape(STEPS, AGENTS, 2, 2)
        touches += int((np.linalg.norm(others, axis=-1) < 0.3).any(axis=(1, 2)).sum())
    print(f"mpe2: worst observation difference {worst_obs:.2g}, worst reward difference {worst_reward:.2g}")
    print(f"steps with a contact: {touches} of {len(episodes) * STEPS}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", help="the file to write")
    path = parser.parse_args().path
    env = jaxmarl.make("MPE_simple_spread_v3")
    episodes = [record(env, i) for i in range(EPISODES)]
    write(episodes, path)
    print(f"{path}: {EPISODES} episodes of {STEPS} steps, {Path(path).stat().st_size} bytes")
    try:
        replay_in_mpe2(episodes)
    except ImportError:
        print("mpe2 is not installed: not compared with it")


if __name__ == "__main__":
    main()

"""Compares a peer's simple_spread with the golden steps of the tests, taken from JaxMARL.

    python check_env.py jax      # with requirements-jax.txt
    python check_env.py torch    # with requirements-torch.txt

Every step starts from the golden state before it, so that differences do not add up. Ends with
status 1 where an observation, a reward or an end of an episode differs.
"""

import argparse
import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "tests/golden/simple_spread.json"
AGENTS, OBSERVATION = 3, 18
TOLERANCE = 5e-6


def golden_steps():
    """Landmarks, step number, observation before, actions, observation, reward, done of every step."""
    for episode in json.loads(GOLDEN.read_text())["episodes"]:
        before = np.asarray(episode["first_observation"], np.float32)
        landmarks = np.asarray(episode["landmarks"], np.float32).reshape(AGENTS, 2)
        steps = zip(episode["actions"], episode["observations"], episode["rewards"], episode["done"])
        for number, (actions, after, reward, done) in enumerate(steps):
            after = np.asarray(after, np.float32)
            yield landmarks, number, before.reshape(AGENTS, -1), actions, after, reward, done
            before = after


def in_jax(landmarks, number, before, actions):
    """The step in jax_mappo.py: observation, rewards, done."""
    import jax.numpy as jnp
    from jax_mappo import Positions, advance

    batch = [jnp.asarray(x)[None] for x in (before[:, 2:4], before[:, :2], landmarks, number)]
    _, observation, rewards, done = advance(Positions(*batch), jnp.asarray([actions]))
    return observation[0], rewards[0], done[0]


def in_torch(landmarks, number, before, actions):
    """The step in torch_mappo.py: observation, rewards, done."""
    import torch
    from torch_mappo import Spread

    env = Spread(1)
    parts = (before[:, 2:4], before[:, :2], landmarks, np.asarray(number))
    env.agents, env.velocities, env.landmarks, env.steps = (
        torch.from_numpy(part.copy())[None] for part in parts
    )
    rewards, done = env.advance(torch.tensor([actions]))
    return env.observe()[0], rewards[0], done[0]


def worst(found, golden):
    """The largest difference: relative above 1, absolute below."""
    golden = np.asarray(golden, np.float32)
    found = np.asarray(found).reshape(golden.shape)
    return float((np.abs(found - golden) / np.maximum(1.0, np.abs(golden))).max())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", choices=["jax", "torch"])
    step = {"jax": in_jax, "torch": in_torch}[parser.parse_args().program]
    observations, rewards, ends, count = 0.0, 0.0, 0, 0
    for landmarks, number, before, actions, after, reward, done in golden_steps():
        observation, got, ended = step(landmarks, number, before, actions)
        observations = max(observations, worst(observation, after))
        rewards = max(rewards, worst(got, reward))
        ends += bool(ended) != done
        count += 1
    print(f"{count} steps: worst difference {observations:.2g} in observations, "
          f"{rewards:.2g} in rewards, {ends} wrong ends")  # fmt: skip
    if max(observations, rewards) > TOLERANCE or ends:
        raise SystemExit(f"differs by more than {TOLERANCE}")


if __name__ == "__main__":
    main()

"""BenchMARL's MAPPO on VMAS's simple_spread, through BenchMARL's Python interface.

    python benchmarl_mappo.py --hidden 128 --iterations 20 --threads 2

Batch, minibatches, epochs and nets are those of the other programs, everything else is BenchMARL's
default. Its physics, observations, episodes and hence returns are VMAS's: compare speed alone, and
see README.md for what differs. The first iterations, in which torch warms up, are not timed.
Needs requirements-torch.txt.
"""

import contextlib
import os
import tempfile
import time

import torch
from benchmarl.algorithms import MappoConfig
from benchmarl.environments import VmasTask
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models.mlp import MlpConfig

import peer

EPOCHS, MINIBATCHES = 4, 4
WARM_UP = 2


class Marks(Callback):
    """When each update ended, and the mean return of the episodes collected before it."""

    def __init__(self):
        super().__init__()
        self.times = []
        self.returns = []

    def on_train_end(self, training_td, group):
        self.times.append(time.perf_counter())
        self.returns.append(float(self.experiment.mean_return))


def configuration(args, folder):
    """BenchMARL's defaults with our batch, on the CPU, and without logs and evaluation."""
    config = ExperimentConfig.get_from_yaml()
    frames = args.envs * args.steps
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.share_policy_params = True
    config.prefer_continuous_actions = False
    config.on_policy_n_envs_per_worker = args.envs
    config.on_policy_collected_frames_per_batch = frames
    config.on_policy_n_minibatch_iters = EPOCHS
    config.on_policy_minibatch_size = frames // MINIBATCHES
    config.max_n_iters, config.max_n_frames = args.iterations, None
    config.evaluation = config.render = config.create_json = False
    config.loggers = []
    config.checkpoint_interval, config.checkpoint_at_end = 0, False
    config.save_folder = folder
    return config


def mlp(hidden):
    return MlpConfig(
        num_cells=[hidden, hidden], activation_class=torch.nn.Tanh, layer_class=torch.nn.Linear
    )


def train(args, folder):
    """Trains once and returns the marks."""
    marks = Marks()
    Experiment(
        task=VmasTask.SIMPLE_SPREAD.get_from_yaml(),
        algorithm_config=MappoConfig.get_from_yaml(),
        model_config=mlp(args.hidden),
        critic_model_config=mlp(args.hidden),
        seed=args.seed,
        config=configuration(args, folder),
        callbacks=[marks],
    ).run()
    return marks


def main():
    parser = peer.arguments(__doc__)
    args = parser.parse_args()
    if args.iterations < 2:
        parser.error("--iterations 1: time is taken between the ends of updates, so at least 2")
    peer.keep_to_cores(args.threads)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as silence:
        with contextlib.redirect_stdout(silence):
            marks = train(args, folder)

    ones = [1] * len(marks.returns)
    untrained, final = peer.ends(marks.returns, ones)
    peer.report(
        "benchmarl",
        args,
        ["benchmarl", "torchrl", "tensordict", "vmas", "torch", "numpy"],
        compile_s=0.0,
        env_steps_per_s=peer.speed(args, marks.times, WARM_UP - 1),
        untrained_return=untrained,
        final_return=final,
    )


if __name__ == "__main__":
    main()

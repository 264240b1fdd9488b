"""What the peers' programs have in common: the command line, the cores, and the line of JSON."""

import argparse
import json
import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version


def arguments(description):
    """The command line of every peer's program, before it is parsed."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envs", type=positive, default=64, help="environments side by side")
    parser.add_argument("--steps", type=positive, default=128, help="steps of a rollout")
    parser.add_argument("--hidden", type=positive, default=128, help="width of both hidden layers")
    parser.add_argument("--iterations", type=positive, default=20, help="rollouts with their update")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=positive, default=1, help="cores to run on")
    return parser


def positive(text):
    """A whole number above 0, or an error that argparse prints."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not above 0")
    return value


def keep_to_cores(threads):
    """Pins this process to the first cores it may use: XLA sizes its pool from the affinity."""
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        raise SystemExit(f"--threads {threads}: this process may use {len(cores)} cores only")
    os.sched_setaffinity(0, cores[:threads])


def speed(args, marks, warm_up):
    """Environment steps per second over the iterations between the marks, warm-up left out.

    A short run keeps at least its last iteration.
    """
    first = min(warm_up, len(marks) - 2)
    iterations = len(marks) - 1 - first
    return round(args.envs * args.steps * iterations / (marks[-1] - marks[first]), 1)


def ends(return_sums, episodes):
    """Mean return of the episodes that ended in the first iteration, and in the last tenth of all.

    The first rollout comes before any update, so its episodes are those of an untrained policy.
    `return_sums` and `episodes` have one entry an iteration; None where no episode ended.
    """
    tail = math.ceil(len(episodes) / 10)
    return mean(return_sums[:1], episodes[:1]), mean(return_sums[-tail:], episodes[-tail:])


def mean(return_sums, episodes):
    """Mean return over all episodes of some iterations, or None where there are none."""
    count = sum(episodes)
    return float(sum(return_sums)) / float(count) if count else None


def report(program, args, packages, **measured):
    """Prints the one line of JSON: program, settings, figures, versions."""
    settings = ("envs", "steps", "hidden", "iterations", "seed", "threads")
    row = {"program": program, "task": "simple_spread"}
    row |= {name: getattr(args, name) for name in settings}
    row |= measured
    row["versions"] = {"python": platform.python_version()} | {p: installed(p) for p in packages}
    print(json.dumps(row), flush=True)


def installed(package):
    """The version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None

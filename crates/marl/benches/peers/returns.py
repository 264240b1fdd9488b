"""Do karma and the JAX peer learn the same? Final returns on simple_spread over several seeds.

    python returns.py --jax-python ~/jax/bin/python --threads 2 --output returns.json

Both train for the same environment steps with the same algorithm. Parity holds where the bootstrap
interval of the difference of mean final returns lies within the margin, and both means are well
above the untrained policy's. Ends with status 0 where it holds, 1 where it does not or where a
program fails, 2 where one is not there. Standard library only.
"""

import argparse
import json
import math
import random
import statistics
import sys
from pathlib import Path

import peer
import programs
import quiet

MARGIN = 2.0
LEARNED = 10.0
CONFIDENCE = 0.9
RESAMPLES = 20_000


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    programs.add_paths(parser)
    parser.add_argument("--env-steps", type=peer.positive, default=2_000_000, help="of every run")
    parser.add_argument("--seeds", type=peer.positive, default=10)
    parser.add_argument("--threads", type=peer.positive, default=2, help="cores to run on")
    parser.add_argument("--hidden", type=peer.positive, default=128)
    parser.add_argument("--envs", type=peer.positive, default=64)
    parser.add_argument("--steps", type=peer.positive, default=128)
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="all figures and runs")
    args = parser.parse_args()
    if args.seeds < 2:
        parser.error("--seeds 1: an interval needs at least 2")
    return args


def train(program, args, seed, cores):
    """One training: its row, told in one line."""
    iterations = math.ceil(args.env_steps / (args.envs * args.steps))
    settings = {"envs": args.envs, "steps": args.steps, "hidden": args.hidden}
    settings |= {"threads": args.threads, "iterations": iterations, "seed": seed}
    environment = dict.fromkeys(programs.THREAD_VARIABLES, str(args.threads))
    command = program.command(programs.paths_of(args), settings)
    row = programs.row_of(quiet.run(command, environment, cores).stdout)
    print(f"{program.name}, seed {seed}: {programs.untrained_return(row):.1f} untrained, "
          f"{row['final_return']:.2f} after {iterations} iterations", flush=True)  # fmt: skip
    return row


def interval_of_difference(ours, theirs):
    """Percentile bootstrap of mean(ours) - mean(theirs)."""
    draw = random.Random(0)
    differences = sorted(
        statistics.fmean(draw.choices(ours, k=len(ours)))
        - statistics.fmean(draw.choices(theirs, k=len(theirs)))
        for _ in range(RESAMPLES)
    )
    tail = round((1.0 - CONFIDENCE) / 2.0 * RESAMPLES)
    return differences[tail], differences[-1 - tail]


def judge(rows):
    """The figures and whether parity holds; `rows` by program name."""
    final = {name: [row["final_return"] for row in of] for name, of in rows.items()}
    means = {name: statistics.fmean(values) for name, values in final.items()}
    untrained = {
        name: statistics.fmean(programs.untrained_return(row) for row in of)
        for name, of in rows.items()
    }
    low, high = interval_of_difference(final["ours"], final["jax"])
    learned = all(means[name] - untrained[name] >= LEARNED for name in rows)
    return {
        "final_return": means,
        "deviation": {name: statistics.stdev(values) for name, values in final.items()},
        "untrained_return": untrained,
        "difference": means["ours"] - means["jax"],
        "interval": [low, high],
        "within_margin": -MARGIN <= low and high <= MARGIN,
        "learned": learned,
    }


def tell(verdict):
    for name, mean in verdict["final_return"].items():
        above = mean - verdict["untrained_return"][name]
        print(f"{name}: final return {mean:.2f}, deviation {verdict['deviation'][name]:.2f}, "
              f"{above:.1f} above untrained")  # fmt: skip
    low, high = verdict["interval"]
    said = {True: "holds", False: "does not hold"}
    print(f"ours - jax: {verdict['difference']:.2f}, {CONFIDENCE:.0%} interval "
          f"{low:.2f} to {high:.2f}: within +-{MARGIN:g} {said[verdict['within_margin']]}")  # fmt: skip
    print(f"both at least {LEARNED:g} above untrained: {said[verdict['learned']]}")


def main():
    args = parse()
    pair = (programs.OURS, programs.JAX)
    for program in pair:
        why = programs.missing(program, programs.paths_of(args))
        if why is not None:
            print(f"error: {program.name} cannot run: {why}", file=sys.stderr)
            print("hint: README.md beside this file says how to set it up", file=sys.stderr)
            raise SystemExit(2)
    cores = quiet.pin(args.threads)
    rows = {program.name: [] for program in pair}
    try:
        for seed in range(args.seeds):
            for program in pair:
                rows[program.name].append(train(program, args, seed, cores))
    except (quiet.Failed, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    verdict = judge(rows)
    tell(verdict)
    if args.output:
        args.output.write_text(json.dumps({"verdict": verdict, "runs": rows}, indent=1) + "\n")
    raise SystemExit(0 if verdict["within_margin"] and verdict["learned"] else 1)


if __name__ == "__main__":
    main()

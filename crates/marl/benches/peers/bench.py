"""Trains MPE simple_spread with karma and with its peers, in turn, and prints how they compare.

    python bench.py --jax-python ~/jax/bin/python --torch-python ~/torch/bin/python \\
        --threads 2 --hidden 128 64 --output peers.json

All programs run on the same cores, one after the other, round by round. Ratios are taken within
each round, so that a machine that gets slower slows both sides. README.md tells how to set up the
interpreters; programs whose packages are missing are left out, and named. Standard library only.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import peer
import programs
import quiet

QUICK = {"rounds": 1, "iterations": 3, "patience": 0.0, "repeats": 0}


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    programs.add_paths(parser)
    names = [program.name for program in programs.PROGRAMS]
    positive = peer.positive
    parser.add_argument("--programs", nargs="+", choices=names, default=names, metavar="NAME",
                        help=f"of {', '.join(names)}; ours always runs")  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=10)
    parser.add_argument("--iterations", type=positive, default=20, help="of every program and run")
    parser.add_argument("--threads", type=positive, default=2, help="cores to run on")
    parser.add_argument("--hidden", type=positive, nargs="+", default=[128])
    parser.add_argument("--envs", type=positive, default=64)
    parser.add_argument("--steps", type=positive, default=128)
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS",
                        help="longest wait for a quiet second before a run")  # fmt: skip
    parser.add_argument("--repeats", type=int, default=2, help="of a run that was disturbed")
    parser.add_argument("--quick", action="store_true",
                        help="one short round, to see that everything runs")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="all figures and runs")
    args = parser.parse_args()
    if args.quick:
        vars(args).update(QUICK)
    return args


def chosen(args):
    """The programs that can run here, ours first; tells what is left out."""
    paths, able = programs.paths_of(args), []
    for program in programs.PROGRAMS:
        if program is not programs.OURS and program.name not in args.programs:
            continue
        why = programs.missing(program, paths)
        if why is None:
            able.append(program)
        elif program is programs.OURS:
            print(f"error: no karma to compare with: {why}", file=sys.stderr)
            print("hint: cargo build --release -p karma, or --karma PATH", file=sys.stderr)
            raise SystemExit(2)
        else:
            print(f"left out: {program.name}: {why}")
    return able


def once(program, args, hidden, round_number, cores):
    """One run of one program, as a row of the output."""
    settings = {"envs": args.envs, "steps": args.steps, "hidden": hidden}
    settings |= {"threads": args.threads, "iterations": args.iterations, "seed": round_number}
    command = program.command(programs.paths_of(args), settings)
    environment = dict.fromkeys(programs.THREAD_VARIABLES, str(args.threads))
    run = quiet.run_quietly(command, environment, cores, args.patience, args.repeats)
    result = programs.row_of(run.stdout)
    row = {
        "program": program.name,
        "round": round_number,
        "noisy": run.noisy,
        "wall_s": round(run.wall_s, 2),
        "own_cores": round(run.own_cpu_s / run.wall_s, 3),
        "outside_cores": round(run.outside_cores, 3),
        "result": result,
    }
    mark = " (disturbed)" if run.noisy else ""
    speed = result["env_steps_per_s"]
    print(f"  round {round_number} {program.name}: {speed:.0f} env steps/s{mark}", flush=True)
    return row


def spread(values):
    """Median with the smallest and the largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary(program, rows, ours):
    """Figures of one program over its rounds, and of the ratios of ours to it."""
    results = [row["result"] for row in rows]
    speeds = [result["env_steps_per_s"] for result in results]
    out = {"program": program.name, "env_steps_per_s": spread(speeds)}
    out["noisy_runs"] = sum(row["noisy"] for row in rows)
    if program is not programs.OURS:
        out["ours_over_it"] = spread([o / s for o, s in zip(ours, speeds, strict=True)])
    returns = {
        "untrained_return": [programs.untrained_return(result) for result in results],
        "final_return": [result["final_return"] for result in results],
    }
    shares = ("update_share", "fma_peak_share", "compile_s")
    shares = {key: [result[key] for result in results if key in result] for key in shares}
    for key, values in (returns | shares).items():
        if values and None not in values:
            out[key] = spread(values)
    out["differs"] = program.differs
    return out


def compare(able, args, hidden, cores):
    """All rounds at one width: the summaries, every run, and the drift of ours."""
    print(f"hidden {hidden}:", flush=True)
    rounds = range(args.rounds)
    runs = [once(program, args, hidden, r, cores) for r in rounds for program in able]
    again = once(programs.OURS, args, hidden, 0, cores)
    of = {p.name: [row for row in runs if row["program"] == p.name] for p in able}
    ours = [row["result"]["env_steps_per_s"] for row in of[programs.OURS.name]]
    return {
        "hidden": hidden,
        "summaries": [summary(program, of[program.name], ours) for program in able],
        "ours_at_the_end_over_first_round": again["result"]["env_steps_per_s"] / ours[0],
        "runs": [*runs, again],
    }


def machine(cores):
    """What the figures were measured on."""
    with open("/proc/cpuinfo") as lines:
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.machine()
    return {"cpu": cpu, "cores": cores, "cores_of_machine": os.cpu_count()}


def versions(comparisons, karma):
    """Versions of karma and of all packages that the programs named."""
    said = subprocess.run([karma, "--version"], capture_output=True, text=True, check=True).stdout
    found = {"karma": said.split()[-1]}
    for comparison in comparisons:
        for run in comparison["runs"]:
            found |= run["result"].get("versions", {})
    return {name: found[name] for name in sorted(found)}


def figures(values, form):
    """A column of a table: median (min - max), or a dash."""
    if values is None:
        return "-"
    median, least, most = (format(values[key], form) for key in ("median", "min", "max"))
    return f"{median} ({least} - {most})"


def table(comparison, args):
    """The lines of one width."""
    head = ("program", "env steps/s (min - max)", "ours / it (min - max)", "untrained", "final",
            "disturbed")  # fmt: skip
    lines = [head]
    for one in comparison["summaries"]:
        ends = [one.get(key, {}).get("median") for key in ("untrained_return", "final_return")]
        lines.append((
            one["program"],
            figures(one["env_steps_per_s"], ".0f"),
            figures(one.get("ours_over_it"), ".2f"),
            *("-" if end is None else f"{end:.1f}" for end in ends),
            f"{one['noisy_runs']} of {args.rounds}",
        ))  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return ["  ".join(word.ljust(w) for word, w in zip(line, widths)).rstrip() for line in lines]


def tell(comparison, args):
    """Prints one width: the table and what belongs beside it."""
    print(f"\nsimple_spread, {args.envs} environments x {args.steps} steps, "
          f"hidden {comparison['hidden']}, {args.threads} threads, {args.iterations} iterations, "
          f"{args.rounds} rounds")  # fmt: skip
    print("\n".join(table(comparison, args)))
    for one in comparison["summaries"]:
        if "fma_peak_share" in one:
            update, peak = (figures(one[k], ".2f") for k in ("update_share", "fma_peak_share"))
            print(f"{one['program']}: update {update} of the time, at {peak} of the FMA peak")
    for one in comparison["summaries"]:
        if one.get("compile_s", {}).get("max"):
            print(f"{one['program']}: compiled in {figures(one['compile_s'], '.1f')} s, left out")
    drift = comparison["ours_at_the_end_over_first_round"]
    print(f"ours at the end / ours in the first round: {drift:.2f}")


def main():
    args = parse()
    cores = quiet.pin(args.threads)
    able = chosen(args)
    try:
        comparisons = [compare(able, args, hidden, cores) for hidden in args.hidden]
    except (quiet.Failed, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    where, used = machine(cores), versions(comparisons, args.karma)
    print(f"\n{where['cpu']}, cores {cores} of {where['cores_of_machine']}")
    print(", ".join(f"{name} {version}" for name, version in used.items()))
    for comparison in comparisons:
        tell(comparison, args)
    print("\nwhat differs from ours:")
    for program in able[1:]:
        print(f"- {program.name}: {program.differs}")
    if args.output:
        settings = {key: getattr(args, key) for key in ("envs", "steps", "threads", "iterations")}
        out = {"task": "simple_spread", "settings": settings, "machine": where,
               "versions": used, "comparisons": comparisons}  # fmt: skip
        args.output.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()

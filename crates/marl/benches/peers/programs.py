"""The programs that are compared: how each is started, what it needs, and how it differs."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KARMA = HERE.parents[3] / "target/release/karma"
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


@dataclass(frozen=True)
class Program:
    """One row of the comparison.

    `start` holds the words after the interpreter ("jax" or "torch") or after karma's path.
    """

    name: str
    interpreter: str
    start: tuple[str, ...]
    modules: tuple[str, ...]
    differs: str

    def command(self, paths, settings):
        """The command line; `paths` gives karma and the interpreters, `settings` the options."""
        words = [str(paths[self.interpreter]), *self.start]
        for option, value in settings.items():
            words += [f"--{option}", str(value)]
        return words


def of_ours(name, critic, differs):
    start = ("bench", "train", "--task", "simple_spread", "--output", "json", "--critic", critic)
    return Program(name, "karma", start, (), differs)


def of_peer(name, interpreter, script, modules, differs, options=()):
    return Program(name, interpreter, (str(HERE / script), *options), modules, differs)


OURS = of_ours("ours", "agent", "The program that the others are compared with.")
JAX = of_peer(
    "jax",
    "jax",
    "jax_mappo.py",
    ("jax", "optax"),
    "Nothing but the random streams: same algorithm, nets and physics. Compile time is left out.",
)
PROGRAMS = [
    OURS,
    JAX,
    of_peer(
        "jax-jaxmarl-env",
        "jax",
        "jax_mappo.py",
        ("jax", "optax", "jaxmarl"),
        "As jax, with JaxMARL's own environment under vmap, which splits keys per environment.",
        ("--env", "jaxmarl"),
    ),
    of_peer(
        "torch",
        "torch",
        "torch_mappo.py",
        ("torch",),
        "Same algorithm, nets and physics, eager. The first two iterations are left out.",
    ),
    of_peer(
        "benchmarl",
        "torch",
        "benchmarl_mappo.py",
        ("torch", "benchmarl", "vmas"),
        "VMAS's physics, 100 steps an episode (its returns do not compare), observation of 14 and "
        "critic input of 42 numbers, critic once a step: 0.61 of our multiplications forward at "
        "hidden 128. Optimiser and loss settings are its defaults.",
    ),
    of_ours(
        "ours-team-critic",
        "team",
        "Ours with the critic once a step in place of once per agent: less arithmetic than jax and "
        "torch do, so not to be set against them.",
    ),
]


def missing(program, paths):
    """Why a program cannot run here, or None."""
    path = paths[program.interpreter]
    try:
        imports = "; ".join(f"import {module}" for module in program.modules)
        words = ["-c", imports] if program.modules else ["--version"]
        done = subprocess.run([path, *words], capture_output=True, text=True)
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None if done.returncode == 0 else f"{path}: {last_line(done.stderr)}"


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def row_of(stdout):
    """The last JSON object that a program printed on a line of its own."""
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("it printed no line of JSON")
    return json.loads(lines[-1])


def untrained_return(row):
    """Return of the untrained policy: ours calls it the first return."""
    return row.get("untrained_return", row.get("first_return"))


def add_paths(parser):
    """The options that say where the programs are."""
    parser.add_argument("--karma", type=Path, default=KARMA, help="the karma binary")
    for name in ("jax", "torch"):
        parser.add_argument(
            f"--{name}-python",
            default="python3",
            metavar="PATH",
            help=f"a Python with requirements-{name}.txt",
        )


def paths_of(args):
    return {"karma": args.karma, "jax": args.jax_python, "torch": args.torch_python}

"""Runs a command on fixed cores and tells how much of them others used meanwhile."""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass

OUTSIDE_CORES = 0.03
OWN_SHARE = 0.97
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A command ended with another status than 0."""


@dataclass(frozen=True)
class Run:
    """A finished command: what it printed and how undisturbed it was."""

    stdout: str
    wall_s: float
    own_cpu_s: float
    outside_cores: float
    noisy: bool


def pin(threads):
    """Keeps this process, and with it all it starts, to its first cores; returns them."""
    cores = sorted(os.sched_getaffinity(0))
    if threads > len(cores):
        raise SystemExit(f"--threads {threads}: this process may use {len(cores)} cores only")
    os.sched_setaffinity(0, cores[:threads])
    return cores[:threads]


def busy_s(cores):
    """Seconds since boot that the cores worked for anybody, stolen time included."""
    names = {f"cpu{core}" for core in cores}
    ticks = 0
    with open("/proc/stat") as stat:
        for line in stat:
            name, *fields = line.split()
            if name in names:
                user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, fields[:8])
                ticks += user + nice + system + interrupts + soft + stolen
    return ticks / TICKS


def wait_for_quiet(cores, patience_s):
    """Returns after a second in which nobody used the cores, or when patience ends."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        before = busy_s(cores)
        time.sleep(1.0)
        if busy_s(cores) - before <= OUTSIDE_CORES:
            return


def run(command, environment, cores):
    """Runs a command to its end on the cores this process is pinned to."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        busy, start = busy_s(cores), time.monotonic()
        child = subprocess.Popen(
            command, env=os.environ | environment, stdout=stdout, stderr=stderr
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        busy = busy_s(cores) - busy
        stdout.seek(0)
        stderr.seek(0)
        if child.returncode:
            tail = "".join(stderr.readlines()[-5:])
            raise Failed(f"{' '.join(command)}\nended with status {child.returncode}:\n{tail}")
        text = stdout.read()
    own = usage.ru_utime + usage.ru_stime
    outside = max(0.0, busy - own) / wall
    noisy = outside > OUTSIDE_CORES or (len(cores) == 1 and own / wall < OWN_SHARE)
    return Run(text, wall, own, outside, noisy)


def run_quietly(command, environment, cores, patience_s, repeats):
    """Waits for quiet and runs; repeats a noisy run, and keeps the quietest of all."""
    best = None
    for _ in range(1 + repeats):
        wait_for_quiet(cores, patience_s)
        done = run(command, environment, cores)
        if best is None or done.outside_cores < best.outside_cores:
            best = done
        if not done.noisy:
            return done
    return best

"""Two threads while another process keeps one core busy, beside one thread of the same framework on a calm machine.

    python -m bench.busy [--rounds 9] [name ...]

Every round times one thread first, the other process stopped, and then two threads, the other process running on one of their two
cores. The ratio of their wall times says what sharing the machine costs: 1 is one whole core, below 1 some of the other one too.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench import machine
from bench.harness import BenchError, Harness, Peer
from bench.ratios import paired_ratios, quartiles, rotated
from bench.steps import CASES
from bench.table import duration, table

NAMES = ("mlp", "softmax")
TARGET = 1.3  # of danlu
# The other process: an endless loop of Python on one core.
OTHER = "import os, sys; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, [int(sys.argv[1])])\nwhile True: pass"


@contextmanager
def stopped_process(core: int) -> Iterator[subprocess.Popen]:
    """A process that would keep a core busy, and is stopped until somebody lets it go on."""
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(core)])
    other.send_signal(signal.SIGSTOP)
    try:
        yield other
    finally:
        other.kill()
        other.wait()


def _wall(peer: Peer, name: str) -> float:
    answer = peer.ask("time", case=name, count=CASES[name].steps)
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer["wall"]


def _beside(other: subprocess.Popen, peer: Peer, name: str) -> float:
    other.send_signal(signal.SIGCONT)
    try:
        time.sleep(0.05)  # until the scheduler has seen it
        return _wall(peer, name)
    finally:
        other.send_signal(signal.SIGSTOP)


def rounds_of(name: str, rounds: int, alone: Harness, both: Harness, core: int) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of a step by way: one thread alone, two threads beside the other process."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    able = [way for way in both.peers if way in alone.peers and both.peers[way].ask("make", case=name)["supported"]]
    with stopped_process(core) as other:
        for way in able:
            alone.peers[way].ask("make", case=name)
            for harness in (alone, both):
                _wall(harness.peers[way], name)  # compiles
        for turn in range(rounds):
            for way in rotated(able, turn):
                one, two = found.setdefault(way, ([], []))
                one.append(_wall(alone.peers[way], name))
                two.append(_beside(other, both.peers[way], name))
    return found


def report(rounds: int, names: Sequence[str] = NAMES) -> list[str]:
    """Markdown."""
    cores = machine.cores()[-2:]
    if len(cores) < 2:
        return ["Needs two cores."]
    head = ["training step", "framework", "one thread, calm", "two threads beside a busy process", "ratio", "target"]
    rows = []
    with Harness(threads=1) as alone, Harness(threads=2) as both:
        for name in names or NAMES:
            print(f"  {CASES[name].title}, beside a busy process ...", file=sys.stderr, flush=True)
            for way, (one, two) in rounds_of(name, rounds, alone, both, cores[0]).items():
                ratios = paired_ratios(two, one)
                low, high = quartiles(ratios)
                ratio = f"**{statistics.median(ratios):.2f}** ({low:.2f}–{high:.2f})"
                times = [duration(statistics.median(x)) for x in (one, two)]
                rows.append([CASES[name].title, way, *times, ratio, f"≤ {TARGET}" if way.startswith("danlu") else ""])
    said = f"Wall time of one step, median of {rounds} rounds; the two threads run on cores {cores[0]} and {cores[1]}"
    return [f"{said}, the other process on core {cores[0]}.", "", *table(head, rows)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("names", nargs="*", choices=[[], *CASES])
    given = parser.parse_args()
    print("\n".join(report(given.rounds, given.names)))


if __name__ == "__main__":
    main()

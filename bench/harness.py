"""Paired, interleaved rounds of several frameworks.

Each framework lives in a process of its own (`worker.py`), so that thread pools and allocators do not disturb one another, and
stays alive over all rounds. A round asks each of them, one after the other, for the same number of steps; the order rotates. A ratio is
the median over rounds of danlu's time over the peer's in the same round. CPU time is the process time of the worker, all its
threads together. Before anything is timed the losses of the first steps must agree. Workers are idle while another one runs: they wait
for a line on a pipe.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import machine
from bench.ratios import largest_difference, median_ratio, moved, paired_ratios, quartiles, rotated
from bench.steps import Case
from bench.worker import FAMILIES, environment

ROOT = Path(__file__).resolve().parent.parent
CHECKED = 10  # steps whose losses must agree before a case is timed
WARM_SECONDS = 0.3  # of steps before the first round


class BenchError(Exception):
    """A worker that ended or answered nonsense."""


class Peer:
    """The parent's end of a worker."""

    def __init__(
        self, way: str, threads: int, cores: Sequence[int], cache: str, quiet: bool = True, family: str = "steps"
    ) -> None:
        command = [sys.executable, "-m", "bench.worker", way, "--family", family, "--threads", str(threads)]
        command += ["--cores", ",".join(map(str, cores))]
        paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        env = {**os.environ, **environment(threads), "PYTHONPATH": os.pathsep.join(paths), "DANLU_CACHE_DIR": cache}
        errors = subprocess.DEVNULL if quiet else None
        self.way = way
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, cwd=ROOT
        )
        self.hello = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise BenchError(
                f"the worker of {self.way} ended with code {self.process.returncode}; --verbose shows what it printed"
            )
        return json.loads(line)

    def ask(self, do: str, **options: Any) -> dict[str, Any]:
        """One request and its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **options}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Ends the worker."""
        self.process.communicate()  # closes its stdin


@dataclass
class Result:
    """What was measured of one case. `cpu` and `wall` hold the seconds of one step for each round, by way."""

    case: Case
    threads: int
    first: dict[str, float] = field(default_factory=dict)  # seconds of the first step, compilation and all
    cpu: dict[str, list[float]] = field(default_factory=dict)
    wall: dict[str, list[float]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    difference: float = 0.0  # the largest relative difference of the losses
    last: dict[str, float] = field(default_factory=dict)  # the loss after all rounds

    def micros(self, way: str, clock: str = "cpu") -> float | None:
        """The median µs of a step."""
        rounds = getattr(self, clock).get(way)
        return statistics.median(rounds) * 1e6 if rounds else None

    def ratio(self, peer: str, clock: str = "cpu", ours: str = "danlu") -> float | None:
        """The median of the paired ratios ours / peer."""
        rounds = getattr(self, clock)
        return median_ratio(rounds[ours], rounds[peer]) if ours in rounds and peer in rounds else None

    def spread(self, peer: str, clock: str = "cpu", ours: str = "danlu") -> tuple[float, float] | None:
        """The quartiles of the paired ratios."""
        rounds = getattr(self, clock)
        return quartiles(paired_ratios(rounds[ours], rounds[peer])) if ours in rounds and peer in rounds else None


class Harness:
    """The workers of several ways, for as long as the context lasts."""

    def __init__(
        self,
        ways: Iterable[str] | None = None,
        threads: int = 1,
        cores: Sequence[int] | None = None,
        verbose: bool = False,
        family: str = "steps",
    ) -> None:
        self.threads = threads
        self.cores = list(cores) if cores else machine.cores()[-threads:]
        self.peers: dict[str, Peer] = {}
        self.absent: dict[str, str] = {}
        with ExitStack() as opened:
            cache = opened.enter_context(tempfile.TemporaryDirectory())  # empty, so that first steps compile
            for way in FAMILIES[family] if ways is None else ways:
                peer = Peer(way, threads, self.cores, cache, quiet=not verbose, family=family)
                opened.callback(peer.close)
                if "absent" in peer.hello:
                    self.absent[way] = peer.hello["absent"]
                else:
                    self.peers[way] = peer
            self._opened = opened.pop_all()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def describe(self) -> list[str]:
        """Lines of Markdown: threads as the frameworks themselves state them, cores, who is absent."""
        said = ", ".join(f"{way} {p.hello['version']}: {p.hello['threads']}" for way, p in self.peers.items())
        pinned = f"every worker on core{'s' if len(self.cores) > 1 else ''} {', '.join(map(str, self.cores))}"
        lines = [f"- threads asked for: {self.threads}; as stated by the frameworks: {said}; {pinned}"]
        return lines + [f"- {way} is absent: {why}" for way, why in self.absent.items()]

    def measure(self, case: Case, rounds: int) -> Result:
        """All rounds of one case; without times where the losses differ."""
        result = Result(case, self.threads)
        peers = self._make(case, result)
        self._check(case, result, peers)
        if result.failed.keys() & peers.keys() or not peers:
            return result
        for peer in peers.values():
            _warm(peer, case)
        for turn in range(rounds):
            for way in rotated(list(peers), turn):
                took = _checked(peers[way].ask("time", case=case.name, count=case.steps))
                result.cpu.setdefault(way, []).append(took["cpu"])
                result.wall.setdefault(way, []).append(took["wall"])
                result.last[way] = took["loss"]
        for peer in peers.values():
            peer.ask("drop", case=case.name)
        return result

    def _make(self, case: Case, result: Result) -> dict[str, Peer]:
        """The peers that have the case."""
        able = {}
        for way, peer in self.peers.items():
            answer = peer.ask("make", case=case.name)
            if "error" in answer:
                result.failed[way] = answer["error"]
            elif answer["supported"]:
                able[way] = peer
        return able

    def _check(self, case: Case, result: Result, peers: dict[str, Peer]) -> None:
        """Runs the first steps of all and compares their losses; a way that fails leaves, a difference fails all."""
        losses = {}
        for way, peer in list(peers.items()):
            answer = peer.ask("losses", case=case.name, count=CHECKED)
            if "error" in answer:
                result.failed[way] = answer["error"]
                del peers[way]
            else:
                losses[way], result.first[way] = answer["losses"], answer["first"]
        result.difference = largest_difference(losses)
        stuck = [way for way, series in losses.items() if case.learns and not moved(series)]
        for way in stuck if stuck else peers if result.difference > case.tolerance else ():
            why = "its loss does not change" if stuck else f"losses differ by {result.difference:.1e}"
            result.failed[way] = f"{why} over {CHECKED} steps, last {losses[way][-1]:.6g}"


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer


def _warm(peer: Peer, case: Case) -> None:
    """Steps that are not counted, until everything is compiled and WARM_SECONDS are over; the same number for every way would
    be too few for one or too many for another."""
    spent = 0.0
    while spent < WARM_SECONDS:
        spent += _checked(peer.ask("time", case=case.name, count=case.steps))["wall"] * case.steps

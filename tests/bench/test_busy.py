"""The process that keeps a core busy: stopped until it is let go on, and gone at the end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bench import busy, machine

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="the system cannot stop a process")


def _ticks(pid: int) -> int:
    """CPU time of a process so far, in the system's ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="CPU times are read from /proc")
def test_the_other_process_runs_only_while_it_is_let():
    with busy.stopped_process(machine.cores()[0]) as other:
        time.sleep(0.05)
        before = _ticks(other.pid)
        time.sleep(0.1)
        assert _ticks(other.pid) - before <= 1
        other.send_signal(signal.SIGCONT)
        end = time.monotonic() + 20
        while _ticks(other.pid) - before < 3 and time.monotonic() < end:
            time.sleep(0.02)
        assert _ticks(other.pid) - before >= 3
    assert other.poll() is not None


def test_one_core_is_told(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: [0])
    assert busy.report(1) == ["Needs two cores."]

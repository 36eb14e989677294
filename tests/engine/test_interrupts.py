"""Ctrl-C at any place of a training step leaves a model that goes on: no value is lost, half written or stale, and nothing hangs."""

import dis
import random
import sys
from functools import cache, partial

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.backward import Gate
from danlu.nn import functional as F
from danlu.runtime.buffers import Buffer
from danlu.tensor.storage import Storage

# Python drops exceptions in finalizers, and looks for signals before the end of a `with` statement runs, so that nothing can be done
# there: PyTorch's `no_grad` has that place, too.
SPARED = {
    danlu.no_grad.__exit__.__code__,
    danlu.set_grad_enabled.__exit__.__code__,
    Buffer.__del__.__code__,
    Storage.__del__.__code__,
    Gate.__del__.__code__,
}
LOOKS = {"CALL", "RESUME", "JUMP_BACKWARD", "CALL_FUNCTION_EX", "BEFORE_WITH"}  # after these Python looks for signals


@cache
def _handlers(code):
    return dis._parse_exception_table(code)


def _handler(code, offset):
    """Where an exception goes that an instruction raises."""
    return [e.target for e in _handlers(code) if e.start <= offset < e.end]


class Interruption:
    """A trace function that raises KeyboardInterrupt at place `n` of those in danlu where Python looks for signals.

    Python raises in the instruction that looks (a call that has returned), a trace function in the next one: only places where both go to
    the same handler are counted.
    """

    def __init__(self, n: int) -> None:
        self.n, self.passed, self.where, self.last = n, 0, None, {}

    def enter(self, frame, event, arg):
        """A frame begins."""
        if "danlu" not in frame.f_globals.get("__name__", ""):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.inside

    def inside(self, frame, event, arg):
        """Before an instruction; or a frame ends."""
        if event == "return":
            self.last.pop(frame, None)
        if event != "opcode":
            return self.inside
        code, at, before = frame.f_code, frame.f_lasti, self.last.get(frame)
        self.last[frame] = at
        if before is None or code in SPARED:
            return self.inside
        if dis.opname[code.co_code[before]] in LOOKS and _handler(code, before) == _handler(code, at):
            self.passed += 1
            if self.passed == self.n:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.inside


def interrupted(n, step):
    """Runs a step; where it was interrupted, or None where it has fewer places."""
    interruption, before = Interruption(n), sys.gettrace()
    sys.settrace(interruption.enter)
    try:
        step()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return interruption.where


class Training:
    """A net of two layers, a second computation in the same program, and what they must say of one another."""

    def __init__(self, width=16, optimizer=optim.Adam, norm=False, reads=False, compiled=False):
        danlu.manual_seed(0)
        layers = [nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3)]
        self.net = nn.Sequential(*[m for m in layers if norm or not isinstance(m, nn.BatchNorm1d)])
        self.optimizer = optimizer(self.net.parameters(), lr=0.01)
        self.x, self.y = danlu.randn(16, 4), danlu.randint(0, 3, (16,))
        self.inputs, self.targets, self.reads = self.x.numpy().copy(), self.y.numpy().copy(), reads
        self.step = danlu.compile(self.plain) if compiled else self.plain
        self.step()

    def plain(self):
        """What everybody writes."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(self.x), self.y)
        other = ((self.x * 2 + 1).tanh() - self.x).abs().sum()
        if self.reads:
            loss.item()
        loss.backward()
        self.optimizer.step()
        return loss, other

    def check(self):
        """Two more steps, then the loss and the other number against NumPy, and the parameters and the state are numbers."""
        self.step()
        _, other = self.step()
        assert abs(float(other) - np.abs(np.tanh(self.inputs * 2 + 1) - self.inputs).sum()) < 1e-3
        self.net.eval()
        loss = float(F.cross_entropy(self.net(self.x), self.y))
        self.net.train()
        state = {k: v.numpy().astype(np.float64) for k, v in self.net.state_dict().items()}
        names = list(state)
        h = self.inputs @ state[names[0]].T + state[names[1]]
        if "1.running_mean" in state:
            h = (h - state["1.running_mean"]) / np.sqrt(state["1.running_var"] + 1e-5) * state["1.weight"] + state["1.bias"]
        h = np.maximum(h, 0) @ state[names[-2]].T + state[names[-1]]
        most = h.max(1)
        wanted = (np.log(np.exp(h - most[:, None]).sum(1)) + most - h[np.arange(16), self.targets]).mean()
        assert abs(loss - wanted) < 1e-4
        for row in self.optimizer.state.values():
            assert all(np.isfinite(np.asarray(v)).all() for v in row.values() if v is not None)


KINDS = {
    "Adam": Training,
    "momentum": partial(Training, optimizer=partial(optim.SGD, momentum=0.9)),
    "batch norm, loss read": partial(Training, norm=True, reads=True),
    "compiled": partial(Training, compiled=True),
}


def survives(kind, places):
    """Interrupts steps at these places, one after the other, and checks what is left each time."""
    training = kind()
    for _ in range(6):
        training.step()
    count = 0
    for n in places:
        where = interrupted(n, training.step)
        if where is None:
            break
        count += 1
        try:
            assert danlu.is_grad_enabled()
            training.check()
        except BaseException as error:
            danlu.set_grad_enabled(True)
            raise AssertionError(f"after an interrupt at place {n}, {where}") from error
    return count


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Pythons look for signals after other instructions")
@pytest.mark.parametrize("name", KINDS)
def test_a_step_may_be_interrupted_anywhere(name):
    assert survives(KINDS[name], range(random.Random(name).randint(1, 12), 10_000, 12)) > 10


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Pythons look for signals after other instructions")
@pytest.mark.parametrize("name", KINDS)
def test_a_step_may_be_interrupted_at_every_place(name):
    assert survives(KINDS[name], range(1, 10_000)) > 100


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Pythons look for signals after other instructions")
@pytest.mark.parametrize("seed", range(12))
def test_the_first_step_may_be_interrupted_while_it_is_compiled(seed):
    training = Training(width=20 + seed)
    training.net.append(nn.Linear(3, 3))  # a program that was never compiled
    training.optimizer = optim.Adam(training.net.parameters())
    assert interrupted(random.Random(seed).randint(1, 60_000), training.plain)
    training.net.pop(-1)
    training.optimizer = optim.Adam(training.net.parameters())
    training.check()

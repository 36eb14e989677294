"""`danlu.compile`: a recorded function does bit for bit what the plain one does, whatever happens between two calls."""

from __future__ import annotations

import copy
import inspect
import threading

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.config import config

RNG = np.random.default_rng(0)
X = danlu.from_numpy(RNG.standard_normal((24, 8, 4)).astype(np.float32))
Y = danlu.from_numpy(RNG.integers(0, 3, (24, 8)))


class Setting:
    """A network, its optimizer and a step; two of them begin alike."""

    def __init__(self, layers=None, optimizer=None, zero="inside"):
        danlu.manual_seed(1)
        make = layers or (lambda: [nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)])
        self.net = nn.Sequential(*make())
        self.optimizer = (optimizer or (lambda p: optim.Adam(p, lr=0.01)))(self.net.parameters())
        self.zero = zero

    def step(self, x, y):
        if self.zero == "inside":
            self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        tensors = [*self.net.state_dict().values(), *(p.grad for p in self.net.parameters() if p.grad is not None)]
        for s in self.optimizer.state_dict()["state"].values():
            tensors += [v for v in s.values() if isinstance(v, danlu.Tensor)]
        return [t.detach().numpy().copy() for t in tensors]


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)


def both(between=None, steps=10, **given):
    """Runs the plain and the compiled step side by side; `between(setting, k)` comes before step k in both."""
    results = []
    for compiled in (False, True):
        setting = Setting(**given)
        step = danlu.compile(setting.step) if compiled else setting.step
        losses = []
        danlu.manual_seed(2)
        for k in range(steps):
            if between is not None:
                between(setting, k)
            losses.append(step(X[k], Y[k]).item())
        results.append((losses, setting.state(), danlu.random.get_state()))
        if compiled:
            assert step._plans, "the step was not repeated"
    (losses, state, random), (own_losses, own_state, own_random) = results
    assert losses == own_losses
    assert random == own_random
    same(state, own_state)
    return step


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: optim.AdamW(p, lr=0.01),
        lambda p: optim.ASGD(p, lr=0.1, t0=2),
        lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1),
        lambda p: optim.Adadelta(p),
        lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
        lambda p: optim.Adamax(p),
        lambda p: optim.NAdam(p, weight_decay=0.1),
        lambda p: optim.RAdam(p, lr=0.01),
        lambda p: optim.Rprop(p),
        lambda p: optim.Adafactor(p),
        lambda p: optim.SparseAdam(list(p)),
        lambda p: optim.Adam(p, lr=danlu.tensor(0.01)),
        lambda p: optim.NAdam(p, lr=danlu.tensor(0.01)),
    ],
)
def test_optimizers(optimizer):
    both(optimizer=optimizer)


@pytest.mark.parametrize(
    "optimizer", [lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.AdamW(p), lambda p: optim.RMSprop(p, momentum=0.5)]
)
def test_momenta_that_go_in_cycles(optimizer):
    def cycle(s, k):
        if k == 0:
            s.schedule = optim.lr_scheduler.OneCycleLR(s.optimizer, max_lr=0.1, total_steps=12)
        else:
            s.schedule.step()

    both(cycle, optimizer=optimizer)


def test_a_rate_that_is_a_tensor_changes():
    def slower(s, k):
        s.optimizer.param_groups[0]["lr"].mul_(0.5)
        if k == 6:
            s.optimizer.param_groups[0]["lr"] = danlu.tensor(0.2)

    both(slower, optimizer=lambda p: optim.SGD(p, lr=danlu.tensor(1.0)))


def test_random_numbers_and_running_statistics_go_on():
    both(layers=lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)])


def test_gradients_that_are_cleared_outside():
    both(lambda s, k: s.optimizer.zero_grad(), zero="outside")


def test_gradients_that_add_up():
    both(zero="never")


def test_gradients_that_are_sometimes_cleared():
    both(lambda s, k: s.optimizer.zero_grad() if k in (3, 4, 7) else None, zero="outside")


def test_the_learning_rate_changes():
    def slower(s, k):
        s.optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)

    both(slower)


def test_an_option_of_the_optimizer_changes():
    def decay(s, k):
        s.optimizer.param_groups[0]["weight_decay"] = 0.5 if k > 5 else 0.0

    both(decay)


def test_weights_are_written_between():
    def reset(s, k):
        if k == 6:
            with danlu.no_grad():
                s.net[0].weight.fill_(0.25)
            s.net[2].load_state_dict({"weight": danlu.ones(3, 6), "bias": danlu.zeros(3)})

    both(reset)


def test_a_module_changes():
    def freeze(s, k):
        if k == 5:
            s.net[0].weight.requires_grad_(False)
        if k == 7:
            s.net[1] = nn.Tanh()

    both(freeze)


def test_modes():
    both(
        lambda s, k: s.net.train(k % 4 < 2), layers=lambda: [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3)]
    )


def test_another_batch_size():
    setting, twin = Setting(), Setting()
    step = danlu.compile(setting.step)
    for k in range(12):
        n = 8 if k % 3 else 5
        assert step(X[k][:n], Y[k][:n]).item() == twin.step(X[k][:n], Y[k][:n]).item()
    assert len(step._plans) == 2


def test_held_values_do_not_change():
    setting = Setting()
    step = danlu.compile(setting.step)
    for k in range(4):
        step(X[k], Y[k])
    weight, row, gradient = setting.net[0].weight, setting.net[0].weight[0], setting.net[0].weight.grad
    before = weight.detach().clone()
    copied = danlu.empty(6, 4).copy_(weight.detach())
    kept = [t.numpy().copy() for t in (copied, gradient)]
    first = row.detach().numpy().copy()
    step(X[5], Y[5])
    same(kept, [copied.numpy(), gradient.numpy()])
    assert gradient is not weight.grad
    same([before.numpy()], [kept[0]])
    assert (row.detach().numpy() != first).any()  # a view sees the new values
    same([row.detach().numpy()], [weight.detach().numpy()[0]])


def test_the_program_is_not_recorded_again(monkeypatch):
    setting = Setting()
    step = danlu.compile(setting.step)
    for k in range(3):
        step(X[k], Y[k])
    monkeypatch.setattr(setting.net[0], "forward", lambda x: pytest.fail("Python ran"))
    # the attribute is a change of the module that danlu does not look at
    step(X[4], Y[4])


def test_an_error_in_the_data_costs_nothing():
    setting, twin = Setting(), Setting()
    step = danlu.compile(setting.step)
    for k in range(4):
        step(X[k], Y[k]), twin.step(X[k], Y[k])
    with pytest.raises(IndexError, match=r"class 9 of the target is out of range"):
        step(X[4], danlu.full((8,), 9))
    before = [p.detach().numpy().copy() for p in twin.net.parameters()]
    same(before, [p.detach().numpy() for p in setting.net.parameters()])


@pytest.fixture(params=["en", "zh"])
def language(request):
    danlu.set_language(request.param)
    yield request.param
    danlu.set_language("en")


def test_an_error_in_the_data_names_the_line_that_was_recorded(language):
    setting = Setting()
    step = danlu.compile(setting.step)
    for k in range(4):
        step(X[k], Y[k])
    assert step._plans
    line = inspect.getsourcelines(Setting.step)[1] + 3
    place = f'  File "{__file__}", line {line}\n    loss = nn.functional.cross_entropy(self.net(x), y)'
    told = {"en": "class 9 of the target is out of range", "zh": "目标中的类别 9 越界"}[language]
    texts = []
    for call in (setting.step, step):
        with pytest.raises(IndexError) as caught:
            call(X[4], danlu.full((8,), 9)).item()
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert texts[0].startswith(told)
    assert texts[0].endswith(place)


def test_of_several_lines_the_one_that_fails_is_named(language):
    table, start = danlu.arange(12).float().reshape(3, 4), danlu.ones(4)

    @danlu.compile
    def look(first, second, scale):
        start.mul_(scale)
        rows = table[first] * start
        return (rows + table[second]).sum()

    good, other, bad = danlu.tensor([0, 1]), danlu.tensor([2, 1]), danlu.tensor([0, 5])
    for _ in range(4):
        look(good, other, 2.0)
    assert look._plans
    for given, code in (((bad, good), "rows = table[first] * start"), ((good, bad), "return (rows + table[second]).sum()")):
        with pytest.raises(IndexError) as caught:
            look(*given, 2.0)
        assert str(caught.value).endswith("\n    " + code)
        assert ("越界" in str(caught.value)) == (language == "zh")
    assert start.tolist() == [16.0] * 4


def test_reading_a_value_inside_is_refused():
    @danlu.compile
    def step(x):
        return x / x.sum().item()

    with pytest.raises(
        danlu.GradientError, match=r"danlu.compile: the value of a tensor is read inside.*Return the tensor"
    ) as error:
        step(X[0])
    assert any(entry.name == "step" for entry in error.traceback)


def test_numbers_drawn_by_python_are_refused():
    with pytest.raises(danlu.GradientError, match=r"danlu\.compile"):
        danlu.compile(lambda x: x[danlu.randperm(8)])(X[0])


def test_a_schedule_inside():
    losses = []
    for compiled in (False, True):
        setting = Setting(optimizer=lambda p: optim.SGD(p, lr=0.5))
        schedule = optim.lr_scheduler.ExponentialLR(setting.optimizer, 0.8)

        def step(x, y, setting=setting, schedule=schedule):
            loss = setting.step(x, y)
            schedule.step()
            return loss

        call = danlu.compile(step) if compiled else step
        losses.append([call(X[k], Y[k]).item() for k in range(8)] + schedule.get_last_lr())
    assert losses[0] == losses[1]


def test_two_optimizers_in_one_function():
    def play(compiled):
        danlu.manual_seed(3)
        make, judge = nn.Linear(2, 4), nn.Linear(4, 1)
        o1, o2 = optim.Adam(make.parameters(), lr=0.01), optim.Adam(judge.parameters(), lr=0.01)

        def step(real):
            fake = make(danlu.randn(8, 2))
            o2.zero_grad()
            loss = nn.functional.softplus(judge(fake.detach())).mean() + nn.functional.softplus(-judge(real)).mean()
            loss.backward()
            o2.step()
            o1.zero_grad()
            other = nn.functional.softplus(-judge(fake)).mean()
            other.backward()
            o1.step()
            return {"judge": loss, "make": other}

        call = danlu.compile(step) if compiled else step
        rows = [{k: v.item() for k, v in call(X[k]).items()} for k in range(8)]
        assert not compiled or call._plans
        return rows, make.weight.detach().numpy().copy()

    (rows, weight), (own_rows, own_weight) = play(False), play(True)
    assert rows == own_rows
    same([weight], [own_weight])


def test_hand_written_updates():
    def descend(compiled):
        w, b = danlu.zeros(4, 1, requires_grad=True), danlu.zeros(1, requires_grad=True)

        def step(x):
            loss = ((x @ w + b - 1) ** 2).mean()
            loss.backward()
            with danlu.no_grad():
                for p in (w, b):
                    p -= 0.1 * p.grad
                    p.grad = None
            return loss

        call = danlu.compile(step) if compiled else step
        losses = [call(X[k]).item() for k in range(6)]
        return losses + w.tolist()

    assert descend(True) == descend(False)


def test_constants_made_inside_begin_anew():
    @danlu.compile
    def f(x):
        total = danlu.tensor([0.0])
        for part in (x, x * 2):
            total += part.sum()
        return total

    for k in range(5):
        np.testing.assert_allclose(f(X[k]).numpy(), [3 * X[k].numpy().sum()], rtol=1e-5)


def test_what_the_function_keeps_stays_right():
    kept = []

    @danlu.compile
    def f(x):
        y = x * 2
        kept.append(y)
        return y.sum()

    for k in range(8):
        assert f(X[k]).item() == pytest.approx(2 * float(X[k].numpy().sum()), rel=1e-5)
        np.testing.assert_array_equal(kept[k].numpy(), 2 * X[k].numpy())


def test_state_of_the_users_own():
    average = danlu.zeros(4)

    @danlu.compile
    def f(x):
        average.mul_(0.5).add_(x.mean(0))
        return average.sum()

    expected = np.zeros(4, np.float32)
    for k in range(6):
        expected = expected * np.float32(0.5) + X[k].numpy().mean(0)
        assert f(X[k]).item() == pytest.approx(expected.sum(), rel=1e-5)
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-5)
    assert f._plans


@pytest.mark.parametrize("rows", [3, 300_000])  # up to 1 MiB values have a copy of their own, above they read where NumPy writes
def test_memory_that_numpy_writes_is_read_anew(rows):
    array = np.ones((rows, 2), np.float32)
    x, first = danlu.from_numpy(array), danlu.from_numpy(array[:1])

    @danlu.compile
    def f(y):
        return (x * y).sum() + (first * y).sum()

    for k in range(6):
        array[0, 1] = k
        array[rows - 1, 0] = 2 * k
        y = danlu.tensor([1.0 + k, 1.0])
        assert f(y).item() == pytest.approx(float((array * y.numpy()).sum() + (array[:1] * y.numpy()).sum()), rel=1e-4)
    assert f._plans
    del array
    assert f(y).item() == f(y).item()
    assert f._plans


def test_views_of_one_array_as_arguments():
    array = np.arange(6, dtype=np.float32)
    f = danlu.compile(lambda a, b: (a * b).sum())
    for k in range(5):
        array[1] = k
        assert f(array[:4], array[2:]).item() == float((array[:4] * array[2:]).sum())
    assert f._plans


def test_memory_of_numpys_that_is_written_inside():
    array = np.zeros(3, np.float32)
    x = danlu.from_numpy(array)

    @danlu.compile
    def f(y):
        x.add_(y)
        return x.sum()

    for k in range(6):
        array[0] += 1
        assert f(danlu.ones(3)).item() == array.sum() == 4.0 * (k + 1)


def test_an_argument_written_in_place_stays_right():
    @danlu.compile
    def f(x):
        x.add_(1.0)
        return x.sum()

    x = danlu.zeros(3)
    assert [f(x).item() for _ in range(6)] == [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]
    assert x.tolist() == [6.0] * 3


def test_results_of_every_kind():
    @danlu.compile
    def f(x, scale, *, names=("a", "b")):
        y = x * scale
        return {names[0]: y, names[1]: (y[0], y.T, [3, None])}, x

    for k in range(5):
        out, x = f(X[k], 2.0 + (k > 3), names=("p", "q"))
        y = X[k].numpy() * (2.0 + (k > 3))
        np.testing.assert_array_equal(out["p"].numpy(), y)
        np.testing.assert_array_equal(out["q"][0].numpy(), y[0])
        np.testing.assert_array_equal(out["q"][1].numpy(), y.T)
        assert out["q"][2] == [3, None]
        np.testing.assert_array_equal(x.numpy(), X[k].numpy())


def test_numpy_arguments():
    f = danlu.compile(lambda x: x.sum())
    for k in range(4):
        assert f(X[k].numpy()).item() == X[k].sum().item()


def test_one_tensor_as_two_arguments():
    f = danlu.compile(lambda x, y: x - 2 * y)
    for k in range(4):
        same([f(X[k], X[k + 1]).numpy()], [(X[k] - 2 * X[k + 1]).numpy()])
        same([f(X[k], X[k]).numpy()], [(-X[k]).numpy()])


def test_a_module_for_inference_and_inside_a_step():
    setting, twin = Setting(), Setting()
    net = danlu.compile(setting.net)
    with danlu.no_grad():
        for k in range(5):
            same([net(X[k]).numpy()], [twin.net(X[k]).numpy()])
    assert net._plans
    assert [n for n, _ in net.named_parameters()] == [n for n, _ in twin.net.named_parameters()]
    for k in range(4):
        setting.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(X[k]), Y[k])
        loss.backward()
        setting.optimizer.step()
        assert loss.item() == twin.step(X[k], Y[k]).item()


def test_derivatives_inside():
    f = danlu.compile(lambda x: danlu.func.grad(lambda x: (x**3).sum())(x))
    for k in range(4):
        np.testing.assert_allclose(f(X[k]).numpy(), 3 * X[k].numpy() ** 2, rtol=1e-5)


def test_without_optimisation_the_plain_function_runs(monkeypatch):
    monkeypatch.setattr(config, "optimize", False)
    f = danlu.compile(lambda x: x * 2)
    for k in range(4):
        same([f(X[k]).numpy()], [X[k].numpy() * 2])
    assert not f._plans


def test_threads_share_a_function():
    f = danlu.compile(lambda x: (x * 2).sum(0))
    wrong = []

    def work(first):
        for k in range(40):
            x = X[(first + k) % 24]
            if not np.array_equal(f(x).numpy(), (x * 2).sum(0).numpy()):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_copy_of_the_model_is_independent():
    setting = Setting()
    step = danlu.compile(setting.step)
    for k in range(4):
        step(X[k], Y[k])
    twin = copy.deepcopy(setting.net)
    before = [p.detach().numpy().copy() for p in twin.parameters()]
    step(X[5], Y[5])
    same(before, [p.detach().numpy() for p in twin.parameters()])


def test_refusals():
    with pytest.raises(danlu.DanluError, match=r"unknown option 'speed'; expected mode"):
        danlu.compile(lambda x: x, speed=1)
    with pytest.raises(danlu.ShapeError, match=r"Tensor is not callable; write danlu.compile\(step\)"):
        danlu.compile(X)
    assert danlu.compile(len, disable=True) is len
    assert danlu.compile(mode="max-autotune")(lambda x: x + 1)(danlu.ones(1)).item() == 2.0


def test_attributes_set_inside_leave_it_plain():
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x * self.calls

    net = Counts()
    f = danlu.compile(net)
    assert [f(danlu.ones(1)).item() for _ in range(8)] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert not f._plans


def test_random_numbers_of_python_leave_it_plain():
    random = np.random.RandomState  # the generator of numpy.random itself is what is watched
    np.random.set_state(random(0).get_state())
    f = danlu.compile(lambda x: x * float(np.random.rand()))
    twin = random(0)
    assert [f(danlu.ones(1, dtype=danlu.float64)).item() for _ in range(7)] == [twin.rand() for _ in range(7)]


def test_many_calls_in_one_loop():
    setting, twin = Setting(layers=lambda: [nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3)]), None
    twin = Setting(layers=lambda: [nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3)])
    danlu.manual_seed(5)
    step = danlu.compile(setting.step)
    rates = [0.01 * (k + 1) for k in range(24)]

    def rate(s, k):
        s.optimizer.param_groups[0]["lr"] = rates[k]

    assert step.many(2, [X[:2].reshape(16, 4), Y[:2].reshape(16)], lambda n: None) is None  # nothing was recorded yet
    losses = []
    for k in range(4):
        rate(setting, k)
        losses.append(step(X[k], Y[k]).item())
    losses += step.many(20, [X[4:].reshape(160, 4), Y[4:].reshape(160)], lambda n: rate(setting, 4 + n)).tolist()
    danlu.manual_seed(5)
    expected = []
    for k in range(24):
        rate(twin, k)
        expected.append(twin.step(X[k], Y[k]).item())
    assert losses == expected
    same(setting.state(), twin.state())


def test_a_loop_of_calls_ends_at_an_error_in_the_data():
    setting, twin = Setting(), Setting()
    step = danlu.compile(setting.step)
    labels = Y[:12].clone()
    labels[9, 3] = 7
    for k in range(4):
        step(X[k], labels[k])
    with pytest.raises(
        IndexError, match=r"class 7 of the target is out of range[^?]*line \d+\n    loss = nn.functional.cross_entropy"
    ):
        step.many(8, [X[4:12].reshape(64, 4), labels[4:].reshape(64)], lambda n: None)
    for k in range(9):
        twin.step(X[k], labels[k])
    same([p.detach().numpy() for p in setting.net.parameters()], [p.detach().numpy() for p in twin.net.parameters()])

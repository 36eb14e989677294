"""A loop that is foreseen (danlu/rehearsal.py) computes the same bits as one that is recorded anew at each step, whatever happens in it."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest

import danlu
from danlu import engine, nn, programs, rehearsal
from danlu.errors import AxisError, GradientError
from danlu.nn import functional as F

STEPS, WHEN = 12, 7  # something unforeseen happens at one step, when the others are foreseen for a while


@pytest.fixture(autouse=True)
def few_gradients_are_many(monkeypatch):
    """Gradients of small networks are handed out again, too."""
    monkeypatch.setattr(rehearsal, "MANY", 1)


class Loop:
    """A training loop; a disturbance may do something at each of its places: begin, loss, backward, step."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
        with danlu.no_grad():
            for p in self.net.parameters():
                p.copy_(danlu.tensor(rng.normal(size=tuple(p.shape)).astype("float32")))
        self.optimizer = danlu.optim.Adam(self.net.parameters(), lr=0.05)
        self.x = danlu.tensor(rng.normal(size=(16, 4)).astype("float32"))
        self.y = danlu.tensor(rng.integers(0, 3, 16))
        self.kept: list = []

    def run(self, disturb, when=(WHEN,), steps=STEPS) -> list:
        losses = []
        for n in range(steps):
            at = n in when
            self.optimizer.zero_grad()
            if at:
                disturb(self, "begin")
            self.out = self.net(self.x)
            self.loss = F.cross_entropy(self.out, self.y)
            if at:
                disturb(self, "loss")
            self.loss.backward()
            if at:
                disturb(self, "backward")
            self.optimizer.step()
            if at:
                disturb(self, "step")
            losses.append(self.loss.item())
        parameters = [p.detach().numpy().copy() for p in self.net.parameters()]
        return [losses, *parameters, *[np.asarray(k) for k in self.kept]]


def at(place):
    """A disturbance at one place."""

    def make(function):
        return lambda loop, now: function(loop) if now == place else None

    return make


@at("begin")
def another_batch(loop):
    loop.x, loop.y = loop.x[:9] * 2, loop.y[:9]


@at("begin")
def new_numbers(loop):
    loop.x = danlu.tensor(loop.x.numpy() + 1)


@at("begin")
def aliased(loop):
    loop.net[2].bias = nn.Parameter(loop.net[2].bias.detach())


@at("begin")
def frozen(loop):
    loop.net[0].weight.requires_grad_(False)


@at("begin")
def hook_of_a_parameter(loop):
    loop.net[0].weight.register_hook(lambda g: g * 3)


@at("begin")
def without_gradient(loop):
    with danlu.no_grad():
        loop.kept.append(loop.net(loop.x).numpy())


@at("begin")
def old_parameter(loop):
    loop.alias = loop.net[0].weight.detach()  # sees every later update


@at("begin")
def old_values(loop):
    loop.view = loop.net[0].weight.detach().numpy()  # memory that NumPy has


@at("begin")
def looked_at_flat(loop):
    loop.flat = loop.net[0].weight.detach().view(-1)
    loop.kept.append((loop.flat * 2).numpy())  # the view remembers what it read


@at("begin")
def state_looked_at(loop):
    if loop.optimizer.state:
        loop.moment = loop.optimizer.state[loop.net[0].weight]["exp_avg"].view(-1)
        loop.kept.append((loop.moment * 2).numpy())


@at("begin")
def rows_looked_at(loop):
    loop.rows = loop.net[0].weight[1:3]
    loop.kept.append((loop.rows * 2).detach().numpy())


@at("begin")
def data(loop):
    loop.alias = loop.net[2].weight.data
    loop.alias.mul_(0.9)


@at("begin")
def data_of_another(loop):
    loop.net[2].bias.data = loop.net[2].bias.detach() * 1


@at("begin")
def one_memory_of_two(loop):
    loop.twin = nn.Parameter(loop.net[2].weight.detach())


@at("begin")
def copies(loop):
    loop.copied = copy.deepcopy(loop.net.state_dict())
    loop.state = copy.deepcopy(loop.optimizer.state_dict())
    loop.held = [*loop.copied.values(), *[t for row in loop.state["state"].values() for t in row.values()]]


@at("begin")
def dictionaries(loop):
    loop.held = list(loop.net.state_dict().values())


@at("begin")
def waiting(loop):
    loop.held = [p * 2 for p in loop.net.parameters()]


@at("begin")
def waiting_elsewhere(loop):
    def work():
        loop.held = [p.detach() * 2 for p in loop.net.parameters()]

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@at("backward")
def waiting_after_backward(loop):
    loop.held = [p.detach() * 2 for p in loop.net.parameters()]


@at("backward")
def waiting_without_gradient(loop):
    with danlu.no_grad():
        loop.held = [p * 2 for p in loop.net.parameters()]


@at("backward")
def gradient_is_a_parameter(loop):
    loop.net[0].weight.grad = loop.net[0].weight.detach()


@at("backward")
def gradient_is_another(loop):
    loop.net[0].bias.grad = loop.net[0].bias.data.view(-1)


@at("backward")
def another_optimizer(loop):
    danlu.optim.SGD(loop.net.parameters(), lr=0.1).step()


@at("backward")
def twice(loop):
    loop.optimizer.step()


@at("step")
def state_written(loop):
    for row in loop.optimizer.state.values():
        row["exp_avg"].mul_(0.5)
        row["exp_avg_sq"] = row["exp_avg_sq"] * 2


@at("step")
def state_shared(loop):
    loop.view = loop.optimizer.state[loop.net[0].weight]["exp_avg"].numpy()


@at("step")
def compiled(loop):
    def step():
        loop.optimizer.zero_grad()
        loss = F.cross_entropy(loop.net(loop.x), loop.y)
        loss.backward()
        loop.optimizer.step()
        return loss

    step = danlu.compile(step)
    for _ in range(3):
        loop.kept.append(step().item())


def history_across(loop, now):
    """Its derivative is asked for when the numbers are other ones already."""
    if now == "begin":
        loop.before = (loop.net[0].weight ** 2).sum()
        loop.kept.append(loop.before.item())
    if now == "step":
        loop.before.backward()
        loop.kept.append(loop.net[0].weight.grad.numpy().copy())


def recorded_across(loop, now):
    if now == "begin":
        loop.before = (loop.net[0].weight ** 3).sum()
    if now == "step":
        loop.kept.append(danlu.autograd.grad(loop.before, loop.net[0].weight)[0].numpy().copy())


def wrong_label(loop, now):
    """The program of this step fails: parameters and state are those of before."""
    if now == "begin":
        loop.right, loop.y = loop.y, loop.y + 2
        loop.optimizer.zero_grad()
        F.cross_entropy(loop.net(loop.x), loop.y).backward()
        with pytest.raises(AxisError):
            loop.optimizer.step()
        loop.y = loop.right
        loop.optimizer.zero_grad()
        loop.kept += [p.detach().numpy().copy() for p in loop.net.parameters()]


@at("loss")
def read(loop):
    loop.kept.append(loop.loss.item())


@at("loss")
def one_op_more(loop):
    loop.loss = loop.loss * 3.0


@at("loss")
def folded_number(loop):
    loop.loss = loop.loss * 1


@at("loss")
def hook(loop):
    loop.out.register_hook(lambda g: g * -1)


@at("loss")
def retained(loop):
    loop.out.retain_grad()


@at("loss")
def hook_that_reads(loop):
    loop.out.register_hook(lambda g: loop.kept.append(g.numpy()))


@at("loss")
def backward_twice(loop):
    loop.loss.backward(retain_graph=True)


@at("loss")
def gradients_apart(loop):
    loop.kept.append(danlu.autograd.grad(loop.loss, loop.out, retain_graph=True)[0].numpy())


@at("loss")
def history_kept(loop):
    loop.again = loop.loss * 1.5 + loop.out.sum()
    loop.kept.append(loop.again.item())


@at("loss")
def values_held(loop):
    loop.held = [p.detach() * 1 for p in loop.net.parameters()]


@at("backward")
def clipped(loop):
    nn.utils.clip_grad_norm_(loop.net.parameters(), 0.1)


@at("backward")
def no_gradient(loop):
    loop.net[0].weight.grad = None


@at("backward")
def gradients_held(loop):
    loop.grads = [p.grad for p in loop.net.parameters()]


@at("backward")
def other_rate(loop):
    loop.optimizer.param_groups[0]["lr"] = 0.5


@at("step")
def written(loop):
    with danlu.no_grad():
        loop.net[0].weight *= 0.5


@at("step")
def numbers_of_numpy(loop):
    """The parameter has the memory of an array for a while, which no update may write."""
    loop.view = np.full((3, 8), 0.1, "float32")
    with danlu.no_grad():
        loop.net[2].weight.copy_(danlu.from_numpy(loop.view))


@at("backward")
def numbers_of_numpy_before_the_update(loop):
    loop.view = np.full((3,), 0.1, "float32")
    with danlu.no_grad():
        loop.net[2].bias.copy_(danlu.from_numpy(loop.view))


@at("backward")
def gradient_written(loop):
    loop.net[0].weight.grad.mul_(0.5)


@at("backward")
def gradient_held_as_a_view(loop):
    loop.view = loop.net[0].weight.grad.view(-1)


@at("step")
def gradient_held_by_numpy(loop):
    loop.view = loop.net[0].weight.grad.numpy()


@at("step")
def gradient_held_detached(loop):
    loop.alias = loop.net[2].bias.grad.detach()


@at("step")
def gradient_turned(loop):
    loop.net[2].weight.grad.t_()


@at("step")
def gradient_of_a_gradient(loop):
    loop.net[2].weight.grad.requires_grad_().sum().backward()


@at("step")
def gradient_with_a_hook(loop):
    loop.net[2].weight.grad.requires_grad_().register_hook(lambda g: g)


@at("backward")
def gradients_waiting(loop):
    loop.held = [p.grad * 2 for p in loop.net.parameters()]


@at("backward")
def gradients_exchanged(loop):
    """Each layer has the gradient of another loop's layer of the same shape."""
    one, other = loop.net[0].bias, nn.Parameter(danlu.zeros(8))
    (other * 2).sum().backward()
    one.grad, loop.alias = other.grad, one.grad


@at("begin")
def gradients_added(loop):
    F.cross_entropy(loop.net(loop.x), loop.y).backward()


@at("step")
def state_cleared(loop):
    loop.optimizer.state.clear()


@at("step")
def state_of_another_dictionary(loop):
    state = loop.optimizer.state
    state[loop.net[0].bias] = {k: v * 1 for k, v in state[loop.net[0].bias].items()}


@at("step")
def state_begun_anew(loop):
    loop.optimizer.state = type(loop.optimizer.state)(dict)


@at("step")
def counted_back(loop):
    loop.optimizer.state[loop.net[0].bias]["step"] = 1


@at("step")
def decay(loop):
    loop.optimizer.param_groups[0]["weight_decay"] = 0.1


@at("step")
def other_betas(loop):
    loop.optimizer.param_groups[0]["betas"] = (0.5, 0.9)


@at("step")
def maximized(loop):
    loop.optimizer.param_groups[0]["maximize"] = True


@at("step")
def whole_rate(loop):
    loop.optimizer.param_groups[0]["lr"] = 1


@at("step")
def rate_of_numpy(loop):
    loop.optimizer.param_groups[0]["lr"] = np.float64(0.01)


@at("step")
def rate_as_a_tensor(loop):
    loop.optimizer.param_groups[0]["lr"] = danlu.tensor(0.01)


@at("step")
def fewer_parameters(loop):
    del loop.optimizer.param_groups[0]["params"][1:]


@at("step")
def parameters_of_another_list(loop):
    loop.optimizer.param_groups[0]["params"] = list(loop.net.parameters())[:3]


@at("step")
def another_group(loop):
    loop.optimizer.add_param_group({"params": [nn.Parameter(danlu.ones(2))]})


@at("step")
def optimizer_copied(loop):
    other = copy.deepcopy(loop.optimizer)
    loop.kept += [p.detach().numpy().copy() for p in other.param_groups[0]["params"]]


@at("begin")
def hook_of_a_layer(loop):
    loop.net[1].register_forward_hook(lambda module, given, result: result * 0.5)


@at("begin")
def forward_of_one_layer(loop):
    loop.net[1].forward = lambda x: x * 0.5


@at("begin")
def another_layer(loop):
    loop.net[1] = nn.ReLU(inplace=True)


@at("begin")
def layer_written_inside(loop):
    loop.net[1] = nn.Sigmoid()
    loop.net[1].inplace = True


@at("step")
def loaded(loop):
    loop.optimizer.load_state_dict(loop.optimizer.state_dict())
    loop.net.load_state_dict({k: v * 0.9 for k, v in loop.net.state_dict().items()})


@at("step")
def profiled(loop):
    danlu.profile(lambda: loop.net(loop.x), repeat=1)


DISTURBANCES = {k: v for k, v in globals().items() if getattr(v, "__qualname__", "").startswith("at.")}
DISTURBANCES |= {f.__name__: f for f in (history_across, recorded_across, wrong_label)}
ONCE = {"another_batch", "profiled", "another_group", "fewer_parameters", "parameters_of_another_list"}  # not at each step


def numbers(t) -> np.ndarray:
    return np.asarray((t * 1).detach().numpy() if isinstance(t, danlu.Tensor) else t)


def outcome(disturb, when=(WHEN,)) -> list:
    loop = Loop()
    found = loop.run(disturb, when)
    later = [getattr(loop, name, None) for name in ("alias", "view", "flat", "rows", "moment", "twin")]
    later += [*getattr(loop, "grads", ()), *getattr(loop, "held", ())]
    return [*found, *[numbers(t) for t in later if t is not None]]


def followed() -> float:
    return programs.statistics()["foreseen"]


@pytest.mark.parametrize("name", sorted(DISTURBANCES))
def test_what_was_not_foreseen_gives_the_same_bits(name, monkeypatch):
    before = followed()
    foreseen = outcome(DISTURBANCES[name])
    assert followed() > before
    monkeypatch.setattr(engine, "_begin", lambda *_: None)
    hits = followed()
    plain = outcome(DISTURBANCES[name])
    assert followed() == hits
    assert len(foreseen) == len(plain) > 4
    for a, b in zip(foreseen, plain):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", sorted(set(DISTURBANCES) - ONCE))
def test_what_happens_in_each_step(name, monkeypatch):
    foreseen = outcome(DISTURBANCES[name], range(STEPS))
    monkeypatch.setattr(engine, "_begin", lambda *_: None)
    plain = outcome(DISTURBANCES[name], range(STEPS))
    assert len(foreseen) == len(plain) > 4
    for a, b in zip(foreseen, plain):
        assert np.array_equal(a, b)


def test_an_update_keeps_its_values_where_nobody_else_has_them():
    loop = Loop()
    weight = loop.net[0].weight

    def is_kept() -> bool:
        """Whether the value after a step is still the leaf of its forward pass."""
        loop.optimizer.zero_grad()
        F.cross_entropy(loop.net(loop.x), loop.y).backward()
        loop.optimizer.step()
        return weight._storage.value.leaf is not None

    for _ in range(4):
        is_kept()
    assert is_kept() and is_kept()
    held = weight._storage.value
    assert not is_kept()
    del held
    assert is_kept()
    flat = weight.detach().view(-1)
    flat * 2
    assert not is_kept()
    twin = nn.Parameter(weight.detach())
    assert not is_kept()
    del flat, twin
    is_kept()
    assert is_kept()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_in_whatever_order(seed, monkeypatch):
    """Many scripts that begin alike: in every third step or so something happens."""
    names = sorted(set(DISTURBANCES) - ONCE)

    def walk() -> list:
        random = np.random.default_rng(seed)

        def disturb(loop, place):
            if place == "begin":
                loop.name = names[random.integers(len(names))] if random.random() < 0.4 else ""
                loop.net[0].weight.requires_grad_(True)
            if loop.name:
                DISTURBANCES[loop.name](loop, place)

        return Loop().run(disturb, range(40), 40)

    foreseen = walk()
    monkeypatch.setattr(engine, "_begin", lambda *_: None)
    plain = walk()
    assert len(foreseen) == len(plain)
    for a, b in zip(foreseen, plain):
        assert np.array_equal(a, b)


def test_a_loop_with_a_frozen_parameter_is_another_script():
    def train(frozen: bool, held: bool) -> list:
        loop = Loop()
        loop.net[0].weight.requires_grad_(not frozen)
        for _ in range(8):
            loop.optimizer.zero_grad()
            loss = F.cross_entropy(loop.net(loop.x), loop.y)
            loss.backward()
            if held:
                loop.kept.append(loop.net[2].bias.grad * 1)
            loop.optimizer.step()
        return loop.net[0].weight.tolist()

    assert train(True, False) == Loop().net[0].weight.tolist()
    assert train(False, True) != Loop().net[0].weight.tolist()
    assert train(False, True) == train(False, False)


def test_a_loop_is_followed_to_its_end():
    loop, runs = Loop(), followed()
    loop.run(lambda *_: None)
    assert followed() - runs >= STEPS - 5


def test_a_loop_by_hand_is_followed_whether_its_loss_was_read_or_not():
    w, x = danlu.ones(3).requires_grad_(), danlu.tensor([1.0, 2.0, 3.0])

    def step():
        loss = ((w * x).sum() - 1.0) ** 2
        loss.backward()
        with danlu.no_grad():
            w.sub_(0.01 * w.grad)
        w.grad = None
        return loss

    for _ in range(6):
        step().item()
    runs = followed()
    for _ in range(6):
        loss = step()  # runs when the next one begins
    assert followed() - runs >= 5
    assert loss.item() == pytest.approx((5 * 0.72**11) ** 2, rel=1e-4)


def test_the_history_is_used_up_in_a_foreseen_step_too():
    loop = Loop()

    def twice(loop, place):
        if place == "backward":
            with pytest.raises(GradientError, match="a second time"):
                loop.loss.backward()
            with pytest.raises(GradientError, match="a second time"):
                loop.out.sum().backward()

    loop.run(twice)


def test_a_seed_that_was_computed_before_is_taken_along():
    """It comes into the foreseen step by the backward pass alone."""
    w = danlu.linspace(-2, 2, 9).requires_grad_()
    for k in range(6):
        w.grad, seed = None, danlu.full((9,), float(k))
        danlu.engine.flush()
        (w * w).backward(seed)
        danlu.engine.flush()
        np.testing.assert_allclose(w.grad.numpy(), 2 * k * w.detach().numpy(), rtol=1e-6)


def test_an_error_in_the_data_names_the_line_and_costs_one_step():
    loop = Loop()
    loop.run(lambda *_: None)
    before = [p.detach().numpy().copy() for p in loop.net.parameters()]
    loop.optimizer.zero_grad()
    wrong = danlu.tensor(np.full(16, 5))
    loss = F.cross_entropy(loop.net(loop.x), wrong)
    loss.backward()
    with pytest.raises(AxisError) as caught:
        loop.optimizer.step()
    assert "loss = F.cross_entropy(loop.net(loop.x), wrong)" in str(caught.value)
    for p, array in zip(loop.net.parameters(), before):
        assert np.array_equal(p.detach().numpy(), array)


def test_the_type_of_a_number_matters():
    def once(x, number):
        return (danlu.exp(x) * number).dtype

    x = danlu.tensor([1, 2])
    y = danlu.tensor([1, 2], dtype=danlu.int64)
    for _ in range(6):
        assert once(x, 3.0) is danlu.float32
        danlu.exp(x).numpy()
    for _ in range(6):
        a = (y + 3).numpy()
    assert (y + 3.0).dtype is danlu.float32
    assert (y + 3.0).tolist() == [4.0, 5.0]
    assert a.tolist() == [4, 5]


def test_threads_follow_apart():
    found: dict[int, list] = {}

    def work(k: int) -> None:
        found[k] = Loop().run(lambda *_: None)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for k in range(1, 3):
        for a, b in zip(found[0], found[k]):
            assert np.array_equal(a, b)


def test_a_thread_that_reads_sees_the_numbers_of_one_step():
    p = nn.Parameter(danlu.ones(1 << 16))
    optimizer = danlu.optim.SGD([p], lr=1.0)
    found: list[tuple[float, float]] = []
    done = threading.Event()

    def look():
        while not done.is_set():
            x = p.detach() * 1
            array = x.numpy()
            found.append((float(array.min()), float(array.max())))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(200):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
    done.set()
    reader.join()
    assert found and all(low == high for low, high in found)
    assert p[0].item() == -199.0


def test_an_update_that_a_subclass_says_anew_is_asked_at_each_step():
    asked = []

    class Half(danlu.optim.Adam):
        def update_group(self, group):
            asked.append(len(group["params"]))
            super().update_group(group)

    loop = Loop()
    loop.optimizer = Half(loop.net.parameters(), lr=0.05)
    assert np.array_equal(loop.run(lambda *_: None)[1], Loop().run(lambda *_: None)[1])
    assert asked == [4] * STEPS


def test_gradients_are_handed_out_again_where_nobody_has_them():
    loop, seen, held = Loop(), [], []
    loop.run(lambda loop, now: seen.append(id(loop.net[0].weight.grad)) if now == "step" else None, range(STEPS))
    assert len(set(seen[-4:])) == 1
    loop.run(lambda loop, now: held.append(loop.net[0].weight.grad) if now == "step" else None, range(STEPS))
    assert len(set(map(id, held))) == len({str(g.tolist()) for g in held}) == STEPS


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}])
def test_a_step_taken_again_is_the_step_that_is_recorded(options, monkeypatch):
    def train() -> list:
        loop = Loop()
        loop.optimizer = danlu.optim.SGD(loop.net.parameters(), lr=0.05, **options)
        schedule = danlu.optim.lr_scheduler.StepLR(loop.optimizer, 3, 0.7)
        return loop.run(lambda loop, now: schedule.step() if now == "step" else None, range(STEPS))

    taken = []
    again = engine.update_again
    monkeypatch.setattr(engine, "update_again", lambda *given: taken.append(again(*given)) or taken[-1])
    repeated = train()
    assert taken.count(True) >= STEPS - 6
    monkeypatch.setattr(engine, "last_update", lambda *_: None)
    count = len(taken)
    for a, b in zip(repeated, train()):
        assert np.array_equal(a, b)
    assert len(taken) == count

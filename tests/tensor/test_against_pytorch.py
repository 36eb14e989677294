"""Tensors against real PyTorch: every line below gives the same dtypes, shapes and numbers, or is refused by both."""

from __future__ import annotations

import itertools
import operator
import warnings

import numpy as np
import pytest
from programs import assert_same, outcome

import danlu
from danlu.config import config

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")

# Integer division by zero is an error in PyTorch and 0 here; PyTorch subtracts no bool from a number.
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
OPERATORS = {
    name: getattr(operator, name)
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "lt",
        "le",
        "gt",
        "ge",
        "eq",
        "ne",
        "and_",
        "or_",
        "xor",
    )
}

EXPRESSIONS = """
x.reshape(-1)
x.reshape(5,-1)
x.view(3,20)
x.view(-1)
x.permute(2,0,1)
x.transpose(0,-1)
x.unsqueeze(0)
x.unsqueeze(-1)
x.squeeze()
x.flatten()
x.flatten(1)
x.flip(0)
x.flip(0,1)
x.roll(2)
x.roll((1,2),(0,1))
x.tril()
x.triu(1)
x.repeat(2,1,1)
x.repeat(2,1,1,1)
x.tile(2)
x.tile(2,1,1,2)
x.split(2,1)
x.split([1,3],1)
x.split(2)
x.chunk(2)
x.chunk(4,2)
x.unbind(0)
x.unbind(-1)
x.expand(2,3,4,5)
x[:1].expand(3,-1,-1)
x.narrow(1,1,2)
x.narrow(1,-2,2)
x.movedim(0,2)
x.T
x.mT
x[0].t()
x.repeat_interleave(2,1)
x.repeat_interleave(2)
x[0].diagonal()
x[0].diagonal(1)
x[0].diagonal(-2)
x[0].trace()
x.ravel()
x.unflatten(1,(2,2))
x.clamp(-0.5,0.5)
x.clamp(min=0)
x.clamp(max=l.zeros(5))
x.where(x>0, 0)
l.where(x>0, x, 0.5)
l.where(x>0)
x.masked_fill(x>0, 7)
x.nonzero()
x.masked_select(x>0)
x.numel()
x.size(-1)
list(x.size())
x.element_size()
len(x)
[r.sum() for r in x]
x.maximum(l.zeros(5))
x.max(l.zeros(5))
x.div(0.3, rounding_mode='floor')
x.div(0.3, rounding_mode='trunc')
x.add(1, alpha=2)
x.sub(x, alpha=3)
x.addcmul(x,x,value=2)
l.cat([x,x],1)
l.cat([x,x[:0]],0)
l.stack([x,x],-1)
l.stack([x,x],1)
l.hstack([x,x])
l.vstack([x[0],x[0]])
l.eye(3)
l.eye(2,4)
l.full((2,),3)
l.full((2,),3.0)
l.full((2,),True)
l.full_like(x,2)
l.arange(5)
l.arange(1,7,2)
l.arange(0,1,0.25)
l.arange(5,0,-2)
l.arange(5.0)
l.arange(0.1,1.0,0.3)
l.linspace(0,1,5)
l.linspace(3,-3,4)
l.zeros((2,3))
l.zeros(2,3,dtype=l.int32)
l.ones_like(x,dtype=l.float64)
l.empty(2,3).shape[0]
l.tensor(3)
l.tensor([1,2.5])
l.tensor([[True]])
l.tensor(l.tensor([1,2]))
l.tensor([l.tensor(1.0), l.tensor(2.0)])
l.outer(x[0,0],x[0,1])
x[0]@x[0].T
x@x.mT
x@x[0,0]
x[0,0]@x[0].T
x[0].mm(x[0].T)
x.bmm(x.mT)
x[0].mv(x[0,0])
x[0,0].dot(x[0,0])
x[0,0]@x[0,0]
l.equal(x,x)
x.float()
x.double()
x.int()
x.long()
x.bool()
x.half()
x.to(l.float64)
l.searchsorted(l.ones(2,0),l.zeros(2,4))
x.to("cpu",l.float64,False,True)
x.to(l.float64,True)
l.arange(5,dtype=l.uint8)*-1
l.arange(5,dtype=l.uint8).masked_fill(l.arange(5)>2,-1)
l.where(l.arange(5)>2,l.arange(5,dtype=l.uint8),-1)
l.arange(5,dtype=l.uint8)>-1
l.arange(5,dtype=l.uint8)-300
l.nn.functional.max_pool2d(l.arange(16,dtype=l.int32).reshape(1,4,4),2)
l.nn.functional.interpolate(l.arange(16,dtype=l.uint8).reshape(1,1,4,4),scale_factor=2,mode="bilinear")
x.type(l.int32)
x.type_as(l.zeros(1,dtype=l.float64))
x.index_select(1,l.tensor([2,0]))
x.gather(1,l.zeros(3,2,5,dtype=l.int64))
l.zeros(3,5).scatter_(1,l.tensor([[1],[2],[0]]),1.0)
l.zeros(3,5).scatter_(1,l.tensor([[1],[2],[0]]),value=1.0)
l.zeros(3,5).scatter_add_(1,l.tensor([[1,1],[2,2],[0,3]]),l.ones(3,2))
l.zeros(5).index_add_(0,l.tensor([1,1,4]),l.ones(3))
x.new_zeros(2,3)
x.new_tensor([1,2])
x.new_ones((2,))
x.sign()
x.abs().sqrt()
x.square()
x.round()
-x
+x
abs(x)
~(x>0)
(x>0)&(x<1)
x**2
2**x
x.pow(2)
1/x
1-x
x%0.7
x.sum(axis=1,keepdims=True)
x.size(5)
x.reshape(7,-1)
x.reshape(-1,-1)
x.permute(0,1)
x.permute(0,0,1)
x.squeeze(0)
x[:1].squeeze(0)
x.squeeze((0,1))
x.view(60).view(3,4,5)
x.std(0,unbiased=False)
x.sum((0,2))
x.sum([0,-1])
x.mean((0,1),keepdim=True)
x.max(1)
x.min(-1,keepdim=True)
x.ndim
x.dim()
x.is_floating_point()
x.contiguous().is_contiguous()
x.numpy().sum()
x[0,0,0].item()
int(x[0,0,0]*10)
float(x[0,0,0])
bool(x[0,0,0]>0)
(x==x).all()
0.5 in l.tensor([0.5,1])
l.isnan(x).any()
l.bernoulli(l.ones(3))
l.randperm(0)
l.normal(0.0,1.0,(2,)).shape[0]
x.var(0,keepdim=True)
x.cpu()
x.copy_(l.zeros(5))
x.fill_(2)
x.zero_()
x.mul_(2).add_(1)
x.clamp_(min=0)
x.masked_fill_(x>0,0)
x.sqrt_()
x.floor_divide(2)
x.true_divide(2)
x.expand_as(l.zeros(2,3,4,5))
x.broadcast_to((2,3,4,5))
x.float().mean().item()
x.unsqueeze(4)
x.transpose(0,3)
x.flatten(2,1)
x.tolist()[0][0][0]
x.add_(l.zeros(2,3,4,5))
x.logsumexp((0,1))
l.count_nonzero(x>0)
x.amax((0,1))
x.argmax(1,keepdim=True)
x.all(1)
(x>0).byte().all(1)
(x>9).byte().any()
x.any(1)
"""

FLOATS = """
x.lerp(x * 2, 0.3)
x.addcdiv(x, x, value=2)
x.isclose(x + 1e-9)
l.allclose(x, x + 1e-9)
5 // x
3 % x
x.norm()
x.norm(1)
x.norm(3, dim=0)
x.norm(float("inf"), dim=1)
x.norm(-float("inf"))
x.norm("fro")
x.norm(0)
"""

INDICES = """
0
-1
(0,1)
(0,1,2)
slice(None)
slice(1,3)
slice(None,None,2)
slice(-2,None)
slice(3,1)
slice(10,20)
Ellipsis
(Ellipsis,0)
(0,Ellipsis)
(None,)
None
(slice(None),None)
(Ellipsis,None)
(0,None,slice(1,3))
(slice(None),0)
(slice(None),slice(1,4,2),-1)
[0,2]
[True,False,True]
t([0,2])
t([[0,1],[2,0]])
(t([0,2]),t([1,1]))
(t([0,2]),slice(None),t([1,1]))
(slice(None),t([0,2]),t([1,1]))
(slice(None),t([0,2]))
(Ellipsis,t([0,2]))
(0,t([0,2]))
(0,slice(None),t([0,2]))
(t([0,2]),0)
(t([0,2]),None,t([1,1]))
(t(1),)
(t(1),slice(None),t([0,1]))
(t([0,1]),slice(None),t(1))
x>0
(x>0)[:,0,0]
((x>0)[:,:,0],)
((x>0)[:,0,0],0)
((x>0)[:,0,0],slice(None),t([1]))
(slice(None),(x>0)[0,:,0])
(slice(None),(x>0)[0])
True
False
(True,0)
(slice(None),True)
t(True)
t([],)
[]
(slice(None),[])
5
(0,0,0,0)
(slice(None),7)
t([5])
1.5
'a'
slice(None,None,-1)
np.int64(1)
np.array([0,2])
np.array([True,False,True])
(t([[0],[1]]),t([0,2]))
(None,t([0,1]),None)
(slice(0,0),)
(slice(0,0),t([0,1]))
t([-1,-3])
t([0,1]).int()
(t([0,1]),t([0,1]),t([0,1]))
([0,1],[1,2])
(0,[1,2])
"""


@pytest.fixture(autouse=True)
def _by_reference(monkeypatch):
    """The meaning of the calls is tested here; that compiled code does the same is tested op by op in tests/ops."""
    monkeypatch.setattr(config, "optimize", False)


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def sample(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(3, 4, 5)).astype(np.float32)
    return {
        "float": real,
        "integer": rng.integers(-3, 4, (3, 4, 5)),
        "bool": real > 0,
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.float32(2.5).reshape(()),
        "nan": np.array([[1, np.nan, 3], [4, 5, np.nan]], np.float32),
        "ties": np.array([[1, 3, 3], [2, 2, 2]], np.float32),
    }[kind]


def in_both(function, *given):
    """A function of a library, run in both; warnings of PyTorch are none of ours."""
    ours = outcome(lambda: function(danlu, *given))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = outcome(lambda: function(torch, *given))
    assert_same(ours, theirs)


def both(function, *arrays):
    """A function of a library and its tensors, run in both."""
    in_both(lambda l: function(l, *[l.tensor(a) for a in arrays]))


def operand(library, dtype: str, scalar: bool):
    values = [1, 1, 1] if dtype == "bool" else [5, 2, 3]
    return library.tensor(values[2] if scalar else values, dtype=getattr(library, dtype))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("first", DTYPES)
def test_promotion_of_two_tensors(name, first):
    apply = OPERATORS[name]
    for second, a, b in itertools.product(DTYPES, (False, True), (False, True)):
        if name == "sub" and "bool" in (first, second):
            continue
        in_both(lambda l, *given: apply(operand(l, first, given[0]), operand(l, *given[1:])), a, second, b)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("number", [True, 2, 2.5])
def test_promotion_with_a_python_number(name, number):
    apply = OPERATORS[name]
    for dtype, scalar in itertools.product(DTYPES, (False, True)):
        if (name == "sub" and (dtype == "bool" or number is True)) or (name == "pow" and dtype == "bool" and number is True):
            continue
        in_both(lambda l, *given: apply(operand(l, *given), number), dtype, scalar)
        in_both(lambda l, *given: apply(number, operand(l, *given)), dtype, scalar)


@pytest.mark.parametrize("line", lines(EXPRESSIONS))
@pytest.mark.parametrize("kind", ["float", "integer"])
def test_an_expression(line, kind):
    both(lambda l, x: eval(line, {"l": l, "x": x}), sample(kind))


@pytest.mark.parametrize("line", lines(FLOATS))
def test_an_expression_of_floats(line):
    both(lambda l, x: eval(line, {"l": l, "x": x}), sample("float"))


REDUCTIONS = ("sum", "prod", "mean", "std", "var", "amax", "amin", "any", "all", "argmax", "argmin", "max", "min", "logsumexp")


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("kind", ["float", "integer", "bool", "empty", "scalar", "nan", "ties"])
def test_a_reduction(name, kind):
    x = sample(kind)
    if (kind == "bool" and name.startswith("arg")) or (kind == "empty" and name == "logsumexp"):
        pytest.skip("PyTorch has no argmax of bools; an empty logsumexp is refused here")
    several = (
        []
        if name in ("prod", "argmax", "argmin", "max", "min") or x.ndim < 2
        else [{"dim": (0, 1)}, {"dim": (0, 1), "keepdim": True}]
    )
    for given in [{}, *({"dim": d} for d in range(-x.ndim, x.ndim)), {"dim": 0, "keepdim": True}, {"axis": 0}, *several]:
        both(lambda l, t, given=given: getattr(t, name)(**given), x)


@pytest.mark.parametrize("kind", ["float", "nan", "ties", "scalar"])
def test_variance_with_corrections(kind):
    for given in ({"unbiased": False}, {"correction": 0}, {"correction": 2}, {"dim": 0, "correction": 0}):
        both(lambda l, x, given=given: [x.var(**given), x.std(**given)], sample(kind))
    both(lambda l, x: x.var(False), sample(kind))


def index(line: str, l, x):
    """The index that a line describes, with tensors of the library."""
    t = lambda v: l.tensor(v, dtype=l.int64) if v == [] else l.tensor(v)  # noqa: E731
    return eval(line, {"t": t, "x": x, "l": l, "np": np})


def _write(l, x, line, value):
    x[index(line, l, x)] = value(l)
    return x


def _update(l, x, line):
    i = index(line, l, x)
    x[i] += 1
    return x


@pytest.mark.parametrize("line", lines(INDICES))
def test_an_index(line):
    x, whole = sample("float"), sample("integer")
    both(lambda l, x: x[index(line, l, x)], x)
    both(lambda l, x: _write(l, x, line, lambda l: 7.0), x)
    both(lambda l, x: _write(l, x, line, lambda l: 7.5), whole)
    both(lambda l, x: _write(l, x, line, lambda l: l.arange(5.0)), x)
    both(lambda l, x: _update(l, x, line), x)

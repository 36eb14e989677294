"""A tensor is printed as PyTorch 2.13 prints it (`torch.` read as `danlu.`); the texts were written by it."""

from __future__ import annotations

import pytest

import danlu

nan, inf = float("nan"), float("inf")

PRINTED = {
    "l.tensor(0)": ("tensor(0)"),
    "l.tensor(-1.5)": ("tensor(-1.5000)"),
    "l.tensor(3.0)": ("tensor(3.)"),
    "l.tensor(nan)": ("tensor(nan)"),
    "l.tensor(True)": ("tensor(True)"),
    "l.tensor([])": ("tensor([])"),
    "l.tensor([1])": ("tensor([1])"),
    "l.tensor([1, -20, 300])": ("tensor([  1, -20, 300])"),
    "l.tensor([True, False])": ("tensor([ True, False])"),
    "l.tensor([True, True])": ("tensor([True, True])"),
    "l.tensor([1.0, 2.0])": ("tensor([1., 2.])"),
    "l.tensor([-1.0, 2.0])": ("tensor([-1.,  2.])"),
    "l.tensor([0.0, 0.0])": ("tensor([0., 0.])"),
    "l.tensor([-0.0, 0.0])": ("tensor([-0., 0.])"),
    "l.tensor([1.5, nan])": ("tensor([1.5000,    nan])"),
    "l.tensor([1.0, nan, inf, -inf])": ("tensor([1., nan, inf, -inf])"),
    "l.tensor([nan, inf])": ("tensor([nan, inf])"),
    "l.tensor([0.0, nan])": ("tensor([0., nan])"),
    "l.tensor([0.1, 0.2, 0.3])": ("tensor([0.1000, 0.2000, 0.3000])"),
    "l.tensor([3.14159, 2.71828])": ("tensor([3.1416, 2.7183])"),
    "l.tensor([1e-5, 1.0])": ("tensor([1.0000e-05, 1.0000e+00])"),
    "l.tensor([1.0, 10000.0])": ("tensor([1.0000e+00, 1.0000e+04])"),
    "l.tensor([1.0, 1000.0])": ("tensor([   1., 1000.])"),
    "l.tensor([1.5, 1500.5])": ("tensor([1.5000e+00, 1.5005e+03])"),
    "l.tensor([1.5, 1499.5])": ("tensor([   1.5000, 1499.5000])"),
    "l.tensor([1e8])": ("tensor([100000000.])"),
    "l.tensor([123456789.0, 123456790.0])": ("tensor([1.2346e+08, 1.2346e+08])"),
    "l.tensor([1e-10])": ("tensor([1.0000e-10])"),
    "l.tensor([0.0001])": ("tensor([1.0000e-04])"),
    "l.tensor([0.00009])": ("tensor([9.0000e-05])"),
    "l.tensor([1e20, 1e-20, 0.0])": ("tensor([1.0000e+20, 1.0000e-20, 0.0000e+00])"),
    "l.tensor([100000.5])": ("tensor([100000.5000])"),
    "l.tensor([inf, 1.5, -2.25])": ("tensor([    inf,  1.5000, -2.2500])"),
    "l.tensor([1, 2], dtype=l.int32)": ("tensor([1, 2], dtype=danlu.int32)"),
    "l.tensor([1, 2], dtype=l.uint8)": ("tensor([1, 2], dtype=danlu.uint8)"),
    "l.tensor([1.5, 2.5], dtype=l.float64)": ("tensor([1.5000, 2.5000], dtype=danlu.float64)"),
    "l.tensor([1.5, 2.5], dtype=l.float16)": ("tensor([1.5000, 2.5000], dtype=danlu.float16)"),
    "l.tensor(7, dtype=l.int8)": ("tensor(7, dtype=danlu.int8)"),
    "l.tensor([[1, 2], [3, 4]])": ("tensor([[1, 2],\n        [3, 4]])"),
    "l.tensor([[1.0, -2.5], [30.0, 4.0]])": ("tensor([[ 1.0000, -2.5000],\n        [30.0000,  4.0000]])"),
    "l.tensor([[True, False], [False, True]])": ("tensor([[ True, False],\n        [False,  True]])"),
    "l.arange(8.0).reshape(2, 2, 2)": ("tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]])"),
    "l.arange(4).reshape(1, 1, 2, 2)": ("tensor([[[[0, 1],\n          [2, 3]]]])"),
    "l.arange(30)": (
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"
    ),
    "l.arange(25.0)": (
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
        "        14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24.])"
    ),
    "l.arange(40) / 7": (
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
        "        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857, 3.4286, 3.5714, 3.7143,\n"
        "        3.8571, 4.0000, 4.1429, 4.2857, 4.4286, 4.5714, 4.7143, 4.8571, 5.0000,\n"
        "        5.1429, 5.2857, 5.4286, 5.5714])"
    ),
    "l.arange(12) * 1e-7": (
        "tensor([0.0000e+00, 1.0000e-07, 2.0000e-07, 3.0000e-07, 4.0000e-07, 5.0000e-07,\n"
        "        6.0000e-07, 7.0000e-07, 8.0000e-07, 9.0000e-07, 1.0000e-06, 1.1000e-06])"
    ),
    "l.arange(1001)": ("tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    "l.arange(1000).reshape(100, 10)[:2]": (
        "tensor([[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9],\n        [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]])"
    ),
    "l.arange(6000).reshape(2000, 3)": (
        "tensor([[   0,    1,    2],\n"
        "        [   3,    4,    5],\n"
        "        [   6,    7,    8],\n"
        "        ...,\n"
        "        [5991, 5992, 5993],\n"
        "        [5994, 5995, 5996],\n"
        "        [5997, 5998, 5999]])"
    ),
    "l.arange(6000).reshape(3, 2000) / 7": (
        "tensor([[0.0000e+00, 1.4286e-01, 2.8571e-01,  ..., 2.8529e+02, 2.8543e+02,\n"
        "         2.8557e+02],\n"
        "        [2.8571e+02, 2.8586e+02, 2.8600e+02,  ..., 5.7100e+02, 5.7114e+02,\n"
        "         5.7129e+02],\n"
        "        [5.7143e+02, 5.7157e+02, 5.7171e+02,  ..., 8.5671e+02, 8.5686e+02,\n"
        "         8.5700e+02]])"
    ),
    "l.arange(1600).reshape(40, 40)": (
        "tensor([[   0,    1,    2,  ...,   37,   38,   39],\n"
        "        [  40,   41,   42,  ...,   77,   78,   79],\n"
        "        [  80,   81,   82,  ...,  117,  118,  119],\n"
        "        ...,\n"
        "        [1480, 1481, 1482,  ..., 1517, 1518, 1519],\n"
        "        [1520, 1521, 1522,  ..., 1557, 1558, 1559],\n"
        "        [1560, 1561, 1562,  ..., 1597, 1598, 1599]])"
    ),
    "l.arange(1331).reshape(11, 11, 11)[:, :, 0] * 1000": (
        "tensor([[      0,   11000,   22000,   33000,   44000,   55000,   66000,   77000,\n"
        "           88000,   99000,  110000],\n"
        "        [ 121000,  132000,  143000,  154000,  165000,  176000,  187000,  198000,\n"
        "          209000,  220000,  231000],\n"
        "        [ 242000,  253000,  264000,  275000,  286000,  297000,  308000,  319000,\n"
        "          330000,  341000,  352000],\n"
        "        [ 363000,  374000,  385000,  396000,  407000,  418000,  429000,  440000,\n"
        "          451000,  462000,  473000],\n"
        "        [ 484000,  495000,  506000,  517000,  528000,  539000,  550000,  561000,\n"
        "          572000,  583000,  594000],\n"
        "        [ 605000,  616000,  627000,  638000,  649000,  660000,  671000,  682000,\n"
        "          693000,  704000,  715000],\n"
        "        [ 726000,  737000,  748000,  759000,  770000,  781000,  792000,  803000,\n"
        "          814000,  825000,  836000],\n"
        "        [ 847000,  858000,  869000,  880000,  891000,  902000,  913000,  924000,\n"
        "          935000,  946000,  957000],\n"
        "        [ 968000,  979000,  990000, 1001000, 1012000, 1023000, 1034000, 1045000,\n"
        "         1056000, 1067000, 1078000],\n"
        "        [1089000, 1100000, 1111000, 1122000, 1133000, 1144000, 1155000, 1166000,\n"
        "         1177000, 1188000, 1199000],\n"
        "        [1210000, 1221000, 1232000, 1243000, 1254000, 1265000, 1276000, 1287000,\n"
        "         1298000, 1309000, 1320000]])"
    ),
    "l.arange(2800).reshape(2, 7, 200)": (
        "tensor([[[   0,    1,    2,  ...,  197,  198,  199],\n"
        "         [ 200,  201,  202,  ...,  397,  398,  399],\n"
        "         [ 400,  401,  402,  ...,  597,  598,  599],\n"
        "         ...,\n"
        "         [ 800,  801,  802,  ...,  997,  998,  999],\n"
        "         [1000, 1001, 1002,  ..., 1197, 1198, 1199],\n"
        "         [1200, 1201, 1202,  ..., 1397, 1398, 1399]],\n"
        "\n"
        "        [[1400, 1401, 1402,  ..., 1597, 1598, 1599],\n"
        "         [1600, 1601, 1602,  ..., 1797, 1798, 1799],\n"
        "         [1800, 1801, 1802,  ..., 1997, 1998, 1999],\n"
        "         ...,\n"
        "         [2200, 2201, 2202,  ..., 2397, 2398, 2399],\n"
        "         [2400, 2401, 2402,  ..., 2597, 2598, 2599],\n"
        "         [2600, 2601, 2602,  ..., 2797, 2798, 2799]]])"
    ),
    "l.zeros(0, 3)": ("tensor([], size=(0, 3))"),
    "l.zeros(3, 0, 2)": ("tensor([], size=(3, 0, 2))"),
    "l.zeros(0, dtype=l.int64)": ("tensor([], dtype=danlu.int64)"),
    "l.zeros(0, 3, dtype=l.int64)": ("tensor([], size=(0, 3), dtype=danlu.int64)"),
    "l.ones(3, requires_grad=True)": ("tensor([1., 1., 1.], requires_grad=True)"),
    "l.ones(2, dtype=l.float64, requires_grad=True)": ("tensor([1., 1.], dtype=danlu.float64, requires_grad=True)"),
    "l.ones(9, dtype=l.float64, requires_grad=True)": (
        "tensor([1., 1., 1., 1., 1., 1., 1., 1., 1.], dtype=danlu.float64,\n       requires_grad=True)"
    ),
    "l.ones(2, requires_grad=True) * 1.5": ("tensor([1.5000, 1.5000], grad_fn=<MulBackward0>)"),
    "l.ones(12, requires_grad=True) * 1.5": (
        "tensor([1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000, 1.5000,\n"
        "        1.5000, 1.5000, 1.5000], grad_fn=<MulBackward0>)"
    ),
    "l.ones(2, 2, dtype=l.float64, requires_grad=True) * 1.5": (
        "tensor([[1.5000, 1.5000],\n        [1.5000, 1.5000]], dtype=danlu.float64, grad_fn=<MulBackward0>)"
    ),
}


def evaluate(text: str, library: object) -> object:
    """The tensor that an expression over a library `l` makes."""
    return eval(text, {"l": library, "nan": nan, "inf": inf})


@pytest.mark.parametrize("text", PRINTED)
def test_printed_as_pytorch_prints_it(text):
    assert repr(evaluate(text, danlu)) == PRINTED[text]


@pytest.mark.oracle
@pytest.mark.parametrize("text", PRINTED)
def test_the_texts_are_those_of_pytorch(text):
    torch = pytest.importorskip("torch")
    assert repr(evaluate(text, torch)).replace("torch.", "danlu.") == PRINTED[text]


def test_an_extremum_names_its_parts():
    shown = repr(danlu.tensor([[1, 3, 2]]).max(1))
    assert shown == "danlu.return_types.max(\nvalues=tensor([3]),\nindices=tensor([1]))"


def test_a_shape_and_a_device_are_printed_as_in_pytorch():
    x = danlu.zeros(2, 3)
    assert (repr(x.shape), repr(x.device), str(x.device)) == ("danlu.Size([2, 3])", "device(type='cpu')", "cpu")


def test_numbers_are_formatted_like_python_numbers():
    assert f"{danlu.tensor(1.25):.1f} {danlu.tensor(7):03d}" == "1.2 007"
    assert f"{danlu.tensor([1.0])}" == "tensor([1.])"
    with pytest.raises(TypeError):
        format(danlu.tensor([1.0]), ".2f")


OPTIONS = [
    ({"precision": 2, "sci_mode": False}, [1.23456, 1e-7], "tensor([1.23, 0.00])"),
    ({"threshold": 5, "edgeitems": 1}, list(range(10)), "tensor([0,  ..., 9])"),
    ({"linewidth": 20}, list(range(10)), "tensor([0, 1, 2, 3,\n        4, 5, 6, 7,\n        8, 9])"),
    ({"profile": "short", "sci_mode": True}, [1.5], "tensor([1.50e+00])"),
]


@pytest.mark.parametrize("options, numbers, shown", OPTIONS)
def test_the_options_of_printing_are_pytorchs(options, numbers, shown):
    """What PyTorch 2.13 prints."""
    try:
        danlu.set_printoptions(**options)
        assert repr(danlu.tensor(numbers)) == shown
    finally:
        danlu.set_printoptions(profile="default")
    assert repr(danlu.tensor([1.23456])) == "tensor([1.2346])"

"""Networks for images: sizes, first values, files, messages; keys and outputs against PyTorch's (marked `oracle`)."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, MissingFileError
from danlu.nn import init
from danlu.nn.module import StateError
from danlu.vision import models
from danlu.vision.models.weights import COLLECTIONS

# torchvision's own tables of its models (and the sums of their layers in the papers).
PARAMETERS = {
    "alexnet": 61_100_840, "mobilenet_v2": 3_504_872, "mobilenet_v3_large": 5_483_032, "mobilenet_v3_small": 2_542_856,
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032,
    "resnet101": 44_549_160, "resnet152": 60_192_808, "wide_resnet50_2": 68_883_240, "vgg11": 132_863_336, "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848, "vgg13_bn": 133_053_736, "vgg16": 138_357_544, "vgg16_bn": 138_365_992, "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}  # fmt: skip


def small(stages=(1, 1, 1, 1), **options):
    """A ResNet of few blocks."""
    return models.ResNet(models.BasicBlock, stages, num_classes=3, **options)


@pytest.fixture
def undrawn(monkeypatch):
    """Weights stay 0: sizes and names do not depend on them."""
    monkeypatch.setattr(init, "_drawn", lambda op, tensor, *rest: tensor)


# ---- by name ---------------------------------------------------------------------------------------------------------------------


def test_models_by_name(undrawn):
    assert models.get_model("ResNet18", weights=None, num_classes=4).fc.out_features == 4
    assert models.list_models(include="vgg1*", exclude=["*_bn", "vgg19"]) == ["vgg11", "vgg13", "vgg16"]
    with pytest.raises(
        DataError, match=r"get_model: there is no model 'resnet20'; did you mean 'resnet50'\?; the names are alexnet, "
    ):
        models.get_model("resnet20")


# ---- sizes and names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_numbers_of_parameters(name, undrawn):
    assert sum(p.numel() for p in getattr(models, name)().parameters()) == PARAMETERS[name]


def test_every_function_is_in_the_table():
    assert {name for name in models.__all__ if name.islower()} == {*PARAMETERS, "get_model", "list_models"}
    assert models.list_models() == sorted(PARAMETERS)


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [
        ("resnet18", "layer1.0.bn1.num_batches_tracked", ()),
        ("resnet18", "layer2.0.downsample.0.weight", (128, 64, 1, 1)),
        ("resnet50", "layer1.0.downsample.1.running_var", (256,)),
        ("resnet50", "layer4.2.conv2.weight", (512, 512, 3, 3)),
        ("vgg11", "features.18.weight", (512, 512, 3, 3)),
        ("vgg16_bn", "features.41.running_mean", (512,)),
        ("vgg16_bn", "classifier.0.weight", (4096, 25088)),
        ("alexnet", "classifier.1.weight", (4096, 9216)),
        ("mobilenet_v2", "features.1.conv.0.0.weight", (32, 1, 3, 3)),
        ("mobilenet_v2", "features.17.conv.3.bias", (320,)),
        ("mobilenet_v2", "features.18.0.weight", (1280, 320, 1, 1)),
        ("mobilenet_v3_small", "features.1.block.1.fc1.weight", (8, 16, 1, 1)),
        ("mobilenet_v3_large", "features.15.block.3.1.running_mean", (160,)),
    ],
)
def test_names_and_shapes_of_torchvisions_files(name, key, shape, undrawn):
    assert tuple(getattr(models, name)().state_dict()[key].shape) == shape


def test_options(undrawn):
    assert small().fc.out_features == 3
    wide = models.ResNet(models.Bottleneck, (1, 1, 1, 1), groups=2, width_per_group=8)
    assert tuple(wide.layer1[0].conv2.weight.shape) == (16, 8, 3, 3)
    assert isinstance(small(norm_layer=nn.Identity).layer2[0].downsample[1], nn.Identity)
    assert models.vgg11(False, num_classes=4, dropout=0.1).classifier[2].p == 0.1
    assert models.MobileNetV2(width_mult=0.35, round_nearest=4).features[0][0].out_channels == 12
    assert models.mobilenet_v3_small(dropout=0.4).classifier[2].p == 0.4


def test_dilation_in_the_place_of_strides(undrawn):
    net = models.ResNet(models.Bottleneck, (1, 2, 1, 1), replace_stride_with_dilation=(False, True, True))
    assert net.layer3[0].conv2.stride == (1, 1) and net.layer3[0].conv2.dilation == (1, 1)
    assert net.layer4[0].conv2.dilation == (2, 2) and net.layer4[0].downsample[0].stride == (1, 1)
    x = net.layer3(net.layer2(danlu.zeros(1, 256, 8, 8)))
    assert tuple(x.shape) == (1, 1024, 4, 4) and tuple(net.layer4(x).shape) == (1, 2048, 4, 4)


# ---- first values ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet():
    return small((1, 2, 1, 1), zero_init_residual=True)


def test_convolutions_keep_the_variance_of_gradients(resnet):
    """He et al. 2015, eq. 14: std √(2 / fan_out)."""
    mobile = models.MobileNetV3([(3, 96, 128, True, "RE", 2)], 256)
    for conv in (m for m in (*resnet.modules(), *mobile.modules()) if isinstance(m, nn.Conv2d)):
        wanted = sqrt(2 / (conv.out_channels * conv.kernel_size[0] ** 2))
        n = conv.weight.numel()
        assert abs(conv.weight.detach().numpy().std() / wanted - 1) < 5 / sqrt(2 * n)
        assert conv.bias is None or not conv.bias.detach().numpy().any()


@pytest.mark.parametrize("net", [models.VGG(nn.Conv2d(3, 512, 3), 10), models.mobilenet_v3_small(num_classes=10)])
def test_linear_layers_of_vgg_and_mobilenet_begin_small(net):
    last = net.classifier[-1]
    assert abs(last.weight.detach().numpy().std() / 0.01 - 1) < 0.05 and not last.bias.detach().numpy().any()


def test_alexnet_and_resnets_last_layer_draw_as_layers_do(resnet):
    for last in (resnet.fc, models.AlexNet(3).classifier[6]):
        bound = 1 / sqrt(last.in_features)
        assert 0.9 * bound < np.abs(last.weight.detach().numpy()).max() <= bound
    plain = models.VGG(nn.Conv2d(3, 512, 3), 10, init_weights=False)
    assert all(layer.bias.detach().numpy().any() for layer in (plain.features, plain.classifier[6]))


def test_blocks_that_begin_as_the_identity(resnet):
    x = danlu.rand(2, 128, 4, 4)
    np.testing.assert_array_equal(resnet.layer2[1](x).detach().numpy(), x.numpy())
    assert models.BasicBlock(2, 2).bn2.weight.all()


# ---- forward and training --------------------------------------------------------------------------------------------------------


def test_a_basic_block_is_its_formula():
    block = models.BasicBlock(2, 2).eval()
    x = danlu.randn(1, 2, 5, 5)
    a, b = block.conv1.weight.detach().numpy(), block.conv2.weight.detach().numpy()

    def conv(x, w):  # [1, C, H, W] ∗ [O, C, 3, 3] at stride 1 and padding 1
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, w) / np.sqrt(1 + 1e-5)

    wanted = np.maximum(conv(np.maximum(conv(x.numpy(), a), 0), b) + x.numpy(), 0)
    np.testing.assert_allclose(block(x).detach().numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    net = nn.Sequential(
        models.Bottleneck(3, 2, 2, nn.Sequential(nn.Conv2d(3, 8, 1, 2), nn.BatchNorm2d(8))),
        models.InvertedResidual(8, 8, 1, 2), models.MobileBlock(8, 5, 16, 8, True, "HS", 1),
    )  # fmt: skip
    y = net(danlu.randn(2, 3, 12, 12))
    assert tuple(y.shape) == (2, 8, 6, 6)
    (y**3).sum().backward()
    grads = {name: p.grad.numpy() for name, p in net.named_parameters()}
    assert all(np.isfinite(g).all() for g in grads.values())
    assert [name for name, g in grads.items() if not g.any()] == []


# ---- files and messages ----------------------------------------------------------------------------------------------------------


def test_weights_from_a_file(tmp_path):
    net = models.mobilenet_v3_small(num_classes=4)
    danlu.save(net.state_dict(), tmp_path / "net.safetensors")
    again = models.mobilenet_v3_small(weights=str(tmp_path / "net.safetensors"), num_classes=4).state_dict()
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(again[key].numpy(), value.numpy())
    with pytest.raises(StateError, match=r"size mismatch for classifier.3.weight: the given tensor has shape \(4, 1024\)"):
        models.mobilenet_v3_small(weights=tmp_path / "net.safetensors")
    with pytest.raises(MissingFileError, match=r"there is no such file in .*did you mean 'net.safetensors'"):
        models.mobilenet_v3_small(weights=tmp_path / "net.safetensor")


def test_files_from_before_batches_were_counted(tmp_path, undrawn):
    old = {key: value for key, value in models.mobilenet_v2().state_dict().items() if "num_batches" not in key}
    danlu.save(old, tmp_path / "old")
    assert models.mobilenet_v2(weights=str(tmp_path / "old")).features[0][1].num_batches_tracked.item() == 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: models.resnet18(weights="IMAGENET1K_V1"),
            "resnet18: the weights asked for are 'IMAGENET1K_V1'; danlu downloads none: write weights=None, or save them with PyTorch, "
            "torch.save(model.state_dict(), 'resnet18.pt'), and write weights='resnet18.pt'",
        ),
        (
            lambda: models.resnet18(weights=models.ResNet18_Weights.DEFAULT),
            "the weights asked for are 'ResNet18_Weights.DEFAULT'; danlu downloads none: write weights=None, or save them",
        ),
        (lambda: models.vgg16(pretrained=True), "vgg16: the weights asked for are True; danlu downloads none"),
        (lambda: models.alexnet(True), "alexnet: the weights asked for are True; danlu downloads none"),
        (
            lambda: models.BasicBlock(4, 4, groups=2),
            "BasicBlock: groups is 2, base_width 64 and dilation 1; expected 1, 64 and 1: write Bottleneck",
        ),
        (
            lambda: small(replace_stride_with_dilation=[True]),
            "ResNet: replace_stride_with_dilation is [True]; expected three values, for layer2, layer3 and layer4",
        ),
        (lambda: models.InvertedResidual(4, 4, 3, 6), "InvertedResidual: stride is 3; expected 1 or 2"),
        (
            lambda: models.MobileNetV2(inverted_residual_setting=[(1, 16, 1)]),
            "MobileNetV2: inverted_residual_setting is [(1, 16, 1)]; expected rows (expansion, channels, blocks, stride)",
        ),
    ],
)
def test_messages(call, text):
    with pytest.raises(DataError) as caught:
        call()
    assert text in str(caught.value)


def test_an_option_that_is_not_there():
    with pytest.raises(TypeError, match="unexpected keyword argument 'num_clases'; did you mean 'num_classes'"):
        models.resnet18(num_clases=3)


# ---- PyTorch itself --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reference():
    pytest.importorskip("torch")
    import reference_models

    return reference_models


@pytest.mark.oracle
@pytest.mark.parametrize("name", PARAMETERS)
def test_keys_and_shapes_are_pytorchs(name, reference, undrawn):
    own = {key: tuple(value.shape) for key, value in getattr(models, name)().state_dict().items()}
    assert own == dict(reference.entries(name))


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "alexnet", "vgg11_bn"]
)
def test_outputs_are_pytorchs(name, reference, tmp_path, undrawn):
    """With PyTorch's weights and running statistics that are not 0 and 1: in evaluation, and (without dropout) in training.

    Training is compared in float64: normalised by the few numbers of the last stages, float32's rounding grows to 1e-4 in either.
    """
    torch = reference.torch
    torch.manual_seed(0)
    theirs = reference.make(name, 10)
    for key, value in theirs.state_dict().items():
        if "running" in key:
            value.uniform_(0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "net.pt")
    ours = getattr(models, name)(weights=tmp_path / "net.pt", num_classes=10)
    x = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype("f")
    wanted = theirs.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(danlu.tensor(x)).detach().numpy(), wanted, rtol=1e-4, atol=1e-4)
    for net in (theirs, ours):
        net.train().double()
        for module in net.modules():
            if type(module).__name__ == "Dropout":
                module.p = 0.0
    wanted = theirs(torch.from_numpy(x).double()).detach().numpy()
    np.testing.assert_allclose(ours(danlu.tensor(x).double()).detach().numpy(), wanted, rtol=1e-9, atol=1e-10)
    for (key, wanted), got in zip(theirs.state_dict().items(), ours.state_dict().values()):
        if "running" in key:
            np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-9, atol=1e-10)


def test_every_model_has_the_name_of_its_collection():
    assert sorted(name.removesuffix("_Weights").lower() for name in COLLECTIONS) == models.list_models()
    assert (
        models.VGG16_BN_Weights.IMAGENET1K_V1.name == "IMAGENET1K_V1"
        and models.resnet18(weights=None, num_classes=2).fc.out_features == 2
    )

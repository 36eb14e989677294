"""L8. Networks for images, with torchvision's names, shapes and state dicts. In a process of `danlu run` this is `torchvision.models`."""

from danlu.guidance import unknown
from danlu.vision.models.catalogue import get_model, list_models
from danlu.vision.models.mobile import (
    InvertedResidual,
    MobileBlock,
    MobileNetV2,
    MobileNetV3,
    SqueezeExcitation,
    mobilenet_v2,
    mobilenet_v3_large,
    mobilenet_v3_small,
)
from danlu.vision.models.plain import (
    VGG,
    AlexNet,
    alexnet,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from danlu.vision.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    wide_resnet50_2,
)
from danlu.vision.models.weights import COLLECTIONS

globals().update(COLLECTIONS)
__getattr__ = unknown(__name__, globals())

__all__ = [
    "VGG",
    "AlexNet",
    "BasicBlock",
    "Bottleneck",
    "InvertedResidual",
    "MobileBlock",
    "MobileNetV2",
    "MobileNetV3",
    "ResNet",
    "SqueezeExcitation",
    "alexnet",
    "get_model",
    "list_models",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
]

"""L8. First values of the models: drawn, or read from the file that `weights=` names. Nothing is downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from danlu.errors import DataError
from danlu.files import load
from danlu.nn import Conv2d, Linear, Module, init

M = TypeVar("M", bound=Module)
# The names of torchvision's collections, so that scripts can import them: a model that is asked for one says what to do instead.
COLLECTIONS = {
    f"{name}_Weights": Enum(f"{name}_Weights", ["DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2"])
    for name in [
        "AlexNet", "MobileNet_V2", "MobileNet_V3_Large", "MobileNet_V3_Small", "ResNet18", "ResNet34", "ResNet50", "ResNet101",
        "ResNet152", "VGG11", "VGG11_BN", "VGG13", "VGG13_BN", "VGG16", "VGG16_BN", "VGG19", "VGG19_BN", "Wide_ResNet50_2",
    ]
}  # fmt: skip


def built(name: str, make: Callable[[], M], pretrained: Any, weights: Any) -> M:
    """A model as it is drawn, or with the state dict of a file.

    Raises:
        DataError: weights that are neither None nor the path of a file: those of a peer's collection are not downloaded.
        StateError: a file whose state does not fit the model.
    """
    asked = (pretrained or None) if weights is None else weights
    if asked is None:
        return make()
    if not _is_path(asked):
        raise DataError(
            "{name}: the weights asked for are {asked!r}; danlu downloads none: write weights=None, or save them with PyTorch, "
            "torch.save(model.state_dict(), '{name}.pt'), and write weights='{name}.pt'",
            name=name,
            asked=str(asked) if isinstance(asked, Enum) else asked,
        )
    net = make()
    net.load_state_dict(load(asked))
    return net


def _is_path(asked: Any) -> bool:
    """Whether a value names a file; names of collections ("DEFAULT") have no ending."""
    return isinstance(asked, os.PathLike) or (isinstance(asked, str) and (Path(asked).suffix != "" or Path(asked).is_file()))


def draw(net: Module, linear: bool = False) -> None:
    """Convolutions normal with std √(2 / fan_out) and bias 0 (He et al. 2015, eq. 14); with `linear`, linear layers normal with std 0.01 and
    bias 0 as well."""
    for module in net.modules():
        if isinstance(module, Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif linear and isinstance(module, Linear):
            init.normal_(module.weight, 0.0, 0.01)
        else:
            continue
        if module.bias is not None:
            init.zeros_(module.bias)


__all__ = ["COLLECTIONS", "built", "draw"]

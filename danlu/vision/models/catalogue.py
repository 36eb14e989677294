"""L8. The models by their names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from danlu.errors import DataError
from danlu.guidance import meant
from danlu.nn import Module
from danlu.vision.models import mobile, plain, resnet

MODELS = {
    name: getattr(module, name)
    for module in (mobile, plain, resnet)
    for name in vars(module)
    if name.startswith(("alexnet", "mobilenet", "resnet", "vgg", "wide_resnet"))
}


def get_model(name: str, **config: Any) -> Module:
    """The model of a name, made with these options.

    Raises: DataError for a name that is none of `list_models()`.

    >>> from danlu.vision.models import get_model
    >>> get_model("resnet18", num_classes=10).fc
    Linear(in_features=512, out_features=10, bias=True)
    """
    found = MODELS.get(name.lower())
    if found is None:
        raise DataError(
            "get_model: there is no model {name!r}{near}; the names are {names}",
            name=name,
            near=meant(name, list(MODELS)),
            names=", ".join(sorted(MODELS)),
        )
    return found(**config)


def list_models(
    module: Any = None, include: str | Iterable[str] | None = None, exclude: str | Iterable[str] | None = None
) -> list[str]:
    """The names of the models, in order; include and exclude are patterns ("resnet*").

    >>> from danlu.vision.models import list_models
    >>> list_models(include="resnet*")
    ['resnet101', 'resnet152', 'resnet18', 'resnet34', 'resnet50']
    """

    def fits(name: str, patterns: str | Iterable[str]) -> bool:
        return any(fnmatchcase(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))

    return sorted(n for n in MODELS if (include is None or fits(n, include)) and not (exclude and fits(n, exclude)))

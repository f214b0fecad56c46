"""Three small classifiers of ShapeScenes: residual, plain, and attention.

They are timm's own classes in small sizes, so all code for timm networks works with them. Their weights come with the
project; ``camlab train-shapes`` trains them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from camlab.common.directories import ASSETS
from camlab.common.errors import MissingWeights
from camlab.common.registry import Registry
from camlab.images.scenes.scenes import CLASSES
from camlab.models.own.signature import digest_of_values

if TYPE_CHECKING:
    from torch import Tensor, nn

FOLDER = ASSETS / "models"
SIDE = 128
"""Side of the square input, pixels."""
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@dataclass(frozen=True)
class ShapeNet:
    """One architecture: ``parameters`` counts trainable weights, ``skeleton`` builds it with random weights.

    ``classifier`` names its last layer; ``any_size``: it also takes pictures of other sizes. ``learning_rate``,
    ``close_epochs`` and ``epochs`` are its training settings (see `camlab.models.shape_training.Settings`).
    """

    name: str
    title: str
    summary: str
    parameters: int
    skeleton: Callable[[], nn.Module]
    classifier: str
    any_size: bool = True
    learning_rate: float = 2e-3
    close_epochs: int = 4
    epochs: int = 2


SHAPE_NETS: Registry[ShapeNet] = Registry("ShapeScenes network")


def _resnet() -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet

    block: Any = BasicBlock  # timm's annotation says block, but it takes the class
    net = ResNet(
        block,
        (1, 1, 1, 1),
        num_classes=len(CLASSES),
        output_stride=16,
        stem_type="deep",
        stem_width=8,
        channels=(24, 48, 96, 128),
    )
    return cast("nn.Module", net)


def _vgg() -> nn.Module:
    from timm.layers.classifier import ClassifierHead
    from timm.models.vgg import VGG
    from torch import nn

    layers = [8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 128, 128]
    net: Any = VGG(layers, num_classes=0, norm_layer=nn.BatchNorm2d, mlp_ratio=1 / 4096)
    # The fully connected layers of VGG hold nearly all of its weights. As in the paper that introduced class
    # activation maps (Zhou et al. 2016, arXiv 1512.04150), a global mean and one linear layer replace them.
    net.pre_logits = nn.Identity()
    net.num_features = net.head_hidden_size = 128
    net.num_classes = len(CLASSES)
    net.head = ClassifierHead(128, len(CLASSES), pool_type="avg")
    nn.init.normal_(net.head.fc.weight, std=0.01)
    nn.init.zeros_(net.head.fc.bias)
    return cast("nn.Module", net)


def _vit() -> nn.Module:
    from timm.layers.hybrid_embed import HybridEmbed
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.vision_transformer_hybrid import ConvStem

    # A few convolutions come before the tokens: a transformer learns much faster from them than from raw patches
    # (Xiao et al. 2021, arXiv 2106.14881). Each position of the stem's last map, 16 pixels apart, is a token.
    stem = ConvStem(depth=6, channels=(12, 24, 24, 48, 48, 96), kernel_size=3, stride=(2, 2, 1, 2, 1, 2), padding=1)
    net = VisionTransformer(
        img_size=SIDE,
        patch_size=1,
        num_classes=len(CLASSES),
        embed_dim=96,
        depth=3,
        num_heads=4,
        mlp_ratio=2,
        global_pool="token",
        embed_layer=partial(HybridEmbed, backbone=stem),
    )
    return cast("nn.Module", net)


for _net in (
    ShapeNet(
        name="shapes_resnet",
        title="ShapeScenes ResNet",
        summary="A small residual network that knows ten shapes; its last map has 8 × 8 cells.",
        parameters=445_714,
        skeleton=_resnet,
        classifier="fc",
    ),
    ShapeNet(
        name="shapes_vgg",
        title="ShapeScenes VGG",
        summary="A plain stack of convolutions with a global mean at its end, as in the first paper on CAMs.",
        parameters=294_378,
        skeleton=_vgg,
        classifier="head.fc",
    ),
    ShapeNet(
        name="shapes_vit",
        title="ShapeScenes ViT",
        summary="A small vision transformer with a class token and 8 × 8 tokens for the picture.",
        parameters=322_246,
        skeleton=_vit,
        classifier="head",
        any_size=False,
        learning_rate=1.5e-3,
        close_epochs=10,
        epochs=4,
    ),
):
    SHAPE_NETS.add(_net.name, _net)


def pretrained_cfg(name: str) -> dict[str, Any]:
    """Return the timm configuration of one of these networks: input, preprocessing, names of layers."""
    net = SHAPE_NETS[name]
    return {
        "architecture": name,
        "num_classes": len(CLASSES),
        "input_size": (3, SIDE, SIDE),
        "fixed_input_size": not net.any_size,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "mean": MEAN,
        "std": STD,
        "classifier": net.classifier,
    }


def build(name: str, folder: Path | None = None) -> nn.Module:
    """Build the network ``name`` with its weights, in eval mode, float32, on the CPU; it has a ``pretrained_cfg``.

    Raises UnknownName, and MissingWeights if its file is missing in ``folder`` (default: the project's own) or
    has changed since it was saved.
    """
    net = SHAPE_NETS[name]
    path = (folder or FOLDER) / f"{name}.safetensors"
    again = f"run `camlab train-shapes --net {name}` to train them again, or reinstall CAM Lab."
    if not path.is_file():
        raise MissingWeights(f"The weights of {net.title} are missing ({path.name}); {again}")

    import torch
    from safetensors import SafetensorError, safe_open

    with torch.device("meta"):
        module = net.skeleton()
    try:
        with safe_open(path, framework="pt") as stored:
            digest = (stored.metadata() or {}).get("digest")
            state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - no mapping
        if digest != digest_of_values(sorted(state.items())):
            raise ValueError("digest")
        state = {key: t.float() if t.is_floating_point() else t for key, t in state.items()}
        module.load_state_dict(state, strict=True, assign=True)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise MissingWeights(f"The weights of {net.title} are damaged ({path.name}); {again}") from error
    for parameter in module.parameters():
        parameter.requires_grad_(True)
    cast("Any", module).pretrained_cfg = pretrained_cfg(name)
    return module.eval()


def save(name: str, state: Mapping[str, Tensor], path: Path) -> None:
    """Write weights: matrices and kernels in half precision, the rest unchanged, with a digest of all."""
    from safetensors.torch import save as to_bytes

    stored = {key: compact(t).contiguous().cpu() for key, t in state.items()}
    digest = digest_of_values(sorted(stored.items()))
    path.write_bytes(to_bytes(stored, metadata={"net": name, "digest": digest}))


def compact(tensor: Tensor) -> Tensor:
    """Return the stored form of a tensor: float16 if it has two or more dimensions and holds real numbers."""
    return tensor.detach().half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor.detach()

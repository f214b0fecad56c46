"""Our maps against pytorch-grad-cam's; where it leaves the paper, against the library put right."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.families import random_classifier
from camlab.cams import CAMS, SharedPass, scale_maps, shared_pass
from camlab.images import find_picture
from camlab.models import MODELS, load_classifier
from tests.cams.conftest import picture_batch
from tests.cams.oracle import (
    CORRECTED,
    SHIPPED,
    ablation_maps,
    at_input_size,
    library_maps,
    light_maps,
    score_maps,
)

PICTURES = 12
#: Four of them, of which the library turns two Eigen-CAMs and two Eigen-Grad-CAMs upside down.
SOME = (1, 5, 7, 8)
#: Not a bound of rounding. The library adds 1e-7 to a raw map's range, near 1e-3 at the pooled layer and less for some
#: pictures, which moves a map by some 1e-4; float32 comes on top, through networks of fifty layers. A method's error
#: moves maps by 0.01 and more, as the tests of what the library ships show.
CLOSE = 1e-3


def _pass(model: str, layer: str, pictures: Tensor) -> SharedPass:
    classifier = load_classifier(model, "cpu")
    layer = classifier.resolve_layer(layer)
    return shared_pass(classifier, layer, pictures, [None] * len(pictures), ["k"] * len(pictures), chunk=64)


def _ours(name: str, shared: SharedPass) -> np.ndarray:
    maps, degenerate = scale_maps(CAMS[name].apply(shared))
    assert not degenerate.any()
    height, width = shared.inputs.shape[-2:]
    return at_input_size(maps, (height, width))


@cache
def _theirs(model: str, layer: str, rows: tuple[int, ...], dtype: torch.dtype) -> dict[str, np.ndarray]:
    """The library's maps of some pictures, corrected under a method's name and shipped under "shipped " and it."""
    classifier = load_classifier(model, "cpu")
    inputs = classifier.normalise(picture_batch(model, PICTURES)[list(rows)]).to(dtype)
    kinds = CORRECTED | {f"shipped {name}": kind for name, kind in SHIPPED.items()}
    return light_maps(MODELS[model].build().to(dtype), classifier.resolve_layer(layer), inputs, kinds)


def _apart(model: str, layer: str, rows: tuple[int, ...], name: str, *ours: np.ndarray) -> np.ndarray:
    """The worst pixel of each picture (candidate, picture), against whichever of the library's precisions is nearer.

    Where an activation lies within rounding of a ReLU's corner the gradient jumps from one to the other, and
    the library differs from itself: a machine's kernels decide on which side float32 comes to lie. So float64 is
    asked where float32 is like none of `ours`, which may happen to half of the pictures.
    """

    def distances(dtype: torch.dtype) -> np.ndarray:
        theirs = _theirs(model, layer, rows, dtype)[name]
        return np.stack([np.abs(theirs - maps).max(axis=(1, 2)) for maps in ours])

    found = distances(torch.float32)
    corner = found.min(axis=0) > CLOSE
    if corner.any():
        assert corner.mean() <= 0.5, f"most pictures lie on no corner: {name} {found}"
        found = np.where(corner, distances(torch.float64), found)
    return found


@pytest.mark.parametrize(
    ("model", "layer", "rows"),
    [
        ("efficientnet_lite0", "bn2", SOME),
        ("efficientnet_lite0", "blocks[-1]", SOME),
        ("efficientnet_lite1", "bn2", SOME[:2]),
        ("efficientnet_lite2", "bn2", SOME[2:]),
    ],
)
def test_light_methods_equal_the_library(model: str, layer: str, rows: tuple[int, ...]) -> None:
    shared = _pass(model, layer, picture_batch(model, PICTURES)[list(rows)])
    apart = {name: float(_apart(model, layer, rows, name, _ours(name, shared)).max()) for name in CORRECTED}
    assert max(apart.values()) <= CLOSE, apart


def test_a_chosen_class_equals_the_library() -> None:
    model, goals = "efficientnet_lite0", [3, 281]
    classifier = load_classifier(model, "cpu")
    shared = shared_pass(classifier, "blocks.6", picture_batch(model, PICTURES)[:2], goals, ["k"] * 2)
    network = MODELS[model].build()
    for name in ("gradcam", "hirescam", "layercam", "eigengradcam"):
        theirs = library_maps(CORRECTED[name], network, "blocks.6", shared.inputs, goals)
        assert np.abs(theirs - _ours(name, shared)).max() <= CLOSE, name


def test_the_library_as_shipped_differs_by_its_epsilon() -> None:
    # At the pooled layer a gradient is w/49, near 1e-3: its square is near 1e-6, the library's ε.
    model = "efficientnet_lite0"
    shared = _pass(model, "bn2", picture_batch(model, PICTURES)[list(SOME)])
    squares = shared.grads.square()
    assert 1e-8 < float(squares[squares > 0].median()) < 1e-5
    theirs = _theirs(model, "bn2", SOME, torch.float32)["shipped gradcam++"]
    assert np.abs(theirs - _ours("gradcam++", shared)).max() > 10 * CLOSE


@pytest.mark.parametrize("name", ["eigencam", "eigengradcam"])
def test_the_library_as_shipped_differs_by_the_sign_alone(name: str) -> None:
    model, layer = "efficientnet_lite0", "blocks[-1]"
    shared = _pass(model, layer, picture_batch(model, PICTURES)[list(SOME)])
    turned = at_input_size(scale_maps(-CAMS[name].apply(shared))[0], (224, 224))
    apart = _apart(model, layer, SOME, f"shipped {name}", _ours(name, shared), turned)
    # Each picture is like ours or like ours upside down, and both happen.
    assert (apart.min(axis=0) <= CLOSE).all()
    assert (apart[0] > 0.3).any() and (apart[0] <= CLOSE).any()


@pytest.mark.parametrize("layer", ["blocks.3", "blocks.4"])
def test_ablationcam_at_a_signed_layer_equals_the_library_put_right(layer: str) -> None:
    # The minimum of these layers is below 0, so the library does not zero a channel but writes min − 1e7. One of them
    # takes a pass a channel, the other, before a 1 × 1 convolution and the pooling, an update a channel.
    classifier = random_classifier("test_efficientnet")
    assert (classifier.pointwise_head(layer) is None) == (layer == "blocks.3")
    picture = classifier.preprocess(find_picture("photos/bison").load())[None]
    shared = shared_pass(classifier, layer, picture, [None], ["k"], chunk=64)
    assert float(shared.activations.min()) < 0
    ours = _ours("ablationcam", shared)
    right, shipped = (
        ablation_maps(random_classifier("test_efficientnet").module, layer, shared.inputs, zeroing=zeroing)
        for zeroing in (True, False)
    )
    assert np.abs(right - ours).max() <= CLOSE
    assert np.abs(shipped - ours).max() > 0.1


def test_ablationcam_at_the_pooled_layer_equals_the_library() -> None:
    # Here the minimum is 0 and the library does zero: a full pass a channel against our closed form.
    model = "shapes_resnet"
    shared = _pass(model, "layer4.0", picture_batch(model, PICTURES)[:2])
    assert float(shared.activations.min()) == 0
    theirs = ablation_maps(MODELS[model].build(), "layer4.0", shared.inputs, zeroing=False)
    assert np.abs(theirs - _ours("ablationcam", shared)).max() <= CLOSE


def test_scorecam_equals_the_library() -> None:
    model = "shapes_vgg"
    prepare = load_classifier(model, "cpu").preprocess
    pictures = torch.stack([prepare(find_picture(f"shapes/0-{i}").load()) for i in range(2)])
    shared = _pass(model, "features.27", pictures)
    constant = (shared.activations.flatten(2).amax(2) == shared.activations.flatten(2).amin(2)).sum()
    assert int(constant) > 0  # the shortcut for constant channels is really taken
    theirs = score_maps(MODELS[model].build(), "features.27", shared.inputs)
    assert np.abs(theirs - _ours("scorecam", shared)).max() <= CLOSE

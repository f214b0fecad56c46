"""Our maps against pytorch-grad-cam's; where it leaves the paper, against the library put right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.cams import CAMS, SharedPass, scale_maps, shared_pass
from camlab.images import find_picture
from camlab.models import MODELS, load_classifier
from tests.cams.oracle import (
    CORRECTED,
    SHIPPED,
    ablation_maps,
    at_input_size,
    library_maps,
    light_maps,
    score_maps,
)

Batch = Callable[[str, int], Tensor]
PICTURES = 12
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


def _apart(single: np.ndarray, double: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """The worst pixel of each picture, held against whichever of the library's two precisions is nearer.

    Where an activation lies within rounding of a ReLU's corner the gradient jumps from one to the other, and
    the library differs from itself: a machine's kernels decide on which side float32 comes to lie.
    """
    worst = [np.abs(theirs - ours).max(axis=(1, 2)) for theirs in (single, double)]
    assert np.median(np.abs(single - double).max(axis=(1, 2))) <= CLOSE, "most pictures lie on no corner"
    closest: np.ndarray = np.minimum(*worst)
    return closest


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("efficientnet_lite0", "bn2"),
        ("efficientnet_lite0", "blocks[-1]"),
        ("efficientnet_lite1", "bn2"),
        ("efficientnet_lite2", "bn2"),
    ],
)
def test_light_methods_equal_the_library(batch: Batch, model: str, layer: str) -> None:
    shared = _pass(model, layer, batch(model, PICTURES))
    network = MODELS[model].build()
    single = light_maps(network, shared.layer, shared.inputs)
    double = light_maps(network.double(), shared.layer, shared.inputs.double())
    apart = {name: float(_apart(single[name], double[name], _ours(name, shared)).max()) for name in CORRECTED}
    assert max(apart.values()) <= CLOSE, apart


def test_a_chosen_class_equals_the_library(batch: Batch) -> None:
    model, goals = "efficientnet_lite0", [3, 281, 500]
    classifier = load_classifier(model, "cpu")
    shared = shared_pass(classifier, "blocks.6", batch(model, PICTURES)[:3], goals, ["k"] * 3)
    network = MODELS[model].build()
    for name in ("gradcam", "hirescam", "layercam", "eigengradcam"):
        theirs = library_maps(CORRECTED[name], network, "blocks.6", shared.inputs, goals)
        assert np.abs(theirs - _ours(name, shared)).max() <= CLOSE, name


def test_the_library_as_shipped_differs_by_its_epsilon(batch: Batch) -> None:
    # At the pooled layer a gradient is w/49, near 1e-3: its square is near 1e-6, the library's ε.
    shared = _pass("efficientnet_lite0", "bn2", batch("efficientnet_lite0", PICTURES))
    squares = shared.grads.square()
    assert 1e-8 < float(squares[squares > 0].median()) < 1e-5
    theirs = library_maps(SHIPPED["gradcam++"], MODELS["efficientnet_lite0"].build(), "bn2", shared.inputs)
    assert np.abs(theirs - _ours("gradcam++", shared)).max() > 10 * CLOSE


@pytest.mark.parametrize("name", ["eigencam", "eigengradcam"])
def test_the_library_as_shipped_differs_by_the_sign_alone(batch: Batch, name: str) -> None:
    shared = _pass("efficientnet_lite0", "blocks[-1]", batch("efficientnet_lite0", PICTURES))
    network = MODELS["efficientnet_lite0"].build()
    single = library_maps(SHIPPED[name], network, "blocks.6", shared.inputs)
    double = library_maps(SHIPPED[name], network.double(), "blocks.6", shared.inputs.double())
    # The two precisions may come to different signs.
    same = np.abs(single - double).max(axis=(1, 2)) < 0.3
    double = np.where(same[:, None, None], double, single)
    apart = _apart(single, double, _ours(name, shared))
    height, width = shared.inputs.shape[-2:]
    turned = at_input_size(scale_maps(-CAMS[name].apply(shared))[0], (height, width))
    apart_turned = _apart(single, double, turned)
    # Each picture is like ours or like ours upside down, and both happen.
    assert (np.minimum(apart, apart_turned) <= CLOSE).all()
    assert (apart > 0.3).any() and (apart <= CLOSE).any()


def test_ablationcam_at_a_signed_layer_equals_the_library_put_right(batch: Batch) -> None:
    # The minimum of this layer is below 0, so the library does not zero a channel but writes min − 1e7.
    model = "efficientnet_lite0"
    shared = _pass(model, "blocks[-1]", batch(model, PICTURES)[:1])
    assert float(shared.activations.min()) < 0
    ours = _ours("ablationcam", shared)
    right = ablation_maps(MODELS[model].build(), "blocks.6", shared.inputs, zeroing=True)
    assert np.abs(right - ours).max() <= CLOSE
    shipped = ablation_maps(MODELS[model].build(), "blocks.6", shared.inputs, zeroing=False)
    assert np.abs(shipped - ours).max() > 0.1


def test_ablationcam_at_the_pooled_layer_equals_the_library(batch: Batch) -> None:
    # Here the minimum is 0 and the library does zero: a full pass a channel against our closed form.
    model = "shapes_resnet"
    shared = _pass(model, "layer4.0", batch(model, PICTURES)[:2])
    assert float(shared.activations.min()) == 0
    theirs = ablation_maps(MODELS[model].build(), "layer4.0", shared.inputs, zeroing=False)
    assert np.abs(theirs - _ours("ablationcam", shared)).max() <= CLOSE


def test_scorecam_equals_the_library() -> None:
    model = "shapes_vgg"
    prepare = load_classifier(model, "cpu").preprocess
    pictures = torch.stack([prepare(find_picture(f"shapes/0-{i}").load()) for i in range(3)])
    shared = _pass(model, "features.27", pictures)
    constant = (shared.activations.flatten(2).amax(2) == shared.activations.flatten(2).amin(2)).sum()
    assert int(constant) > 0  # the shortcut for constant channels is really taken
    theirs = score_maps(MODELS[model].build(), "features.27", shared.inputs)
    assert np.abs(theirs - _ours("scorecam", shared)).max() <= CLOSE

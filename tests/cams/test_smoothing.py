"""Smoothing: the library's options as the oracle, and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.cams.smoothing import Smoothing, eigen_smoothed, smoothed, variants
from camlab.common.errors import BadSetting, Cancelled
from camlab.engine.shared import model_input
from camlab.images import find_picture
from camlab.models import load_classifier
from tests.cams.stub import Stub, random_pictures, run, signed_stub
from tests.rounding import DOUBLE, ROUNDED_ONCE, apart, chain_bound, sum_bound

KINDS = {"gradcam": GradCAM, "xgradcam": XGradCAM, "hirescam": HiResCAM, "layercam": LayerCAM}
KEYS = ["a", "b", "c"]
#: What the library adds to a map's maximum before it divides by it.
EPSILON = 1e-7


class Network(torch.nn.Module):
    """The stub as the library wants it: one module, its parameters with gradients."""

    def __init__(self, stub: Stub) -> None:
        super().__init__()
        self.head, self.tail = stub.split
        self.requires_grad_(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tail(self.head(x))  # type: ignore[no-any-return]


def library(name: str, x: torch.Tensor, targets: list[int], **options: bool) -> np.ndarray:
    """The library's maps at the layer's own resolution (its target size), from a network in float64."""

    class AtTheLayer(KINDS[name]):  # type: ignore[valid-type, misc]  # a class chosen by name
        def get_target_width_height(self, _: Any) -> tuple[int, int]:
            return 5, 6

    stub = signed_stub().double()
    network = Network(stub)
    with AtTheLayer(network, [network.head]) as cam:
        goals = [ClassifierOutputTarget(t) for t in targets]
        found: np.ndarray = cam(input_tensor=stub.normalise(x), targets=goals, **options)
    return found


def scaled(raw: torch.Tensor) -> np.ndarray:
    return scale_maps(raw)[0].numpy()


def library_bound(raw: torch.Tensor) -> float:
    """For the library's maps beside ours, given raw maps (N, h, w) in float64.

    The library divides by range + ε instead of the range, a relative error of at most ε / range, then once more with
    the range 1. Beside that it rounds to float32 at most eight times on the way: to resize, scale, mirror and average.
    """
    positive = raw.clamp(min=0).flatten(1)
    span = float((positive.amax(dim=1) - positive.amin(dim=1)).min())
    return EPSILON / span + EPSILON + float(chain_bound(8, 1.0))


@pytest.mark.parametrize("name", KINDS)
def test_augmentation_equals_the_library(name: str) -> None:
    x, goals, stub = random_pictures(3).double(), [0, 3, 1], signed_stub().double()
    ours = smoothed(stub, "cut", x, goals, KEYS, CAMS[name], Smoothing(augment=True))
    theirs = library(name, x, goals, aug_smooth=True)
    pictures = [variant.pictures for variant in variants(stub, x, KEYS, Smoothing(augment=True))]
    raw = torch.cat([CAMS[name].apply(run(stub, each, [*goals])) for each in pictures])
    assert apart(ours, theirs).max() <= library_bound(raw) < 1e-4
    assert np.abs(scaled(ours) - scaled(CAMS[name].apply(run(stub, x, [*goals])))).max() > 0.01


@pytest.mark.parametrize("name", KINDS)
def test_eigen_smoothing_equals_the_library_but_for_the_sign(name: str) -> None:
    x, goals, stub = random_pictures(3).double(), [0, 3, 1], signed_stub().double()
    ours = smoothed(stub, "cut", x, goals, KEYS, CAMS[name], Smoothing(eigen=True))
    theirs = library(name, x, goals, eigen_smooth=True)
    for row in range(3):
        up, down = scaled(ours[row : row + 1])[0], scaled(-ours[row : row + 1])[0]
        bound = library_bound(torch.stack([ours[row], -ours[row]]))
        assert min(apart(up, theirs[row]).max(), apart(down, theirs[row]).max()) <= bound < 1e-4
        plain = CAMS[name].apply(run(stub, x, [*goals]))[row].numpy()
        assert np.corrcoef(ours[row].numpy().ravel(), plain.ravel())[0, 1] > 0


def test_the_sign_is_not_taken_from_rounding() -> None:
    """Behind a layer norm HiResCAM's terms add up to rounding, which another batch rounds otherwise."""
    classifier = load_classifier("shapes_vit", "cpu")
    pictures = torch.stack([model_input(classifier, find_picture(f"shapes/{i}-0")) for i in range(5)])
    smooth = eigen_smoothed(CAMS["hirescam"])
    shared = shared_pass(classifier, "blocks.1", pictures, [None] * 5, ["k"] * 5)
    assert not CAMS["hirescam"].apply(shared).any()
    together, _ = scale_maps(smooth(shared))
    for row in range(5):
        one = shared_pass(classifier, "blocks.1", pictures[row : row + 1], [None], ["k"])
        alone, degenerate = scale_maps(smooth(one))
        # In float32, as it is about its rounding. 1e-3 is for the network's, which nothing bounds well; a map
        # upside down would be further away than 0.1.
        assert not degenerate.any() and torch.allclose(alone[0], together[row], atol=1e-3)


def test_the_terms_of_every_method_add_up_to_its_map() -> None:
    shared = run(signed_stub(), random_pictures(2))
    with_terms = {name: method.terms for name, method in CAMS.items() if method.terms is not None}
    assert {*KINDS, "gradcam++", "ablationcam", "scorecam", "cfcam", "randomcam"} <= set(with_terms)
    for name, terms in with_terms.items():
        parts = terms(shared)
        assert parts.shape == shared.activations.shape
        assert (apart(parts.sum(dim=1), CAMS[name].apply(shared)) <= sum_bound(parts, axis=1)).all(), name


@pytest.mark.parametrize("smoothing", [Smoothing(noisy=4, sigma=0.2), Smoothing(True, True, 2, 0.1)])
def test_equals_the_mean_over_the_variants_one_by_one(smoothing: Smoothing) -> None:
    stub, x = signed_stub().double(), random_pictures(3).double()
    found = smoothed(stub, "cut", x, [None, 2, None], KEYS, CAMS["gradcam"], smoothing)
    own = run(stub, x).targets.tolist()
    goals = [own[0], 2, own[2]]
    explain = eigen_smoothed(CAMS["gradcam"]) if smoothing.eigen else CAMS["gradcam"].apply
    for row in range(3):
        maps = []
        for variant in variants(stub, x[row : row + 1], [KEYS[row]], smoothing):
            shared = shared_pass(stub, "cut", variant.pictures, [goals[row]], [KEYS[row]])
            map_ = scaled(explain(shared))[0]
            maps.append(map_[:, ::-1] if variant.mirrored else map_)
        assert len(maps) == smoothing.passes
        # Each map is rounded to float32, their mean taken in float64.
        assert apart(found[row], np.mean(maps, axis=0, dtype=np.float64)).max() <= ROUNDED_ONCE


def test_copies_have_the_noise_that_was_asked_for_and_each_its_own() -> None:
    x = torch.full((2, 3, 64, 64), 0.5)
    copies = [v.pictures - x for v in variants(signed_stub(), x, ["a", "b"], Smoothing(noisy=3, sigma=0.1))]
    every = torch.cat(copies)
    # Statistics of 73,728 draws: four standard errors of a deviation, three of a mean.
    assert abs(float(every.std()) - 0.1) < 0.001 and abs(float(every.mean())) < 0.001
    apart = torch.corrcoef(every.flatten(1)) - torch.eye(6)
    assert float(apart.abs().max()) < 0.05
    again = list(variants(signed_stub(), x[1:], ["b"], Smoothing(noisy=3, sigma=0.1)))
    assert torch.equal(again[2].pictures[0] - x[1], copies[2][1])


def test_intensity_is_that_of_the_normalised_picture() -> None:
    stub, x = signed_stub().double(), random_pictures(1).double()
    found = [v.pictures for v in variants(stub, x, ["a"], Smoothing(augment=True))]
    wanted = [f * stub.normalise(y) for y in (x, x.flip(-1)) for f in (0.9, 1.0, 1.1)]
    for ours, theirs in zip(found, wanted, strict=True):
        assert apart(stub.normalise(ours), theirs).max() <= DOUBLE


def test_without_smoothing_the_map_is_the_methods_own() -> None:
    stub, x = signed_stub(), random_pictures(2)
    for name in ("gradcam", "eigencam", "randomcam"):
        found = smoothed(stub, "cut", x, [None, 1], KEYS[:2], CAMS[name], Smoothing())
        shared = shared_pass(stub, "cut", x, [None, 1], KEYS[:2])
        assert torch.equal(found, CAMS[name].apply(shared))


@pytest.mark.parametrize(
    ("smoothing", "passes"), [((False, False, 0), 1), ((True, True, 0), 6), ((False, True, 5), 30)]
)
def test_cost(smoothing: tuple[bool, bool, int], passes: int) -> None:
    assert Smoothing(*smoothing).passes == passes


@pytest.mark.parametrize("bad", [{"noisy": -1}, {"noisy": 201}, {"noisy": 2, "sigma": 0}, {"noisy": 2, "sigma": 1.5}])
def test_what_cannot_be_is_said(bad: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match="choose"):
        Smoothing(**bad)


def test_a_method_without_terms_cannot_be_eigen_smoothed() -> None:
    with pytest.raises(BadSetting, match="Eigen-CAM has no weighted channels"):
        smoothed(signed_stub(), "cut", random_pictures(1), [0], ["a"], CAMS["eigencam"], Smoothing(eigen=True))


def test_stops_between_passes() -> None:
    calls = [0]

    def check() -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        smoothed(
            signed_stub(),
            "cut",
            random_pictures(1),
            [0],
            ["a"],
            CAMS["gradcam"],
            Smoothing(noisy=9),
            check=check,
        )
    assert calls[0] == 3

"""Smooth a method's map: by its first principal component, or by the mean over augmented or noisy pictures."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from camlab.cams.base import CamMethod, Explainable, SharedPass, never, shared_pass
from camlab.cams.eigen import first_component
from camlab.cams.scaling import scale_maps, uncancelled
from camlab.common.errors import BadSetting
from camlab.common.torch_state import pinned_torch
from camlab.models.preprocessing import mean_colour

#: The factors of the normalised picture in test-time augmentation, each used unmirrored and mirrored.
INTENSITIES = (0.9, 1.0, 1.1)
#: Part of the cache keys: raise it when `smoothed` returns different maps.
SMOOTHING_VERSION = 2
#: The largest number of noisy copies: beyond it the mean hardly moves.
MOST_COPIES = 200


@dataclass(frozen=True)
class Smoothing:
    """The settings of smoothing. Raises BadSetting for copies or a sigma out of range.

    eigen: replace the sum of the map's terms by their first principal component; augment: average the maps of the
    picture and its mirror image at intensities 0.9, 1 and 1.1 (pytorch-grad-cam's aug_smooth); noisy: average over
    this number of copies with Gaussian noise of standard deviation ``sigma``, in units of the pictures' range [0, 1]
    (after SmoothGrad, Smilkov et al. 2017, arXiv 1706.03825); 0 switches it off.
    """

    eigen: bool = False
    augment: bool = False
    noisy: int = 0
    sigma: float = 0.15

    def __post_init__(self) -> None:
        if not 0 <= self.noisy <= MOST_COPIES:
            raise BadSetting(f"{self.noisy} noisy copies cannot be averaged; choose 0 to {MOST_COPIES}.")
        if self.noisy and not 0 < self.sigma <= 1:
            raise BadSetting(f"The copies' noise cannot have a sigma of {self.sigma:g}; choose more than 0, up to 1.")

    @property
    def words(self) -> str:
        """The smoothing in words that follow "Maps are"; "as the method gives them" without any."""
        parts = [
            "smoothed by their first principal component" if self.eigen else "",
            "averaged over mirrored, darker and brighter versions" if self.augment else "",
            f"averaged over {self.noisy} noisy copies (sigma {self.sigma:g})" if self.noisy else "",
        ]
        return " and ".join(filter(None, parts)) or "as the method gives them"

    @property
    def passes(self) -> int:
        """The cost of a map as a multiple of the plain one: 6 for augmentation, times the noisy copies."""
        return (2 * len(INTENSITIES) if self.augment else 1) * max(1, self.noisy)


#: No smoothing.
PLAIN = Smoothing()


@dataclass(frozen=True)
class Variant:
    """Pictures (N, 3, H, W) whose maps are averaged, and whether the maps must be mirrored first."""

    pictures: Tensor
    mirrored: bool


def variants(classifier: Explainable, pictures: Tensor, keys: Sequence[str], smoothing: Smoothing) -> Iterator[Variant]:
    """Yield the variants whose maps average to one smoothed map, ``smoothing.passes`` of them.

    Values may leave [0, 1]. A picture's noise depends on its key and the copy's number, not on the rest of the batch.
    The intensity multiplies the normalised picture, so the mean colour does not change.
    """
    mean = mean_colour(classifier, pictures) if smoothing.augment else None
    for copy in range(max(1, smoothing.noisy)):
        changed = pictures
        if smoothing.noisy:
            changed = pictures + smoothing.sigma * _noise(keys, copy, pictures)
        if mean is None:
            yield Variant(changed, False)
            continue
        for mirrored in (False, True):
            turned = changed.flip(-1) if mirrored else changed
            for factor in INTENSITIES:
                yield Variant(mean + factor * (turned - mean), mirrored)


@pinned_torch()
def smoothed(
    classifier: Explainable,
    layer: str,
    pictures: Tensor,
    targets: Sequence[int | None],
    keys: Sequence[str],
    method: CamMethod,
    smoothing: Smoothing,
    check: Callable[[], None] = never,
    chunk: int = 16,
) -> Tensor:
    """Compute a method's raw maps (N, h, w) under a smoothing; `scale_maps` brings them to [0, 1].

    pictures: (N, 3, H, W) in [0, 1]. A target of None is the class predicted on the picture itself, and that
    class is explained in all variants. The mean is over scaled maps; a degenerate one counts as zeros. Costs
    ``smoothing.passes`` times the method's cost, and one pass more if a target is None. Raises BadSetting for
    eigen smoothing of a map that is no sum of terms, and what `check` raises, between passes.
    """
    explain = eigen_smoothed(method) if smoothing.eigen else method.apply

    def run(these: Tensor, goals: Sequence[int | None]) -> SharedPass:
        return shared_pass(
            classifier, layer, these, goals, keys, gradients=method.uses_gradients, check=check, chunk=chunk
        )

    if smoothing.passes == 1 and not smoothing.noisy:
        return explain(run(pictures, targets))
    goals = list(targets)
    if None in goals:
        check()
        with torch.no_grad():
            own = shared_pass(classifier, layer, pictures, targets, keys, gradients=False).targets.tolist()
        goals = [mine if goal is None else goal for goal, mine in zip(goals, own, strict=True)]
    total: Tensor | None = None
    for variant in variants(classifier, pictures, keys, smoothing):
        check()
        maps, _ = scale_maps(explain(run(variant.pictures, goals)))
        wide = (maps.flip(-1) if variant.mirrored else maps).double()
        total = wide if total is None else total + wide
    if total is None:
        raise RuntimeError("a smoothing without variants")
    return total / smoothing.passes


def eigen_smoothed(method: CamMethod) -> Callable[[SharedPass], Tensor]:
    """Return a function like the method's, raw (N, h, w), with the first principal component of its terms.

    This is pytorch-grad-cam's eigen_smooth with a fixed sign: positive where the plain map is high. Raises
    BadSetting if the method's map is no sum of terms.
    """
    terms = method.terms
    if terms is None:
        raise BadSetting(
            f"{method.title} has no weighted channels to smooth; choose another method, such as "
            "Grad-CAM, or switch eigen smoothing off."
        )

    def apply(shared: SharedPass) -> Tensor:
        parts = terms(shared)
        # Where the plain map is only rounding error, so is its sign.
        return first_component(parts, uncancelled(parts.sum(dim=1), parts.abs().sum(dim=1)))

    return apply


def _noise(keys: Sequence[str], copy: int, like: Tensor) -> Tensor:
    """Draw standard normal noise in the shape of pictures (N, 3, H, W), each picture's from its own key."""
    draws = []
    for key in keys:
        name = f"{copy} {key}".encode()
        seed = hashlib.blake2b(name, digest_size=16, person=b"smoothing").digest()
        stream = np.random.Generator(np.random.Philox(key=int.from_bytes(seed, "little")))
        draws.append(torch.from_numpy(stream.standard_normal(tuple(like.shape[1:]), dtype=np.float32)))
    return torch.stack(draws).to(like) if draws else torch.zeros_like(like)

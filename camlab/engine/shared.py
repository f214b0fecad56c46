"""Engines, model-input pictures, masks and reference pictures that the whole process shares."""

from dataclasses import fields
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from camlab.common.memo import Memo
from camlab.engine.cache.disk import shared_store
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.images import IMAGE_SETS, Picture
from camlab.images.photo_pairs import companion_input, companion_of
from camlab.metrics.localisation import mask_at_input
from camlab.models import MAX_LOADED, Classifier, load_classifier

REFERENCE_SET = "photos"
REFERENCE_COUNT = 24  # the other-picture floor is a mean over this many pictures (at least 20)


@lru_cache(maxsize=1)
def shared_cache() -> MapCache:
    """Return the cache of this process's engines, backed by the user's store on disk if that is on."""
    return MapCache(store=shared_store())


@lru_cache(maxsize=MAX_LOADED)  # an engine holds its model: more engines would keep unloaded models alive
def engine_for(model: str, device: str = "auto") -> Engine:
    """Return the engine of a model; all callers in a process share it and its cache. Raises MissingWeights."""
    classifier = load_classifier(model, device)
    return Engine(classifier, shared_cache(), companion=partial(second_input, classifier))


_INPUT_BYTES = 64 * 2**20  # a hundred pictures at 224 pixels
_MASK_BYTES = 16 * 2**20  # three hundred outlines

_inputs: Memo[torch.Tensor] = Memo(_INPUT_BYTES, lambda tensor: tensor.nbytes)
_masks: Memo[NDArray[np.bool_] | None] = Memo(_MASK_BYTES, lambda mask: 0 if mask is None else mask.nbytes)


def model_input(classifier: Classifier, picture: Picture) -> torch.Tensor:
    """Return the clean model-input picture, (3, H, W) in [0, 1]; the last used ones are cached."""
    key = (classifier.fingerprint, picture.digest)
    return _inputs.get(key, lambda: classifier.preprocess(picture.load()))


def model_mask(classifier: Classifier, picture: Picture) -> NDArray[np.bool_] | None:
    """Return the object's mask at the model's input, (H, W), cached; None for a picture without an outline.

    Raises BadImage if the outline's file cannot be read.
    """
    if not picture.outlined:
        return None

    def make() -> NDArray[np.bool_] | None:
        whole = picture.mask()
        return None if whole is None else mask_at_input(whole, classifier.preprocessing)

    # Equal pictures may have different outlines, so the description is part of the key; the picture holds its file.
    about = tuple(getattr(picture, each.name) for each in fields(Picture) if each.compare)
    return _masks.get((classifier.preprocessing, about, picture.digest), make)


def second_input(classifier: Classifier, digest: str) -> torch.Tensor | None:
    """Return the user's second picture, by the first one's digest, at the model's input; None without one.

    The last used ones are cached. Raises BadImage if its file is missing or has changed.
    """
    noisy = companion_of(digest)
    if noisy is None:
        return None
    known = _inputs.peek(key := (classifier.fingerprint, digest, noisy.digest))
    if known is None:
        known = companion_input(digest, classifier.preprocess)
        if known is not None:  # it may have been forgotten meanwhile
            _inputs.put(key, known)
    return known


def reference_pictures(picture: Picture) -> list[Picture]:
    """Return the REFERENCE_COUNT photographs, other than ``picture``, of the other-picture floor, evenly spaced."""
    others = [p for p in IMAGE_SETS[REFERENCE_SET].pictures if p.digest != picture.digest]
    picks = np.linspace(0, len(others) - 1, min(REFERENCE_COUNT, len(others))).round().astype(int)
    return [others[i] for i in picks]

"""What every scene needs and scenes share: engines, model-input pictures, reference pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from camlab.cache import MapCache
from camlab.disk import shared_store
from camlab.engine import Engine
from camlab.images import IMAGE_SETS, Picture
from camlab.models import Classifier, load_classifier

REFERENCE_SET = "photos"
REFERENCE_COUNT = 24  # the other-picture floor is a mean over this many pictures (at least 20)


@lru_cache(maxsize=1)
def shared_cache() -> MapCache:
    """The cache of this process's engines, in front of the user's store on disk where that is on."""
    return MapCache(store=shared_store())


@lru_cache(maxsize=8)
def engine_for(model: str, device: str = "auto") -> Engine:
    """The engine of a model; all callers in a process share it and its cache. Raises MissingWeights."""
    return Engine(load_classifier(model, device), shared_cache())


class _Memo:
    """A small thread-safe cache of values that are costly to make; two threads never make one twice."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[Any, Any] = {}
        self._lock = threading.RLock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._values:
                self._values[key] = self._values.pop(key)  # most recently used last
            else:
                self._values[key] = make()
                while len(self._values) > self._size:
                    self._values.pop(next(iter(self._values)))
            return self._values[key]


_inputs = _Memo(96)


def model_input(classifier: Classifier, picture: Picture) -> torch.Tensor:
    """The clean model-input picture, (3, H, W) in [0, 1], remembered for the last pictures used."""
    key = (classifier.fingerprint, picture.digest)
    tensor: torch.Tensor = _inputs.get(key, lambda: classifier.preprocess(picture.load()))
    return tensor


def reference_pictures(picture: Picture) -> list[Picture]:
    """The other pictures of the other-picture floor: REFERENCE_COUNT photographs, evenly picked, never itself."""
    others = [p for p in IMAGE_SETS[REFERENCE_SET].pictures if p.digest != picture.digest]
    picks = np.linspace(0, len(others) - 1, min(REFERENCE_COUNT, len(others))).round().astype(int)
    return [others[i] for i in picks]

"""Perturbed pictures as a model sees them; those that take the model to make are made once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import torch
from cachetools import LRUCache
from torch import Tensor

from camlab.cams.base import Explainable, never
from camlab.engine.cache.memory import pixel_digest
from camlab.engine.device_queue import LOOK, DeviceQueue
from camlab.engine.spec import Spec, canonical
from camlab.noise import NOISES, Companion, Surroundings, perturb

#: Bytes of pictures that are kept: some hundred at 224 pixels.
KEPT_BYTES = 64 * 2**20

_Key = tuple[object, ...]


class Inputs:
    """Makes versions of pictures for one model. Threads may share it."""

    def __init__(
        self,
        classifier: Explainable,
        queue: DeviceQueue,
        companion: Companion,
        limit: int = KEPT_BYTES,
    ) -> None:
        """`companion`: the second picture of a picture, by its digest; `limit`: bytes of pictures kept."""
        self.classifier, self.queue, self.companion = classifier, queue, companion
        self._kept: LRUCache[_Key, Tensor] = LRUCache(limit, getsizeof=lambda kept: kept.nbytes)
        self._making: set[_Key] = set()
        self._changed = threading.Condition()

    def surroundings(self, check: Callable[[], None] = never) -> Surroundings:
        """What noise types may ask for here."""
        return Surroundings(self.classifier, self.companion, check)

    def material(self, spec: Spec, digest: str) -> tuple[object, ...]:
        """What decides a version besides picture, model and spec, as parts of a key.

        The second picture's pixels where it is used; the number of threads where the model is: it moves the last
        bits of a gradient, and from step to step a search makes more of them (a third of the values, for PGD).
        """
        needs = None if spec.noise is None else NOISES[spec.noise].needs
        if needs == "model":
            return ("threads", torch.get_num_threads())
        other = self.companion(digest) if needs == "companion" else None
        return () if other is None else (pixel_digest(other.cpu().contiguous().numpy()),)

    def make(
        self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Callable[[], None] = never
    ) -> Tensor:
        """The perturbed pictures (N, 3, H, W), on the CPU, in the order of the specs.

        clean: (3, H, W) in [0, 1] at the model's input size; digest: the picture's, which decides its noise.
        What needs the model takes the device's turn, in which `check` may raise Cancelled. Raises UnknownName
        and BadSetting as `perturb` does.
        """
        pictures = torch.stack([clean] * len(specs)) if specs else clean.new_zeros((0, *clean.shape))
        asked = [canonical(spec) for spec in specs]
        for noise in dict.fromkeys(spec.noise for spec in asked):
            if noise is None:
                continue
            rows = [row for row, spec in enumerate(asked) if spec.noise == noise]
            make = self._once if NOISES[noise].needs == "model" else self._anew
            pictures[rows] = make(clean, digest, [asked[row] for row in rows], check)
        return pictures

    def _anew(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Callable[[], None]) -> Tensor:
        """Versions under one noise type, all of them made."""
        return perturb(
            clean.expand(len(specs), -1, -1, -1),
            str(specs[0].noise),
            [spec.severity for spec in specs],
            [spec.seed for spec in specs],
            digest,
            self.surroundings(check),
        )

    def _once(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Callable[[], None]) -> Tensor:
        """The same, but what is kept is not made again, and what another thread is making is waited for."""
        clean = clean.detach().contiguous()
        picture = (digest, tuple(clean.shape), pixel_digest(clean.numpy()))
        wanted: dict[Spec, _Key] = {spec: (*picture, spec, *self.material(spec, digest)) for spec in specs}
        found: dict[Spec, Tensor] = {}
        while len(found) < len(wanted):
            mine = self._claim(wanted, found)
            if mine:
                self._make(clean, digest, mine, found, check)
            else:
                check()
        return torch.stack([found[spec] for spec in specs])

    def _claim(self, wanted: dict[Spec, _Key], found: dict[Spec, Tensor]) -> dict[Spec, _Key]:
        """Take what is kept into ``found``; of the rest, what nobody is making is now this thread's to make."""
        with self._changed:
            found |= {spec: self._kept[key] for spec, key in wanted.items() if key in self._kept}
            missing = {spec: key for spec, key in wanted.items() if spec not in found}
            mine = {spec: key for spec, key in missing.items() if key not in self._making}
            self._making.update(mine.values())
            if missing and not mine:
                self._changed.wait(LOOK)
            return mine

    def _make(
        self,
        clean: Tensor,
        digest: str,
        mine: dict[Spec, _Key],
        found: dict[Spec, Tensor],
        check: Callable[[], None],
    ) -> None:
        """Make what was claimed, in the device's turn; whatever happens, the claim ends."""
        made: dict[Spec, Tensor] = {}
        try:
            with self.queue.turn(check) as step_aside:
                # Copies of their own: a row would keep its whole batch in memory.
                rows = self._anew(clean, digest, list(mine), step_aside)
                made = {spec: row.clone() for spec, row in zip(mine, rows, strict=True)}
        finally:
            with self._changed:
                self._making.difference_update(mine.values())
                for spec, kept in made.items():
                    if kept.nbytes <= self._kept.maxsize:
                        self._kept[mine[spec]] = kept
                self._changed.notify_all()
        found |= made

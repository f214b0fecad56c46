"""The perturbed pictures that a model sees, cached within a limit of memory."""

import threading
from collections.abc import Sequence

import torch
from cachetools import LRUCache
from torch import Tensor

from camlab.cams.base import Explainable, never
from camlab.common.torch_state import pinned_torch
from camlab.engine.cache.memory import pixel_digest
from camlab.engine.device_queue import CHECK_EVERY, DeviceQueue
from camlab.engine.spec import CLEAN, Check, Spec, VersionPixels, canonical
from camlab.noise import NOISES, Companion, Surroundings, perturb

#: Bytes of pictures kept for attacks, and for all other noise types: about a hundred each at 224 pixels.
KEPT_BYTES = 64 * 2**20

_Key = tuple[object, ...]


class Inputs:
    """The maker of pictures' versions for one model. Threads may share it."""

    def __init__(
        self, classifier: Explainable, queue: DeviceQueue, companion: Companion, limit: int = KEPT_BYTES
    ) -> None:
        """Keep up to ``limit`` bytes of attacked pictures, and as many of the others.

        ``companion`` returns a scene's second picture by the digest of the first.
        """
        self.classifier, self.queue, self.companion = classifier, queue, companion
        # Attacks take seconds, so a sweep under a cheap noise type must not evict them.
        self._attacked, self._others = (
            LRUCache[_Key, Tensor](limit, getsizeof=lambda kept: kept.nbytes) for _ in range(2)
        )
        self._making: set[_Key] = set()
        self._changed = threading.Condition()

    def surroundings(self, check: Check = never) -> Surroundings:
        """Return the context of noise types: the model, the second picture, the check."""
        return Surroundings(self.classifier, self.companion, check)

    def material(self, spec: Spec, digest: str) -> tuple[object, ...]:
        """Return the parts of a version's cache key besides picture, model and spec.

        For noise types that use the second picture, these are its pixels. For attacks, it is the number of threads,
        which changes the last bits of a gradient; each step of a search amplifies that (for PGD to a third of the
        values).
        """
        needs = None if spec.noise is None else NOISES[spec.noise].needs
        if needs == "model":
            return ("threads", torch.get_num_threads())
        other = self.companion(digest) if needs == "companion" else None
        return () if other is None else (pixel_digest(other.cpu().contiguous().numpy()),)

    @pinned_torch()
    def make(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Check = never) -> Tensor:
        """Return the perturbed pictures (N, 3, H, W), on the CPU, in the order of the specs.

        clean: (3, H, W) in [0, 1] at the model's input size; digest: the picture's, which decides its noise. Kept
        versions are returned as they are, and those that another thread is making are awaited. Attacks wait for their
        turn on the device. Raises UnknownName and BadSetting as `perturb` does, and what ``check`` raises.
        """
        clean = clean.detach().to("cpu", torch.float32).contiguous()
        asked = [canonical(spec) for spec in specs]
        found = {CLEAN: clean}
        for noise in dict.fromkeys(spec.noise for spec in asked):
            if noise is not None:
                of_noise = dict.fromkeys(spec for spec in asked if spec.noise == noise)
                found |= self._once(clean, digest, list(of_noise), check)
        return torch.stack([found[spec] for spec in asked]) if asked else clean.new_zeros((0, *clean.shape))

    def version(self, clean: Tensor, digest: str, spec: Spec) -> VersionPixels:
        """Return one version's pixels, which are computed only on first use."""
        if canonical(spec) == CLEAN:
            return VersionPixels(lambda _: clean)
        return VersionPixels(lambda check: self.make(clean, digest, [spec], check)[0])

    def _kept(self, spec: Spec) -> LRUCache[_Key, Tensor]:
        return self._attacked if _is_attack(spec) else self._others

    def _once(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Check) -> dict[Spec, Tensor]:
        """Return versions under one noise type, from memory if they are kept."""
        picture = (digest, tuple(clean.shape), pixel_digest(clean.numpy()))
        wanted: dict[Spec, _Key] = {spec: (*picture, spec, *self.material(spec, digest)) for spec in specs}
        found: dict[Spec, Tensor] = {}
        while len(found) < len(wanted):
            mine = self._claim(wanted, found)
            if mine:
                self._make(clean, digest, mine, found, check)
            else:
                check()
        return found

    def _claim(self, wanted: dict[Spec, _Key], found: dict[Spec, Tensor]) -> dict[Spec, _Key]:
        """Add kept versions to ``found``; claim for this thread, and return, those that no thread is making."""
        with self._changed:
            for spec, key in wanted.items():
                if (kept := self._kept(spec).get(key)) is not None:
                    found[spec] = kept
            missing = {spec: key for spec, key in wanted.items() if spec not in found}
            mine = {spec: key for spec, key in missing.items() if key not in self._making}
            self._making.update(mine.values())
            if missing and not mine:
                self._changed.wait(CHECK_EVERY)
            return mine

    def _make(
        self, clean: Tensor, digest: str, mine: dict[Spec, _Key], found: dict[Spec, Tensor], check: Check
    ) -> None:
        """Make the claimed versions and end the claim, whatever happens."""
        made: dict[Spec, Tensor] = {}
        specs = list(mine)
        try:
            if _is_attack(specs[0]):
                with self.queue.turn(check) as step_aside:
                    rows = self._perturb(clean, digest, specs, step_aside)
            else:
                rows = self._perturb(clean, digest, specs, check)
            # Copy the rows, because a view would keep its whole batch in memory.
            made = {spec: row.clone() for spec, row in zip(specs, rows, strict=True)}
        finally:
            with self._changed:
                self._making.difference_update(mine.values())
                for spec, pixels in made.items():
                    kept = self._kept(spec)
                    if pixels.nbytes <= kept.maxsize:
                        kept[mine[spec]] = pixels
                self._changed.notify_all()
        found |= made

    def _perturb(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Check) -> Tensor:
        return perturb(
            clean.expand(len(specs), -1, -1, -1),
            str(specs[0].noise),
            [spec.severity for spec in specs],
            [spec.seed for spec in specs],
            digest,
            self.surroundings(check),
        )


def _is_attack(spec: Spec) -> bool:
    return spec.noise is not None and NOISES[spec.noise].needs == "model"

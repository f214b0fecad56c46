"""The compute core: predictions and low-resolution maps of a picture's versions, each computed only once."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from camlab.cams import CAMS, Explainable, probabilities, scale_maps
from camlab.cams.base import CamMethod, SharedPass, never
from camlab.cams.scaling import SCALE_VERSION
from camlab.cams.smoothing import PLAIN, SMOOTHING_VERSION, Smoothing, smoothed
from camlab.common.environment import arithmetic
from camlab.common.errors import BadSetting, CamLabError
from camlab.common.torch_state import pinned_torch
from camlab.engine.cache.memory import MapCache, content_key, pixel_digest
from camlab.engine.device_queue import DeviceQueue, PassRequest, device_queue
from camlab.engine.inputs import KEPT_BYTES, Inputs
from camlab.engine.spec import CLEAN, Explained, Spec, VersionPixels, averaged, canonical
from camlab.models.batching import AT_ONCE, halved, out_of_memory, part_size
from camlab.models.network.split import PLUS
from camlab.noise import Companion, no_companion

#: Parts of the cache keys: raise one when its step's values change (each CAM method has its own `version`).
PERTURB_VERSION = 1
FORWARD_VERSION = 3


@dataclass
class _Job:
    """One version and target to explain, with the results known so far."""

    spec: Spec
    content: str
    target: int | None
    probabilities: np.ndarray | None = None
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    computed: bool = False


class Engine:
    """The explainer of pictures' versions with one classifier. Threads may share an engine, and engines a cache."""

    def __init__(
        self,
        classifier: Explainable,
        cache: MapCache | None = None,
        batch: int = 16,
        queue: DeviceQueue | None = None,
        companion: Companion = no_companion,
        chunk: int | None = None,
    ) -> None:
        """Compute up to `batch` pictures at once, in the turns of `queue` (default: the device's queue).

        `chunk`: inputs of a method's extra passes at once (default: `batch`). `companion`: returns the user's
        second picture of a scene (3, H, W) at the model's input size, by the digest of the first.

        Raises BadSetting if the batch is under 1.
        """
        if batch < 1:
            raise BadSetting(f"A batch of {batch} pictures cannot be run; choose 1 or more.")
        self.classifier = classifier
        self.cache = MapCache() if cache is None else cache
        self.batch = batch
        self.chunk = batch if chunk is None else chunk
        self.queue = queue or device_queue(str(classifier.device))
        height, width = classifier.input_size
        # A study requests the pictures of a batch again for each layer.
        kept = max(KEPT_BYTES, batch * 3 * height * width * 4)
        self.pictures = Inputs(classifier, self.queue, companion, kept)

    def part_size(self, count: int) -> int:
        """Return how many of ``count`` pictures to compute at once, in equal parts.

        A batch of whole groups (see `group_size`) is cut into whole groups, so that the same pictures go through the
        network together and all values agree bit for bit.
        """
        whole = self.classifier.device.type == "cpu" and self.batch % AT_ONCE == 0
        return part_size(count, self.batch, AT_ONCE if whole else 1)

    def inputs(self, clean: Tensor, digest: str, specs: Sequence[Spec], check: Callable[[], None] = never) -> Tensor:
        """Return the perturbed pictures (N, 3, H, W), on the CPU, in the order of the specs; see `Inputs.make`."""
        return self.pictures.make(clean, digest, specs, check)

    @pinned_torch()
    def explain(
        self,
        clean: Tensor,
        digest: str,
        specs: Sequence[Spec],
        methods: Sequence[str],
        layer: str | None = None,
        targets: int | Sequence[int | None] | None = None,
        check: Callable[[], None] = never,
        smoothing: Smoothing = PLAIN,
    ) -> list[Explained]:
        """Explain each version of a picture, from the cache if it holds the results.

        clean: (3, H, W) float32 in [0, 1] at the model's input size; digest: the picture's own. A target of None is
        the class predicted on the same version. `check` is called between steps and may raise (Cancelled); finished
        results stay in the cache. When memory runs out, the batch is halved and the work continues. For several
        layers ("a+b") the maps are averaged. Raises UnknownName for a method, layer or noise type, BadSetting for a
        picture of another size, a target that is no class or a method that cannot be used at the layer, and
        CamLabError if not even one picture fits in memory.
        """
        layer = self.classifier.resolve_layer(layer)
        if PLUS in layer:
            each = [
                self.explain(clean, digest, specs, methods, one, targets, check, smoothing) for one in layer.split(PLUS)
            ]
            return [averaged(versions) for versions in zip(*each, strict=True)]
        wanted = {name: CAMS[name] for name in dict.fromkeys(methods)}
        for entry in wanted.values():
            if reason := entry.serves(self.classifier, layer):
                raise BadSetting(reason)
        goals = self._targets(targets, len(specs))
        if tuple(clean.shape) != (3, *self.classifier.input_size):
            size = " × ".join(map(str, self.classifier.input_size))
            raise BadSetting(f"This model takes RGB pictures of {size} pixels; preprocess it first.")
        clean = clean.detach().to("cpu", torch.float32).contiguous()
        request = _Request(self, clean, digest, layer, wanted, check, smoothing)
        asked = [(canonical(spec), goal) for spec, goal in zip(specs, goals, strict=True)]
        jobs = {pair: request.look_up(*pair) for pair in dict.fromkeys(asked)}
        groups: dict[tuple[str, ...], list[_Job]] = {}
        for job in jobs.values():
            missing = tuple(name for name in wanted if name not in job.maps)
            if missing or job.probabilities is None:
                groups.setdefault(missing, []).append(job)
        for group in groups.values():
            request.compute(group)
        return [
            _explained(jobs[spec, goal], list(wanted), self.pictures.version(clean, digest, spec))
            for spec, goal in asked
        ]

    def _targets(self, targets: int | Sequence[int | None] | None, count: int) -> list[int | None]:
        goals = list(targets) if isinstance(targets, Sequence) else [targets] * count
        classes = len(self.classifier.class_names)
        if len(goals) != count:
            raise BadSetting(f"There are {len(goals)} target classes for {count} pictures; give one per picture.")
        for goal in goals:
            if goal is not None and not 0 <= goal < classes:
                raise BadSetting(f"There is no class {goal}; choose a number from 0 to {classes - 1}.")
        return [None if goal is None else int(goal) for goal in goals]


class _Request:
    """One call of `Engine.explain`, with the data that all its jobs share."""

    def __init__(
        self,
        engine: Engine,
        clean: Tensor,
        digest: str,
        layer: str,
        methods: Mapping[str, CamMethod],
        check: Callable[[], None],
        smoothing: Smoothing,
    ) -> None:
        self.smoothing = smoothing
        self.engine, self.classifier, self.cache = engine, engine.classifier, engine.cache
        self.clean, self.digest, self.layer, self.methods, self.check = clean, digest, layer, methods, check
        pixels = clean.numpy()
        # The digest decides the noise, and the pixels the rest, as one picture may be cropped in two ways.
        picture = (digest, pixels.shape, pixel_digest(pixels))
        network = (self.classifier.fingerprint, arithmetic(self.classifier.device))
        # A digest of the parts that many keys share makes each key short and cheap.
        self._common = content_key(FORWARD_VERSION, network, picture)
        self._versions: dict[Spec, str] = {}
        info = self.classifier.layer_info(layer)
        self.map_shape = (info.height, info.width)

    # keys

    def prediction_key(self, spec: Spec) -> str:
        return content_key("prediction", self._version(spec))

    def map_key(self, spec: Spec, method: str, target: int) -> str:
        entry = self.methods[method]
        # A method that ignores the class has one map for all classes.
        goal = target if entry.class_specific else None
        code: tuple[object, ...] = (SCALE_VERSION, entry.version)
        if self.smoothing != PLAIN:
            code = (*code, SMOOTHING_VERSION, dataclasses.astuple(self.smoothing))
        return content_key("map", self._version(spec), self.layer, code, method, goal)

    def _version(self, spec: Spec) -> str:
        if spec not in self._versions:
            noise = None if spec == CLEAN else (PERTURB_VERSION, spec.noise, spec.severity, spec.seed)
            more = self.engine.pictures.material(spec, self.digest)
            self._versions[spec] = content_key(self._common, noise, *more)
        return self._versions[spec]

    def _content(self, spec: Spec) -> str:
        # Without the pixels' digest, because the seed of random maps must be the same on every machine.
        return content_key(self.digest, tuple(self.clean.shape), spec.noise, spec.severity, spec.seed)

    # cache

    def look_up(self, spec: Spec, target: int | None) -> _Job:
        """Return a job with all results that the cache holds."""
        job = _Job(spec, self._content(spec), target)
        classes = len(self.classifier.class_names)
        job.probabilities = self.cache.get(self.prediction_key(spec), (classes,))
        if job.target is None and job.probabilities is not None:
            job.target = int(job.probabilities.argmax())
        for method in self.methods:
            # Without a target, only methods that ignore the class can be looked up.
            if job.target is None and self.methods[method].class_specific:
                continue
            key = self.map_key(spec, method, -1 if job.target is None else job.target)
            if (found := self.cache.get(key, self.map_shape)) is not None:
                job.maps[method] = found
        return job

    # work

    def compute(self, jobs: list[_Job]) -> None:
        """Compute the missing results of jobs that miss the same methods, in batches that shrink to fit memory."""
        size, chunk = self.engine.part_size(len(jobs)), self.engine.chunk
        while jobs:
            self.check()
            part = jobs[:size]
            try:
                self._run(part, chunk)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if size == chunk == 1:
                    raise CamLabError(
                        "Not even one picture fits in memory; choose a smaller model or run on the CPU."
                    ) from error
            else:
                jobs = jobs[len(part) :]
                continue
            # Outside the except block, where the error would keep the tensors of the failed try alive.
            size, chunk = halved(min(size, len(part)), chunk, self.classifier.device)

    def _run(self, jobs: list[_Job], chunk: int) -> None:
        """Run one batch and cache it: the shared pass, the methods that only read it, then the expensive ones."""
        missing = [entry for name, entry in self.methods.items() if any(name not in job.maps for job in jobs)]
        pictures = self.engine.inputs(self.clean, self.digest, [job.spec for job in jobs], self.check)
        self.check()
        shared = self.engine.queue.run(
            PassRequest(
                self.classifier,
                self.layer,
                pictures,
                [job.target for job in jobs],
                [job.content for job in jobs],
                self.smoothing == PLAIN and any(entry.uses_gradients for entry in missing),
                self.check,
                chunk,
            )
        )
        found = probabilities(shared.logits)
        for row, job in enumerate(jobs):
            job.computed = True
            if job.probabilities is None:
                job.probabilities = self.cache.put(self.prediction_key(job.spec), found[row])
            if job.target is None:
                job.target = int(shared.targets[row])
        self.check()
        if self.smoothing != PLAIN:
            for entry in missing:
                with self.engine.queue.turn(self.check) as step_aside:
                    self._keep(jobs, [entry], self._smoothed(entry, pictures, jobs, step_aside, chunk)[None])
            return
        self._maps(jobs, [entry for entry in missing if entry.cost == "shared"], shared)
        for entry in missing:
            if entry.cost != "shared":
                with self.engine.queue.turn(self.check) as step_aside:
                    self._maps(jobs, [entry], dataclasses.replace(shared, check=step_aside))

    def _maps(self, jobs: list[_Job], entries: Sequence[CamMethod], shared: SharedPass) -> None:
        """Apply methods to a pass and store the maps, which move to the CPU together."""
        if not entries:
            return
        dtype = shared.activations.dtype
        self._keep(jobs, entries, torch.stack([entry.apply(shared).to(dtype) for entry in entries]))

    def _smoothed(
        self, entry: CamMethod, pictures: Tensor, jobs: list[_Job], check: Callable[[], None], chunk: int
    ) -> Tensor:
        """Compute a method's raw maps (N, h, w) under the smoothing; the targets are known by now."""
        targets, keys = [job.target for job in jobs], [job.content for job in jobs]
        return smoothed(self.classifier, self.layer, pictures, targets, keys, entry, self.smoothing, check, chunk)

    def _keep(self, jobs: list[_Job], entries: Sequence[CamMethod], raw: Tensor) -> None:
        """Scale raw maps (methods, N, h, w) and store them."""
        scaled, _ = scale_maps(raw.flatten(0, 1))
        maps = scaled.reshape(raw.shape).numpy()
        for entry, layers in zip(entries, maps, strict=True):
            for job, map_ in zip(jobs, layers, strict=True):
                if entry.name not in job.maps:
                    key = self.map_key(job.spec, entry.name, _known_target(job))
                    job.maps[entry.name] = self.cache.put(key, map_)


def _known_target(job: _Job) -> int:
    if job.target is None:
        raise RuntimeError("the pass did not settle the target class")
    return job.target


def _explained(job: _Job, methods: list[str], source: VersionPixels) -> Explained:
    if job.probabilities is None:
        raise RuntimeError("a version was not computed")
    maps = {name: job.maps[name] for name in methods}
    # A map that is not degenerate reaches 1, so the flag need not be stored.
    degenerate = {name: not map_.any() for name, map_ in maps.items()}
    return Explained(job.probabilities, _known_target(job), maps, degenerate, not job.computed, source)

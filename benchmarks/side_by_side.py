"""Time the maps against one forward pass and against pytorch-grad-cam, interleaved in one run."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from camlab.cams import CAMS, scale_maps, shared_pass
from camlab.common.registry import Registry
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.segments import picture_segments
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from camlab.metrics import SEGMENTATIONS, Comparison, similarity

if TYPE_CHECKING:
    from camlab.models.classifier import Classifier

#: One clean picture and sixteen draws, as for one severity of the page.
BATCH = 17
PAPER = ("gradcam", "gradcam++", "xgradcam", "ablationcam", "hirescam", "eigencam")
#: Fast methods and their classes in pytorch-grad-cam.
LIGHT = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
}
COUNTS = (1, 4, 16, 64)
#: Timings from the cache per computed interactive job.
WARM = 5
#: The share of the channels on which pytorch-grad-cam is timed for methods with one pass per channel, and the pictures
#: for its fast classes in a quick run. It processes both one after the other.
SHARE, QUICK_SHARE = 1 / 8, 1 / 16
QUICK_PICTURES = 3

#: Networks with random weights, for timing: those for which other libraries report figures.
UNTRAINED: Registry[str] = Registry("network to time")
UNTRAINED.add("resnet50", "ResNet-50, random weights")
UNTRAINED.add("resnet18", "ResNet-18, random weights")

Work = Callable[[], object]


def side_by_side(
    classifier: Classifier, *, quick: bool = False, progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure and return ``ratios``, ``seconds`` (medians), ``pairs_per_second``, ``exponent`` and ``peak_bytes``.

    Ratios: ``shared_over_forward``, all gradient and Eigen methods over the plain pass of BATCH pictures;
    ``speedup_light7``, pytorch-grad-cam's seven classes in a loop over ours in one pass; ``speedup_ablation_pooled``,
    ``speedup_ablation_before`` (the layer before the default one, None if there is none) and ``speedup_scorecam``,
    for one picture, with pytorch-grad-cam's time scaled up from a share of the channels; ``warm_over_cold``, one clean
    and sixteen noisy pictures under the paper's six methods with segments and RBO, cached over computed.
    ``exponent`` is the slope of log time over log number of pictures, 1 to 64.
    """
    base = ExploreState()
    picture = find_picture(base.image)
    clean = classifier.preprocess(picture.load())
    specs = [CLEAN, *(Spec(base.noise, base.severity, seed) for seed in range(BATCH - 1))]
    pictures = Engine(classifier, MapCache()).inputs(clean, picture.digest, specs)
    layers = [layer.name for layer in classifier.layers]
    pooled = classifier.default_layer
    before = layers[layers.index(pooled) - 1] if layers.index(pooled) else None
    theirs = PytorchGradCam(classifier)
    share = QUICK_SHARE if quick else SHARE
    everything = [name for name, method in CAMS.items() if method.cost == "shared"]

    light: dict[str, Work] = {
        "forward_batch": lambda: _forward(classifier, pictures),
        "shared_all": lambda: ours(classifier, pooled, pictures, everything),
        "ours_light7": lambda: ours(classifier, pooled, pictures, LIGHT),
        "ours_ablation_pooled": lambda: ours(classifier, pooled, pictures, ["ablationcam"]),
    }
    # Without a shortcut, each channel takes a pass of the tail: time one picture once per round.
    quick_before = before is not None and classifier.pointwise_head(before) is not None
    if before and quick_before:
        light["ours_ablation_before"] = lambda: ours(classifier, before, pictures, ["ablationcam"])
    count = QUICK_PICTURES if quick else BATCH
    slow: dict[str, Work] = {
        "forward_backward_batch": lambda: theirs.forward_backward(pictures),
        "theirs_light7": lambda: theirs.light(pictures[:count], pooled),
        "ours_scorecam": lambda: ours(classifier, pooled, pictures[:1], ["scorecam"]),
    }
    if before and not quick_before:
        slow["ours_ablation_before"] = lambda: ours(classifier, before, pictures[:1], ["ablationcam"])
    slow |= {f"inputs_{many}": partial(_many, classifier, pooled, pictures, many) for many in COUNTS}

    times: dict[str, list[float]] = {}
    progress(f"{classifier.name}: side by side, warming up")
    for work in light.values():
        work()
    for turn in range(rounds(quick)):
        progress(f"{classifier.name}: side by side, round {turn + 1}")
        for work_name, work in slow.items():
            for name, each in light.items():
                times.setdefault(name, []).append(_timed(each))
            times.setdefault(work_name, []).append(_timed(work))
    layers_timed = {"pooled": pooled} | ({"before": before} if before else {})
    progress(f"{classifier.name}: pytorch-grad-cam's Ablation-CAM, {share:.0%} of the channels")
    for place, layer in layers_timed.items():
        times[f"theirs_ablation_{place}"] = [theirs.seconds_of("AblationCAM", pictures[:1], layer, share)]
    progress(f"{classifier.name}: pytorch-grad-cam's Score-CAM, {share:.0%} of the channels")
    times["theirs_scorecam"] = [theirs.seconds_of("ScoreCAM", pictures[:1], pooled, share)]
    progress(f"{classifier.name}: the interactive job, computed and from the cache")
    for _ in range(2 if quick else 5):
        cold, *warm = _interactive(classifier, picture.digest, clean, specs, pooled)
        times.setdefault("interactive_cold", []).append(cold)
        times.setdefault("interactive_warm", []).extend(warm)

    seconds = {name: median(values) for name, values in times.items()}
    seconds["theirs_light7"] *= BATCH / count
    for name in ("ours_ablation_pooled", "ours_ablation_before"):
        if name in light:
            seconds[name] /= BATCH  # per picture, as theirs

    def speedup(name: str) -> float | None:
        return seconds[f"theirs_{name}"] / seconds[f"ours_{name}"] if f"ours_{name}" in seconds else None

    counted = np.log([seconds[f"inputs_{many}"] for many in COUNTS])
    return {
        "ratios": {
            "shared_over_forward": seconds["shared_all"] / seconds["forward_batch"],
            "speedup_light7": speedup("light7"),
            "speedup_ablation_pooled": speedup("ablation_pooled"),
            "speedup_ablation_before": speedup("ablation_before"),
            "speedup_scorecam": speedup("scorecam"),
            "warm_over_cold": seconds["interactive_warm"] / seconds["interactive_cold"],
        },
        "seconds": seconds,
        "pairs_per_second": (BATCH - 1) * len(PAPER) / seconds["interactive_cold"],
        "exponent": float(np.polyfit(np.log(COUNTS), counted, 1)[0]),
        "peak_bytes": peak_bytes(classifier.device),
    }


def rounds(quick: bool) -> int:
    """Return the number of rounds of interleaved timing."""
    return 1 if quick else 2


def steps(quick: bool) -> int:
    """Return how often `side_by_side` reports progress."""
    return 4 + rounds(quick)


def untrained(name: str, device: str = "auto") -> Classifier:
    """Return one of UNTRAINED; its random weights serve for timing only.

    Raises UnknownName, and BadSetting for an unavailable device.
    """
    import timm

    from camlab.models import pick_device
    from camlab.models.classifier import Classifier
    from camlab.models.preprocessing import Preprocessing

    title = UNTRAINED[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = timm.create_model(name, pretrained=False)
    config: Any = module.pretrained_cfg
    return Classifier(
        module,
        name=name,
        title=title,
        preprocessing=Preprocessing.from_timm(config),
        class_names=[f"class {i}" for i in range(config["num_classes"])],
        device=pick_device(device),
    )


def peak_bytes(device: torch.device) -> int | None:
    """Return the peak memory: of the GPU if there is one, else of this process; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
        import sys
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def ours(classifier: Classifier, layer: str, pictures: Tensor, methods: Any) -> Tensor:
    """Compute the maps (M, N, h, w) of several methods from one shared pass, without cache."""
    entries = [CAMS[name] for name in methods]
    shared = shared_pass(
        classifier,
        layer,
        pictures,
        [None] * len(pictures),
        [str(row) for row in range(len(pictures))],
        gradients=any(entry.uses_gradients for entry in entries),
    )
    raw = torch.stack([entry.apply(shared).to(shared.activations.dtype) for entry in entries])
    return scale_maps(raw.flatten(0, 1))[0].reshape(raw.shape)


def _forward(classifier: Classifier, pictures: Tensor) -> Tensor:
    with torch.inference_mode():
        return classifier.logits(pictures).cpu()


def _many(classifier: Classifier, layer: str, pictures: Tensor, count: int) -> None:
    """Compute the fast methods for `count` pictures, in the engine's batches."""
    many = pictures[:1].repeat(count, 1, 1, 1)
    for part in torch.split(many, 16):
        ours(classifier, layer, part, LIGHT)


def _interactive(classifier: Classifier, digest: str, clean: Tensor, specs: list[Spec], layer: str) -> list[float]:
    """Time the page's computation for one severity, once computed and then WARM times from the cache, in seconds."""
    engine = Engine(classifier, MapCache())
    name = ExploreState().segmentation
    parameters = {p.name: p.default for p in SEGMENTATIONS[name].parameters}

    def job() -> None:
        labels = picture_segments(clean, name, parameters, engine.cache)
        comparison = Comparison(labels, labels.shape, ExploreState().p)
        first, *others = engine.explain(clean, digest, specs, PAPER, layer)
        before = np.stack([first.maps[method] for method in PAPER for _ in others])
        after = np.stack([other.maps[method] for method in PAPER for other in others])
        similarity("rbo", before, after, comparison)

    return [_timed(job) for _ in range(1 + WARM)]


class PytorchGradCam:
    """pytorch-grad-cam as its users run it, on a copy of the network, because it modifies the network."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._network = copy.deepcopy(classifier.module).requires_grad_(True)

    def forward_backward(self, pictures: Tensor) -> None:
        """Run one pass of the whole network and back to the input."""
        inputs = self._classifier.normalise(pictures).requires_grad_()
        self._network(inputs).amax(dim=1).sum().backward()
        self._network.zero_grad(set_to_none=True)

    def light(self, pictures: Tensor, layer: str) -> None:
        """Run its seven fast classes, one after the other."""
        import pytorch_grad_cam

        inputs = self._classifier.normalise(pictures)
        for name in LIGHT.values():
            kind = getattr(pytorch_grad_cam, name)
            with kind(model=self._network, target_layers=[self._network.get_submodule(layer)]) as cam:
                cam(input_tensor=inputs.clone(), targets=None)

    def seconds_of(self, name: str, picture: Tensor, layer: str, share: float) -> float:
        """Estimate the seconds of the channel weights of Ablation-CAM or Score-CAM for one picture, all channels.

        Only a share of the channels is run. The library processes them in batches, one after the other, so the time is
        proportional to their number.
        """
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        inputs = self._classifier.normalise(picture)
        with torch.no_grad():
            logits = self._classifier.logits(picture)
            activations = self._classifier.head(inputs, layer).cpu().numpy()
        channels = int(activations.shape[1])
        some = max(1, math.ceil(channels * share))
        module = self._network.get_submodule(layer)
        targets = [ClassifierOutputTarget(int(logits[0].argmax()))]
        kind = getattr(pytorch_grad_cam, name)
        with (
            kind(model=self._network, target_layers=[module]) as cam,
            contextlib.redirect_stderr(io.StringIO()),  # its progress bars
        ):
            took = _timed(partial(cam.get_cam_weights, inputs, module, targets, activations[:, :some], None))
        return took * (channels / some)


def _timed(work: Work) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start

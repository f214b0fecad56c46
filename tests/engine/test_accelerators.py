"""What must hold on a GPU as on the CPU; skipped, with the reason, where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from benchmarks.side_by_side import peak_bytes
from benchmarks.visitors import crowd
from camlab.cams import CAMS
from camlab.common.environment import arithmetic
from camlab.engine.cache.memory import MapCache
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN, Spec
from camlab.images import Picture
from camlab.models import load_classifier
from camlab.models.classifier import Classifier

THERE: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}
#: Not a bound of rounding: through fifty layers in float32 nothing bounds it well, and rounding moves a value across a
#: corner of a ReLU6 now and then. It tells a wrong map from a right one, which differ by 0.01 and more.
CLOSE = 1e-3
SPECS = [CLEAN, Spec("gaussian_noise", 3.0, 0), Spec("fog", 2.0, 1)]
LIGHT = [name for name, method in CAMS.items() if method.cost == "shared"]


@pytest.fixture(params=list(THERE))
def device(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if not THERE[name]():
        pytest.skip(f"there is no {name} device here")
    return name


@pytest.fixture
def classifier(device: str) -> Classifier:
    return load_classifier("efficientnet_lite0", device)


@pytest.mark.parametrize("layer", ["bn2", "blocks[-1]"])
def test_maps_and_predictions_are_the_cpus(
    classifier: Classifier, lite0: Classifier, pictures: tuple[Picture, ...], layer: str
) -> None:
    methods = [*LIGHT, "ablationcam"]
    for picture in pictures:
        clean = lite0.preprocess(picture.load())
        ours, theirs = (
            Engine(each, MapCache()).explain(clean, picture.digest, SPECS, methods, layer)
            for each in (classifier, lite0)
        )
        for a, b in zip(ours, theirs, strict=True):
            assert a.index == b.index and np.abs(a.probabilities - b.probabilities).max() < CLOSE
            assert all(np.abs(a.maps[name] - b.maps[name]).max() < CLOSE for name in methods)


def test_scores_are_computed_in_full_precision_and_kept_apart(classifier: Classifier, device: str) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)

    clean = torch.zeros(3, *classifier.input_size)
    Engine(classifier, MapCache()).explain(clean, "digest", [CLEAN], ["gradcam"], check=look)
    assert seen and not any(seen)
    assert arithmetic(classifier.device) != arithmetic(torch.device("cpu"))


def test_out_of_memory_on_the_device_halves_the_batch(
    classifier: Classifier, pictures: tuple[Picture, ...], device: str
) -> None:
    if device != "cuda":
        pytest.skip("only CUDA lets a process limit its memory")
    picture = pictures[0]
    clean = classifier.preprocess(picture.load())
    specs = [Spec("gaussian_noise", 3.0, seed) for seed in range(64)]
    expected = Engine(classifier, MapCache()).explain(clean, picture.digest, specs[:2], ["gradcam"])
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + 300 * 2**20  # for some pictures, not for all 64
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        queue = DeviceQueue(64)
        found = Engine(classifier, MapCache(), batch=64, queue=queue).explain(clean, picture.digest, specs, ["gradcam"])
        assert queue.batches > 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    for a, b in zip(found, expected, strict=False):
        assert np.abs(a.maps["gradcam"] - b.maps["gradcam"]).max() < CLOSE


def test_many_visitors_share_a_device(classifier: Classifier) -> None:
    found = crowd(classifier, 10, 3)
    assert found.wrong == [] and found.left_behind == [] and found.batches < found.requests


def test_peak_memory_is_the_devices(classifier: Classifier, device: str) -> None:
    if device != "cuda":
        pytest.skip("only CUDA counts what a device had in use at most")
    classifier.logits(torch.zeros(1, 3, *classifier.input_size))
    peak = peak_bytes(classifier.device)
    assert peak is not None and 0 < peak < torch.cuda.get_device_properties(0).total_memory

"""What many tests share: one classifier and a few pictures, loaded once a session."""

from __future__ import annotations

import os
from pathlib import Path

# Tests run in parallel processes: one thread each, in the servers they start too. To be set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Memory that one thread has freed serves another: with a heap for each thread, processes grow. Workers inherit this.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")
# Nor may a test find, or leave, results in the cache of whoever runs it.
os.environ["CAMLAB_CACHE_DIR"] = "off"
# Nor studies: a folder that is not there.
os.environ["CAMLAB_STUDIES_DIR"] = str(Path(__file__).parent / "no-studies")
# Nor models that they have downloaded: a folder that is not there.
os.environ["HF_HUB_CACHE"] = str(Path(__file__).parent / "no-hub-cache")

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from camlab.images import Picture, find_picture
from camlab.models import load_classifier

if TYPE_CHECKING:
    from torch import Tensor

    from camlab.models.classifier import Classifier

# A busy machine is no failure: how long an example takes decides nothing.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def lite0() -> Classifier:
    """EfficientNet-Lite0 on the CPU: shared, never to be changed."""
    return load_classifier("efficientnet_lite0", "cpu")


@pytest.fixture(scope="session")
def pictures() -> tuple[Picture, ...]:
    """Four built-in pictures, one of each set."""
    names = ("photos/bison", "composites/bison__cork", "places/taj_mahal", "objects/coffee")
    return tuple(find_picture(name) for name in names)


@pytest.fixture(scope="session")
def inputs(lite0: Classifier, pictures: tuple[Picture, ...]) -> Tensor:
    """The four pictures at Lite0's input size, (4, 3, 224, 224) in [0, 1]: copy before changing."""
    import torch

    return torch.stack([lite0.preprocess(picture.load()) for picture in pictures])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that passing tests have recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties if report.when == "call" else ():
            terminalreporter.write_line(f"{name}: {figure}")

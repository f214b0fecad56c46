"""A small plan that has a bit of everything, and the study that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from camlab.study import StudyPlan, run_study
from camlab.study.store import Study, open_study
from tests.study.threads import workers_as_threads

PLAN = StudyPlan(
    models=("shapes_resnet", "shapes_vgg"),
    image_sets=("shapes",),
    methods=("gradcam", "hirescam", "eigencam", "randomcam"),
    noises=("gaussian_noise", "saturate", "jpeg_compression"),
    severities=(1.0, 2.5, 5.0),
    seeds=2,
    layers=("before", "default"),
    limit=3,
    decompose=True,
)


@pytest.fixture(scope="session")
def plan() -> StudyPlan:
    """Two models, three pictures, 11 versions of each, 4 methods on 2 layers: 528 pairs."""
    return PLAN


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The plan, run by one worker: only to be read."""
    folder = tmp_path_factory.mktemp("study") / "whole"
    with workers_as_threads():
        run_study(PLAN, folder, workers=1, device="cpu")
    return open_study(folder)


@pytest.fixture
def threads() -> Iterator[None]:
    """Let studies compute on threads of this process."""
    with workers_as_threads():
        yield


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """A folder with two pictures and a file that only looks like one."""
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for number, colour in enumerate(((200, 30, 30), (30, 60, 200))):
        image = Image.linear_gradient("L").resize((140, 140)).convert("RGB")
        Image.blend(image, Image.new("RGB", image.size, colour), 0.4).save(folder / f"p{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and then nothing")
    return folder

"""The films: a real GIF and a real MP4 whose frames rise and fall, with progress and cancel."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from camlab.engine.shared import engine_for
from camlab.explore.output import film as animation
from camlab.explore.output.film import FORMS, HEIGHT, WIDTH, Animation, eased
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.sweep import Sweep
from camlab.images import find_picture


@pytest.fixture(scope="module")
def scene() -> Scene:
    state = ExploreState(model="shapes_resnet", image="shapes/0-1", severity=1.0, draws=2)
    return Scene(engine_for(state.model), find_picture(state.image), state)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of a second: the way is the same, in fewer frames."""
    for name in FORMS:
        form = FORMS[name]
        monkeypatch.setitem(FORMS._entries, name, animation.Form(**{**vars(form), "seconds": 8 / form.fps}))


def made(scene: Scene, form: str) -> Animation:
    run = Animation(scene, Sweep(scene, 1.0), form)
    while run.job.running:
        run.job.step()
    assert run.job.error is None and run.data and run.job.done == run.job.total
    return run


def test_the_severity_rises_and_falls_smoothly() -> None:
    way = [eased(i / 200) for i in range(201)]
    assert way[0] == 0 and way[100] == pytest.approx(5) and way[200] == pytest.approx(0)
    assert all(a < b for a, b in pairwise(way[:101]))
    assert max(abs(a - b) for a, b in pairwise(way)) < 0.1
    assert [eased(s) for s in (0.2, 0.3)] == pytest.approx([eased(1 - s) for s in (0.2, 0.3)])


def test_a_gif_plays_for_ever_and_comes_back(scene: Scene, short: None) -> None:
    film = Image.open(io.BytesIO(made(scene, "gif").data or b""))
    assert isinstance(film, GifImageFile) and film.n_frames == 8 and film.info["loop"] == 0
    frames = []
    for i in range(8):
        film.seek(i)
        frames.append(np.asarray(film.convert("RGB"), float))
    change = [float(np.abs(frame - frames[0]).mean()) for frame in frames]
    assert 0 < change[1] < change[2] < change[3] and change[4] > 3
    assert np.array_equal(frames[1], frames[7]) and np.array_equal(frames[3], frames[5])


def test_an_mp4_is_h264_that_browsers_play(scene: Scene, short: None, tmp_path: Path) -> None:
    data = made(scene, "mp4").data or b""
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    film = cv2.VideoCapture(str(path))
    code = int(film.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert code in (b"h264", b"avc1") and b"avc1" in data
    assert data.index(b"moov") < data.index(b"mdat")  # it starts before all of it is there
    assert (film.get(cv2.CAP_PROP_FRAME_WIDTH), film.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (WIDTH, HEIGHT)
    frames = [film.read()[1].astype(float) for _ in range(8)]
    change = [float(np.abs(frame - frames[0]).mean()) for frame in frames]
    assert 0 < change[1] < change[2] < change[3] and change[4] > 3


def test_a_cancelled_film_leaves_nothing(scene: Scene) -> None:
    run = Animation(scene, Sweep(scene, 1.0), "mp4")
    for _ in range(3):
        run.job.step()
    run.job.cancel()
    run.job.step()
    assert not run.job.running and run.job.cancelled and run.data is None


def test_gauges_are_those_of_the_sweep(scene: Scene) -> None:
    sweep = Sweep(scene, 1.0)
    run = Animation(scene, sweep, "gif")
    assert run._scores(1.0) == {}
    for row in scene.rows([(1.0, 0), (1.0, 1)]):
        sweep.add(row)
    assert run._scores(1.0)["Consistency C"] == sweep.scores(1.0).severity.consistency

"""The grid of a comparison: each cell beside the scene that computes it alone, and what a cell says without a map."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camlab.cams import CAMS
from camlab.common.errors import MissingWeights
from camlab.common.jobs import Job
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.compare import browser
from camlab.explore.compare.cells import GridCell
from camlab.explore.compare.grid import NO_MAP, Grid
from camlab.explore.compare.state import CompareState, Place
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture, picture_from_bytes
from camlab.noise import NOISES
from tests.explore.output.parcels import restore

BASE = ExploreState(model="shapes_resnet", image="shapes/0-0", noise="gaussian_noise", severity=3.0, seed=2)
LIGHT = ("gradcam", "hirescam", "eigencam")


def grid(engines: Callable[[str], Engine] = engine_for, **changes: Any) -> Grid:
    state = CompareState(**{"base": BASE, "methods": LIGHT, **changes})
    return Grid(state, find_picture(state.base.image), engines)


def filled(engines: Callable[[str], Engine] = engine_for, **changes: Any) -> Grid:
    found = grid(engines, **changes)
    run(found)
    return found


def run(found: Grid) -> None:
    while found.job.running:
        found.job.step()
    assert found.job.error is None


@pytest.mark.parametrize(
    ("axis", "columns", "methods"),
    [
        ("severity", ("0.5", "5"), ("gradcam", "ablationcam", "fem", "randomcam")),
        ("noise", ("fog", "gaussian_blur", "fgsm"), ("gradcam++", "eigencam")),
        ("seed", ("0", "3"), ("layercam", "eigencam")),
        ("model", ("shapes_vgg", "shapes_vit"), ("gradcam", "gradcam++")),
    ],
)
@pytest.mark.parametrize("rule", ["own", "clean"])
def test_a_cell_is_what_its_scene_shows(
    axis: str, columns: tuple[str, ...], methods: tuple[str, ...], rule: str
) -> None:
    base = dataclasses.replace(BASE, rule=rule)
    found = filled(base=base, axis=axis, columns=columns, methods=methods)
    assert found.complete and len(found.cells) == len(found.places())
    for where, cell in found.cells.items():
        state = dataclasses.replace(
            base,
            method=where.method,
            model=where.model,
            severity=where.severity,
            seed=where.seed,
            noise=where.noise or base.noise,
        )
        shown = Scene(engine_for(where.model), find_picture(base.image), state).shown(where.severity, where.seed)
        assert cell.row is not None and cell.map is not None
        np.testing.assert_allclose(cell.map, shown.perturbed.maps[where.method], atol=1e-5)
        assert cell.similarity == pytest.approx(shown.row["similarity"], abs=1e-9)
        assert cell.row["flipped"] == shown.row["flipped"]
        assert cell.row["perturbed_index"] == shown.row["perturbed_index"]


def test_a_rows_robustness_is_the_mean_of_its_noisy_cells() -> None:
    found = filled()
    for row in found.rows:
        cells = [found.cells[found.place(row, column)] for column in found.columns if column.value is not None]
        score = found.score(row)
        assert score.mean == pytest.approx(np.mean([cell.similarity for cell in cells]))
        assert score.n == len(cells) == 5
        assert score.flipped == sum(cell.row["flipped"] for cell in cells if cell.row)
    means = {row: found.score(row).mean or 0.0 for row in found.rows}
    assert found.ordered("most") == sorted(means, key=lambda row: -means[row])
    assert found.ordered("least") == found.ordered("most")[::-1]
    assert found.ordered("listed") == list(found.rows)


def test_rows_keep_their_places_while_cells_are_coming() -> None:
    found = grid()
    assert found.ordered("most") == list(found.rows)
    found.job.step()
    assert found.ordered("most") == list(found.rows)


def test_methods_that_coincide_are_one_row_with_all_their_names() -> None:
    found = grid()
    assert [row.methods for row in found.rows] == [("gradcam", "hirescam"), ("eigencam",)]
    assert found.title(Place("hirescam", BASE.model)) == "Grad-CAM = HiResCAM"
    # Only where they do so under every model of the columns: a ViT has no layer of that kind.
    mixed = grid(axis="model", columns=("shapes_resnet", "shapes_vit"))
    assert [row.methods for row in mixed.rows] == [("gradcam",), ("hirescam",), ("eigencam",)]


def test_cells_come_a_few_at_a_time_and_can_be_stopped_and_gone_on_with() -> None:
    found = grid(columns=("1", "2", "3", "4", "4.5", "5"))
    counts: list[int] = []
    while not counts or counts[-1] < 4:
        found.job.step()
        counts.append(len(found.cells))
    found.job.cancel()
    found.job.step()
    held = dict(found.cells)
    assert 0 < len(held) < len(found.places()) and not found.job.running
    found.resume()
    run(found)
    assert found.complete and all(found.cells[where] is cell for where, cell in held.items())


def test_the_time_left_is_known_once_every_kind_of_cell_has_been_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = grid(columns=("1", "2"), methods=("gradcam", "eigencam", "scorecam_top"))
    # Each light cell takes a second and each dear one ten; a cell takes a step of its own.
    monkeypatch.setattr("camlab.explore.compare.grid.batches", lambda places: [[each] for each in places])
    seconds, job = {"shared": 1.0, "full": 10.0}, found.job
    said: list[tuple[float | None, float]] = []
    keep = found._keep

    def kept(job: Job, cell: GridCell) -> None:
        keep(job, cell)
        job.elapsed += seconds[found.scene(cell.place).cost]

    monkeypatch.setattr(found, "_keep", kept)
    monkeypatch.setattr("camlab.common.jobs.time.perf_counter", lambda: 0.0)
    while job.running:
        job.step()
        left = sum(seconds[found.scene(where).cost] for where in found.missing())
        said.append((found.seconds_left, left))
    known = [(told, left) for told, left in said if told is not None]
    assert known and all(told == pytest.approx(left) for told, left in known)
    assert said[0][0] is None and all(left > 0 for _, left in known)
    # Not said while only the light ones are known: it would be far too little.
    assert max(left for _, left in known) < 10 * 3


def test_a_grid_costs_one_pass_a_version_whatever_the_number_of_methods() -> None:
    few, many = (_passes(methods) for methods in (("gradcam",), ("gradcam", "gradcam++", "eigencam", "layercam")))
    assert few == many


def _passes(methods: tuple[str, ...]) -> int:
    """How many pictures go through the network for a grid, with an empty cache."""
    engine = Engine(engine_for(BASE.model).classifier)
    seen = []
    real = engine.queue.run

    def counted(request: Any) -> Any:
        seen.append(len(request.pictures))
        return real(request)

    engine.queue = _Counting(engine.queue, counted)  # type: ignore[assignment]
    filled(lambda _: engine, methods=methods)
    return sum(seen)


class _Counting:
    def __init__(self, queue: Any, run: Callable[[Any], Any]) -> None:
        self._queue, self.run = queue, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def test_pins_and_the_pair_are_computed_wherever_they_come_from() -> None:
    pin, other = (
        Place("eigencam", "shapes_vgg", "fog", 1.5, 0),
        Place("gradcam", BASE.model, "contrast", 2.0, 0),
    )
    found = filled(pins=(pin,))
    assert found.cells[pin].map is not None and pin.clean in found.cells
    assert found.adopt(dataclasses.replace(found.state, a=other))
    found.resume()
    run(found)
    assert found.cells[other].map is not None
    assert not found.adopt(dataclasses.replace(found.state, sort="most"))


def test_severity_zero_is_the_clean_column_and_seeds_of_a_still_noise_are_one() -> None:
    assert [c.title for c in grid(columns=("0", "2")).columns] == ["Clean", "Severity 2"]
    still = grid(base=dataclasses.replace(BASE, noise="gaussian_blur"), axis="seed")
    assert [c.title for c in still.columns] == ["Clean", "Seed 2"]


def test_a_cell_that_cannot_be_made_says_why() -> None:
    vit = filled(base=dataclasses.replace(BASE, model="shapes_vit"), methods=tuple(CAMS), columns=("3",))
    lacking = {cell.place.method: cell.note for cell in vit.cells.values() if cell.map is None}
    scene = vit.scene(Place("gradcam", "shapes_vit"))
    reasons = {name: CAMS[name].serves(scene.classifier, scene.layer) for name in CAMS}
    known = {name: reason for name, reason in reasons.items() if reason}
    assert known and known.items() <= lacking.items() and "gradcam" not in lacking
    assert all(note.endswith(".") for note in lacking.values())
    pair = filled(axis="noise", columns=("captured", "fog"))
    notes = {cell.place.noise: cell.note for cell in pair.cells.values()}
    assert "upload a pair" in notes["captured"] and notes["fog"] == ""


def test_a_model_that_is_not_here_has_a_column_that_says_so() -> None:
    def engines(name: str) -> Engine:
        if name == "shapes_vgg":
            raise MissingWeights("The weights are not here; download them first.")
        return engine_for(name)

    found = filled(engines, axis="model", columns=("shapes_resnet", "shapes_vgg"))
    assert [bool(c.note) for c in found.columns] == [False, True]
    assert {c.note for w, c in found.cells.items() if w.model == "shapes_vgg"} == {found.columns[1].note}
    assert all(c.map is not None for w, c in found.cells.items() if w.model == "shapes_resnet")
    assert found.score(found.rows[0]).n == 1


def test_a_degenerate_map_is_no_map() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), "black").save(buffer, "PNG")
    picture = picture_from_bytes(buffer.getvalue(), "black.png")
    state = CompareState(base=BASE, methods=("gradcam", "eigencam"))
    found = Grid(state, picture)
    run(found)
    flat = [cell for cell in found.cells.values() if cell.note]
    for cell in flat:
        assert cell.similarity is None
    scene = found.scene(Place("gradcam", BASE.model))
    clean = scene.clean()
    cell = found.cells[Place("gradcam", BASE.model)]
    assert (cell.note == NO_MAP) == clean.degenerate["gradcam"]


def test_what_the_browser_gets_is_what_the_cells_hold_and_each_picture_once() -> None:
    found = filled()
    news = browser.news(found, 0)
    assert [item["id"] for item in news] == [where.text for where in found.cells]
    for item, cell in zip(news, found.cells.values(), strict=True):
        sent = restore(base64.b64decode(item["map"]), tuple(item["shape"]))
        assert cell.map is not None
        np.testing.assert_allclose(sent, cell.map, atol=1e-4)
        assert item["value"] == cell.similarity
        assert CAMS[cell.place.method].title in item["alt"]
        assert (item["score"] in item["alt"]) == (cell.place.noise is not None)
    pictures = [item["picture"] for item in news if "jpeg" in item]
    assert len(pictures) == len(set(pictures)) == 6
    first = Image.open(io.BytesIO(base64.b64decode(news[0]["jpeg"])))
    assert first.size == (128, 128)
    # What is there already is not sent again, nor its picture.
    rest = browser.news(found, 5)
    assert [item["id"] for item in rest] == [item["id"] for item in news[5:]]
    assert not {i["picture"] for i in rest if "jpeg" in i} & {i["picture"] for i in news[:5]}


def test_the_table_in_words_says_every_cell() -> None:
    found = filled(columns=("1", "5"))
    head, lines = browser.table(found, "most")
    assert head[-2:] == ["Severity 1", "Severity 5"]
    assert [line[0] for line in lines] == [row.title for row in found.ordered("most")]
    for line, row in zip(lines, found.ordered("most"), strict=True):
        cell = found.cells[found.place(row, found.columns[-1])]
        assert f"{cell.similarity:.2f}" in line[-1] and ("flipped" in line[-1]) == bool(
            cell.row and cell.row["flipped"]
        )
    assert "to come" in browser.table(grid(), "listed")[1][0]


def test_every_usual_noise_type_is_one() -> None:
    state = CompareState(base=BASE, axis="noise")
    assert set(state.values) <= set(NOISES)

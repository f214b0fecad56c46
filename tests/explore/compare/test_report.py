"""The tray as a report: the pairs with their numbers, and what is pinned and no pair in words."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from camlab.common.errors import BadSetting
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.report import BESIDE, noisy_pairs, report_pair, tray_material
from camlab.explore.compare.state import CompareState, Place, parse_link
from camlab.explore.state import ExploreState
from camlab.images import find_picture, picture_from_bytes
from tests.material import png

MODEL = "shapes_resnet"
CLEAN = Place("gradcam", MODEL)
MILD = Place("gradcam", MODEL, "gaussian_noise", 1.0, 1)
STRONG = Place("eigencam", MODEL, "gaussian_noise", 4.0, 1)
BARE = Place("eigencam", MODEL, "captured", 3.0, 0)
TRAY = (CLEAN, STRONG, BARE, MILD)
BASE = ExploreState(model=MODEL, image="shapes/0-0", seed=1)


@pytest.fixture(scope="module")
def grid() -> Grid:
    state = CompareState(BASE, ("gradcam", "hirescam", "eigencam"), columns=("1", "4"), pins=TRAY)
    found = Grid(state, find_picture(BASE.image))
    while found.job.running:
        found.job.step()
    return found


def test_the_pairs_of_a_tray_are_its_noisy_cells_that_are_there(grid: Grid) -> None:
    assert noisy_pairs(grid, TRAY) == [STRONG, MILD]
    assert noisy_pairs(grid, (Place("layercam", MODEL, "fog", 2.0, 0), CLEAN)) == []


def test_a_report_has_the_numbers_of_the_grid_and_says_what_it_leaves_out(grid: Grid) -> None:
    cells = [report_pair(grid, where) for where in noisy_pairs(grid, TRAY)]
    for where, cell in zip((STRONG, MILD), cells, strict=True):
        known = grid.cells[where]
        assert known.similarity == pytest.approx(cell.shown.row["similarity"], abs=1e-9)
        assert cell.scene.state.severity == where.severity and cell.scene.state.method == where.method
    material = tray_material(grid, TRAY, cells)
    said = " ".join(material.summary)
    assert "2 pairs" in said and "upload a pair" in said and BESIDE in said
    assert "Grad-CAM = HiResCAM" in material.tables[0].rows[1][0], "methods of one map are named together"
    assert BESIDE not in tray_material(grid, (STRONG,), cells[:1]).summary
    assert [f"--severity {s}" in line for s, line in zip((4, 1), material.reproduce, strict=True)] == [True] * 2
    assert parse_link(dict(parse_qsl(material.link.removeprefix("/compare?"))))[0].pins == TRAY


def test_a_picture_of_ones_own_has_no_link(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [report_pair(grid, STRONG)]
    assert tray_material(grid, (STRONG,), cells).link
    monkeypatch.setattr(grid, "picture", picture_from_bytes(png(3), "mine.png"))
    assert not tray_material(grid, (STRONG,), cells).link


def test_a_tray_without_a_pair_makes_no_report(grid: Grid) -> None:
    with pytest.raises(BadSetting, match="1 to 12 cells, not 0"):
        tray_material(grid, (CLEAN, BARE), [])

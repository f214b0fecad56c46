"""The tray as a report: each pinned cell of a noisy picture as the pair that Explore would show of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from camlab.drawing.report.material import Material
from camlab.explore.compare.browser import model_title, told, version_title
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.report import Cell, cells_material
from camlab.explore.compare.state import Place, to_link
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import OWN_KINDS

BESIDE = "Cells of the clean picture are not listed: each pair shows its clean map."


def pairs(grid: Grid, places: Sequence[Place]) -> list[Place]:
    """Those of the cells that are there and compare a noisy picture with the clean one: what a report tells of."""
    cells = [grid.cell(where) for where in places]
    return [each.place for each in cells if each and each.row is not None and each.place.noise is not None]


def report_cell(grid: Grid, where: Place, check: Callable[[], None] = lambda: None) -> Cell:
    """A cell with all that its pair can say. Raises CamLabError where it cannot be made."""
    usual = ExploreState()
    state = dataclasses.replace(grid.explore(where), view=usual.view, outline=usual.outline)
    scene = Scene(grid.scene(where).engine, grid.picture, state)
    label = f"{grid.title(where)}, {version_title(where)}, {model_title(where)}"
    return Cell(scene, scene.shown(where.severity, where.seed, check), label)


def tray_material(grid: Grid, places: Sequence[Place], cells: Sequence[Cell]) -> Material:
    """What a report says about a tray; ``cells`` are the `report_cell` of its pairs.

    What is pinned and no pair is said in words. Raises BadSetting without any pair, or with more than a report holds.
    """
    paired = pairs(grid, places)
    rest = [where for where in places if where not in paired]
    bare = [cell for where in rest if where.noise is not None and (cell := grid.cell(where))]
    said = [f"Without a pair: {told(grid, cell)}" for cell in bare]
    said += [BESIDE] if any(where.noise is None for where in rest) else []
    material = cells_material(cells, f"Explanations of “{grid.picture.title}” side by side", summary=said)
    own = grid.picture.image_set in OWN_KINDS
    shown = dataclasses.replace(grid.state, pins=tuple(places))
    return dataclasses.replace(material, link="" if own else "/compare?" + urlencode(to_link(shown)))


__all__ = ["pairs", "report_cell", "tray_material"]

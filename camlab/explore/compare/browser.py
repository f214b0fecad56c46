"""The data from which the browser draws a comparison: the table's frame first, then the cells as they are computed."""

import base64
import dataclasses
from typing import Any
from urllib.parse import urlencode

from camlab.common.wording import decimal, percent
from camlab.drawing.charts.titles import model_title
from camlab.explore.compare.cells import GridCell, GridColumn, GridRow
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import Place
from camlab.explore.output.frames import quantise
from camlab.explore.output.panels import perturbed_title, shown_verdict
from camlab.explore.scene import Scene
from camlab.explore.state import to_query
from camlab.metrics import SIMILARITIES
from camlab.models import short_name


def version_title(where: Place) -> str:
    """Name the version of the picture in a cell."""
    return "Clean picture" if where.noise is None else perturbed_title(dataclasses.asdict(where))


def score_text(cell: GridCell) -> str:
    """Return a cell's similarity to its clean map as text, empty if there is none."""
    return "" if cell.similarity is None else decimal(cell.similarity)


def prediction(scene: Scene, cell: GridCell) -> str:
    """Describe the prediction for a cell's picture; empty if there is none."""
    row = cell.row
    if row is None:
        return ""
    if cell.place.noise is None:
        return f"predicted: {row['perturbed_label']} {percent(row['perturbed_prob'])}"
    return shown_verdict(scene, row)


def alt_text(grid: Grid, cell: GridCell) -> str:
    """Describe a cell in one sentence, the alternative text of its picture."""
    where = cell.place
    parts = [f"{grid.title(where)}, {version_title(where)}, {model_title(where.model)}"]
    if cell.similarity is not None and where.noise is not None:
        parts.append(f"similarity with its clean map {score_text(cell)}")
    if cell.row is not None:
        parts.append(prediction(grid.scene(where), cell))
    parts += [cell.note] if cell.note else []
    return ": ".join([parts[0], "; ".join(parts[1:])]) if parts[1:] else parts[0]


def frame(grid: Grid, sort: str) -> dict[str, Any]:
    """Return rows and columns with the names of their cells, in the order shown."""
    scene = grid.scene(Place("gradcam", grid.state.base.model))
    return {
        "name": grid.name,
        "axis": grid.state.axis,
        "columns": [{"title": column.title, "note": column.note} for column in grid.columns],
        "rows": [_row(grid, row) for row in grid.ordered(sort)],
        "ratio": scene.classifier.input_size[1] / scene.classifier.input_size[0],
        "measure": SIMILARITIES[grid.state.base.similarity].scored_title,
    }


def _row(grid: Grid, row: GridRow) -> dict[str, Any]:
    score = grid.score(row)
    return {
        "title": row.title,
        "mean": score.mean,
        "score": decimal(score.mean) if score.mean is not None else "",
        "count": f"n = {score.n}" + (f", {score.flipped} flipped" if score.flipped else ""),
        "cells": [grid.place(row, column).text for column in grid.columns],
    }


def news(grid: Grid, have: int) -> list[dict[str, Any]]:
    """Return all cells after the first ``have``, in the order in which they were computed."""
    cells = list(grid.cells.values())
    sent = {cell.place.version for cell in cells[:have] if cell.map is not None or cell.row is not None}
    found = []
    for cell in cells[have:]:
        item = _cell(grid, cell)
        if item["picture"] and cell.place.version not in sent:
            item["jpeg"] = _text(grid.pictures[cell.place.version])
            sent.add(cell.place.version)
        found.append(item)
    return found


def _cell(grid: Grid, cell: GridCell) -> dict[str, Any]:
    where, row = cell.place, cell.row
    label = ""
    if row is not None:
        label = f"{row['perturbed_label']} {percent(row['perturbed_prob'])}"
    return {
        "id": where.text,
        "picture": where.version.text if cell.row is not None else "",
        "map": "" if cell.map is None else _text(quantise(cell.map)),
        "shape": [] if cell.map is None else list(cell.map.shape),
        "clean": where.clean.text,
        "value": cell.similarity,
        "score": score_text(cell),
        "flipped": bool(row is not None and row["flipped"]),
        "said": label,
        "verdict": "" if row is None else prediction(grid.scene(where), cell),
        "method": grid.title(where),
        "version": version_title(where),
        "model": model_title(where.model),
        "note": cell.note,
        "explore": "" if row is None else urlencode(to_query(grid.explore(where))),
        "alt": alt_text(grid, cell),
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def table(grid: Grid, sort: str) -> tuple[list[str], list[list[str]]]:
    """Return the grid as text, a header and one line per row, for people who cannot see the pictures."""
    noisy = [column for column in grid.columns if column.value is not None]
    head = ["Method", "Robustness (mean similarity)", "n", "Flipped", *(column.title for column in noisy)]
    lines = []
    for row in grid.ordered(sort):
        score = grid.score(row)
        numbers = [decimal(score.mean), str(score.n), str(score.flipped)]
        lines.append([row.title, *numbers, *(_word(grid, row, column) for column in noisy)])
    return head, lines


def _word(grid: Grid, row: GridRow, column: GridColumn) -> str:
    cell = grid.cell(grid.place(row, column))
    if cell is None:
        return "to come"
    if cell.row is None:
        return cell.note
    names = grid.scene(cell.place).classifier.class_names
    flip = f", flipped to {short_name(names[cell.row['perturbed_index']])}" if cell.row["flipped"] else ""
    return (score_text(cell) or cell.note) + flip

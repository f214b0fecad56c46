"""Heat map of a study: a value for every method and noise type."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from camlab.drawing.charts.look import HOVER_TEXT, SMALL, Chart, chart_layout
from camlab.drawing.charts.titles import level_title, short_title, wrapped
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.values import (
    VALUE_LABELS,
    Record,
    compact,
    enough,
    levels_in,
    observed,
    one_each,
    unprefixed,
    value_title,
)
from camlab.study.charts.look import no_data, not_observed, records_words, small

DIVERGING = [[0.0, "#B35806"], [0.5, "#F1F1EF"], [1.0, "#2B6CA8"]]
SEQUENTIAL = [[0.0, "#E3EAF1"], [1.0, "#2B6CA8"]]
CELL = 34  # height of a row of cells in pixels
TEXT_UP_TO = 12  # columns; with more, numbers do not fit on a narrow screen


def value_heatmap(
    records: Sequence[Record], *, value: str = "rm", rows: str = "method", columns: str = "noise"
) -> Chart:
    """Draw a value in every cell of two keys of the records, with the longer key downwards.

    Cells that were not observed or not measured are empty and marked; numbers in brackets come from fewer than 5
    pairs. ``customdata`` of a cell: its levels of ``rows`` and of ``columns``. Raises BadSetting.
    """
    if not records:
        return no_data("nothing")
    cells = one_each(records, rows, columns)
    if all(observed(record, value) is None for record in records):
        return not_observed(value)
    across, down = levels_in(records, columns), levels_in(records, rows)
    turned = len(across) > max(len(down), 7)
    x_key, y_key = (rows, columns) if turned else (columns, rows)
    x_levels, y_levels = (down, across) if turned else (across, down)
    grid: list[list[tuple[Any, ...]]] = []
    absent: list[tuple[int, int, str]] = []
    for j, y_level in enumerate(y_levels):
        line: list[tuple[Any, ...]] = []
        for i, x_level in enumerate(x_levels):
            key = (x_level, y_level) if turned else (y_level, x_level)
            record = cells.get(key)
            found = None if record is None else observed(record, value)
            names = f"<b>{wrapped(level_title(rows, key[0]))}</b><br>{escape(level_title(columns, key[1]))}<br>"
            if found is None:
                absent.append((i, j, "·" if record is None else "–"))
            text = "" if found is None or record is None else compact(found)
            if record is not None and text and not enough(record, value):
                text = f"({text})"
            words = "not measured" if record is None else records_words(record, value)
            line.append((found, text, names + words, list(key)))
        grid.append(line)
    z, texts, hovers, data = ([[cell[part] for cell in line] for line in grid] for part in range(4))
    room = len(x_levels) <= TEXT_UP_TO
    names_y = [wrapped(level_title(y_key, level), 15) for level in y_levels]
    lines = max(name.count("<br>") + 1 for name in names_y)
    notes = []
    if any(text.startswith("(") for row in texts for text in row):
        notes.append(f"( ) fewer than {FEWEST_PAIRS} pairs")
    kinds = {kind for *_, kind in absent}
    notes += ["– not observed"] if "–" in kinds else []
    notes += ["· not measured"] if "·" in kinds else []
    height = max(CELL, 15 * lines) * len(y_levels) + 180 + 16 * len(notes)
    axes = {
        "xaxis": {
            "tickvals": [*range(len(x_levels))],
            "ticktext": [escape(short_title(x_key, level)) for level in x_levels],
            "tickangle": -60 if len(x_levels) > 3 else 0,
            "range": [-0.5, len(x_levels) - 0.5],
            "title_text": small(notes),
        },
        "yaxis": {
            "tickvals": [*range(len(y_levels))],
            "ticktext": names_y,
            "range": [len(y_levels) - 0.5, -0.5],
            "showgrid": False,
        },
        "showlegend": False,
    }
    figure = go.Figure(layout=chart_layout(height, 0, **axes))
    figure.add_heatmap(
        z=z, x=[*range(len(x_levels))], y=[*range(len(y_levels))], xgap=2, ygap=2,
        hovertext=hovers, hovertemplate=HOVER_TEXT, customdata=data, **_colours(z, value),
    )  # fmt: skip
    if room:
        _add_numbers(figure, z, texts)
    figure.add_scatter(
        x=[i for i, *_ in absent], y=[j for _, j, _ in absent], text=[kind for *_, kind in absent],
        mode="text", hoverinfo="skip", name="missing", textfont={"size": 15},
    )  # fmt: skip
    return Chart(figure, _heat_words(cells, value, rows, columns))


def _add_numbers(figure: go.Figure, z: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]]) -> None:
    """Write each cell's number in black or white, by contrast; Plotly's own choice is too pale in the middle."""
    there = [(i, j, v) for j, line in enumerate(z) for i, v in enumerate(line) if v is not None]
    (heat,) = figure.data
    figure.add_scatter(
        x=[i for i, *_ in there], y=[j for _, j, _ in there], text=[texts[j][i] for i, j, _ in there],
        mode="text", hoverinfo="skip", name="numbers",
        textfont={
            "size": 12 if len(z[0]) <= 8 else 10,
            "color": [_ink((v - heat.zmin) / (heat.zmax - heat.zmin), heat.colorscale) for *_, v in there],
        },
    )  # fmt: skip


def _ink(at: float, scale: Sequence[tuple[float, str]]) -> str:
    """Return black or white, whichever has more contrast (WCAG 2) on the colour at a place of a scale."""
    places = [place for place, _ in scale]
    linear = [np.interp(at, places, [int(colour[k : k + 2], 16) / 255 for _, colour in scale]) for k in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in linear)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def _colours(z: Sequence[Sequence[float | None]], value: str) -> dict[str, Any]:
    """Return colour scale and range: centred on the neutral value if there is one, and never narrow."""
    found = np.array([v for line in z for v in line if v is not None])
    neutral = VALUE_LABELS[unprefixed(value)].neutral
    if neutral is not None:
        reach = max(0.1, float(np.abs(found - neutral).max()))
        low, high, scale = neutral - reach, neutral + reach, DIVERGING
    else:
        low, high, scale = float(found.min()), float(found.max()), SEQUENTIAL
        wider = max(0.0, 0.3 - (high - low)) / 2
        low, high = max(0.0, low - wider), min(1.0, high + wider)
    bar = {
        "orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "len": 1, "thickness": 9,
        "outlinewidth": 0, "tickfont": {"size": SMALL}, "nticks": 5, "ypad": 6, "xpad": 0,
        "title": {"text": escape(value_title(value)), "side": "top", "font": {"size": SMALL}},
    }  # fmt: skip
    return {"zmin": low, "zmax": high, "colorscale": scale, "colorbar": bar}


def _heat_words(cells: Mapping[tuple[Any, ...], Record], value: str, rows: str, columns: str) -> str:
    known = [(v, key) for key, record in cells.items() if (v := observed(record, value)) is not None]
    few = sum(not enough(cells[key], value) for _, key in known)
    low, high = min(known, key=lambda e: e[0]), max(known, key=lambda e: e[0])

    def at(found: tuple[float, tuple[Any, ...]]) -> str:
        v, (row, column) = found
        return f"{v:.2f} ({level_title(rows, row)}, {level_title(columns, column)})"

    return (
        f"{value_title(value)} by {rows} and {columns}: lowest {at(low)}, highest {at(high)}; "
        f"{len(known)} cells observed, {len(cells) - len(known)} not observed, {few} of them on fewer than "
        f"{FEWEST_PAIRS} pairs."
    )

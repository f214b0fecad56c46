"""What the charts of a study share: names, marks that differ by more than colour, and words for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.drawing.charts.look import (
    _SAID,
    FLIPPED,
    HEIGHT,
    KEPT,
    NEUTRAL,
    SIMILARITY,
    Chart,
    _empty,
    _line,
    _Mark,
    _note,
)
from camlab.metrics import SIMILARITIES
from camlab.study.analysis.summary import JOINT, is_baseline

COLOURS = (KEPT, FLIPPED, SIMILARITY, "#1B9A83", "#CC4F8C", "#A07A0C", "#D1495B", "#6F7FC2")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "triangle-down", "hexagon")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
KIN_TITLES = {
    "rbo_cells": "RBO over the map's cells",
    "rbo_slic50": "RBO over 50 SLIC segments",
    "rbo_class_only": "RBO, class changed only",
    "rbo_noise_only": "RBO, noise only",
}


@dataclass(frozen=True)
class Mark:
    """How one of several series is drawn; no two share colour, symbol and dash."""

    colour: str
    symbol: str
    dash: str


def marks_of(levels: Sequence[str]) -> dict[str, Mark]:
    """A mark for each name; the baseline has its own, whatever its place."""
    found = {}
    at = 0
    for level in levels:
        if is_baseline(level):
            found[level] = Mark(NEUTRAL, "x-thin-open", "dot")
            continue
        found[level] = Mark(COLOURS[at % len(COLOURS)], SYMBOLS[at % len(SYMBOLS)], DASHES[at % len(DASHES)])
        at += 1
    return found


OUTCOME_MARKS = {"kept": Mark(KEPT, "circle", "solid"), "flipped": Mark(FLIPPED, "diamond", "dash")}


def measure_title(similarity: str) -> str:
    """A similarity's name for an axis, by the name of its column; not escaped."""
    if similarity in KIN_TITLES:
        return KIN_TITLES[similarity]
    return SIMILARITIES[similarity].scored_title if similarity in SIMILARITIES else similarity


def level_title(column: str, level: object) -> str:
    """What people read for a value of a column: a method's or noise type's title where it is known; not escaped."""
    if column == "severity":
        return f"severity {float(str(level)):g}"
    # Both registries import torch: only where their titles are wanted.
    if column == "method":
        from camlab.cams import CAMS

        names = [CAMS[n].title if n in CAMS else n for n in str(level).split(JOINT)]
        return JOINT.join(names) + (" (baseline)" if is_baseline(str(level)) else "")
    if column == "noise":
        from camlab.noise import NOISES

        return NOISES[str(level)].title if str(level) in NOISES else str(level)
    return str(level)


def short_title(column: str, level: object) -> str:
    """The same where there is little room: of merged methods the first one, and how many more."""
    first, *more = level_title(column, level).removesuffix(" (baseline)").split(JOINT)
    return first + (f" +{len(more)}" if more else "")


def lines_of(text: str, width: int = 40, at: str = JOINT) -> list[str]:
    """A text broken behind ``at`` into lines of about ``width`` characters: 40 fit on a narrow screen; not escaped."""
    lines = [""]
    for part in text.split(at):
        joined = f"{lines[-1]}{at}{part}" if lines[-1] else part
        if lines[-1] and len(joined) > width:
            lines[-1] += at.rstrip()
            lines.append(part)
        else:
            lines[-1] = joined
    return lines


def wrapped(text: str, width: int = 40, at: str = JOINT) -> str:
    """An escaped text in lines, see ``lines_of``."""
    return "<br>".join(map(escape, lines_of(text, width, at)))


def floor_lines(figure: go.Figure, floors: Mapping[str, float]) -> None:
    """The floors as lines over the height of similarity, the lowest named below its line, the others above."""
    for i, (name, value) in enumerate(sorted(floors.items(), key=lambda each: each[1])):
        figure.add_shape(_line("y", value, NEUTRAL, "dot", 1))
        # Close together, the upper line would strike the lower one's name through.
        side = "top" if i == 0 and len(floors) > 1 else "bottom"
        place = {"x": 0, "xref": "x domain", "xanchor": "left", "y": value, "yanchor": side}
        figure.add_annotation(_note(f"{escape(name)} {value:.2f}", **place))


def floor_marks(floors: Mapping[str, float]) -> list[_Mark]:
    """The floors as labelled lines across an axis of similarity that is 0 to 1 wide."""
    return [_Mark(v, f"{k} {v:.2f}", 0.022 * (len(k) + 5), NEUTRAL, 1) for k, v in floors.items()]


def floor_words(floors: Mapping[str, float]) -> str:
    """The floors in words, as the end of a sentence."""
    return f" Floors: {'; '.join(f'{k} {v:.2f}' for k, v in floors.items())}." if floors else ""


def nothing(text: str, why: str, axes: Mapping[str, Any] | None = None, height: int = HEIGHT) -> Chart:
    """A chart that says what is missing; ``text`` on it, ``why`` as its sentence."""
    hidden = {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
    lines = wrapped(text, 44, " ")
    return Chart(_empty(height, 0, hidden if axes is None else axes, lines), why)


def hover(texts: Sequence[str], data: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The settings of points that say something and lead somewhere."""
    return {"hovertext": list(texts), "hovertemplate": _SAID, "customdata": [list(each) for each in data]}


def legend_entry(figure: go.Figure, name: str, mark: Mark, mode: str = "lines+markers") -> None:
    """A series in the legend: it shows the symbol of enough pairs, whatever the first point of the series rests on."""
    figure.add_scatter(
        x=[None], y=[None], mode=mode, name=escape(name), hoverinfo="skip",
        line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
        marker={"color": mark.colour, "symbol": mark.symbol, "size": 9, "line": {"color": mark.colour, "width": 1.5}},
    )  # fmt: skip


def series_title(column: str, level: object) -> str:
    """A level's name for a legend: short, the baseline marked; not escaped."""
    return short_title(column, level) + (
        " (baseline)" if column == "method" and is_baseline(str(level)) else ""
    )


def few_symbol(symbol: str, few: bool) -> str:
    """The symbol, open where it stands for something that rests on few pairs."""
    return f"{symbol}-open" if few and not symbol.endswith("open") else symbol

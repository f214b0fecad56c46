"""Sentences about methods and models with their titles in place of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from camlab.cams import CAMS
from camlab.cams.coincidence import JOINT, is_baseline
from camlab.common.errors import CamLabError
from camlab.drawing.charts.look import FLIPPED, KEPT, NEUTRAL, SIMILARITY
from camlab.metrics import SIMILARITIES
from camlab.models import MODELS, find_model


def titled(sentence: str) -> str:
    """A sentence in which each method and built-in model that is named stands with its title."""
    titles = {name: model.title for name, model in MODELS.items()} | {n: c.title for n, c in CAMS.items()}
    pattern = "|".join(rf"(?<![\w+]){re.escape(n)}(?![\w+])" for n in sorted(titles, key=len, reverse=True))
    return re.sub(pattern, lambda found: titles[found[0]], sentence)


def model_title(name: str) -> str:
    """A model's title, its name where it is no longer known: a checkpoint that others' have pushed out of memory."""
    try:
        return find_model(name).title
    except CamLabError:
        return name


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
class SeriesMark:
    """How one of several series is drawn; no two share colour, symbol and dash."""

    colour: str
    symbol: str
    dash: str


def marks_of(levels: Sequence[str]) -> dict[str, SeriesMark]:
    """A mark for each name; the baseline has its own, whatever its place."""
    found = {}
    at = 0
    for level in levels:
        if is_baseline(level):
            found[level] = SeriesMark(NEUTRAL, "x-thin-open", "dot")
            continue
        found[level] = SeriesMark(
            COLOURS[at % len(COLOURS)], SYMBOLS[at % len(SYMBOLS)], DASHES[at % len(DASHES)]
        )
        at += 1
    return found


OUTCOME_MARKS = {
    "kept": SeriesMark(KEPT, "circle", "solid"),
    "flipped": SeriesMark(FLIPPED, "diamond", "dash"),
}


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


def series_title(column: str, level: object) -> str:
    """A level's name for a legend: short, the baseline marked; not escaped."""
    return short_title(column, level) + (
        " (baseline)" if column == "method" and is_baseline(str(level)) else ""
    )


def few_symbol(symbol: str, few: bool) -> str:
    """The symbol, open where it stands for something that rests on few pairs."""
    return f"{symbol}-open" if few and not symbol.endswith("open") else symbol

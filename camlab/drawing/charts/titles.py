"""Titles and marks in charts: methods, models, noise types, measures and outcomes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle

from camlab.cams import CAMS
from camlab.cams.coincidence import JOINT, is_baseline
from camlab.common.errors import CamLabError
from camlab.drawing.charts.look import FLIPPED, KEPT, NEUTRAL, SIMILARITY
from camlab.metrics import SIMILARITIES
from camlab.models import MODELS, OWN_PREFIX, find_model
from camlab.models.own.kept import titles as own_titles
from camlab.noise import NOISES


def titled(sentence: str) -> str:
    """Replace the names of methods and built-in models in a sentence by their titles."""
    titles = {name: model.title for name, model in MODELS.items()} | {n: c.title for n, c in CAMS.items()}
    pattern = "|".join(rf"(?<![\w+]){re.escape(n)}(?![\w+])" for n in sorted(titles, key=len, reverse=True))
    return re.sub(pattern, lambda found: titles[found[0]], sentence)


def model_title(name: str) -> str:
    """Return a model's title, or its name if it is no longer known, such as a dropped checkpoint.

    Of own models whose files have one name (``best.pth``), each title also has the model's name.
    """
    try:
        title = find_model(name).title
    except CamLabError:
        return name
    if not name.startswith(OWN_PREFIX):
        return title
    others = (other for known, other in own_titles().items() if known != name)
    return f"{title} ({name})" if title in others else title


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
    """The look of one of several series; no two share colour, symbol and dash."""

    colour: str
    symbol: str
    dash: str


def marks_of(levels: Sequence[str]) -> dict[str, SeriesMark]:
    """Return a mark for each name; the baseline always gets the same one."""
    series = map(SeriesMark, cycle(COLOURS), cycle(SYMBOLS), cycle(DASHES))
    return {
        level: SeriesMark(NEUTRAL, "x-thin-open", "dot") if is_baseline(level) else next(series) for level in levels
    }


OUTCOME_MARKS = {
    "kept": SeriesMark(KEPT, "circle", "solid"),
    "flipped": SeriesMark(FLIPPED, "diamond", "dash"),
}


def measure_title(similarity: str) -> str:
    """Return the axis title of a similarity by the name of its column; not escaped."""
    if similarity in KIN_TITLES:
        return KIN_TITLES[similarity]
    return SIMILARITIES[similarity].scored_title if similarity in SIMILARITIES else similarity


def level_title(column: str, level: object) -> str:
    """Return the text for a value of a study column, such as a method's title; not escaped."""
    if column == "severity":
        return f"severity {float(str(level)):g}"
    if column == "method":
        names = [CAMS[n].title if n in CAMS else n for n in str(level).split(JOINT)]
        return JOINT.join(names) + (" (baseline)" if is_baseline(str(level)) else "")
    if column == "noise":
        return NOISES[str(level)].title if str(level) in NOISES else str(level)
    return str(level)


def short_title(column: str, level: object) -> str:
    """Return a shorter `level_title`: the first of merged methods, and the number of further ones."""
    first, *more = level_title(column, level).removesuffix(" (baseline)").split(JOINT)
    return first + (f" +{len(more)}" if more else "")


def lines_of(text: str, width: int = 40, at: str = JOINT) -> list[str]:
    """Break a text after ``at`` into lines of about ``width`` characters (40 fit a narrow screen); not escaped."""
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
    """Escape a text and join its lines (see ``lines_of``) by line breaks."""
    return "<br>".join(map(escape, lines_of(text, width, at)))


def series_title(column: str, level: object) -> str:
    """Return a level's short title for a legend, the baseline marked; not escaped."""
    return short_title(column, level) + (" (baseline)" if column == "method" and is_baseline(str(level)) else "")


def few_symbol(symbol: str, few: bool) -> str:
    """Return a symbol, in its open version for a value from few pairs."""
    return f"{symbol}-open" if few and not symbol.endswith("open") else symbol

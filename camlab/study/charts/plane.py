"""The C–R plane: one point per method, with curves of equal RM, the blind line and the Pareto front."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from camlab.cams.coincidence import is_baseline
from camlab.common.wording import decimal
from camlab.drawing.charts.look import HOVER_TEXT, NEUTRAL, Chart, chart_layout, keep_opaque, text_note
from camlab.drawing.charts.titles import (
    SeriesMark,
    few_symbol,
    level_title,
    marks_of,
    series_title,
    short_title,
    wrapped,
)
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.values import Record, beside, enough, interval_text, observed, one_each
from camlab.study.charts.look import interval_bars, no_data, nothing, outlined, records_words, with_notes

HEIGHT = 470
NARROWEST = 0.3  # smallest span of an axis, so that small differences look small
RM_STEPS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CURVE = 41  # points of a curve
LABEL = 0.18  # share of a narrow screen's width that a curve's name takes
MOST = 60


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """List the points, by ascending x, that no other point dominates: none is ≥ in both coordinates and > in one."""
    front = [
        i for i, (c, r) in enumerate(points) if not any(c2 >= c and r2 >= r and (c2 > c or r2 > r) for c2, r2 in points)
    ]
    return sorted(front, key=lambda i: points[i])


def cr_plane(
    records: Sequence[Record], *, series: str = "method", stratified: bool = False, whiskers: bool = True
) -> Chart:
    """Draw consistency against responsiveness, one point per level of ``series``.

    Thin curves join points of equal RM. On the line C + R = 1 kept and flipped pairs are equally similar: a map
    that ignores flips lies on it at its mean similarity, where a small ring marks each point's blind value. The
    Pareto front excludes the baseline and points from fewer than 5 pairs. Levels that were not observed are named.
    ``customdata``: the level. Raises BadSetting.
    """
    if not records:
        return no_data("nothing")
    prefix = "stratified_" if stratified else ""
    names = (f"{prefix}consistency", f"{prefix}responsiveness")
    cells = {key[0]: record for key, record in one_each(records, series).items()}
    places = {
        level: (c, r)
        for level, record in cells.items()
        if (c := observed(record, names[0])) is not None and (r := observed(record, names[1])) is not None
    }
    lost = [level for level in cells if level not in places]
    if not places:
        return nothing(
            "no point has both C and R: one of the two was not observed",
            "No C–R plane: it needs pairs with and without a flip, and no level has both.",
        )
    shown = list(places)[:MOST]
    levels_c, levels_r = _range(cells, shown, names[0], whiskers), _range(cells, shown, names[1], whiskers)
    marks = marks_of([str(level) for level in shown])
    legend = 18 * -(-len(shown) // 2)
    notes = [f"○ on the line: blind value · open: fewer than {FEWEST_PAIRS} pairs"]
    if lost:
        gone = ", ".join(short_title(series, level) for level in lost[:3]) + (" …" if len(lost) > 3 else "")
        notes.append(f"not observed: {gone}")
    how = ", stratified" if stratified else ""
    notes = [escape(note) for note in notes]
    axes = {
        "xaxis": {"range": [*levels_c], "title_text": with_notes(f"consistency C{how}", notes)},
        "yaxis": {"range": [*levels_r], "title_text": f"responsiveness R{how}", "showgrid": False},
    }
    figure = go.Figure(layout=chart_layout(HEIGHT + legend, 0, **axes))
    _add_curves(figure, levels_c, levels_r)
    _add_blind_line(figure, levels_c, levels_r)
    for level in shown:
        _add_point(figure, level, series, cells[level], names, marks[str(level)], whiskers)
    mean = f"{prefix}mean_similarity"
    _add_blinds(figure, {level: cells[level] for level in shown}, series, mean, levels_c, levels_r)
    front = _add_front(figure, cells, shown, series, names)
    keep_opaque(figure)
    return Chart(figure, _words(cells, shown, lost, front, series, names))


def _range(cells: dict[Any, Record], shown: Sequence[Any], name: str, whiskers: bool) -> tuple[float, float]:
    ends = ("", "_low", "_high") if whiskers else ("",)
    found = [float(cells[s][name + e]) for s in shown for e in ends if cells[s].get(name + e) is not None]
    low, high = min(found), max(found)
    wider = max(NARROWEST - (high - low), 0.12 * (high - low)) / 2
    low, high = low - wider, high + wider
    # Keep the range within 0 to 1, with a rim for the symbols.
    shift = max(0.0, -0.02 - low) - max(0.0, high - 1.02)
    return max(-0.02, low + shift), min(1.02, high + shift)


def _add_curves(figure: go.Figure, c: tuple[float, float], r: tuple[float, float]) -> None:
    """Draw curves of equal RM within the plot, where there is room for a name at the upper end."""
    named: list[tuple[float, float]] = []
    for rm in RM_STEPS:
        begin, end = max(c[0], rm / r[1], 1e-3), min(c[1], rm / max(r[0], 1e-3))
        # Few maps have such a high R, so names there rarely cover a point.
        x, y = (begin - c[0]) / (c[1] - c[0]), (rm / begin - r[0]) / (r[1] - r[0])
        crowded = any(abs(x - a) < LABEL and abs(y - b) < 0.08 for a, b in named)
        if end - begin < 0.02 * (c[1] - c[0]) or crowded or x > 1 - LABEL / 2:
            continue
        named.append((x, y))
        xs = np.linspace(begin, end, CURVE)
        figure.add_scatter(
            x=xs.tolist(), y=(rm / xs).tolist(), mode="lines", name=f"RM {rm:g}", showlegend=False,
            line={"color": NEUTRAL, "width": 1}, opacity=0.45, hoverinfo="skip", meta={"rm": rm},
        )  # fmt: skip
        place = {"x": begin, "y": rm / begin, "xanchor": "left", "yanchor": "top"}
        figure.add_annotation(text_note(f"RM {rm:g}", **place, opacity=0.8))


def _add_blind_line(figure: go.Figure, c: tuple[float, float], r: tuple[float, float]) -> None:
    begin, end = max(c[0], 1 - r[1], 0.0), min(c[1], 1 - r[0], 1.0)
    if begin >= end:
        return
    figure.add_scatter(
        x=[begin, end], y=[1 - begin, 1 - end], mode="lines", name="C + R = 1: blind to flips",
        line={"color": NEUTRAL, "width": 2.5, "dash": "dash"}, hoverinfo="skip", meta={"line": "blind"},
    )  # fmt: skip


def _add_point(
    figure: go.Figure,
    level: Any,
    series: str,
    record: Record,
    names: tuple[str, str],
    mark: SeriesMark,
    whiskers: bool,
) -> None:
    bars: dict[str, Any] = {}
    for axis, name in zip(("x", "y"), names, strict=True):
        low, high = record.get(f"{name}_low"), record.get(f"{name}_high")
        if whiskers and low is not None and high is not None:
            bars[f"error_{axis}"] = interval_bars([record[name]], [low], [high], mark.colour, 1)
    full = all(enough(record, name) for name in names)
    symbol = few_symbol(mark.symbol, not full)
    text = f"<b>{wrapped(level_title(series, level))}</b><br>"
    text += "<br>".join(
        f"{letter} {record[name]:.2f}" + interval_text(record, name, " (", ")")
        for letter, name in zip("CR", names, strict=True)
    )
    text += f"<br>C + R − 1 = {record[names[0]] + record[names[1]] - 1:.2f}<br>"
    prefix = names[0].removesuffix("consistency")
    text += records_words(record, f"{prefix}rm")
    title = escape(series_title(series, level))
    figure.add_scatter(
        x=[record[names[0]]], y=[record[names[1]]], mode="markers", name=title,
        marker=outlined(mark.colour, symbol, 12, 2.5),
        hovertext=[text], hovertemplate=HOVER_TEXT, customdata=[[level]], meta={"level": level}, **bars,
    )  # fmt: skip


def _add_blinds(
    figure: go.Figure,
    cells: dict[Any, Record],
    series: str,
    mean: str,
    c: tuple[float, float],
    r: tuple[float, float],
) -> None:
    """Mark the position of each point for a map that ignores flips: on the line, at its mean similarity."""
    found = [(level, float(s)) for level, record in cells.items() if (s := record.get(mean)) is not None]
    found = [(level, s) for level, s in found if c[0] <= s <= c[1] and r[0] <= 1 - s <= r[1]]
    if not found:
        return
    figure.add_scatter(
        x=[s for _, s in found], y=[1 - s for _, s in found], mode="markers", name="blind values", showlegend=False,
        marker=outlined(NEUTRAL, "circle-open", 8, 1.5),
        hovertext=[
            f"<b>{wrapped(level_title(series, level))}</b> if blind to flips:<br>C {s:.2f}, R {1 - s:.2f}, "
            f"RM {s * (1 - s):.2f}"
            for level, s in found
        ],
        hovertemplate=HOVER_TEXT, customdata=[[level] for level, _ in found],
    )  # fmt: skip


def _add_front(
    figure: go.Figure, cells: dict[Any, Record], shown: Sequence[Any], series: str, names: tuple[str, str]
) -> list[Any]:
    """Join the points that no other point dominates by steps, and return their levels."""
    able = [
        level
        for level in shown
        if not (series == "method" and is_baseline(str(level))) and all(enough(cells[level], name) for name in names)
    ]
    at = [(float(cells[level][names[0]]), float(cells[level][names[1]])) for level in able]
    front = pareto_front(at)
    if front:
        figure.add_scatter(
            x=[at[i][0] for i in front], y=[at[i][1] for i in front], mode="lines", name="Pareto front",
            line={"color": NEUTRAL, "width": 2.5, "shape": "vh", "dash": "dot"}, hoverinfo="skip",
            meta={"front": [able[i] for i in front]}, showlegend=len(front) > 1,
        )  # fmt: skip
    return [able[i] for i in front]


def _words(
    cells: dict[Any, Record], shown: Sequence[Any], lost: Sequence[Any], front: Sequence[Any],
    series: str, names: tuple[str, str],
) -> str:  # fmt: skip
    each = "; ".join(
        f"{level_title(series, level)}: C {cells[level][names[0]]:.2f}, R {cells[level][names[1]]:.2f}, "
        f"blind RM {decimal(cells[level].get(beside(names[0], 'blind')))}"
        for level in shown
    )
    gone = f" Not observed: {', '.join(level_title(series, level) for level in lost)}." if lost else ""
    best = ", ".join(level_title(series, level) for level in front)
    last = f" Pareto front: {best}." if front else ""
    return f"Consistency against responsiveness. {each}.{last}{gone}"

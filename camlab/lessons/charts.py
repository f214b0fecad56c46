"""Charts of the lessons: a bump chart of two rankings, RBO by depth, breaking points, and random layers."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from camlab.drawing.charts.look import (
    FLIPPED,
    HOVER_TEXT,
    KEPT,
    NEUTRAL,
    SIMILARITY,
    UNIT_TICKS,
    Chart,
    chart_layout,
    reference_line,
    text_note,
)

Floats = NDArray[np.float64]
NEVER = 5.7  # position on the severity axis for events that do not happen up to 5
#: Colour, line style and symbol of each series: no two differ by colour alone.
_LINE_STYLES = (
    (KEPT, "solid", "circle"),
    (FLIPPED, "dash", "diamond"),
    (SIMILARITY, "dot", "square"),
    ("#2A9D8F", "dashdot", "triangle-up"),
    (NEUTRAL, "longdash", "x"),
)


def bump_chart(before: Floats, after: Floats, names: Sequence[str], count: int = 12) -> Chart:
    """Draw one line for each segment among the first ``count`` of two rankings (n,), 1 the strongest.

    A line that rises is solid, one that falls dashed, one that stays dotted; ranks beyond ``count`` end at the
    bottom edge.
    """
    first = [i for i in np.argsort(before, kind="stable") if before[i] <= count or after[i] <= count]
    bottom = count + 1.5
    figure = go.Figure(
        layout=chart_layout(
            420,
            0,
            xaxis={"range": [-0.35, 1.35], "tickvals": [0, 1], "ticktext": ["clean", "noisy"], "side": "top"},
            yaxis={"range": [bottom + 0.6, 0.3], "title_text": "rank (1 = strongest)", "showgrid": False,
                   "tickvals": list(range(1, count + 1))},
            showlegend=False,
        )
    )  # fmt: skip
    rises = falls = 0
    for i in first:
        x, y = float(before[i]), float(after[i])
        rises, falls = rises + (y < x), falls + (y > x)
        colour, dash = (KEPT, "solid") if y < x else (FLIPPED, "dash") if y > x else (NEUTRAL, "dot")
        text = f"segment {escape(names[i])}: rank {x:g} → {y:g}"
        figure.add_scatter(
            x=[0, 1],
            y=[min(x, bottom), min(y, bottom)],
            mode="lines+markers+text",
            text=[names[i] if x <= count else "", names[i] if y <= count else ""],
            textposition=["middle left", "middle right"],
            line={"color": colour, "dash": dash, "width": 2},
            marker={"size": 7, "color": colour},
            hovertext=[text, text],
            hovertemplate=HOVER_TEXT,
        )
    best = int(np.argmin(before))
    return Chart(
        figure,
        f"Bump chart of the {count} strongest segments of either map: {rises} rise (solid), {falls} fall (dashed), "
        f"{len(first) - rises - falls} stay (dotted). The strongest clean segment, {names[best]}, goes from rank "
        f"{before[best]:g} to {after[best]:g}.",
    )


def overlap_chart(agreement: Floats, weight: Floats, so_far: Floats, chance: Floats, floor: float, depth: int) -> Chart:
    """Draw RBO by depth: agreement, weight, sum so far and agreement by chance, (n,) each; fade beyond ``depth``."""
    n = len(agreement)
    x = np.arange(1, n + 1)
    figure = go.Figure(
        layout=chart_layout(
            360,
            0,
            xaxis={"range": [0.3, n + 0.7], "title_text": "depth d (ranks)"},
            yaxis={"range": [0, 1.04], "title_text": "share", **UNIT_TICKS},
        )
    )
    texts = [f"depth {d}: weight {w:.3f}" for d, w in zip(x, weight, strict=True)]
    opacity = np.where(x <= depth, 0.75, 0.25)
    figure.add_bar(
        x=x,
        y=weight,
        name="weight",
        marker={"color": NEUTRAL, "opacity": opacity},
        hovertext=texts,
        hovertemplate=HOVER_TEXT,
    )
    for values, name, place in ((agreement, "agreement", 0), (so_far, "RBO so far", 1)):
        texts = [f"depth {d}: {name} {v:.2f}" for d, v in zip(x, values, strict=True)]
        _add_line(figure, x, values, name, _LINE_STYLES[place], texts, size=6, opacity=np.where(x <= depth, 1.0, 0.35))
    figure.add_scatter(
        x=x, y=chance, name="agreement by chance", mode="lines", line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_shape(reference_line("y", floor, SIMILARITY, "dashdot", 1.5))
    note = {"x": 1, "xref": "x domain", "xanchor": "right", "yanchor": "bottom"}
    figure.add_annotation(text_note(f"RBO by chance {floor:.2f}", y=floor, **note))
    figure.add_shape(reference_line("x", depth + 0.5, NEUTRAL, "solid", 1))
    return Chart(
        figure,
        f"RBO is {so_far[-1]:.2f} over {n} ranks; by chance it would be {floor:.2f}. The first {depth} ranks agree in "
        f"{agreement[depth - 1]:.2f} of their segments (by chance {chance[depth - 1]:.2f}) and carry "
        f"{weight[:depth].sum():.2f} of the weight; up to there the sum is {so_far[depth - 1]:.2f}.",
    )


def first_chart(found: Sequence[tuple[str, float | None, float | None]], sentences: Sequence[str]) -> Chart:
    """Draw one row per noise type (title, breaks, flips) with its two severities; None means not up to 5."""
    figure = go.Figure(
        layout=chart_layout(
            90 + 44 * max(len(found), 1),
            0,
            xaxis={"range": [-0.2, 6.1], "title_text": "severity",
                   "tickvals": [0, 1, 2, 3, 4, 5, NEVER], "ticktext": ["0", "1", "2", "3", "4", "5", "never"]},
            yaxis={"autorange": "reversed", "showgrid": False},
        )
    )  # fmt: skip
    titles = [title for title, _, _ in found]
    for title, breaks, flips in found:
        ends = [NEVER if at is None else at for at in (breaks, flips)]
        figure.add_scatter(
            x=ends, y=[title, title], mode="lines", line={"color": NEUTRAL, "width": 2}, showlegend=False,
            hoverinfo="skip",
        )  # fmt: skip
    for name, place, colour, symbol in (
        ("map breaks", 1, SIMILARITY, "circle"),
        ("prediction flips", 2, FLIPPED, "diamond-open"),
    ):
        figure.add_scatter(
            x=[NEVER if row[place] is None else row[place] for row in found],
            y=titles,
            name=name,
            mode="markers",
            marker={
                "color": colour,
                "symbol": symbol,
                "size": 13 if place == 1 else 15,
                "line": {"width": 3},
            },
            hovertext=list(sentences),
            hovertemplate=HOVER_TEXT,
        )
    return Chart(figure, " ".join(sentences) or "No noise type has been measured yet.")


def randomised_chart(steps: Sequence[str], values: Mapping[str, Sequence[float | None]], chance: float) -> Chart:
    """Draw one line per method: similarity with the trained network's map (0–1, None: degenerate) after each step."""
    x = list(range(len(steps)))
    figure = go.Figure(
        layout=chart_layout(
            380,
            0,
            xaxis={"tickvals": x, "ticktext": [escape(s) for s in steps], "tickangle": -40,
                   "range": [-0.3, max(len(steps) - 0.7, 1)], "title_text": "random from the top down to …"},
            yaxis={"range": [0, 1.05], "title_text": "similarity with the trained map (RBO)", **UNIT_TICKS},
        )
    )  # fmt: skip
    described = []
    for (title, row), style in zip(values.items(), _LINE_STYLES, strict=False):
        texts = [f"{escape(title)}, {escape(s)}: {_value(v)}" for s, v in zip(steps, row, strict=True)]
        _add_line(figure, x, list(row), title, style, texts, size=8)
        described.append(f"{title} {', '.join(_value(v) for v in row)}")
    if np.isfinite(chance):
        figure.add_shape(reference_line("y", chance, NEUTRAL, "dot", 2))
        # On the left, where the lines of the methods are far above.
        place: dict[str, Any] = {"x": 0, "xref": "x domain", "xanchor": "left", "yanchor": "top"}
        figure.add_annotation(text_note(f"random maps {chance:.2f}", y=chance, **place))
    end = f" Random maps: {chance:.2f}." if np.isfinite(chance) else ""
    return Chart(figure, f"Similarity after each step ({', '.join(steps)}): {'; '.join(described)}.{end}")


def _add_line(
    figure: go.Figure, x: Any, y: Any, name: str, style: Sequence[str], texts: Sequence[str], **marker: Any
) -> None:
    colour, dash, symbol = style
    figure.add_scatter(
        x=x, y=y, name=name, mode="lines+markers", line={"color": colour, "dash": dash, "width": 2},
        marker={"color": colour, "symbol": symbol, **marker}, hovertext=texts, hovertemplate=HOVER_TEXT,
    )  # fmt: skip


def _value(value: float | None) -> str:
    return "degenerate" if value is None else f"{value:.2f}"

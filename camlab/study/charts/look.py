"""The parts that a study's charts share: floors, axes, markers, intervals, hover texts, and charts without data."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from camlab.common.wording import decimal, plural
from camlab.drawing.charts.look import (
    GRID,
    HEIGHT,
    HOVER_TEXT,
    NEUTRAL,
    SMALL,
    UNIT_TICKS,
    Chart,
    LabelledLine,
    empty_figure,
    reference_line,
    text_note,
)
from camlab.drawing.charts.titles import SeriesMark, measure_title, wrapped
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.values import (
    Record,
    beside,
    enough,
    interval_text,
    observed,
    rests_on,
    unprefixed,
    value_title,
)

AT_LEFT = {"x": 0, "xref": "x domain", "xanchor": "left"}
"""The position of a note at the left edge of the plot."""
ON_LINE = "<br>95\u202f% interval "
"""The beginning of the line with the interval in a hover text."""
_AVERAGED = {"stratified_": "severity level", "macro_": "picture"}


def floor_lines(figure: go.Figure, floors: Mapping[str, float]) -> None:
    """Draw the floors as horizontal lines; the lowest has its name below the line, the others above."""
    for i, (name, value) in enumerate(sorted(floors.items(), key=lambda each: each[1])):
        figure.add_shape(reference_line("y", value, NEUTRAL, "dot", 1))
        # If the lines lie close together, the upper one would cross a name above the lower one.
        side = "top" if i == 0 and len(floors) > 1 else "bottom"
        figure.add_annotation(text_note(f"{escape(name)} {value:.2f}", **AT_LEFT, y=value, yanchor=side))


def floor_labels(floors: Iterable[tuple[str, float]], span: float = 1.0) -> list[LabelledLine]:
    """Return (name, floor) pairs as labelled vertical lines for an x axis that is ``span`` wide."""
    return [LabelledLine(v, f"{escape(k)} {v:.2f}", 0.022 * (len(k) + 5) * span, NEUTRAL, 1) for k, v in floors]


def floor_words(floors: Mapping[str, float]) -> str:
    """Return a sentence that names the floors, to follow another one; "" without floors."""
    return f" Floors: {'; '.join(f'{k} {v:.2f}' for k, v in floors.items())}." if floors else ""


def small(notes: Sequence[str]) -> str:
    """Set notes in small type, one per line, for the title of an axis; they are already safe."""
    return "<br>".join(f'<span style="font-size:{SMALL}px">{note}</span>' for note in notes)


def with_notes(title: str, notes: Sequence[str]) -> str:
    """Put notes in small type below the title of an axis; all are already safe."""
    return "<br>".join(filter(None, (title, small(notes))))


def similarity_axis(similarity: str, rim: float, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the settings of an axis of similarity from 0 to 1, with a rim for symbols at either end."""
    title = f"similarity ({escape(measure_title(similarity))})"
    return {"range": [-rim, 1 + rim], "title_text": with_notes(title, notes), **UNIT_TICKS}


def base_line(y: float, begin: float, end: float, **where: Any) -> dict[str, Any]:
    """Return a thin horizontal line below the data, on which dots or densities stand."""
    ends = {"x0": begin, "x1": end, "y0": y, "y1": y}
    return {"type": "line", **ends, "line": {"color": GRID, "width": 1}, "layer": "below", **where}


def outlined(colour: Any, symbol: Any, size: float, width: float) -> dict[str, Any]:
    """Return a marker whose outline has its own colour, so that open and thin symbols stay visible."""
    return {"color": colour, "symbol": symbol, "size": size, "line": {"color": colour, "width": width}}


def interval_bars(
    values: Sequence[float | None],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    colour: str,
    thickness: float = 1.5,
    width: float = 0,
) -> dict[str, Any]:
    """Return error bars from each value to the ends of its interval; no bar if one of the three is None."""

    def reach(value: float | None, end: float | None, sign: int) -> float | None:
        return None if value is None or end is None else sign * (float(end) - float(value))

    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": thickness,
        "width": width,  # with caps, an interval of width 0 would look like any other
        "array": [reach(value, end, 1) for value, end in zip(values, highs, strict=True)],
        "arrayminus": [reach(value, end, -1) for value, end in zip(values, lows, strict=True)],
    }  # fmt: skip


def record_bars(records: Sequence[Record | None], names: Sequence[str], colour: str) -> dict[str, Any]:
    """Return error bars for one value of each record, by its name in the record."""
    values, lows, highs = (
        [None if r is None else r.get(f"{name}{end}") for r, name in zip(records, names, strict=True)]
        for end in ("", "_low", "_high")
    )
    return interval_bars(values, lows, highs, colour)


def hover(texts: Sequence[str], data: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Return the settings of points with hover texts, and with ``customdata`` for clicks."""
    return {
        "hovertext": list(texts),
        "hovertemplate": HOVER_TEXT,
        "customdata": [list(each) for each in data],
    }


def legend_entry(figure: go.Figure, name: str, mark: SeriesMark, mode: str = "lines+markers") -> None:
    """Add a series to the legend with its filled symbol, even if its own first point is open."""
    figure.add_scatter(
        x=[None], y=[None], mode=mode, name=escape(name), hoverinfo="skip",
        line={"color": mark.colour, "dash": mark.dash, "width": 2.5},
        marker=outlined(mark.colour, mark.symbol, 9, 1.5),
    )  # fmt: skip


def records_words(record: Record, value: str) -> str:
    """Write the hover text of a record's value: the value, its interval, and the pairs behind it."""
    found = observed(record, value)
    few = "" if found is None or enough(record, value) else f" (fewer than {FEWEST_PAIRS} pairs)"
    blind = record.get(beside(value, "blind"))
    against = f", blind value {blind:.2f}" if unprefixed(value) == "rm" and blind is not None else ""
    averaged = record.get(f"{value}_averaged")
    mean = (
        ""
        if averaged is None
        else f"mean over {plural(averaged, _AVERAGED[beside(value, '')])} where it was observed<br>"
    )
    return (
        f"{escape(value_title(value))} {decimal(found)}{few}{against}{interval_text(record, value, ON_LINE)}<br>"
        f"{mean}rests on {plural(rests_on(record, value), 'pair')}<br>"
        f"n = {record['n']:,} pairs of {plural(int(record['n_pictures']), 'picture')}<br>"
        f"{plural(int(record['n_flipped']), 'flip')} ({record['n_near']} near), "
        f"{record['n_degenerate']} degenerate"
    )


def nothing(text: str, why: str) -> Chart:
    """Return a chart that shows only ``text``, with the sentence ``why``."""
    hidden = {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
    return Chart(empty_figure(HEIGHT, 0, hidden, wrapped(text, 44, " ")), why)


def no_data(noun: str) -> Chart:
    """Return the placeholder chart for no records ("nothing") or no rows ("no pairs")."""
    why = "nothing has been measured yet, or no pair passes the filter"
    return nothing(f"{noun} to show", f"{noun.capitalize()} to show: {why}.")


def span_of(found: Sequence[float], least: float) -> tuple[float, float]:
    """Return the range of an axis over these values, with 6 % of their span, at least ``least``, at either end."""
    low, high = min(found), max(found)
    pad = max(least, 0.06 * (high - low))
    return low - pad, high + pad


def not_observed(value: str) -> Chart:
    """Return the placeholder chart for a value that was not observed anywhere."""
    title = value_title(value)
    why = "it needs flips and pairs without one" if unprefixed(value) in ("rm", "gap", "auroc") else "no pair for it"
    return nothing(f"{title}: not observed ({why})", f"{title} was not observed anywhere: {why}.")

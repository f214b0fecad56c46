"""Small pieces of HTML: bars, badges, gauges, credits. Every text is escaped here."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from camlab.common.wording import decimal, percent
from camlab.drawing.pictures import colour_table


def _position(value: float) -> str:
    return f"{min(max(value, 0.0), 1.0) * 100:.2f}%"


def badge(text: str, flipped: bool) -> str:
    """Return the verdict on the prediction, kept or flipped, by symbol and colour."""
    kind, symbol = ("flipped", "◆") if flipped else ("kept", "●")
    return f'<span class="cl-badge cl-{kind}"><span aria-hidden="true">{symbol}</span> {escape(text)}</span>'


def predictions(top: Sequence[tuple[str, float]], marked: str | None) -> str:
    """Return the top classes, (name, probability in [0, 1]), as bars; ``marked``: the class that the map explains."""
    rows = []
    for name, probability in top:
        mark = (
            ' <span class="cl-explained" title="the class this map explains">explained</span>' if name == marked else ""
        )
        rows.append(
            f'<li><span class="cl-bar" style="width:{_position(probability)}" aria-hidden="true"></span>'
            f'<span class="cl-name" title="{escape(name, quote=True)}">{escape(name.split(",")[0])}{mark}</span>'
            f'<span class="cl-number">{percent(probability)}</span></li>'
        )
    return f'<ol class="cl-predictions" aria-label="Top {len(rows)} predictions">{"".join(rows)}</ol>'


def colour_bar(name: str, low: str, middle: str, high: str) -> str:
    """Return a horizontal colour bar with three labels."""
    table = colour_table(name)
    stops = ",".join("#{:02x}{:02x}{:02x}".format(*table[i]) for i in range(0, 256, 15))
    label = escape(f"Colour bar from {low} through {middle} to {high}", quote=True)
    return (
        f'<div class="cl-colourbar" role="img" aria-label="{label}">'
        f'<div style="background:linear-gradient(90deg,{stops})"></div>'
        f"<p><span>{escape(low)}</span><span>{escape(middle)}</span><span>{escape(high)}</span></p></div>"
    )


def gauge(
    title: str,
    symbol: str,
    value: float | None,
    *,
    interval: tuple[float, float] | None,
    ticks: Mapping[str, float],
    lines: Sequence[str],
    beside: str = "",
) -> str:
    """Return a score in [0, 1] on a scale with its 95 % interval and reference ticks; None: not observed."""
    label = f"{title} {decimal(value)}"
    if interval:
        label += f", 95 % interval {interval[0]:.2f} to {interval[1]:.2f}"
    label += "".join(f", {name} {tick:.2f}" for name, tick in ticks.items())
    parts = []
    if value is not None:
        parts.append(f'<span class="cl-fill" style="width:{_position(value)}"></span>')
    if interval:
        low, high = min(max(interval[0], 0.0), 1.0), min(max(interval[1], 0.0), 1.0)
        parts.append(f'<span class="cl-interval" style="left:{_position(low)};width:{_position(high - low)}"></span>')
    parts += [
        f'<span class="cl-tick cl-tick{i}" style="left:{_position(t)}"></span>' for i, t in enumerate(ticks.values())
    ]
    legend = "".join(
        f'<span><i class="cl-tick{i}" aria-hidden="true"></i>{escape(name)} {tick:.2f}</span>'
        for i, (name, tick) in enumerate(ticks.items())
    )
    empty = "" if value is not None else " cl-empty"
    text = "".join(f"<p>{escape(line)}</p>" for line in lines)
    number = f'<span class="cl-value{empty}">{decimal(value)}</span>'
    aside = f'<span class="cl-beside">{escape(beside)}</span>' if beside else ""
    return (
        f'<section class="cl-gauge"><h3>{escape(title)} <em>{escape(symbol)}</em></h3><div>{number}{aside}</div>'
        f'<div class="cl-track{empty}" role="img" aria-label="{escape(label, quote=True)}">{"".join(parts)}</div>'
        f'<div class="cl-legend">{legend}</div>{text}</section>'
    )


def strip(items: Sequence[tuple[str, str, float | None]], floor: float | None) -> str:
    """Return similarities side by side, (title, explanation, similarity), with the floor as a tick."""
    cells = []
    for title, explanation, value in items:
        fill = "" if value is None else f'<span class="cl-fill" style="width:{_position(value)}"></span>'
        tick = "" if floor is None else f'<span class="cl-tick cl-tick1" style="left:{_position(floor)}"></span>'
        label = escape(f"{title}: similarity {decimal(value)}", quote=True)
        cells.append(
            f"<div><h4>{escape(title)} <b>{decimal(value)}</b></h4>"
            f'<div class="cl-track" role="img" aria-label="{label}">{fill}{tick}</div>'
            f"<p>{escape(explanation)}</p></div>"
        )
    return f'<div class="cl-strip">{"".join(cells)}</div>'


def status(parts: Sequence[str]) -> str:
    """Return the status line."""
    return '<p class="cl-status">' + " · ".join(escape(part) for part in parts) + "</p>"


_ADDRESS = re.compile(r"(https://[^\s;|]+)")


def credit(author: str, source: str, licence: str, url: str) -> str:
    """Return author, source and licence of a picture; only https addresses become links."""
    first = (url.split() or [""])[0]
    named = _link(first, licence) if first.startswith("https://") else escape(licence)
    where = "".join(
        _link(part, part) if part.startswith("https://") else escape(part) for part in _ADDRESS.split(source)
    )
    return f'<p class="cl-credit">Picture: {escape(author)} · {where} · {named}</p>'


def _link(address: str, text: str) -> str:
    return f'<a href="{escape(address, quote=True)}" target="_blank" rel="noopener">{escape(text)}</a>'


def own_credit(source: str) -> str:
    """Return the credit of a user's own picture, which names no author."""
    return f'<p class="cl-credit">Your own picture · {escape(source)}</p>'


def truth(label: str, right: bool | None) -> str:
    """Return the picture's label and whether the prediction is right; None: the model does not know the class."""
    verdict = {
        True: '<span aria-hidden="true">✓</span> right',
        False: '<span aria-hidden="true">✗</span> wrong',
        None: "not a class of this model",
    }[right]
    return f'<p class="cl-truth">Label: <b>{escape(label.split(",")[0])}</b> · {verdict}</p>'


def progress_grid(done: Mapping[str, Mapping[str, tuple[int, int]]], titles: Mapping[str, str]) -> str:
    """Return a progress table, one row per noise type and one column per model, with a bar and percentage per cell.

    done: (done, total) by model and noise type; titles: the titles of the noise types.
    """
    names = list(dict.fromkeys(name for each in done.values() for name in each))
    head = "".join(f'<th scope="col">{escape(model)}</th>' for model in done)
    rows = []
    for name in names:
        cells = []
        for each in done.values():
            finished, total = each.get(name, (0, 0))
            share = finished / total if total else 0.0
            bar = f'<span class="cl-bar" style="width:{_position(share)}" aria-hidden="true"></span>'
            cells.append(f"<td>{bar}<b>{percent(share)}</b></td>" if total else "<td>–</td>")
        rows.append(f'<tr><th scope="row">{escape(titles.get(name, name))}</th>{"".join(cells)}</tr>')
    return (
        '<div class="cl-scroll"><table class="cl-progress"><caption>Pairs computed, by noise type and model</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )

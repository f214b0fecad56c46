"""Put numbers and results into words, the same on the page, in files and on the command line."""

import math
from collections.abc import Sequence
from typing import Any

NOT_OBSERVED = "not observed"


def percent(share: float) -> str:
    """Format a share in [0, 1] as a percentage with a thin space, whole except near the ends."""
    value = share * 100
    if 0 < value < 0.1:
        return "< 0.1\u202f%"
    digits = 1 if 0 < value < 1 or 99 < value < 100 else 0
    return f"{value:.{digits}f}\u202f%"


def decimal(value: float | None, digits: int = 2) -> str:
    """Format a score with ``digits`` decimals; "not observed" if it is None or NaN."""
    return NOT_OBSERVED if value is None or math.isnan(value) else f"{value:.{digits}f}"


def verdict(clean: str, clean_prob: float, perturbed: str, perturbed_prob: float, flipped: bool, near: bool) -> str:
    """Return words on whether the prediction was kept or flipped, with classes and probabilities."""
    if not flipped:
        return f"kept: {clean} {percent(clean_prob)} → {percent(perturbed_prob)}"
    distance = "to another of the clean top 5" if near else "to a class outside the clean top 5"
    return f"flipped: {clean} {percent(clean_prob)} → {perturbed} {percent(perturbed_prob)} ({distance})"


def duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_left(seconds: float | None) -> str:
    """Format the time left, to follow a count; empty if it is unknown."""
    if not seconds:
        return ""
    return f" · {'' if seconds < 1 else 'about '}{duration(seconds)} left"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural except for 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def millions(count: int) -> str:
    """Format a number of parameters in millions, with three significant digits."""
    value = count / 1e6
    return f"{value:.3g} M" if value < 1000 else f"{value:,.0f} M"


def megabytes(size: float) -> str:
    """Format a number of bytes in MB (10⁶ bytes)."""
    return f"{size / 1e6:,.0f} MB"


def sides(size: tuple[int, int]) -> str:
    """Format an input's size in pixels: one number if height and width are equal."""
    height, width = size
    return f"{width} px" if height == width else f"{height} × {width} px"


def json_number(value: Any) -> float | None:
    """Return a finite number, or None, because JSON has no NaN."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def listed(names: Sequence[str], last: str = "and") -> str:
    """Join names as a sentence lists them: "a, b and c"; "none" for no names."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else "none"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line of text per row, the cells of each column aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows]

"""Numbers and results in words: the same sentence on the page, in a file and on the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

NOT_OBSERVED = "not observed"


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage with a thin space, whole except near the ends."""
    value = share * 100
    if 0 < value < 0.1:
        return "< 0.1\u202f%"
    digits = 1 if 0 < value < 1 or 99 < value < 100 else 0
    return f"{value:.{digits}f}\u202f%"


def decimal(value: float | None, digits: int = 2) -> str:
    """A score, or the words for a score that nothing was observed for."""
    return NOT_OBSERVED if value is None or math.isnan(value) else f"{value:.{digits}f}"


def verdict(
    clean: str, clean_prob: float, perturbed: str, perturbed_prob: float, flipped: bool, near: bool
) -> str:
    """Whether the prediction was kept or flipped, with classes and probabilities."""
    if not flipped:
        return f"kept: {clean} {percent(clean_prob)} → {percent(perturbed_prob)}"
    distance = "to another of the clean top 5" if near else "to a class outside the clean top 5"
    return f"flipped: {clean} {percent(clean_prob)} → {perturbed} {percent(perturbed_prob)} ({distance})"


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def time_left(seconds: float | None) -> str:
    """How long something still takes, to be put behind a count; empty where that is not known."""
    if not seconds:
        return ""
    return f" · {'' if seconds < 1 else 'about '}{duration(seconds)} left"


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def millions(count: int) -> str:
    """A number of parameters in millions, with three digits that count."""
    value = count / 1e6
    return f"{value:.3g} M" if value < 1000 else f"{value:,.0f} M"


def megabytes(size: float) -> str:
    """A number of bytes as people read it."""
    return f"{size / 1e6:,.0f} MB"


def sides(size: tuple[int, int]) -> str:
    """An input's height and width in pixels, said once where they are the same."""
    height, width = size
    return f"{width} px" if height == width else f"{height} × {width} px"


def json_number(value: Any) -> float | None:
    """A finite number, or None: JSON has no NaN."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else "none"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text with the cells of each column below one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

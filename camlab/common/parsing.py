"""Parsers for texts in links, files and options; each rejects a bad text with one sentence."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from camlab.common.errors import BadSetting


def member(registry: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a parser of a registry's names; it raises the registry's error for others."""

    def parse(text: str) -> str:
        registry[text]
        return text

    return parse


def number(low: float, high: float, step: float | None = None) -> Callable[[str], float]:
    """Return a parser of finite numbers from ``low`` to ``high``, multiples of ``step`` if any (raises BadSetting)."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise BadSetting(f"{text[:30]!r} is not a number; choose one from {low:g} to {high:g}.") from None
        if not math.isfinite(value) or not low <= value <= high:
            raise BadSetting(f"{text.strip()[:30]} is outside {low:g} to {high:g}.")
        if step and abs(value / step - round(value / step)) > 1e-9:
            raise BadSetting(f"{text.strip()[:30]} is not a multiple of {step:g}.")
        return value

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``low`` to ``high`` (raises BadSetting)."""
    any_number = number(low, high)

    def parse(text: str) -> int:
        value = any_number(text)
        if value != int(value):
            raise BadSetting(f"{text[:30]} is not a whole number; choose one from {low} to {high}.")
        return int(value)

    return parse


def flag(text: str) -> bool:
    """Parse a switch: "1" is on, "0" and "" are off. Raises BadSetting for anything else."""
    if text not in ("", "0", "1"):
        raise BadSetting(f"{text[:30]!r} is neither 1 (on) nor 0 (off)")
    return text == "1"


def with_slashes(path: str) -> str:
    """Return an archive's path with forward slashes, as ZIP demands; some programs for Windows store backslashes."""
    return path.replace("\\", "/")

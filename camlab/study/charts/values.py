"""C, R, RM and their kin of a study: what they are called, what they rest on, what they are compared with.

Records are those of `camlab.study.analysis.summary.records`: None is "not observed", and never drawn as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from camlab.cams.coincidence import is_baseline
from camlab.common.errors import BadSetting
from camlab.common.wording import decimal, plural
from camlab.drawing.charts.look import Chart
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.charts.look import nothing

Record = Mapping[str, Any]
PREFIXES = ("stratified_", "macro_")


@dataclass(frozen=True)
class Shown:
    """How a value of a record is called and read; neutral: the value that says nothing, where there is one."""

    title: str
    short: str
    neutral: float | None = None
    neutral_words: str = ""


SHOWN: dict[str, Shown] = {
    "consistency": Shown("consistency C", "C"),
    "responsiveness": Shown("responsiveness R", "R"),
    "responsiveness_near": Shown("responsiveness R to near flips", "R near"),
    "responsiveness_far": Shown("responsiveness R to far flips", "R far"),
    "rm": Shown("RM = C · R", "RM"),
    "gap": Shown("gap = C + R − 1", "gap", 0.0, "blind to flips"),
    "auroc": Shown("AUROC, kept against flipped", "AUROC", 0.5, "tells nothing"),
    "mean_similarity": Shown("mean similarity", "mean"),
    "blind": Shown("blind value of RM", "blind"),
}
"""The values that charts can show, by their name in a record; each also with a prefix of `PREFIXES`."""
_AVERAGED = {"stratified_": "severity level", "macro_": "picture"}
_PREFIX_WORDS = {"stratified_": ", stratified by severity", "macro_": ", mean over pictures"}


def plain(value: str) -> str:
    """A value's name without its prefix. Raises BadSetting for one that no record has."""
    for prefix in PREFIXES:
        value = value.removeprefix(prefix)
    if value not in SHOWN:
        raise BadSetting(f"A chart cannot show {value[:40]!r}; choose one of: {', '.join(SHOWN)}.")
    return value


def value_title(value: str) -> str:
    """What people read for a value; not escaped."""
    name = plain(value)
    return SHOWN[name].title + _PREFIX_WORDS.get(value.removesuffix(name), "")


def beside(value: str, name: str) -> str:
    """The name of another value of a record, averaged in the same way: "stratified_blind" for "stratified_rm"."""
    return value.removesuffix(plain(value)) + name


def observed(record: Record, value: str) -> float | None:
    """The value, or None where it was not observed."""
    found = record.get(value)
    return None if found is None else float(found)


def rests_on(record: Record, value: str) -> int:
    """How many pairs a value rests on; of one that needs both outcomes, those of the rarer."""
    name = plain(value)
    kept, flipped = int(record["n_consistency"]), int(record["n_responsiveness"])
    counts = {
        "consistency": kept,
        "responsiveness": flipped,
        "responsiveness_near": min(flipped, int(record["n_near"])),
        "responsiveness_far": min(flipped, int(record["n_flipped"]) - int(record["n_near"])),
        "mean_similarity": kept + flipped,
        "blind": kept + flipped,
    }
    return counts.get(name, min(kept, flipped))


def enough(record: Record, value: str) -> bool:
    """Whether a value rests on enough pairs to be drawn like the others."""
    return rests_on(record, value) >= FEWEST_PAIRS


def interval_words(record: Record, value: str) -> str:
    """The interval of a value as the end of a phrase; empty where there is none."""
    low, high = record.get(f"{value}_low"), record.get(f"{value}_high")
    return "" if low is None or high is None else f"<br>95\u202f% interval {low:.2f} to {high:.2f}"


def records_words(record: Record, value: str) -> str:
    """What a hover says about a value of a record: the value, its interval, and all that it rests on."""
    found = observed(record, value)
    few = "" if found is None or enough(record, value) else f" (fewer than {FEWEST_PAIRS} pairs)"
    blind = record.get(beside(value, "blind"))
    against = f", blind value {blind:.2f}" if plain(value) == "rm" and blind is not None else ""
    averaged = record.get(f"{value}_averaged")
    mean = (
        ""
        if averaged is None
        else f"mean over {plural(averaged, _AVERAGED[beside(value, '')])} where it was observed<br>"
    )
    return (
        f"{escape(value_title(value))} {decimal(found)}{few}{against}{interval_words(record, value)}<br>"
        f"{mean}rests on {plural(rests_on(record, value), 'pair')}<br>"
        f"n = {record['n']:,} pairs of {plural(int(record['n_pictures']), 'picture')}<br>"
        f"{plural(int(record['n_flipped']), 'flip')} ({record['n_near']} near), "
        f"{record['n_degenerate']} degenerate"
    )


def no_records() -> Chart:
    """What stands where there is no record to draw."""
    return nothing(
        "nothing to show", "Nothing to show: nothing has been measured yet, or no pair passes the filter."
    )


def not_observed(value: str) -> Chart:
    """What stands where a value was observed nowhere."""
    title = value_title(value)
    why = (
        "it needs flips and pairs without one" if plain(value) in ("rm", "gap", "auroc") else "no pair for it"
    )
    return nothing(f"{title}: not observed ({why})", f"{title} was not observed anywhere: {why}.")


def one_each(records: Sequence[Record], *keys: str) -> dict[tuple[Any, ...], Record]:
    """The records by these of their keys. Raises BadSetting where two share them."""
    found: dict[tuple[Any, ...], Record] = {}
    for record in records:
        key = tuple(record[k] for k in keys)
        if key in found:
            raise BadSetting(
                f"This chart takes one record for each {' and '.join(keys)}; sum the rows up by these alone."
            )
        found[key] = record
    return found


def levels_in(records: Sequence[Record], key: str) -> list[Any]:
    """The levels of a key in their order, the baseline last."""
    found = list(dict.fromkeys(record[key] for record in records))
    if key == "severity":
        return sorted(found)
    return sorted(found, key=lambda level: key == "method" and is_baseline(str(level)))


def compact(value: float) -> str:
    """A value in as few characters as two digits allow."""
    rounded = round(value, 2) + 0.0  # no −0
    text = f"{abs(rounded):.2f}"
    return ("−" if rounded < 0 else "") + text.removeprefix("0")


def references(records: Sequence[Record], value: str) -> list[tuple[float, str]]:
    """What a value is to be compared with, and its name: floors of a similarity, or the value that says nothing."""
    name = plain(value)
    shown = SHOWN[name]
    if shown.neutral is not None:
        return [(shown.neutral, shown.neutral_words)]
    floors = weighted_floors(records).items()
    if name in ("consistency", "mean_similarity"):
        return [(v, k) for k, v in floors]
    return [(1 - v, k) for k, v in floors] if name.startswith("responsiveness") else []


def error_bars(records: Sequence[Record | None], names: Sequence[str], colour: str) -> dict[str, Any]:
    """From each value to the ends of its interval; no bar where there is no interval."""

    def reach(record: Record | None, name: str, end: str, sign: int) -> float | None:
        if record is None or record.get(name) is None or record.get(f"{name}_{end}") is None:
            return None
        return sign * (float(record[f"{name}_{end}"]) - float(record[name]))

    each = list(zip(records, names, strict=True))
    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": 1.5,
        "width": 0,  # with caps, no interval would look like one of width 0
        "array": [reach(record, name, "high", 1) for record, name in each],
        "arrayminus": [reach(record, name, "low", -1) for record, name in each],
    }  # fmt: skip


def weighted_floors(records: Sequence[Record]) -> dict[str, float]:
    """The two floors by name, weighted with the records' pairs; none where the records have none."""
    found = {}
    for key, name in (("random_floor", "random ranking"), ("other_floor", "another picture")):
        have = [(float(r[key]), int(r["n"])) for r in records if r.get(key) is not None]
        if have:
            found[name] = sum(v * n for v, n in have) / sum(n for _, n in have)
    return found

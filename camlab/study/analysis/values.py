"""The values of a study's records (C, R, RM and others): titles, numbers of pairs, references.

Records are those of `camlab.study.analysis.summary.records`: None means "not observed".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camlab.cams.coincidence import is_baseline
from camlab.common.errors import BadSetting
from camlab.metrics.intervals import FEWEST_PAIRS
from camlab.study.analysis.summary import FLOORS

Record = Mapping[str, Any]


PREFIXES = ("stratified_", "macro_")


@dataclass(frozen=True)
class ValueLabel:
    """The titles of a record's value; neutral: the value of an uninformative map, if there is one."""

    title: str
    short: str
    neutral: float | None = None
    neutral_words: str = ""


VALUE_LABELS: dict[str, ValueLabel] = {
    "consistency": ValueLabel("consistency C", "C"),
    "responsiveness": ValueLabel("responsiveness R", "R"),
    "responsiveness_near": ValueLabel("responsiveness R to near flips", "R near"),
    "responsiveness_far": ValueLabel("responsiveness R to far flips", "R far"),
    "rm": ValueLabel("RM = C · R", "RM"),
    "gap": ValueLabel("gap = C + R − 1", "gap", 0.0, "blind to flips"),
    "auroc": ValueLabel("AUROC, kept against flipped", "AUROC", 0.5, "tells nothing"),
    "mean_similarity": ValueLabel("mean similarity", "mean"),
    "blind": ValueLabel("blind value of RM", "blind"),
}
"""The values that charts can show, by name in a record; every name also takes a prefix of `PREFIXES`."""


_PREFIX_WORDS = {"stratified_": ", stratified by severity", "macro_": ", mean over pictures"}


def unprefixed(value: str) -> str:
    """Return a value's name without its prefix. Raises BadSetting for an unknown value."""
    for prefix in PREFIXES:
        value = value.removeprefix(prefix)
    if value not in VALUE_LABELS:
        raise BadSetting(f"A chart cannot show {value[:40]!r}; choose one of: {', '.join(VALUE_LABELS)}.")
    return value


def value_title(value: str) -> str:
    """Return the title of a value; not escaped."""
    name = unprefixed(value)
    return VALUE_LABELS[name].title + _PREFIX_WORDS.get(value.removesuffix(name), "")


def beside(value: str, name: str) -> str:
    """Return the name of another value with the same averaging: "stratified_blind" for "stratified_rm"."""
    return value.removesuffix(unprefixed(value)) + name


def observed(record: Record, value: str) -> float | None:
    """Return a value of a record, None if it was not observed."""
    found = record.get(value)
    return None if found is None else float(found)


def interval_text(record: Record, value: str, before: str, after: str = "") -> str:
    """Write the interval of a value between two texts; "" without an interval."""
    low, high = record.get(f"{value}_low"), record.get(f"{value}_high")
    return "" if low is None or high is None else f"{before}{low:.2f} to {high:.2f}{after}"


def rests_on(record: Record, value: str) -> int:
    """Count the pairs behind a value; if it needs both outcomes, the pairs of the rarer one."""
    name = unprefixed(value)
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
    """Return whether a value comes from enough pairs (`FEWEST_PAIRS`)."""
    return rests_on(record, value) >= FEWEST_PAIRS


def one_each(records: Sequence[Record], *keys: str) -> dict[tuple[Any, ...], Record]:
    """Index the records by these keys. Raises BadSetting if two records share them."""
    found: dict[tuple[Any, ...], Record] = {}
    for record in records:
        key = tuple(record[k] for k in keys)
        if key in found:
            raise BadSetting(f"This chart takes one record per {' and '.join(keys)}; sum up the rows by these alone.")
        found[key] = record
    return found


def levels_in(records: Sequence[Record], key: str) -> list[Any]:
    """List the levels of a key in their order, the baseline last."""
    found = list(dict.fromkeys(record[key] for record in records))
    if key == "severity":
        return sorted(found)
    return sorted(found, key=lambda level: key == "method" and is_baseline(str(level)))


def compact(value: float) -> str:
    """Write a value with two digits in the fewest characters: ".25", "−.25", "1.00"."""
    rounded = round(value, 2) + 0.0  # no −0
    text = f"{abs(rounded):.2f}"
    return ("−" if rounded < 0 else "") + text.removeprefix("0")


def references(records: Sequence[Record], value: str) -> list[tuple[float, str]]:
    """Return the named references of a value: the floors of a similarity, or the neutral value."""
    name = unprefixed(value)
    shown = VALUE_LABELS[name]
    if shown.neutral is not None:
        return [(shown.neutral, shown.neutral_words)]
    floors = weighted_floors(records).items()
    if name in ("consistency", "mean_similarity"):
        return [(v, k) for k, v in floors]
    return [(1 - v, k) for k, v in floors] if name.startswith("responsiveness") else []


def weighted_floors(records: Sequence[Record]) -> dict[str, float]:
    """Average each floor over the records, weighted by their pairs; a floor that no record has is missing."""
    found = {}
    for key, name in FLOORS.items():
        have = [(float(r[key]), int(r["n"])) for r in records if r.get(key) is not None]
        if have:
            found[name] = sum(v * n for v, n in have) / sum(n for _, n in have)
    return found

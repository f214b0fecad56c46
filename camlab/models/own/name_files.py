"""Read class names from a text, CSV or JSON file."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

from camlab.common.errors import BadSetting

MAX_BYTES = 16 * 1024**2
_SHAPES = "write one name per line, or a JSON list, or a JSON object of index and name"


def parse_class_names(data: bytes, filename: str) -> tuple[str, ...]:
    """Parse the class names in ``data``, by index; the format follows the extension of ``filename``.

    Text has one name per line. CSV has a column of names, or indices and names; a header is skipped. JSON is a list,
    or an object of index → name, index → [id, name] or name → index. Raises BadSetting with one sentence.
    """
    if len(data) > MAX_BYTES:
        raise BadSetting(f"{filename} is too large for a list of class names; {_SHAPES}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadSetting(f"{filename} is not text in UTF-8; save it as UTF-8, and {_SHAPES}.") from None
    read = _READERS.get(PurePath(filename).suffix.lower(), _from_text)
    try:
        names = tuple(str(name).strip() for name in read(text))
    except _Unclear as error:
        raise BadSetting(f"{filename}: {error}; {_SHAPES}.") from None
    if not names:
        raise BadSetting(f"{filename} contains no class names; {_SHAPES}.")
    if not all(names):
        raise BadSetting(f"{filename} has no name for class {names.index('')}; give every class a name.")
    return names


class _Unclear(Exception):
    """Raised with the fault of a file's contents in words."""


def _from_text(text: str) -> Iterable[str]:
    return text.rstrip().splitlines()


def _from_csv(text: str) -> Iterable[str]:
    # csv.Sniffer fails on a single column; names contain commas only inside quotes.
    separator = next((s for s in "\t;" if s in text and "," not in text), ",")
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, strict=True) if any(row)]
    except csv.Error as error:
        raise _Unclear(f"it is not CSV ({error})") from None
    if not rows or all(len(row) == 1 for row in rows):
        names = [row[0] for row in rows]
        header = names[:1] and names[0].strip().lower() in ("name", "class", "label", "names", "class_name")
        return names[1:] if header else names
    if not rows[0][0].strip().isdigit() and len(rows) > 1:
        rows = rows[1:]
    if any(len(row) < 2 for row in rows):
        raise _Unclear("its rows have different numbers of columns")
    return _by_index([(row[0], row[1]) for row in rows])


def _from_json(text: str) -> Iterable[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Unclear(f"it is not JSON ({str(error)[:60]})") from None
    if isinstance(value, list):
        if not all(isinstance(each, str | int | float) for each in value):
            raise _Unclear("its list contains entries other than names")
        return map(str, value)
    if isinstance(value, Mapping):
        if value and all(type(index) is int for index in value.values()):  # torchvision's class_to_idx
            return _by_index([(index, name) for name, index in value.items()])
        last = {i: name[-1] if isinstance(name, list) and name else name for i, name in value.items()}
        return _by_index(last.items())
    raise _Unclear("it is neither a list nor an object")


def _by_index(pairs: Iterable[tuple[Any, Any]]) -> list[str]:
    """Order the names by their indices, which must be 0, 1, 2 … without a gap."""
    names: dict[int, str] = {}
    for index, name in pairs:
        text = str(index).strip()
        if not text.isdecimal() or len(text) > 9:
            raise _Unclear(f"{text[:30]!r} is not an index")
        if int(text) in names:
            raise _Unclear(f"index {text} occurs twice")
        if not isinstance(name, str | int | float):
            raise _Unclear(f"class {text} has a value that is not a name")
        names[int(text)] = str(name)
    gap = next((i for i in range(len(names)) if i not in names), None)
    if gap is not None:
        raise _Unclear(f"index {gap} is missing")
    return [names[i] for i in range(len(names))]


_READERS: Mapping[str, Callable[[str], Iterable[str]]] = {
    ".csv": _from_csv,
    ".tsv": _from_csv,
    ".json": _from_json,
}

"""Ways to read a file of class names: a table whose columns are told by their header and their values.

A file can often be read in several ways. Each way is a `NameReading`; only the way that its contents prove is taken
without asking.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

#: Headers of the column that numbers the classes, of names, and of codes such as WordNet's; lower case, `_` for spaces.
INDEX_HEADERS = frozenset(
    {
        *("id", "ids", "idx", "index", "indices", "#", "no", "no.", "nr", "num", "number", "class_id", "class_idx"),
        *("class_index", "class_number", "class_no", "classid", "label_id", "label_idx", "label_index", "labelid"),
        *("category_id", "target_id", "train_id", "trainid", "output", "output_index"),
    }
)
NAME_HEADERS = frozenset(
    {
        *("name", "names", "class_name", "class_names", "classname", "classnames", "label_name", "label_names"),
        *("labelname", "category_name", "display_name", "displayname", "target_name", "class_label", "words"),
        *("readable_name", "human_readable", "human_readable_name", "english", "english_name", "common_name"),
    }
)
#: Headers that stand over numbers as well as over names.
EITHER_HEADERS = frozenset({"class", "classes", "label", "labels", "target", "targets", "category", "categories"})
CODE_HEADERS = frozenset({"wnid", "wordnet_id", "synset", "synset_id", "code", "mid", "uid", "folder", "file", "url"})
#: Headers that pandas writes over its row numbers.
ROW_HEADERS = frozenset({"", "unnamed:_0", "level_0"})

_CODE = re.compile(r"n\d{8}|/[mgt]/\w+")
_INDEX = re.compile(r"[0-9]{1,9}")
_SHOWN = 3


class Unclear(Exception):
    """Raised with the fault of a file's contents in words."""


@dataclass(frozen=True)
class NameReading:
    """One way to read a file: the names by class index, and words for the way.

    key: chooses this reading among others. says: how the file was read, to follow a colon. spare: counts only if no
    other reading has as many names as the network has outputs.
    """

    key: str
    says: str
    names: tuple[str, ...]
    spare: bool = False

    @property
    def first_names(self) -> str:
        """The first names in quotation marks, and "…" if there are more."""
        more = " …" if len(self.names) > _SHOWN else ""
        return ", ".join(f"“{name[:40]}”" for name in self.names[:_SHOWN]) + more

    @property
    def repeated(self) -> str:
        """Words about names that several classes share, such as ImageNet's two cranes; empty if there are none."""
        first = next((name for name, count in Counter(self.names).items() if count > 1), None)
        if first is None:
            return ""
        places = [index for index, name in enumerate(self.names) if name == first]
        shown = ", ".join(map(str, places[:_SHOWN])) + (" …" if len(places) > _SHOWN else "")
        others = sum(count > 1 for count in Counter(self.names).values()) - 1
        more = f", and {others} more names occur several times" if others else ""
        return f"the classes {shown} share the name “{first[:40]}”{more}"


def distinct(readings: Iterable[NameReading]) -> list[NameReading]:
    """Return the readings without those that give the same names as one before; keys become unique."""
    found: dict[tuple[str, ...], NameReading] = {}
    keys: set[str] = set()
    for reading in readings:
        known = found.get(reading.names)
        if known is not None:
            if known.spare and not reading.spare:
                found[reading.names] = replace(known, spare=False)
            continue
        key, number = reading.key, 2
        while key in keys:
            key, number = f"{reading.key} ({number})", number + 1
        keys.add(key)
        found[reading.names] = replace(reading, key=key)
    return list(found.values())


@dataclass(frozen=True)
class NameColumn:
    """A column of a table: its title in messages, its header (None without one) and its values."""

    title: str
    header: str | None
    values: tuple[str, ...]

    @property
    def numbers(self) -> bool:
        """Whether all values are whole numbers."""
        return all(_INDEX.fullmatch(value) for value in self.values)

    @property
    def start(self) -> int | None:
        """0 or 1 if the values are all whole numbers from there on, in any order; None otherwise."""
        if not self.numbers:
            return None
        ordered = sorted(map(int, self.values))
        return next((first for first in (0, 1) if ordered == list(range(first, first + len(ordered)))), None)

    @property
    def codes(self) -> bool:
        """Whether the values are codes and not names."""
        return self.header in CODE_HEADERS or all(_CODE.fullmatch(value) for value in self.values)

    def check_index(self) -> None:
        """Raise Unclear with the reason why the values do not number the classes."""
        odd = next((value for value in self.values if not _INDEX.fullmatch(value)), None)
        if odd is not None:
            raise Unclear(f"{odd[:30]!r} is not an index")
        twice = next((value for value, count in Counter(map(int, self.values)).items() if count > 1), None)
        if twice is not None:
            raise Unclear(f"index {twice} occurs twice")
        there = set(map(int, self.values))
        if self.start is None:
            raise Unclear(
                f"index {next(i for i in range(min(1, min(there)), max(there)) if i not in there)} is missing"
            )


def normal_header(cell: str) -> str:
    """Return a header's cell in the form of the tables of headers."""
    return re.sub(r"[\s\-]+", "_", cell.strip().strip("\"'").lower())


def is_header_word(cell: str) -> bool:
    """Return whether a cell is a word that stands over a column of indices, names or codes."""
    return normal_header(cell) in INDEX_HEADERS | NAME_HEADERS | EITHER_HEADERS | CODE_HEADERS


def has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row of a table of equally long rows is a header."""
    if len(rows) < 2:
        return False
    first, body = rows[0], rows[1:]
    if any(_INDEX.fullmatch(cell) for cell in first) and not any(normal_header(cell) == "" for cell in first):
        return False
    over_numbers = any(
        not _INDEX.fullmatch(cell) and all(_INDEX.fullmatch(row[place]) for row in body)
        for place, cell in enumerate(first)
    )
    return over_numbers or any(map(is_header_word, first))


def columns_of(
    rows: Sequence[Sequence[str]], header: Sequence[str] | None, titles: Sequence[str] = ()
) -> list[NameColumn]:
    """Return the columns of equally long rows; ``titles`` calls the first ones that have no header."""
    made = []
    for place, values in enumerate(zip(*rows, strict=True)):
        word = None if header is None else header[place].strip()
        title = titles[place] if place < len(titles) else word[:40] if word else f"column {place + 1}"
        made.append(NameColumn(title, None if word is None else normal_header(word), tuple(v.strip() for v in values)))
    return made


def table_readings(columns: Sequence[NameColumn]) -> list[NameReading]:
    """Return the readings of a table with one row per class, clear if there is one. Raises Unclear if there is none.

    The header decides which column numbers the classes and which names them; without a header, the values do.
    """
    orders = _orders(columns)
    readings = []
    for order in orders:
        for name in _name_columns([column for column in columns if column is not order], order is not None):
            readings += _named(name, order, len(orders) > 1)
    if not readings:
        raise Unclear("it has no column of names")
    return distinct(readings)


def is_structured(columns: Sequence[NameColumn]) -> bool:
    """Return whether a column shows by its header or its values that this is a table."""
    return any(column.header is not None or column.numbers or column.codes for column in columns)


def _orders(columns: Sequence[NameColumn]) -> list[NameColumn | None]:
    """Return the columns that may number the classes; None stands for the order of the rows."""
    if columns[0].header is None:
        numbers = [column for column in columns if column.numbers]
        fitting = [column for column in numbers if column.start is not None]
        if numbers and not fitting:
            numbers[0].check_index()
        return list(fitting) or [None]
    headed = [
        column
        for column in columns
        if column.header in INDEX_HEADERS or (column.header in EITHER_HEADERS and column.numbers)
    ]
    # An "id" may be a code: WordNet's ids number nothing.
    headed = [column for column in headed if not column.codes]
    if fitting := [column for column in headed if column.start is not None]:
        return list(fitting)
    if headed:
        headed[0].check_index()
    rows = [column for column in columns if column.header in ROW_HEADERS and column.start is not None]
    if rows:
        return [rows[0]]
    known = NAME_HEADERS | EITHER_HEADERS | CODE_HEADERS
    # Numbers under an unknown word may be a rank as well as an index.
    return [None, *(column for column in columns if column.header not in known and column.start is not None)]


def _name_columns(columns: Sequence[NameColumn], ordered: bool) -> list[NameColumn]:
    """Return the columns that may hold the names, of those that do not number the classes."""
    wordy = [column for column in columns if not column.numbers]
    named = [column for column in wordy if column.header in NAME_HEADERS | EITHER_HEADERS and not column.codes]
    if not named and ordered:  # names such as "3" and "8"
        named = [column for column in columns if column.header in NAME_HEADERS | EITHER_HEADERS and not column.codes]
    if named:
        return named
    plain = [column for column in wordy if not column.codes]
    free = [column for column in columns if column.header not in INDEX_HEADERS | ROW_HEADERS]
    return plain or wordy or (free if ordered else [])


def _named(name: NameColumn, order: NameColumn | None, several: bool) -> list[NameReading]:
    """Return the reading of a column of names, and a spare one if the indices begin at 1."""
    key = f"{name.title} by {order.title}" if several and order is not None else name.title
    if order is None:
        return [NameReading(key, f"the names are “{name.title}”, in the order of the rows", name.values)]
    start = order.start or 0
    places = sorted(range(len(name.values)), key=lambda row: int(order.values[row]))
    names = tuple(name.values[row] for row in places)
    says = f"the names are “{name.title}”, in the order of “{order.title}”"
    if start == 0:
        return [NameReading(key, says, names)]
    return [
        NameReading(key, f"{says}, whose 1 is the network's first class", names),
        # The first output of some networks stands for the background.
        NameReading(f"{key} from 0", f"{says}, where the first class, 0, has no name", ("class 0", *names), spare=True),
    ]

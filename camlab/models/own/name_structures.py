"""Class names in JSON, YAML and Python literals: lists, mappings, and the entries of well-known files.

Parsers keep the last of two equal keys; here both are kept, so that a class named twice is noticed.
"""

from __future__ import annotations

import ast
import io
import itertools
import json
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import yaml

from camlab.models.own.name_readings import NameReading, Unclear, columns_of, distinct, has_header, table_readings

MAX_DEPTH = 12

#: Entries that hold class names, with the header of their keys and values; None where the values tell.
ENTRIES: Mapping[str, tuple[str, str] | None] = {
    "id2label": ("id", "name"),
    "id_to_label": ("id", "name"),
    "idx_to_class": ("id", "name"),
    "label2id": ("name", "id"),
    "label_to_id": ("name", "id"),
    "class_to_idx": ("name", "id"),
    **dict.fromkeys(
        (
            "names",
            "class_names",
            "classes",
            "labels",
            "categories",
            "label_names",
            "label_descriptions",
            "thing_classes",
        )
    ),
}


class NotPython(Unclear):
    """Raised for text that is no Python at all."""


@dataclass(frozen=True)
class Pairs:
    """A mapping as its pairs, in the order of the file."""

    pairs: tuple[tuple[str, Any], ...]

    def first(self, key: str) -> Any:
        """Return the first value of a key; None without one."""
        return next((value for name, value in self.pairs if name == key), None)


Value: TypeAlias = "str | list[Any] | Pairs | None"


def json_value(text: str) -> Value:
    """Parse JSON, with all numbers as text. Raises Unclear."""
    try:
        found: Value = json.loads(
            text, object_pairs_hook=lambda pairs: Pairs(tuple(pairs)), parse_int=str, parse_float=str
        )
    except (ValueError, RecursionError) as error:
        raise Unclear(f"it is not JSON ({str(error)[:60]})") from None
    return found


def yaml_value(text: str) -> Value:
    """Parse YAML, with all scalars as text: YAML would make false of a class called “no”. Raises Unclear."""
    try:
        events = yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                return _yaml_node(event, events, 0)
    except yaml.YAMLError as error:
        raise Unclear(f"it is not YAML ({' '.join(str(error).split())[:60]})") from None
    return None


def _yaml_node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Value:
    """Build the value that begins with ``event``. Parsed by events, as a parser's own recursion has no limit."""
    if isinstance(event, yaml.AliasEvent):  # a small file could unfold to a huge one
        raise Unclear("it uses aliases (*)")
    if depth > MAX_DEPTH:
        raise Unclear("its lists are nested too deeply")
    if isinstance(event, yaml.ScalarEvent):
        return str(event.value)
    inner: list[Value] = []
    while not isinstance(each := next(events), yaml.SequenceEndEvent | yaml.MappingEndEvent):
        inner.append(_yaml_node(each, events, depth + 1))
    if isinstance(event, yaml.MappingStartEvent):
        return Pairs(tuple((_text(key), value) for key, value in zip(inner[::2], inner[1::2], strict=True)))
    return inner if isinstance(event, yaml.SequenceStartEvent) else None


_ITEM = re.compile(r"item\s*\{([^{}]*)\}")
_FIELD = re.compile(r"(\w+)\s*:\s*(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s,]+))")


def is_label_map(text: str) -> bool:
    """Return whether a text begins like a label map of TensorFlow (pbtxt)."""
    return re.match(r"item\s*\{", text.lstrip()) is not None


def label_map_value(text: str) -> Value:
    """Parse a label map of TensorFlow: ``item { id: 1 name: 'person' }`` and so on. Raises Unclear."""
    items = _ITEM.findall(text)
    if len(items) != len(re.findall(r"\bitem\s*\{", text)):
        raise Unclear("its items are not closed or hold other items")
    return [Pairs(tuple((key, "".join(texts)) for key, *texts in _FIELD.findall(item))) for item in items]


def python_values(text: str) -> list[tuple[str, Value]]:
    """Read the literals in Python text with the names that they are assigned to. Runs nothing. Raises Unclear."""
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotPython(f"it is not Python ({str(error)[:60]})") from None
    if _lacks_comma(text):
        raise Unclear("two of its texts have no comma between them")
    found: list[tuple[str, Value]] = []
    for each in tree.body:
        match each:
            case ast.Expr(value=value):
                name = ""
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if isinstance(value, ast.List | ast.Tuple | ast.Dict | ast.Set):
            found.append((name, _literal(value)))
    return found


def _lacks_comma(text: str) -> bool:
    """Return whether two strings follow one another, which Python joins: numpy prints arrays so."""
    between = (tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text.strip()).readline)
        kinds = [token.type for token in tokens if token.type not in between]
    except (tokenize.TokenError, SyntaxError):
        return False
    return any(one == other == tokenize.STRING for one, other in itertools.pairwise(kinds))


def _literal(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool() | bytes() | None):
            return None
        case ast.Constant(value=value):
            return str(value)
        case ast.List(elts=entries) | ast.Tuple(elts=entries):
            return [_literal(each) for each in entries]
        case ast.Dict(keys=keys, values=values):
            return Pairs(
                tuple(
                    (_text(_literal(key) if key else None), _literal(value))
                    for key, value in zip(keys, values, strict=True)
                )
            )
        case ast.Set():
            raise Unclear("it is a set, whose names have no order")
    return None


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def value_readings(value: Value, where: str = "") -> list[NameReading]:
    """Return the readings of a parsed value. Raises Unclear if it holds no class names.

    A list has one name, row or object per class; a mapping gives index → name, name → index or index → row; any other
    mapping is searched for the entries of ENTRIES.
    """
    if isinstance(value, list):
        return _named(_list_readings(value), where)
    if not isinstance(value, Pairs):
        raise Unclear("it is neither a list nor an object of class names")
    if entries := _entries(value):
        return _gather(entries)
    try:
        return _named(_mapping_readings(value, None), where)
    except Unclear:
        inner = _nested(value, 0)
        if not inner:
            raise
    return _gather(inner)


def _gather(makers: Iterable[tuple[str, Callable[[], list[NameReading]]]]) -> list[NameReading]:
    """Return the readings of several entries; the fault of the first if none can be read."""
    readings: list[NameReading] = []
    fault: Unclear | None = None
    for key, make in makers:
        try:
            readings += _named(make(), key)
        except Unclear as error:
            fault = fault or error
    if not readings:
        raise fault or Unclear("it has no class names")
    return distinct(readings)


def gathered(values: Sequence[tuple[str, Value]]) -> list[NameReading]:
    """Return the readings of several named values together. Raises Unclear if there are none."""
    return _gather((name, lambda value=value: value_readings(value)) for name, value in values)  # type: ignore[misc]


def _named(readings: list[NameReading], where: str) -> list[NameReading]:
    """Say in which entry the readings were found; a single reading is called by its entry alone."""
    if not where:
        return readings
    alone = sum(not reading.spare for reading in readings) == 1
    return [
        replace(
            reading,
            key=where if alone and not reading.spare else f"{where}: {reading.key}",
            says=f"in “{where[:40]}”, {reading.says}",
        )
        for reading in readings
    ]


def _entries(value: Pairs) -> list[tuple[str, Callable[[], list[NameReading]]]]:
    """Return a maker of readings for each well-known entry of a mapping."""
    codes, words = value.first("label_names"), value.first("label_descriptions")
    if isinstance(codes, list) and isinstance(words, Pairs):  # timm: WordNet's ids in order, and their names
        known = dict(words.pairs)
        described = [known.get(code) if isinstance(code, str) else None for code in codes]
        return [("label_descriptions", lambda: value_readings(described))]

    def reader(entry: Value, header: tuple[str, str] | None) -> Callable[[], list[NameReading]]:
        return lambda: _mapping_readings(entry, header) if isinstance(entry, Pairs) else value_readings(entry)

    return [
        (key, reader(entry, ENTRIES[key]))
        for key, entry in value.pairs
        if key in ENTRIES and isinstance(entry, list | Pairs)  # a class, too, may be called “labels”
    ]


def _nested(value: Pairs, depth: int) -> list[tuple[str, Callable[[], list[NameReading]]]]:
    """Return makers of readings for the well-known entries of the mappings inside a mapping."""
    found: list[tuple[str, Callable[[], list[NameReading]]]] = []
    if depth < MAX_DEPTH:
        for key, inner in value.pairs:
            if isinstance(inner, Pairs):
                here = [(f"{key}.{name}", make) for name, make in _entries(inner)]
                found += here or [(f"{key}.{name}", make) for name, make in _nested(inner, depth + 1)]
    return found


def _list_readings(entries: list[Any]) -> list[NameReading]:
    if entries and all(isinstance(each, Pairs) for each in entries):
        keys = list(dict.fromkeys(key for each in entries for key, _ in each.pairs))
        cells = [[_text(each.first(key)) for key in keys] for each in entries]
        columns = [column for column in columns_of(cells, keys) if any(column.values)]
        return table_readings(columns)
    rows = _rows(entries)
    if rows is not None:
        header = rows[0] if has_header(rows) else None
        return table_readings(columns_of(rows if header is None else rows[1:], header))
    if not all(isinstance(each, str) for each in entries):
        raise Unclear("its list contains entries other than names")
    return [NameReading("list", "a list of names", tuple(entries))] if entries else []


def _rows(entries: Sequence[Any]) -> list[list[str]] | None:
    """Return entries that are equally long lists of at least two texts; None for anything else."""
    lengths = {len(each) if isinstance(each, list) else 0 for each in entries}
    if len(lengths) != 1 or min(lengths) < 2:
        return None
    return list(entries) if all(isinstance(cell, str) for each in entries for cell in each) else None


def _mapping_readings(value: Pairs, header: tuple[str, str] | None) -> list[NameReading]:
    """Return the readings of index → name, name → index, index → row or index → object."""
    if not value.pairs:
        return []
    if all(isinstance(inner, Pairs) and inner.pairs for _, inner in value.pairs):
        return _list_readings([Pairs((("id", key), *inner.pairs)) for key, inner in value.pairs])
    rows = [[key, *(inner if isinstance(inner, list) else [inner])] for key, inner in value.pairs]
    odd = next((row[0] for row in rows if len(row) < 2 or not all(isinstance(cell, str) for cell in row)), None)
    if odd is not None:
        raise Unclear(f"class {odd[:30]} has a value that is not a name")
    if len({len(row) for row in rows}) > 1:
        raise Unclear("its entries have different lengths")
    columns = columns_of(rows, header, ("keys", "values") if len(rows[0]) == 2 else ("keys",))
    if header is None and not any(column.numbers for column in columns):
        raise Unclear(f"{rows[0][0][:30]!r} is not an index")
    return table_readings(columns)

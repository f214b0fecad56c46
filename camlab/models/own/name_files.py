"""Read class names from a file of text, CSV, JSON, YAML or Python literals.

A file that can be read in several ways is never guessed at: the number of the network's outputs decides, or the user.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from camlab.common.errors import BadSetting
from camlab.common.wording import listed
from camlab.models.own.name_readings import (
    EITHER_HEADERS,
    NAME_HEADERS,
    NameColumn,
    NameReading,
    Unclear,
    columns_of,
    distinct,
    has_header,
    is_header_word,
    is_structured,
    normal_header,
    table_readings,
)
from camlab.models.own.name_structures import (
    NotPython,
    gathered,
    is_label_map,
    json_value,
    label_map_value,
    python_values,
    value_readings,
    yaml_value,
)

MAX_BYTES = 4 * 1024**2
SUFFIXES = ("txt", "csv", "tsv", "json", "yaml", "py")
_SHAPES = "write one name per line, or a table, a list or an object of index and name"

_SEPARATORS = ",;\t|"
_PARTS = ("number", "name")
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class NameFile:
    """A file of class names with all ways to read it. note: words about its encoding, or empty."""

    filename: str
    readings: tuple[NameReading, ...]
    note: str = ""

    def fitting(self, outputs: int | None) -> tuple[NameReading, ...]:
        """Return the readings with one name per output of the network; all that are not spare if none fits.

        ``outputs``: None if their number is unknown.
        """
        main = tuple(reading for reading in self.readings if not reading.spare)
        every = [[reading for reading in group if len(reading.names) == outputs] for group in (main, self.readings)]
        return tuple(next(filter(None, every), main))

    def chosen(self, key: str) -> NameFile:
        """Return the file with only the reading of this key. Raises BadSetting for an unknown key."""
        found = next((reading for reading in self.readings if reading.key == key), None)
        if found is None:
            keys = listed([f"“{reading.key}”" for reading in self.readings], "or")
            raise BadSetting(f"{self.filename} cannot be read as {key[:60]!r}; choose {keys}.")
        return NameFile(self.filename, (found,), self.note)

    def settled(self, outputs: int | None = None) -> NameReading:
        """Return the only reading that fits, or the only one. Raises BadSetting with all of them if there are several.

        With a known number of outputs, the caller still compares it with the number of names.
        """
        fitting = self.fitting(outputs)
        if len(fitting) == 1:
            return fitting[0]
        if outputs is not None and all(len(reading.names) != outputs for reading in fitting):
            counts = listed(sorted({str(len(reading.names)) for reading in fitting}, key=int), "or")
            raise BadSetting(
                f"There are {counts} class names in {self.filename}, but {outputs} outputs of the network; "
                "give one name per output."
            )
        ways = listed([f"“{reading.key}” ({reading.first_names})" for reading in fitting], "or")
        raise BadSetting(
            f"{self.filename} can be read in {len(fitting)} ways, {ways}; choose one, on the command line with "
            "--classes-as."
        )

    def sentence(self, reading: NameReading) -> str:
        """Say in one sentence how the file was read."""
        parts = [reading.says, self.note, reading.repeated]
        return f"Class names of {self.filename}: {'; '.join(filter(None, parts))}."


def read_class_names(data: bytes, filename: str) -> NameFile:
    """Read the class names in ``data`` in every way that fits; the extension of ``filename`` tells the format.

    Text has one name per line, or a table whose columns are told by their header and values; JSON, YAML and Python
    literals have a list, an object, or an entry such as ``id2label``. Raises BadSetting with one sentence.
    """
    if len(data) > MAX_BYTES:
        raise BadSetting(f"{filename} is too large for a list of class names; {_SHAPES}.")
    text, note = _decoded(data, filename)
    read = _READERS.get(PurePath(filename).suffix.lower(), _from_text)
    try:
        readings = distinct(read(text))
    except Unclear as error:
        raise BadSetting(f"{filename}: {error}; {_SHAPES}.") from None
    whole = [reading for reading in readings if reading.names and all(reading.names)]
    if not any(reading.names for reading in readings):
        raise BadSetting(f"{filename} contains no class names; {_SHAPES}.")
    if all(reading.spare for reading in whole):
        first = next(reading for reading in readings if reading.names)
        raise BadSetting(f"{filename} has no name for class {first.names.index('')}; give every class a name.")
    return NameFile(filename, tuple(whole), note)


def _decoded(data: bytes, filename: str) -> tuple[str, str]:
    """Return the text of a file, and words about its encoding if it is not UTF-8. Raises BadSetting."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and len(data) > 3 and len(data) % 2 == 0 and 0 in data[:2]:  # UTF-16 without a mark
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    note = "" if encoding in ("", "utf-8-sig") else f"the file is in {encoding[:6].upper()}"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = "" if encoding else data.decode("cp1252", "replace")
        odd = next((word for word in text.split() if not word.isascii()), "")
        note = f"the file is not in UTF-8 and was read as Western European (“{odd[:40]}”)"
    if (data and not text) or re.search("[\x00-\x08\x0e-\x1a\ufffd]", text):
        raise BadSetting(f"{filename} is not text in UTF-8 or a related encoding; save it as UTF-8, and {_SHAPES}.")
    return text.replace("\r\n", "\n").replace("\r", "\n"), note


# --- text


def _from_text(text: str) -> list[NameReading]:
    """Read lines, a table, or a literal that was saved as text."""
    literal = _literal_readings(text)
    return _line_readings(text, commas=False) if literal is None else literal


def _from_csv(text: str) -> list[NameReading]:
    return _line_readings(text, commas=True)


def _literal_readings(text: str) -> list[NameReading] | None:
    """Read a list or an object of JSON or Python, one object per line, or a label map; None for any other text."""
    if is_label_map(text):
        return value_readings(label_map_value(text))
    return _structure_readings(text) if _is_structure(text.strip()) else None


def _is_structure(body: str) -> bool:
    """Return whether a text begins like a list or an object, and is no list of names such as “[UNK]”."""
    if re.match(r"[A-Za-z_]\w*\s*(:[^=\n]+)?=\s*[\[({]", body):  # an assignment in Python
        return True
    if not body or body[0] not in _BRACKETS:
        return False
    first, *others = body.split("\n")
    if others and first.rstrip().endswith(_BRACKETS[body[0]]):
        return _are_json_lines(body)
    begins = body[1:].lstrip()[:1]
    return body[0] == "{" or begins in {*_BRACKETS, *"\"'0123456789"} or body.endswith(_BRACKETS[body[0]])


def _are_json_lines(text: str) -> bool:
    lines = text.strip().split("\n")
    return len(lines) > 1 and all(line.startswith("{") and line.rstrip().endswith("}") for line in lines)


def _structure_readings(text: str) -> list[NameReading]:
    """Read JSON, JSON lines or Python literals. Raises Unclear, for text that is neither with the fault as JSON."""
    if _are_json_lines(text):
        return value_readings([json_value(line) for line in text.strip().split("\n")])
    try:
        value = json_value(text)
    except Unclear as fault:
        try:
            values = python_values(text)
        except NotPython:
            raise fault from None
        return gathered(values)
    return value_readings(value)


def _line_readings(text: str, commas: bool) -> list[NameReading]:
    """Read a table with any separator, or one name per line. commas: a comma separates even without any evidence.

    A separator that gives equally long rows with a header, an index or codes is taken; names contain commas, too.
    """
    lines = text.rstrip().split("\n")
    if not text.strip():
        return []
    tables = {separator: columns for separator in _SEPARATORS if (columns := _columns(text, separator))}
    structured = [columns for columns in tables.values() if is_structured(columns)]
    numbered = _numbered(lines)
    if structured:
        found = _any_of([lambda columns=columns: table_readings(columns) for columns in structured])  # type: ignore[misc]
        several = sum(not reading.spare for reading in found) > 1
        # With one comma in every name, names look like two columns.
        return [*found, *numbered] if several else found
    if numbered:
        return numbered
    whole = _names(lines, commas)
    plain = [columns for separator, columns in tables.items() if commas or separator != ","]
    return [*(reading for columns in plain for reading in table_readings(columns)), *whole]


def _any_of(makers: Sequence[Callable[[], list[NameReading]]]) -> list[NameReading]:
    """Return the readings of all makers together; the fault of the first if none can be read."""
    found: list[NameReading] = []
    fault: Unclear | None = None
    for make in makers:
        try:
            found += make()
        except Unclear as error:
            fault = fault or error
    if not found and fault is not None:
        raise fault
    return found


def _columns(text: str, separator: str) -> list[NameColumn]:
    """Return the columns of a table with this separator; none if its rows are not equally long."""
    if separator not in text:
        return []
    try:
        rows = _rows(text, separator)
    except csv.Error:
        return []
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return []
    header = rows[0] if has_header(rows) else None
    return columns_of(rows if header is None else rows[1:], header)


def _rows(text: str, separator: str) -> list[list[str]]:
    part = re.escape(separator)
    single = re.compile(rf"(?:.*{part})?\s*'[^']*'\s*(?:{part}.*)?")
    quoted = '"' not in text and all(single.fullmatch(line) for line in text.rstrip().split("\n")[1:])
    reader = csv.reader(
        io.StringIO(text),
        delimiter=separator,
        quotechar="'" if quoted else '"',
        skipinitialspace=separator != "\t",
        strict=True,
    )
    return [[_bare(cell) for cell in row] for row in reader if any(row)]


def _bare(cell: str) -> str:
    """Return a cell without spaces and single quotes around it."""
    cell = cell.strip()
    return cell[1:-1] if len(cell) > 2 and cell[0] == cell[-1] == "'" and "'" not in cell[1:-1] else cell


@dataclass(frozen=True)
class _Part:
    """A line with an index or a code and a name, and the mark between them; empty for a space."""

    index: str
    mark: str
    name: str

    @property
    def whole(self) -> bool:
        """Whether the name is not cut: commas after a first one belong to it only with a space."""
        quoted = self.name.count('"') % 2 == 0
        return quoted and bool(self.name) and (self.mark != "," or not re.search(r",\S", self.name))


# String methods, as a regular expression would try every way to part a long run of spaces.


def _ahead(line: str, index: str = "[0-9]{1,9}", marks: str = ",;|:=.)") -> _Part | None:
    """Part a line such as ``0: tench``; None for any other."""
    found = re.match(index, line)
    if found is None:
        return None
    rest = line[found.end() :]
    name = rest.lstrip()
    if name and name[0] in marks:
        return _Part(found[0], name[0], name[1:].lstrip())
    return _Part(found[0], "", name) if name != rest else None


def _coded(line: str) -> _Part | None:
    """Part a line such as ``n01440764 tench``; None for any other."""
    return _ahead(line, "n[0-9]{8}", ",;|:=")


def _behind(line: str) -> _Part | None:
    """Part a line such as ``tench: 0``; None for any other."""
    found = re.search("[0-9]{1,9}$", line[-10:])
    if found is None:
        return None
    rest = line[: len(line) - len(found[0])]
    name = rest.rstrip()
    if name and name[-1] in ",;|:=":
        return _Part(found[0], name[-1], name[:-1].rstrip())
    return _Part(found[0], "", name) if name != rest else None


def _numbered(lines: Sequence[str]) -> list[NameReading]:
    """Return the readings of lines with an index or a code and a name, parted by anything; none without it.

    A name may contain the separator itself, as in ``0,tench, Tinca tinca``.
    """
    body = [line.strip() for line in lines if line.strip()]
    headed = any(map(is_header_word, re.split(r"[\s,;|:=]+", body[0])))
    for part in (_ahead, _coded, _behind):
        for rows in (body, body[1:]) if headed else (body,):
            found = [each for line in rows if (each := part(line)) and each.whole]
            if not rows or len(found) < len(rows):
                continue
            columns = columns_of([(each.index, _unquoted(each.name)) for each in found], None, _PARTS)
            marked = all(each.mark for each in found)
            unique = len(set(columns[1].values)) == len(found)
            # “stage 1” and “stage 2” are names.
            if (part is not _coded and columns[0].start is None) or not (unique or marked):
                continue
            readings = table_readings(columns)
            return [*readings, *_names(lines, False)] if part is _behind and not marked else readings
    return []


def _names(lines: Sequence[str], commas: bool) -> list[NameReading]:
    """Return the readings of one name per line: with and without a header and comments."""
    if commas and not _clear_commas(lines):
        raise Unclear("its rows have different numbers of columns; put names with commas in quotation marks")
    names = [_unquoted(line) for line in lines]
    says = "one name per line"
    if len(names) > 1 and normal_header(names[0]) in NAME_HEADERS | EITHER_HEADERS:
        return [
            NameReading("lines", f"{says}, below the header “{names[0]}”", tuple(names[1:])),
            NameReading("all lines", says, tuple(names), spare=True),
        ]
    remarks = sum(name.startswith("#") for name in names)
    every = NameReading("all lines" if remarks else "lines", says, tuple(names))
    if not 0 < remarks < len(names):
        return [every]
    left = tuple(name for name in names if not name.startswith("#"))
    return [NameReading("lines without #", f"{says}, without those that begin with #", left), every]


def _clear_commas(lines: Sequence[str]) -> bool:
    """Return whether lines of CSV are single names: a comma in them is quoted or followed by a space."""
    try:
        rows = _rows("\n".join(lines), ",")
    except csv.Error as error:
        raise Unclear(f"it is not CSV ({error})") from None
    return all(len(row) == 1 for row in rows) or not any(re.search(r",\S", line) for line in lines)


def _unquoted(line: str) -> str:
    """Return a line without spaces, a last comma after a quotation mark, and quotation marks around all of it."""
    text = line.strip()
    text = re.sub(r"(?<=[\"']),$", "", text)
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" and text[0] not in text[1:-1].replace('""', ""):
        return text[1:-1].replace('""', '"').strip()
    return text


# --- formats


def _from_yaml(text: str) -> list[NameReading]:
    return value_readings(yaml_value(text))


def _from_python(text: str) -> list[NameReading]:
    return gathered(python_values(text))


_READERS: Mapping[str, Callable[[str], list[NameReading]]] = {
    ".csv": _from_csv,
    ".tsv": _from_csv,
    ".json": _structure_readings,
    ".jsonl": _structure_readings,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
    ".py": _from_python,
}

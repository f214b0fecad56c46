"""Read downloaded data sets of the Hugging Face hub: Parquet tables with pictures, or picture files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from camlab.common.errors import BadSource
from camlab.common.memo import Memo
from camlab.images.datasets.torchvision_sets import Samples
from camlab.images.decode import decode_image, read_bytes
from camlab.images.file_layout import arrange, is_picture
from camlab.images.picture import Mask, mask_from_bytes

_GROUP_BYTES = 128 * 2**20  # of encoded pictures in tables, kept because their neighbours are read next
_LABELS = ("label", "labels", "fine_label", "class", "category", "target")

_groups: Memo[list[bytes]] = Memo(_GROUP_BYTES, lambda found: sum(map(len, found)))


def opened(folder: Path) -> Samples:
    """Open the data set in a folder. Raises BadSource if it holds no pictures."""
    tables = sorted(folder.rglob("*.parquet"))
    return _from_tables(folder, tables) if tables else _from_files(folder)


def _from_files(folder: Path) -> Samples:
    """Open picture files; classes and outlines follow the paths, as in a user's folder."""
    paths = [
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if is_picture(path.name) and path.is_file()
    ]
    entries = arrange(paths).entries
    if not entries:
        raise BadSource("This data set has no pictures; choose another.")
    classes = tuple(dict.fromkeys(each.label for each in entries if each.label is not None))
    labels = [-1 if each.label is None else classes.index(each.label) for each in entries]

    def mask(index: int) -> Mask | None:
        path = entries[index].mask
        return None if path is None else mask_from_bytes(read_bytes(folder / path), path)

    return Samples(
        classes,
        [each.path.rpartition(".")[0] or each.path for each in entries],
        labels,
        lambda i: decode_image(read_bytes(folder / entries[i].path), entries[i].path),
        mask if any(each.mask for each in entries) else None,
    )


@dataclass(frozen=True)
class _Rows:
    """A row group of a table: its column of pictures, and the index of its first row in the whole set."""

    path: Path
    group: int
    column: str
    first: int


def _from_tables(folder: Path, tables: Sequence[Path]) -> Samples:
    """Open Parquet tables. Raises BadSource for tables without a column of pictures."""
    import pyarrow.parquet as pq

    groups: list[_Rows] = []
    keys: list[str] = []
    values: list[Any] = []
    names: Sequence[str] = ()
    for path in tables:
        table = pq.ParquetFile(path)
        column, label, listed = _columns(table.schema_arrow)
        if column is None:
            continue
        names = listed or names
        for group in range(table.num_row_groups):
            groups.append(_Rows(path, group, column, len(keys)))
            rows = table.metadata.row_group(group).num_rows
            stem = path.relative_to(folder).with_suffix("").as_posix()
            start = len(keys) - next(each.first for each in groups if each.path == path)
            keys += [f"{stem}/{start + row:06d}" for row in range(rows)]
            values += [None] * rows if label is None else table.read_row_group(group, [label])[label].to_pylist()
    if not keys:
        raise BadSource("The tables of this data set have no column of pictures; choose another data set.")
    classes, labels = _classes(values, names)
    firsts = np.array([each.first for each in groups])

    def read(index: int) -> Image.Image:
        place = groups[int(np.searchsorted(firsts, index, side="right")) - 1]
        return decode_image(_groups.get(place, lambda: _pictures(place))[index - place.first], keys[index])

    return Samples(classes, keys, labels, read)


def _pictures(rows: _Rows) -> list[bytes]:
    import pyarrow.parquet as pq

    found = pq.ParquetFile(rows.path).read_row_group(rows.group, [rows.column])[rows.column].to_pylist()
    return [(each.get("bytes") if isinstance(each, dict) else each) or b"" for each in found]


def _columns(schema: Any) -> tuple[str | None, str | None, Sequence[str]]:
    """Return the columns of pictures and of classes, each None if missing, and the class names by index."""
    import pyarrow.types as kinds

    features: dict[str, Any] = {}
    if b"huggingface" in (schema.metadata or {}):
        features = json.loads(schema.metadata[b"huggingface"]).get("info", {}).get("features", {})
    picture = label = None
    for field in schema:
        nested = kinds.is_struct(field.type) and any(child.name == "bytes" for child in field.type)
        plain = kinds.is_binary(field.type) and field.name in ("image", "img", "picture", "jpg", "png")
        if picture is None and (nested or plain):
            picture = field.name
    described = [name for name, about in features.items() if about.get("_type") == "ClassLabel"]
    for name in (*(each for each in _LABELS if each in described), *described, *_LABELS):
        kind = schema.field(name).type if name in schema.names else None
        if kind is not None and (kinds.is_integer(kind) or kinds.is_string(kind)):
            label = name
            break
    return picture, label, features.get(label or "", {}).get("names") or ()


def _classes(values: Sequence[Any], names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the class names and each row's index among them, -1 for none."""
    if all(value is None or isinstance(value, int) for value in values):
        most = max((value for value in values if value is not None), default=-1)
        classes = [names[i] if i < len(names) else f"class {i}" for i in range(max(most + 1, len(names)))]
        return classes, [-1 if value is None else value for value in values]
    classes = sorted({str(value) for value in values if value is not None})
    places = {name: i for i, name in enumerate(classes)}
    return classes, [-1 if value is None else places[str(value)] for value in values]

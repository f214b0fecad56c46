"""The parts of a study: one Parquet file a few pictures, which says in its footer what it is about.

A file has its name only once it is whole, and holds all rows of every unit (a picture under one model) that it
names. So the parts alone say what is done: nothing has to be kept in step with them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camlab.study.store.files import write_whole
from camlab.study.store.schema import IMAGE_COLUMNS, arrow_schema

ROWS = "rows"
_NAME = re.compile(r"part-\d{7}\.parquet")
_UNITS = b"camlab.units"


@dataclass(frozen=True)
class UnitNote:
    """What a part says about one of its units.

    rows: its pairs; seconds: what it took; skipped: why there are none, in a sentence; image: its row of the
    table of pictures.
    """

    unit: int
    model: str
    image_set: str
    image: str
    rows: int
    seconds: float = 0.0
    skipped: str = ""
    image_row: dict[str, Any] | None = field(default=None)


def part_path(folder: Path, unit: int) -> Path:
    """Where the part that begins with this unit is."""
    return folder / ROWS / f"part-{unit:07d}.parquet"


def write_part(folder: Path, notes: Sequence[UnitNote], tables: Iterable[pa.Table]) -> Path:
    """Write the rows of some units, whole or not at all. Raises OSError."""
    path = part_path(folder, notes[0].unit)
    said = json.dumps([asdict(note) for note in notes], allow_nan=True).encode()
    schema = arrow_schema().with_metadata({_UNITS: said})
    table = pa.concat_tables([schema.empty_table(), *tables]).replace_schema_metadata(schema.metadata)
    if len(table) != sum(note.rows for note in notes):
        raise ValueError("a part must hold what its notes say")
    write_whole(path, lambda half: pq.write_table(table, half, compression="zstd"))
    return path


def part_paths(folder: Path) -> list[Path]:
    """The parts in the order of their units; files under way and strangers are passed over."""
    try:
        return sorted(p for p in (folder / ROWS).iterdir() if _NAME.fullmatch(p.name))
    except OSError:
        return []


def read_notes(path: Path) -> list[UnitNote] | None:
    """What a part says about its units; None where it is damaged or says what it does not hold."""
    try:
        metadata = pq.read_metadata(path)
        notes = [UnitNote(**each) for each in json.loads((metadata.metadata or {})[_UNITS])]
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
    return notes if metadata.num_rows == sum(note.rows for note in notes) else None


def all_notes(folder: Path, *, remove_damaged: bool = False) -> list[UnitNote]:
    """What all sound parts say, in order; ``remove_damaged`` is for the only writer of a study."""
    found: list[UnitNote] = []
    for path in part_paths(folder):
        notes = read_notes(path)
        if notes is not None:
            found += notes
        elif remove_damaged:
            path.unlink(missing_ok=True)
    return found


def image_table(notes: Iterable[UnitNote]) -> pa.Table:
    """The table of pictures of some units."""
    rows = [note.image_row for note in notes if note.image_row is not None]
    columns = {
        c.name: pa.array([row.get(c.name) for row in rows], c.type, from_pandas=True) for c in IMAGE_COLUMNS
    }
    return pa.table(columns, schema=arrow_schema(IMAGE_COLUMNS))


def write_images(folder: Path, notes: Iterable[UnitNote]) -> None:
    """Write ``images.parquet`` from what the parts say. Raises OSError."""
    table = image_table(notes)
    write_whole(folder / "images.parquet", lambda half: pq.write_table(table, half))


def image_frame(table: pa.Table) -> pd.DataFrame:
    """The table of pictures as a data frame, empty cells of numbers as nan."""
    ids = ["model", "image_set", "image"]
    return table.to_pandas(categories=[name for name in ids if name in table.column_names])

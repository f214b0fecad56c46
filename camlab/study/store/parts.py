"""The parts of a study: Parquet files of a few pictures each, with notes about their units in the footer.

A file gets its name only once it is complete, and holds all rows of every unit (a picture under one model) that its
notes list. So the parts alone record which units are done.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from camlab.study.store.files import write_whole
from camlab.study.store.schema import IMAGE_COLUMNS, arrow_schema

ROWS = "rows"
_NAME = re.compile(r"part-\d{7}\.parquet")
_UNITS = b"camlab.units"


@dataclass(frozen=True)
class UnitNote:
    """A part's note about one of its units.

    rows: number of pairs; seconds: computing time; skipped: why there are no rows, in a sentence; image_row: the
    unit's row in the table of pictures.
    """

    unit: int
    model: str
    image_set: str
    image: str
    rows: int
    seconds: float = 0.0
    skipped: str = ""
    image_row: dict[str, Any] | None = None


def write_part(folder: Path, notes: Sequence[UnitNote], tables: Iterable[pa.Table]) -> Path:
    """Write the rows of some units, whole or not at all, named after the first unit. Raises OSError."""
    path = folder / ROWS / f"part-{notes[0].unit:07d}.parquet"
    header = json.dumps([asdict(note) for note in notes], allow_nan=True).encode()
    schema = arrow_schema().with_metadata({_UNITS: header})
    table = pa.concat_tables([schema.empty_table(), *tables]).replace_schema_metadata(schema.metadata)
    if len(table) != sum(note.rows for note in notes):
        raise ValueError("a part must hold as many rows as its notes say")
    write_whole(path, lambda half: pq.write_table(table, half, compression="zstd"))
    return path


def part_paths(folder: Path) -> list[Path]:
    """List the parts in the order of their units, without unfinished or foreign files."""
    try:
        return sorted(p for p in (folder / ROWS).iterdir() if _NAME.fullmatch(p.name))
    except OSError:
        return []


def read_notes(path: Path) -> list[UnitNote] | None:
    """Read a part's notes; None if the part is damaged or its notes do not match its rows."""
    try:
        metadata = pq.read_metadata(path)
        notes = [UnitNote(**each) for each in json.loads((metadata.metadata or {})[_UNITS])]
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
    return notes if metadata.num_rows == sum(note.rows for note in notes) else None


def all_notes(folder: Path, *, remove_damaged: bool = False) -> list[UnitNote]:
    """Read the notes of all sound parts, in order; ``remove_damaged`` is for the only writer of a study."""
    found: list[UnitNote] = []
    for path in part_paths(folder):
        notes = read_notes(path)
        if notes is not None:
            found += notes
        elif remove_damaged:
            path.unlink(missing_ok=True)
    return found


def skipped_pictures(notes: Iterable[UnitNote]) -> list[dict[str, str]]:
    """List the units without rows: model, image_set, image, reason."""
    return [
        {"model": n.model, "image_set": n.image_set, "image": n.image, "reason": n.skipped} for n in notes if n.skipped
    ]


def image_table(notes: Iterable[UnitNote]) -> pa.Table:
    """Build the table of pictures from notes."""
    rows = [note.image_row for note in notes if note.image_row is not None]
    columns = {c.name: pa.array([row.get(c.name) for row in rows], c.type, from_pandas=True) for c in IMAGE_COLUMNS}
    return pa.table(columns, schema=arrow_schema(IMAGE_COLUMNS))


def write_images(folder: Path, notes: Iterable[UnitNote]) -> None:
    """Write ``images.parquet`` from the parts' notes. Raises OSError."""
    table = image_table(notes)
    write_whole(folder / "images.parquet", lambda half: pq.write_table(table, half))

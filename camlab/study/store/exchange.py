"""Export and import of studies; an import checks every value."""

import json
import math
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from camlab.common.errors import BadStudy
from camlab.common.parsing import with_slashes
from camlab.common.registry import Registry
from camlab.images.archives import BROKEN, refusal
from camlab.images.file_layout import REASONS
from camlab.study.store.files import MAX_JSON, read_json, sweep, write_json, write_whole
from camlab.study.store.parts import ROWS
from camlab.study.store.schema import IMAGE_COLUMNS, KEY, SCHEMA_VERSION, arrow_schema, conform, read_rows
from camlab.study.store.shelf import clean_title, new_folder, studies_root
from camlab.study.store.study import IMAGES, MANIFEST, Study, open_study

MAX_FILES = 20_000
MAX_TOTAL = 8 * 2**30  # bytes of a study, unpacked
_CHUNK = 1 << 20
_BATCH = 50_000  # rows written at a time


@dataclass(frozen=True)
class Export:
    """One format for exporting a study."""

    name: str
    suffix: str
    title: str
    mime: str
    write: Callable[[Study, Path], object]


def _keep(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _csv(study: Study, path: Path) -> None:
    pa_csv.write_csv(_plain(study), path, pa_csv.WriteOptions(batch_size=_BATCH))


def _json(study: Study, path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f'{{"manifest": {json.dumps(study.manifest)},\n"rows": [')
        comma = "\n"
        for batch in _plain(study).to_batches(_BATCH):
            for row in batch.to_pylist():
                stream.write(comma + json.dumps({k: _finite(v) for k, v in row.items()}, allow_nan=False))
                comma = ",\n"
        stream.write("\n]}\n")


def _zip(study: Study, path: Path) -> None:
    # Parquet is already compressed.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in (MANIFEST, IMAGES, "progress.json"):
            if (study.folder / name).is_file():
                archive.write(study.folder / name, name)
        for part in study.paths():
            archive.write(part, f"{ROWS}/{part.name}")


EXPORTS: Registry[Export] = Registry("export format")
for _entry in (
    Export("csv", ".csv", "All pairs as CSV", "text/csv", _csv),
    Export(
        "parquet", ".parquet", "All pairs as one Parquet file", "application/vnd.apache.parquet",
        lambda study, path: _keep(_plain(study), path),
    ),
    Export("json", ".json", "All pairs as JSON, with the manifest", "application/json", _json),
    Export("zip", ".zip", "The whole study, to be imported elsewhere", "application/zip", _zip),
):  # fmt: skip
    EXPORTS.add(_entry.name, _entry)


def export(study: Study, form: str, path: str | Path) -> Path:
    """Write a study in a format of EXPORTS, completely or not at all: its rows (csv, parquet, json), or all (zip).

    Raises UnknownName for the format, BadStudy for an unreadable study, OSError for the target.
    """
    entry, target = EXPORTS[form], Path(path)
    write_whole(target, lambda half: entry.write(study, half))
    return target


def import_study(path: str | Path, root: Path | None = None, name: str | None = None) -> Study:
    """Import a colleague's study into the root, from a ZIP archive or from a Parquet file of rows.

    Every value is checked against the schema, and nothing outside the schema is imported. Raises BadStudy for the first
    fault, without leaving files behind.
    """
    source, root = Path(path), root or studies_root()
    title = clean_title(name or source.stem or "study")
    root.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=".import-", dir=root))
    try:
        with source.open("rb") as stream:
            packed = stream.read(4).startswith((b"PK\3\4", b"PK\5\6"))
        (half / ROWS).mkdir()
        if packed:
            _unpack(source, half)
        else:
            _keep(read_rows(source), half / ROWS / "part-0000000.parquet")
        _settle(half, title, name is not None)
        target = new_folder(title, root)
        half.rename(target)
    except FileNotFoundError as error:
        raise BadStudy("There is no file at this path; check it.") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return open_study(target)


def _unpack(source: Path, half: Path) -> None:
    """Unpack the files of a study from an archive, checking each before the next."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            if len(entries) > MAX_FILES:
                raise BadStudy(f"The archive has over {MAX_FILES:,} files; CAM Lab did not export it.")
            for info in entries:
                if reason := refusal(info):
                    raise BadStudy(
                        f"The archive holds an entry that is not unpacked ({REASONS[reason][0]}); "
                        "export the study again."
                    )
            names = [with_slashes(info.filename) for info in entries]
            # An archive packed by hand has the study's folder as the first part of every path.
            base = next((n[: -len(MANIFEST)] for n in names if n.split("/")[-1] == MANIFEST), None)
            if base is None or len(set(names)) < len(names):
                raise BadStudy("The archive holds no manifest.json of a study; export the study again.")
            left, number = MAX_TOTAL, 0
            for info, name in zip(entries, names, strict=True):
                inner = name.removeprefix(base)
                if inner in (MANIFEST, IMAGES):
                    left -= _copy(archive, info, half / inner, min(left, MAX_JSON))
                elif inner.startswith(f"{ROWS}/part-") and inner.endswith(".parquet"):
                    place = half / "part.parquet"
                    left -= _copy(archive, info, place, left)
                    # A skipped picture has a part without rows.
                    if len(rows := read_rows(place, may_be_empty=True)):
                        _keep(rows, half / ROWS / f"part-{number:07d}.parquet")
                        number += 1
                    place.unlink()
            if not number:
                raise BadStudy("The archive holds no rows of a study; export the study again.")
    except BROKEN as error:
        raise BadStudy("The file is damaged or not an ordinary ZIP archive; export the study again.") from error


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Unpack one entry in pieces, whatever size it declares. Raises BadStudy beyond ``most`` bytes."""
    written = 0
    with archive.open(info) as source, target.open("wb") as stream:
        while piece := source.read(_CHUNK):
            written += len(piece)
            if written > most:
                raise BadStudy("The study in this archive is too large to import; export a part of it.")
            stream.write(piece)
    return written


def _settle(half: Path, title: str, named: bool) -> None:
    """Check the parts against one another, and write a new manifest and table of pictures."""
    study = Study(half)
    keys = study.rows(KEY)
    if keys.duplicated().any():
        raise BadStudy("The archive repeats a pair in different parts; export the study again.")
    given = read_json(half / MANIFEST) or {}
    settings = given.get("settings")
    if (half / IMAGES).exists():
        try:
            images = conform(pq.read_table(half / IMAGES), IMAGE_COLUMNS)
        except (OSError, pa.ArrowException) as error:
            raise BadStudy("The archive's images.parquet cannot be read; export the study again.") from error
    else:
        images = _pictures_of(study)
    _keep(images, half / IMAGES)
    manifest = {
        **{key: value for key, value in given.items() if key in _TAKEN and isinstance(value, dict)},
        "format": "camlab-study",
        "schema": SCHEMA_VERSION,
        "name": title if named or not isinstance(given.get("name"), str) else clean_title(given["name"]),
        "created": time.time(),
        "imported": True,
        "finished": True,
        "pairs": len(keys),
        "settings": settings if isinstance(settings, dict) else {},
    }
    groups = given.get("coincide")
    manifest["coincide"] = [each for each in groups if _is_group(each)] if isinstance(groups, list) else []
    try:
        write_json(half / MANIFEST, manifest)
    except ValueError as error:  # nan or infinity
        raise BadStudy("The archive's manifest.json cannot be read; export the study again.") from error
    sweep(half)


#: The entries of a foreign manifest that an import keeps; all are objects.
_TAKEN = ("versions", "models", "image_sets", "image_digests", "run")


def _is_group(each: Any) -> bool:
    """Return whether an entry of ``coincide`` has the required form."""
    texts = isinstance(each, dict) and all(isinstance(each.get(k), str) for k in ("model", "layer", "reason"))
    methods = each.get("methods") if texts else None
    return isinstance(methods, list) and all(isinstance(method, str) for method in methods)


def _pictures_of(study: Study) -> pa.Table:
    """Build the table of pictures from the rows alone."""
    ids = ["model", "image_set", "image"]
    rows = study.rows([*ids, "clean_index", "clean_prob", "clean_margin"])
    first = rows.drop_duplicates(ids).astype(dict.fromkeys(ids, str))
    return conform(pa.Table.from_pandas(first, preserve_index=False), IMAGE_COLUMNS)


def _plain(study: Study) -> pa.Table:
    """Return all rows with text columns as plain strings."""
    return study.table().cast(arrow_schema())


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value

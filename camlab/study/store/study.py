"""A study on disk, finished or under way: its manifest, rows and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from camlab.common.errors import BadStudy
from camlab.study.store.files import read_json
from camlab.study.store.own_models import offer_from
from camlab.study.store.parts import all_notes, image_table, part_paths, skipped_pictures
from camlab.study.store.schema import COLUMNS, TEXTS, arrow_schema, frame, known_columns

MANIFEST = "manifest.json"
IMAGES = "images.parquet"


@dataclass(frozen=True)
class Study:
    """A study on disk. Each read returns the current state, as a running study grows."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Settings, versions, models, pictures and coinciding methods (docs/study.md). Raises BadStudy."""
        found = read_json(self.folder / MANIFEST)
        if found is None or not isinstance(found.get("settings"), dict):
            raise BadStudy(f"“{self.folder.name}” is not a study; choose a folder that `study --out` wrote.")
        return found

    @property
    def name(self) -> str:
        """The study's name, by default that of its folder."""
        return str(self.manifest.get("name") or self.folder.name)

    @property
    def coincide(self) -> list[dict[str, Any]]:
        """Groups of methods with one map on a layer of a model: model, layer, methods, reason."""
        return list(self.manifest.get("coincide") or [])

    def paths(self) -> list[Path]:
        """List the files that hold the rows."""
        return part_paths(self.folder)

    def count(self) -> int:
        """Count the rows."""
        return int(self._read(lambda dataset: dataset.count_rows()))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows as an Arrow table, ids as dictionaries. Raises BadStudy for an unknown column."""
        names = [column.name for column in COLUMNS] if columns is None else known_columns(columns)
        return self._read(lambda dataset: dataset.to_table(columns=names))

    def rows(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows, one per pair, with all or the named columns; ids are categories. Raises BadStudy."""
        return frame(self.table(columns))

    def images(self) -> pd.DataFrame:
        """Return one row per picture and model: properties and prediction. Raises BadStudy."""
        path = self.folder / IMAGES
        try:
            # While a study runs, its parts have pictures that the file lacks.
            if self.manifest.get("finished") and path.exists():
                return frame(pq.read_table(path))
        except (OSError, pa.ArrowException) as error:
            raise BadStudy(f"The pictures of “{self.name}” cannot be read; use a copy of it.") from error
        return frame(image_table(all_notes(self.folder)))

    def skipped(self) -> list[dict[str, str]]:
        """List the pictures that could not be used: model, image_set, image, reason."""
        return skipped_pictures(all_notes(self.folder))

    def _read(self, ask: Callable[[pads.Dataset], Any]) -> Any:
        """Query all parts together, without damaged ones, which a resumed run computes again."""
        paths = self.paths()
        try:
            return ask(_dataset(paths))
        except (OSError, pa.ArrowException):
            return ask(_dataset([path for path in paths if _is_readable(path)]))


def _dataset(paths: Sequence[Path]) -> pads.Dataset:
    texts = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema([f.with_type(texts) if f.name in TEXTS else f for f in arrow_schema()])
    options = pads.ParquetReadOptions(dictionary_columns=set(TEXTS))
    read = pads.ParquetFileFormat(read_options=options)
    return pads.dataset([str(path) for path in paths], schema=schema, format=read)


def _is_readable(path: Path) -> bool:
    try:
        pq.read_table(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def open_study(folder: str | Path) -> Study:
    """Open the study in a folder, whose own models can be found from then on. Raises BadStudy if there is none."""
    study = Study(Path(folder))
    offer_from(study.folder, study.manifest)
    return study

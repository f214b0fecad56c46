"""Opening a study, finished or under way."""

from __future__ import annotations

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
from camlab.study.store.parts import all_notes, image_frame, image_table, part_paths
from camlab.study.store.schema import COLUMNS, TEXTS, arrow_schema, frame, known_columns

MANIFEST = "manifest.json"
IMAGES = "images.parquet"


@dataclass(frozen=True)
class Study:
    """A study on disk. What is read is what is there at that moment: a study under way grows."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Settings, versions, models, pictures and coinciding methods (docs/study.md). Raises BadStudy."""
        found = read_json(self.folder / MANIFEST)
        if found is None or not isinstance(found.get("settings"), dict):
            raise BadStudy(
                f"“{self.folder.name}” is no study; choose a folder that `study --out` has written."
            )
        return found

    @property
    def name(self) -> str:
        """The study's name, by default that of its folder."""
        return str(self.manifest.get("name") or self.folder.name)

    @property
    def coincide(self) -> list[dict[str, Any]]:
        """Groups of methods that are one on a layer of a model: model, layer, methods, reason."""
        return list(self.manifest.get("coincide") or [])

    def paths(self) -> list[Path]:
        """The files that hold the rows."""
        return part_paths(self.folder)

    def count(self) -> int:
        """How many rows there are."""
        return int(self._read(lambda dataset: dataset.count_rows()))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows as an Arrow table, ids as dictionaries. Raises BadStudy for a column that there is not."""
        names = [column.name for column in COLUMNS] if columns is None else known_columns(columns)
        return self._read(lambda dataset: dataset.to_table(columns=names))

    def rows(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows, one a pair, all columns or those asked for; ids are categories. Raises BadStudy."""
        return frame(self.table(columns))

    def images(self) -> pd.DataFrame:
        """One row a picture under a model: what it is and what the model says of it. Raises BadStudy."""
        path = self.folder / IMAGES
        try:
            # While a study is under way, the parts know of pictures that the file does not know of yet.
            if self.manifest.get("finished") and path.exists():
                return image_frame(pq.read_table(path))
        except (OSError, pa.ArrowException) as error:
            raise BadStudy(f"The pictures of “{self.name}” cannot be read; use a copy of it.") from error
        return image_frame(image_table(all_notes(self.folder)))

    def skipped(self) -> list[dict[str, str]]:
        """The pictures that could not be used: model, image_set, image, reason."""
        return [
            {"model": n.model, "image_set": n.image_set, "image": n.image, "reason": n.skipped}
            for n in all_notes(self.folder)
            if n.skipped
        ]

    def _read(self, ask: Callable[[pads.Dataset], Any]) -> Any:
        """Ask all parts together; damaged ones, which a resumed run makes anew, are passed over."""
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
    """The study in a folder. Raises BadStudy where there is none."""
    study = Study(Path(folder))
    _ = study.manifest
    return study

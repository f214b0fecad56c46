"""The schema of a study's rows: every column with its type, meaning and bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from camlab.common.errors import BadStudy
from camlab.images.properties import PROPERTIES
from camlab.metrics import SIMILARITIES

#: Raise it when a column changes its meaning.
SCHEMA_VERSION = 1
MAX_ROWS = 50_000_000
MAX_TEXT = 500  # characters of an id
SLACK = 1e-9  # by which rounding may carry a value beyond its bounds

_TYPES = {
    "text": pa.string(),
    "number": pa.float64(),
    "short": pa.float32(),
    "whole": pa.int32(),
    "flag": pa.bool_(),
}


@dataclass(frozen=True)
class Column:
    """One column. ``kind``: text, number (64 bits), short (a number of 32 bits), whole (a whole number) or flag.

    required: a table without it is rejected. low, high: bounds of its values, None for no bound. Only numbers may
    be missing: empty in the file, so that every reader leaves them out of a mean, and nan in a data frame.
    """

    name: str
    kind: str
    words: str
    required: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def type(self) -> pa.DataType:
        """The column's Arrow type."""
        return _TYPES[self.kind]


def _share(name: str, words: str, required: bool = False) -> Column:
    """Describe a column of numbers in [0, 1]."""
    return Column(name, "number", words, required, 0.0, 1.0)


#: One row is one pair: a picture, clean and perturbed, explained by one method on one layer of one model.
COLUMNS: tuple[Column, ...] = (
    Column("model", "text", "name of the model", required=True),
    Column("image_set", "text", "name of the image set; `folder/NAME` for a folder", required=True),
    Column("image", "text", "id of the picture", required=True),
    Column("method", "text", "name of the CAM method", required=True),
    Column("layer", "text", "target layer, by its full name", required=True),
    Column("noise", "text", "name of the noise type", required=True),
    Column("severity", "number", "severity; over 0, up to 5", required=True, low=0.0, high=5.0),
    Column("seed", "whole", "which draw of the noise; 0 where nothing is drawn", required=True, low=0),
    Column("clean_index", "whole", "class predicted on the clean picture", required=True, low=0),
    _share("clean_prob", "its probability", required=True),
    _share("clean_margin", "that probability minus the second one's"),
    Column("perturbed_index", "whole", "class predicted on the perturbed picture", required=True, low=0),
    _share("perturbed_prob", "its probability", required=True),
    _share("clean_class_prob", "probability of `clean_index` on the perturbed picture"),
    Column("flipped", "flag", "the two predictions differ", required=True),
    Column("near", "flag", "flipped, to another class of the clean top five"),
    Column("tied", "flag", "the top two probabilities of either version differ by at most 1e-6"),
    Column("degenerate", "flag", "one of the two maps is degenerate: no similarity", required=True),
    Column("segments", "whole", "segments of the clean picture", required=True, low=1),
    *(
        Column(
            name, "number", f"{entry.title}, raw; empty where degenerate or undefined",
            required=name == "rbo", low=entry.low, high=entry.high,
        )
        for name, entry in SIMILARITIES.items()
    ),
    _share("rbo_cells", "RBO over the map's cells instead of segments"),
    _share("rbo_slic50", "RBO over about 50 SLIC segments"),
    _share("random_floor", "RBO of two random rankings of these segments"),
    _share("other_floor", "mean RBO of the clean map with those of other pictures"),
    _share("rbo_class_only", "RBO with the clean picture's map for `perturbed_index`; if requested"),
    _share("rbo_noise_only", "RBO with the perturbed picture's map for `clean_index`; if requested"),
    Column("seconds", "short", "computing time; the only column that differs between two runs", low=0.0),
)  # fmt: skip

#: One row is one picture under one model.
IMAGE_COLUMNS: tuple[Column, ...] = (
    Column("model", "text", "name of the model", required=True),
    Column("image_set", "text", "name of the image set", required=True),
    Column("image", "text", "id of the picture", required=True),
    Column("digest", "text", "digest of the picture's RGB pixels and size"),
    Column("title", "text", "title of the picture"),
    Column("label", "text", "its class in its image set; empty without one"),
    Column("licence", "text", "its licence"),
    Column("author", "text", "its author"),
    Column("source", "text", "where it comes from"),
    *(
        Column(name, "number", entry.summary.rstrip("."), low=entry.low, high=entry.high)
        for name, entry in PROPERTIES.items()
    ),
    Column("clean_index", "whole", "class predicted on the clean picture", required=True, low=0),
    Column("clean_label", "text", "that class's name"),
    _share("clean_prob", "its probability"),
    _share("clean_margin", "that probability minus the second one's"),
)

#: The columns that identify a pair, in the order by which rows are sorted.
KEY = ("model", "image_set", "image", "method", "layer", "noise", "severity", "seed")
_BY_NAME = {column.name: column for column in COLUMNS}
TEXTS = tuple(column.name for column in COLUMNS if column.kind == "text")


def arrow_schema(columns: Sequence[Column] = COLUMNS) -> pa.Schema:
    """Return the Arrow schema of a table with these columns."""
    return pa.schema([pa.field(column.name, column.type) for column in columns])


def known_columns(names: Sequence[str]) -> list[str]:
    """Return the names, each once. Raises BadStudy for an unknown column."""
    for name in names:
        if name not in _BY_NAME:
            raise BadStudy(f"A study's rows have no column {str(name)[:60]!r}; see docs/study.md.")
    return list(dict.fromkeys(names))


def frame(table: pa.Table) -> pd.DataFrame:
    """Convert a table to a data frame with ids as categories."""
    return table.to_pandas(categories=[name for name in TEXTS if name in table.column_names])


def conform(table: pa.Table, columns: Sequence[Column] = COLUMNS) -> pa.Table:
    """Check and cast a foreign table to these columns; other columns are dropped, missing numbers stay empty.

    Raises BadStudy for the first column that does not fit.
    """
    found = []
    if len(set(table.column_names)) < len(table.column_names):
        raise BadStudy("The table has two columns with one name; keep one of them.")
    for column in columns:
        if column.name not in table.column_names:
            if column.required:
                raise BadStudy(f"The table has no column {column.name!r}; docs/study.md lists the required ones.")
            found.append(_missing(column, table))
            continue
        try:
            values = table[column.name].cast(column.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadStudy(
                f"The column {column.name!r} holds {table.schema.field(column.name).type} where "
                f"{column.type} is needed; see docs/study.md."
            ) from error
        found.append(_sound(column, values))
    result = pa.table(found, schema=arrow_schema(columns))
    if columns is COLUMNS:
        _consistent(result)
    return result


def read_rows(path: Path, may_be_empty: bool = False) -> pa.Table:
    """Read the rows of a foreign Parquet file. Raises BadStudy if they are not a study's."""
    try:
        with pq.ParquetFile(path, read_dictionary=list(TEXTS)) as file:
            if file.metadata.num_rows > MAX_ROWS:
                raise BadStudy(f"The table has over {MAX_ROWS:,} rows; import a part of it.")
            wanted = [name for name in file.schema_arrow.names if name in _BY_NAME]
            rows = conform(file.read(columns=wanted))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise BadStudy(f"“{path.name[:80]}” is not a readable Parquet file; export the study again.") from error
    if not len(rows) and not may_be_empty:
        raise BadStudy("The table has no rows; export the study again.")
    return rows


def _missing(column: Column, table: pa.Table) -> pa.Array:
    if column.name == "near":
        raise BadStudy("The table has no column 'near'; docs/study.md lists the required ones.")
    value = {"text": "", "number": None, "short": None, "whole": 0, "flag": False}[column.kind]
    return pa.repeat(pa.scalar(value, column.type), len(table))


def _sound(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values with missing numbers empty. Raises BadStudy for values outside the bounds."""
    if column.kind in ("number", "short"):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, column.type), values)
    elif values.null_count:
        raise BadStudy(f"The column {column.name!r} has empty cells; fill them.")
    if values.null_count == len(values) or column.kind == "flag":
        return values
    if column.kind == "text":
        if pc.max(pc.utf8_length(values)).as_py() > MAX_TEXT:
            raise BadStudy(f"The column {column.name!r} has texts of over {MAX_TEXT} characters; shorten them.")
        return values
    least, most = (pc.min_max(values)[side].as_py() for side in ("min", "max"))
    low = -float("inf") if column.low is None else column.low - SLACK
    high = float("inf") if column.high is None else column.high + SLACK
    if not (low <= least and most <= high):
        raise BadStudy(
            f"The column {column.name!r} has values from {least:g} to {most:g}, outside its bounds; see docs/study.md."
        )
    return values


def _consistent(table: pa.Table) -> None:
    """Check that the columns agree with one another. Raises BadStudy."""
    if not len(table):
        return
    if pc.min(table["severity"]).as_py() <= 0:
        raise BadStudy("The column 'severity' contains 0, the clean picture itself; leave those rows out.")
    differ = pc.not_equal(table["clean_index"], table["perturbed_index"])
    if not pc.all(pc.equal(differ, table["flipped"])).as_py():
        raise BadStudy("The column 'flipped' contradicts the predicted classes; correct it.")
    if pc.any(pc.and_(table["near"], pc.invert(table["flipped"]))).as_py():
        raise BadStudy("The column 'near' is set where nothing flipped; correct it.")
    if pc.any(pc.and_(table["degenerate"], pc.is_valid(table["rbo"]))).as_py():
        raise BadStudy("A degenerate pair has a similarity in the table; leave that cell empty.")
    keys = table.select(list(KEY)).to_pandas(categories=list(TEXTS))
    if keys.duplicated().any():
        raise BadStudy(
            "The table repeats a pair (same model, picture, method, layer, noise, severity, seed); keep one row."
        )

"""Studies on disk: schema, parts, opening, export and import."""

from camlab.study.store.exchange import EXPORTS, export, import_study
from camlab.study.store.schema import COLUMNS, IMAGE_COLUMNS, Column, read_rows
from camlab.study.store.shelf import delete, list_studies, new_folder, rename, studies_root
from camlab.study.store.study import Study, open_study

__all__ = [
    "COLUMNS",
    "EXPORTS",
    "IMAGE_COLUMNS",
    "Column",
    "Study",
    "delete",
    "export",
    "import_study",
    "list_studies",
    "new_folder",
    "open_study",
    "read_rows",
    "rename",
    "studies_root",
]

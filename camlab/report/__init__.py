"""One self-contained HTML file about a pair of maps, a handful of them, or a whole study."""

from camlab.report.html import report_html
from camlab.report.material import Material, Photo, Plot, Table
from camlab.report.of_cells import Cell, cells_material
from camlab.report.of_scene import scene_material
from camlab.report.of_study import study_material
from camlab.report.sections import SECTIONS

__all__ = [
    "SECTIONS",
    "Cell",
    "Material",
    "Photo",
    "Plot",
    "Table",
    "cells_material",
    "report_html",
    "scene_material",
    "study_material",
]

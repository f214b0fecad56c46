"""The tray as one figure: overlays with captions, a colour bar and all settings, as PNG, SVG or PDF."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from camlab.cams.coincidence import JOINT
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.common.wording import NOT_OBSERVED
from camlab.drawing import pictures
from camlab.drawing.charts.titles import model_title
from camlab.drawing.pictures import Bytes, enlarge, to_image
from camlab.explore.compare.browser import prediction, score_text, version_title
from camlab.explore.compare.cells import GridCell
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import Place
from camlab.explore.output.record import package_versions
from camlab.explore.state import CLASS_RULES
from camlab.images import OWN_KINDS
from camlab.metrics import SIMILARITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4  # cells side by side
WRAP = 38  # characters of a caption's line under a cell
SIDE, GAP, MARGIN, LINE, BAR, NARROWEST = 2.4, 0.2, 0.25, 0.152, 0.45, 5.4  # inches
PACKAGES = ("camlab", "python", "torch", "timm", "numpy")


@dataclass(frozen=True)
class FigureFormat:
    """A file format: its title, media type and fixed metadata."""

    title: str
    mime: str
    metadata: dict[str, Any]


#: The formats by file ending. They contain no time stamp, so the same tray gives the same file.
FORMATS: Registry[FigureFormat] = Registry("figure format")
FORMATS.add("png", FigureFormat("PNG", "image/png", {"Software": None}))
FORMATS.add("svg", FigureFormat("SVG", "image/svg+xml", {"Date": None}))
FORMATS.add("pdf", FigureFormat("PDF", "application/pdf", {"CreationDate": None}))


def figure(grid: Grid, places: Sequence[Place], kind: str) -> bytes:
    """Draw the cells in their order into one file and return its bytes; text stays text in SVG and PDF.

    Raises UnknownName for the kind, BadSetting without a cell or if one is still being computed, CamLabError if a
    picture cannot be made.
    """
    entry = FORMATS[kind]
    if not places:
        raise BadSetting("The tray is empty; pin a cell first.")
    cells = [grid.cell(where) for where in places]
    if not all(cells):
        raise BadSetting("Some pinned cells are still being computed; wait for them.")
    there = [cell for cell in cells if cell is not None]
    from matplotlib import rc_context

    # Real text, and reproducible ids.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "camlab", "pdf.fonttype": 42}):
        drawn = _draw(grid, there)
        buffer = io.BytesIO()
        about = {key: value for key, value in _about(grid, there).items() if (kind, key) in _SAID}
        drawn.savefig(
            buffer, format=kind, bbox_inches="tight", pad_inches=0.2,
            metadata={_SAID[kind, key]: value for key, value in about.items()} | entry.metadata,
        )  # fmt: skip
    return buffer.getvalue()


#: The names of title and description in each format.
_SAID = {
    ("png", "title"): "Title",
    ("png", "text"): "Description",
    ("svg", "title"): "Title",
    ("svg", "text"): "Description",
    ("pdf", "title"): "Title",
    ("pdf", "text"): "Subject",
}


def _about(grid: Grid, cells: Sequence[GridCell]) -> dict[str, str]:
    return {
        "title": f"CAM Lab: {len(cells)} explanations of “{grid.picture.title}”",
        "text": " · ".join(" ".join(line for line in caption(grid, cell)) for cell in cells),
    }


def caption(grid: Grid, cell: GridCell) -> list[str]:
    """Return a cell's caption: method, version, model and layer, similarity, prediction, missing parts."""
    where = cell.place
    title, *others = grid.title(where).split(JOINT)
    lines = [title, *([f"= {JOINT.join(others)}"] if others else []), version_title(where)]
    if cell.row is None:
        return [*lines, model_title(where.model), cell.note]
    scene = grid.scene(where)
    lines.append(f"{scene.classifier.title}, layer {scene.layer}")
    if where.noise is not None:
        lines.append(f"Similarity to its clean map: {score_text(cell) or NOT_OBSERVED}")
    lines.append(prediction(scene, cell))
    return [*lines, cell.note] if cell.note else lines


def settings(grid: Grid) -> list[str]:
    """Return the common settings: picture, author, licence, class rule, measure, segments, smoothing, versions."""
    state, picture = grid.state.base, grid.picture
    credit = (
        f"Picture: “{picture.title}”, {picture.source}"
        if picture.image_set in OWN_KINDS
        else f"Picture: “{picture.title}” by {picture.author}, {picture.source}, {picture.licence}"
    )
    parameters = ", ".join(f"{name} {value:g}" for name, value in state.segment_parameters.items())
    measure = SIMILARITIES[state.similarity].title + (f", p {state.p:g}" if state.similarity == "rbo" else "")
    rule = CLASS_RULES[state.rule]
    if state.rule == "fixed":
        rule = f"one class in both (number {state.target})"
    smoothed = [
        text
        for on, text in (
            (state.eigen, "eigen smoothing"),
            (state.augment, "augmentation"),
            (state.copies, f"{state.copies} noisy copies, σ {state.sigma:g}"),
        )
        if on
    ]
    found = package_versions()
    return [
        credit,
        f"Class explained: {rule.lower()} · Similarity: {measure} · Segments: {state.segmentation}"
        + (f" ({parameters})" if parameters else "")
        + (f" · Smoothed by {', '.join(smoothed)}" if smoothed else ""),
        " · ".join(f"{'CAM Lab' if name == 'camlab' else name} {found[name]}" for name in PACKAGES if name in found),
    ]


def overlay(grid: Grid, cell: GridCell) -> Bytes:
    """Draw a cell as on the page, uint8 RGB; the picture alone if it has no map. Raises CamLabError."""
    state = grid.state.base
    picture = to_image(grid.pixels(cell.place))
    if cell.map is None:
        return enlarge(picture)
    return pictures.overlay(picture, cell.map, state.colormap, state.opacity)


def _draw(grid: Grid, cells: Sequence[GridCell]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    # Captions break into lines that fit under the cell.
    captions = [[part for line in caption(grid, cell) for part in textwrap.wrap(line, WRAP)] for cell in cells]
    across = min(ACROSS, len(cells))
    rows = [range(start, min(start + across, len(cells))) for start in range(0, len(cells), across)]
    wide = max(across * (SIDE + GAP) - GAP, NARROWEST) + 2 * MARGIN
    footer = [part for line in settings(grid) for part in textwrap.wrap(line, int((wide - 2 * MARGIN) * 16.5))]
    # In inches, from the top; a row's height depends on its captions.
    heights = [SIDE + LINE * (2 + max(map(len, (captions[i] for i in row)))) + GAP for row in rows]
    high = sum(heights) + BAR + LINE * (len(footer) + 1) + 2 * MARGIN
    drawn = Figure(figsize=(wide, high), dpi=150, facecolor="white")
    FigureCanvasAgg(drawn)

    def area(left: float, top: float, width: float, height: float) -> Axes:
        return drawn.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))

    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for place, index in enumerate(row):
            title, *lines = captions[index]
            axis = area(MARGIN + place * (SIDE + GAP), top + 2 * LINE, SIDE, SIDE)
            axis.set_axis_off()
            if cells[index].row is not None:
                axis.imshow(overlay(grid, cells[index]), aspect="auto")
            # Titles can hold class and file names: parse_math off, so that a $ stays a $.
            axis.set_title(title, fontsize=9.5, loc="left", fontweight="bold", pad=4, parse_math=False)
            axis.text(
                0, -0.04, "\n".join(lines), transform=axis.transAxes, fontsize=7.5, va="top", linespacing=1.35,
                parse_math=False,
            )  # fmt: skip
        top += height
    bar = drawn.colorbar(
        ScalarMappable(Normalize(0, 1), grid.state.base.colormap),
        cax=area(MARGIN, top, min(SIDE, wide), 0.1),
        orientation="horizontal",
        ticks=[0, 0.5, 1],
    )
    bar.ax.tick_params(labelsize=7)
    bar.set_label("map value (scaled to 0–1 for each map)", fontsize=7.5, loc="left")
    drawn.text(
        MARGIN / wide, 1 - (top + BAR + LINE) / high, "\n".join(footer), fontsize=7, va="top", linespacing=1.4,
        parse_math=False,
    )  # fmt: skip
    return drawn

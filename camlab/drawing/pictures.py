"""Pictures of maps: overlays, heat maps, segment views, difference maps, and the figure of several panels."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from camlab import metrics
from camlab.common.registry import Registry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Labels = NDArray[np.int32]

ENLARGE = 2  # panels have twice the model's input size, so that contours and numbers stay crisp
DIVERGING = "PuOr_r"
INK = 20  # grey of the lines and numbers on a difference map

# Perceptually uniform and readable with all common colour-vision deficiencies; matplotlib's names.
COLOUR_MAPS: Registry[str] = Registry("colour map")
for _name, _title in [
    ("inferno", "Inferno (black to yellow)"),
    ("viridis", "Viridis (blue to yellow)"),
    ("cividis", "Cividis (blue to yellow, muted)"),
    ("magma", "Magma (black to cream)"),
    ("gray", "Grey"),
]:
    COLOUR_MAPS.add(_name, _title)


@lru_cache(maxsize=32)
def colour_table(name: str) -> Bytes:
    """Return a colour map as (256, 3) uint8 RGB."""
    from matplotlib import colormaps

    colours = colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255
    return np.asarray(colours.round(), dtype=np.uint8)


def colourise(values: NDArray[np.floating], name: str) -> Bytes:
    """Colour values in [0, 1], any shape, as uint8 RGB with one more axis."""
    index = np.clip(values * 255, 0, 255).round().astype(np.uint8)
    return np.asarray(colour_table(name)[index])


def upsample(values: Floats, size: tuple[int, int]) -> Floats:
    """Interpolate a map (h, w) to ``size``, bilinear with aligned pixel centres (align_corners=False)."""
    return np.asarray(metrics.upsample(values[None], size)[0], dtype=np.float32)


def enlarge(picture: Floats) -> Bytes:
    """Return a picture (H, W, 3) in [0, 1] as uint8 at ENLARGE times its size."""
    size = (picture.shape[1] * ENLARGE, picture.shape[0] * ENLARGE)
    large = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(large * 255, 0, 255).round().astype(np.uint8)


def blend(picture: Bytes, colours: Bytes, opacity: float) -> Bytes:
    """Lay ``colours`` over ``picture``, both uint8 RGB of one size; opacity in [0, 1]."""
    return np.asarray(cv2.addWeighted(colours, opacity, picture, 1 - opacity, 0), dtype=np.uint8)


def outline(picture: Bytes, labels: Labels) -> Bytes:
    """Draw the segments' borders as light lines with a dark rim, readable on any picture."""
    large = cv2.resize(labels, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_NEAREST)
    line = find_boundaries(large, mode="thick")
    rim = cv2.dilate(line.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    drawn = picture.copy()
    drawn[rim] = (drawn[rim] * 0.35).astype(np.uint8)
    drawn[line] = 255 - ((255 - drawn[line]) * 0.15).astype(np.uint8)
    return drawn


@dataclass(frozen=True)
class Panel:
    """The content of one panel: picture (H, W, 3) and map (h, w) in [0, 1], segments (H, W) and their values."""

    picture: Floats
    map: Floats
    labels: Labels
    segment_values: NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """A way to draw a panel."""

    title: str
    draw: Callable[[Panel, str, float], Bytes]


VIEWS: Registry[View] = Registry("view")


def view(
    name: str, title: str
) -> Callable[[Callable[[Panel, str, float], Bytes]], Callable[[Panel, str, float], Bytes]]:
    """Register a way to draw a panel: (panel, colour map, opacity) -> uint8 RGB."""
    return VIEWS.adding(name, lambda draw: View(title, draw))


def _heat(picture: Floats, map_: Floats, colormap: str) -> Bytes:
    size = (picture.shape[0] * ENLARGE, picture.shape[1] * ENLARGE)
    return colourise(upsample(map_, size), colormap)


def overlay(picture: Floats, map_: Floats, colormap: str, opacity: float) -> Bytes:
    """Draw a map (h, w) over a picture (H, W, 3), both in [0, 1], as uint8 RGB at ENLARGE times its size."""
    return blend(enlarge(picture), _heat(picture, map_, colormap), opacity)


@view("overlay", "Overlay")
def draw_overlay(panel: Panel, colormap: str, opacity: float) -> Bytes:
    """Draw the map's colours over the picture."""
    return overlay(panel.picture, panel.map, colormap, opacity)


@view("heat", "Heat map")
def draw_heat(panel: Panel, colormap: str, opacity: float) -> Bytes:
    """Draw the map alone."""
    return _heat(panel.picture, panel.map, colormap)


@view("image", "Image")
def draw_image(panel: Panel, colormap: str, opacity: float) -> Bytes:
    """Draw the picture alone."""
    return enlarge(panel.picture)


@view("segments", "Segments")
def draw_segments(panel: Panel, colormap: str, opacity: float) -> Bytes:
    """Draw each segment in the colour of its mean map value, which the ranking uses, with its border."""
    picture = enlarge(panel.picture)
    flat = colourise(panel.segment_values, colormap)[panel.labels]
    size = (picture.shape[1], picture.shape[0])
    large = np.asarray(cv2.resize(flat, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    return outline(blend(picture, large, opacity), panel.labels)


def draw_difference(delta: Floats, size: tuple[int, int], labels: Labels, marked: Sequence[tuple[int, str]]) -> Bytes:
    """Draw the signed difference of two maps, (h, w) in [-1, 1], with numbered borders around marked segments.

    ``size``: the model's input size; ``marked``: (segment, its number as text).
    """
    large = upsample(delta, (size[0] * ENLARGE, size[1] * ENLARGE))
    drawn = colourise((large + 1) / 2, DIVERGING)
    # Both ends of the colour map are dark: a light rim keeps the dark ink readable there.
    ink = mark(size, labels, marked)
    for colour, share in ((255, cv2.dilate(ink, np.ones((5, 5), np.uint8))), (INK, ink)):
        weight = share[..., None] / 255
        drawn = (drawn * (1 - weight) + colour * weight).round().astype(np.uint8)
    return drawn


def mark(size: tuple[int, int], labels: Labels, marked: Sequence[tuple[int, str]]) -> Bytes:
    """Return the ink (0 to 255 per pixel) of marked segments' borders and numbers, at ENLARGE times ``size``."""
    zoomed = cv2.resize(labels, (size[1] * ENLARGE, size[0] * ENLARGE), interpolation=cv2.INTER_NEAREST)
    ink = np.zeros(zoomed.shape, np.uint8)
    for segment, number in marked:
        mask = (zoomed == segment).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(ink, contours, -1, 255, 2)
        # The point farthest from the border lies inside any shape.
        distance = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
        place = (int(x) - 7 * len(number), int(y) + 8)
        cv2.putText(ink, number, place, cv2.FONT_HERSHEY_SIMPLEX, 0.75, 255, 2, cv2.LINE_AA)
    return ink


def object_ink(mask: NDArray[np.bool_]) -> Bytes:
    """Draw the outline of an object (H, W) as an RGBA layer for a panel, at ENLARGE times its size.

    The line is light with a dark rim, so that it is visible on every colour.
    """
    size = (mask.shape[1] * ENLARGE, mask.shape[0] * ENLARGE)
    large = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    layer = np.zeros((*large.shape, 4), np.uint8)
    cv2.drawContours(layer, contours, -1, (INK, INK, INK, 255), 5)
    cv2.drawContours(layer, contours, -1, (255, 255, 255, 255), 2)
    return layer


def lay_over(picture: Bytes, layer: Bytes) -> Bytes:
    """Lay an RGBA layer over an RGB picture, both uint8 of one size."""
    share = layer[..., 3:] / 255
    return (picture * (1 - share) + layer[..., :3] * share).round().astype(np.uint8)


def encode_png(picture: Bytes) -> bytes:
    """Encode a uint8 RGB or RGBA picture as PNG."""
    order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, order))
    return data.tobytes()


def data_url(picture: Bytes) -> str:
    """Encode a picture, uint8 RGB (H, W, 3) or RGBA, as a data URL of a PNG file.

    Separate files of a page that is redrawn often would be removed before the browser fetches them.
    """
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode()


def to_image(tensor: NDArray[np.float32]) -> Floats:
    """Rearrange (3, H, W) to (H, W, 3), contiguous."""
    return np.ascontiguousarray(tensor.transpose(1, 2, 0))


def panels_figure(panels: Sequence[tuple[str, str, Bytes]], colormap: str, caption: str) -> bytes:
    """Return one PNG of panels (title, text below, uint8 RGB) side by side, with both colour bars and a caption.

    The last panel is the difference map and gets the diverging bar; the others share the first bar.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(panels), 5.6), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(np.atleast_1d(figure.subplots(1, len(panels))))
    for axis, (title, text, picture) in zip(axes, panels, strict=True):
        axis.imshow(picture)
        # Titles can hold class and file names: parse_math off, so that a $ stays a $.
        axis.set_title(title, fontsize=12, loc="left", parse_math=False)
        axis.set_xlabel(text, fontsize=9, loc="left", parse_math=False)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    bar: dict[str, Any] = {"location": "bottom", "shrink": 0.6, "aspect": 40, "pad": 0.03}
    shared = figure.colorbar(ScalarMappable(Normalize(0, 1), colormap), ax=axes[:-1], **bar)
    shared.set_label("map value (scaled to 0–1 for each map)", fontsize=9)
    signed = figure.colorbar(
        ScalarMappable(Normalize(-1, 1), DIVERGING), ax=axes[-1], **(bar | {"shrink": 0.9, "aspect": 25})
    )
    signed.set_label("perturbed − clean", fontsize=9)
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left", y=-0.01, va="top", parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.2, metadata={"Software": None})
    return buffer.getvalue()

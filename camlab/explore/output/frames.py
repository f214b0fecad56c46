"""What a browser needs to follow the severity by itself: one frame a severity, packed in few bytes.

A frame holds the perturbed picture as the model sees it, its map at the layer's own resolution, and the words beside
them. Enlarging, colouring and blending are left to the browser, which does what `camlab.drawing.pictures` does.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.drawing import pictures
from camlab.explore.output import pair_html
from camlab.explore.output.panels import marked_segments
from camlab.explore.output.words import shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import SEVERITY_STEP

SEVERITIES = tuple(SEVERITY_STEP * i for i in range(round(5 / SEVERITY_STEP) + 1))  # the slider's steps
LEVELS = 65535  # a map value is shipped as one of these steps: its error is at most half a step
JPEG_QUALITY = 75
MAGIC = b"CAMF"
PREFIX = struct.Struct("<4s12sHHI")  # magic, strip, parcel, reserved, bytes of the header that follows


@dataclass(frozen=True)
class Frame:
    """One severity: picture (JPEG), map and segment values (uint16), ink of the marks (PNG), and what is said."""

    severity: float
    picture: bytes
    map: bytes
    segments: bytes
    ink: bytes
    html: Mapping[str, str]
    spoken: str


def quantise(values: NDArray[np.floating]) -> bytes:
    """Values in [0, 1] as little-endian uint16, row by row. Raises BadSetting for values outside or not finite."""
    if not ((values >= 0) & (values <= 1)).all():
        raise BadSetting("Only values from 0 to 1 can be shipped; scale the map first.")
    return np.rint(values.astype(np.float64) * LEVELS).astype("<u2").tobytes()


def restore(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """What quantise made, as values again, to within half of 1/65535. Raises BadSetting where the size is another."""
    if len(data) != 2 * int(np.prod(shape)):
        raise BadSetting(f"{len(data)} bytes are no values of shape {shape}; ship the map again.")
    return np.frombuffer(data, "<u2").reshape(shape) / LEVELS


def encode_picture(pixels: NDArray[np.float32]) -> bytes:
    """A model-input picture, (3, H, W) in [0, 1], as JPEG with its colours at full resolution.

    Halved colours, as JPEG has them by default, would turn coloured noise grey.
    """
    picture = np.clip(pictures.to_image(pixels) * 255, 0, 255).round().astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    options += [
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        cv2.IMWRITE_JPEG_OPTIMIZE,
        1,
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def encode_labels(labels: NDArray[np.int32]) -> bytes:
    """Segment numbers (H, W) below 65536 as a PNG: low byte in red, high byte in green."""
    planes = np.stack([labels * 0, labels >> 8, labels & 255], axis=-1).astype(np.uint8)
    return _png(planes)


def _png(picture: pictures.Bytes) -> bytes:
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def spoken(scene: Scene, row: Mapping[str, Any]) -> str:
    """A severity and what it did to the prediction, for a screen reader."""
    return f"severity {row['severity']:g}, {shown_verdict(scene, row)}"


def make_frame(scene: Scene, shown: Shown) -> Frame:
    """The frame of a shown pair."""
    return Frame(
        severity=float(shown.row["severity"]),
        picture=encode_picture(shown.perturbed_input),
        map=quantise(shown.perturbed.maps[scene.state.method]),
        segments=quantise(np.clip(scene.segment_values(shown.perturbed), 0, 1)),
        ink=_png(pictures.mark(scene.classifier.input_size, scene.comparison.labels, marked_segments(shown))),
        html=pair_html.pair(scene, shown),
        spoken=spoken(scene, shown.row),
    )


def base(scene: Scene) -> tuple[dict[str, Any], list[bytes]]:
    """What all frames of a scene share: sizes, and as blobs the segments and the clean map."""
    height, width = scene.classifier.input_size
    clean = scene.clean().maps[scene.state.method]
    sizes = {"size": [height, width], "map": list(clean.shape), "enlarge": pictures.ENLARGE}
    return sizes, [encode_labels(scene.comparison.labels), quantise(clean)]


def pack(strip: str, parcel: int, header: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """One parcel: a prefix that names it, a header as JSON, and blobs, whose lengths the header gets as ``blobs``.

    ``strip``: 12 ASCII characters that all parcels of one strip share. Raises BadSetting for another length.
    """
    if len(strip) != 12 or not strip.isascii():
        raise BadSetting(f"{strip[:20]!r} does not name a strip; give 12 ASCII characters.")
    text = json.dumps(
        {**header, "blobs": [len(b) for b in blobs]}, ensure_ascii=False, separators=(",", ":")
    ).encode()
    return b"".join((PREFIX.pack(MAGIC, strip.encode(), parcel, 0, len(text)), text, *blobs))


def unpack(data: bytes) -> tuple[str, int, dict[str, Any], list[bytes]]:
    """Strip, parcel, header and blobs of what pack made. Raises BadSetting where it is cut off or something else."""
    try:
        magic, strip, parcel, _, length = PREFIX.unpack_from(data)
        header = json.loads(data[PREFIX.size : PREFIX.size + length])
        lengths = [int(n) for n in header.pop("blobs")]
    except (struct.error, ValueError, KeyError, AttributeError, TypeError):
        raise BadSetting("These bytes are no parcel of frames.") from None
    start = PREFIX.size + length
    if magic != MAGIC or min(lengths, default=0) < 0 or len(data) != start + sum(lengths):
        raise BadSetting("This parcel of frames is damaged; ship it again.")
    ends = np.cumsum([start, *lengths]).tolist()
    return strip.decode(), parcel, header, [data[a:b] for a, b in pairwise(ends)]


def pack_frames(strip: str, parcel: int, shared: Mapping[str, Any], frames: Sequence[Frame],
                blobs: Sequence[bytes] = ()) -> bytes:  # fmt: skip
    """A parcel of frames, four blobs each, behind the blobs that all frames share (the first parcel's ``base``)."""
    listed = [{"severity": f.severity, "html": dict(f.html), "spoken": f.spoken} for f in frames]
    parts = [part for f in frames for part in (f.picture, f.map, f.segments, f.ink)]
    return pack(strip, parcel, {**shared, "frames": listed}, [*blobs, *parts])

"""Frames for the browser, one per severity, so that the slider moves without the server.

A frame holds the perturbed picture as the model sees it, its map at the layer's resolution, and the words beside
them. The browser enlarges, colours and blends in the same way as `camlab.drawing.pictures`.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.drawing import pictures
from camlab.explore.output import pair_html
from camlab.explore.output.panels import marked_segments, shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import SEVERITY_STEP

SEVERITIES = tuple(SEVERITY_STEP * i for i in range(round(5 / SEVERITY_STEP) + 1))  # the slider's steps
LEVELS = 65535  # steps of a shipped map value; its error is at most half a step
JPEG_QUALITY = 75
MAGIC = b"CAMF"
PREFIX = struct.Struct("<4s12sHHI")  # magic, strip, parcel, reserved, bytes of the header that follows


@dataclass(frozen=True)
class Frame:
    """One severity: picture (JPEG), map and segment values (uint16), ink of the marks (PNG), and the words."""

    severity: float
    picture: bytes
    map: bytes
    segments: bytes
    ink: bytes
    html: Mapping[str, str]
    spoken: str


def quantise(values: NDArray[np.floating]) -> bytes:
    """Encode values in [0, 1] as little-endian uint16, row by row. Raises BadSetting for other values."""
    if not ((values >= 0) & (values <= 1)).all():
        raise BadSetting("Only values from 0 to 1 can be sent; scale the map first.")
    return np.rint(values.astype(np.float64) * LEVELS).astype("<u2").tobytes()


def encode_picture(pixels: NDArray[np.float32]) -> bytes:
    """Encode a model-input picture, (3, H, W) in [0, 1], as JPEG with colours at full resolution.

    JPEG's default of halved colour resolution would turn coloured noise grey.
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
    """Encode segment numbers (H, W) below 65536 as PNG: low byte in red, high byte in green."""
    planes = np.stack([labels * 0, labels >> 8, labels & 255], axis=-1).astype(np.uint8)
    return _png(planes)


def _png(picture: pictures.Bytes) -> bytes:
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def spoken(scene: Scene, row: Mapping[str, Any]) -> str:
    """Describe a severity and its effect on the prediction, for a screen reader."""
    return f"severity {row['severity']:g}, {shown_verdict(scene, row)}"


def make_frame(scene: Scene, shown: Shown) -> Frame:
    """Return the frame of a shown pair."""
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
    """Return the shared data of a scene's frames: sizes, and as blobs the segments and the clean map."""
    height, width = scene.classifier.input_size
    clean = scene.clean().maps[scene.state.method]
    sizes = {"size": [height, width], "map": list(clean.shape), "enlarge": pictures.ENLARGE}
    return sizes, [encode_labels(scene.comparison.labels), quantise(clean)]


def pack(strip: str, parcel: int, header: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """Pack one parcel: a prefix that names it, a JSON header, and blobs; the header lists their lengths as ``blobs``.

    ``strip``: 12 ASCII characters, the same for all parcels of a strip. Raises BadSetting for another length.
    """
    if len(strip) != 12 or not strip.isascii():
        raise BadSetting(f"{strip[:20]!r} cannot name a strip; give 12 ASCII characters.")
    text = json.dumps({**header, "blobs": [len(b) for b in blobs]}, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join((PREFIX.pack(MAGIC, strip.encode(), parcel, 0, len(text)), text, *blobs))


def pack_frames(strip: str, parcel: int, shared: Mapping[str, Any], frames: Sequence[Frame],
                blobs: Sequence[bytes] = ()) -> bytes:  # fmt: skip
    """Pack a parcel of frames, four blobs each, after the blobs that all frames share (first parcel only)."""
    listed = [{"severity": f.severity, "html": dict(f.html), "spoken": f.spoken} for f in frames]
    parts = [part for f in frames for part in (f.picture, f.map, f.segments, f.ink)]
    return pack(strip, parcel, {**shared, "frames": listed}, [*blobs, *parts])

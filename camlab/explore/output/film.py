"""The severity rising and falling as a GIF or an MP4, drawn by a job with progress and cancel."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from camlab.common.errors import CamLabError
from camlab.common.jobs import Job, Steps
from camlab.common.registry import Registry
from camlab.common.wording import decimal, percent
from camlab.drawing import pictures
from camlab.drawing.pictures import Bytes, Panel
from camlab.explore.output.frames import SEVERITIES
from camlab.explore.output.panels import draw_panel, marked_segments, shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import SEVERITY_STEP
from camlab.explore.sweep import Sweep
from camlab.models import short_name
from camlab.noise import NOISES

TOP = SEVERITIES[-1]
PANEL, GAP, EDGE = 320, 16, 20  # pixels
WIDTH, HEIGHT = 3 * PANEL + 2 * GAP + 2 * EDGE, 560  # both even, as H.264 requires
PAPER, INK, FAINT, TRACK = (255, 255, 255), (28, 35, 48), (74, 83, 97), (226, 229, 234)
KEPT, FLIPPED, TICK = (31, 111, 178), (178, 90, 8), (181, 23, 158)


@dataclass(frozen=True)
class Form:
    """A file format: title, ending, media type, frames per second, seconds of one rise and fall, scale, encoder.

    encode: (frames as uint8 RGB, job, format) → steps, whose generator returns the file's bytes.
    """

    title: str
    suffix: str
    mime: str
    fps: int
    seconds: float
    scale: float
    encode: Callable[[Iterator[Bytes], Job, Form], Encoding]

    @property
    def count(self) -> int:
        """Number of frames of one rise and fall."""
        return round(self.fps * self.seconds)


Encoding = Generator[None, None, bytes]
FORMS: Registry[Form] = Registry("form of an animation")


def eased(share: float) -> float:
    """Return the severity at a share in [0, 1] of one rise and fall: 0 to 5 and back, slow at both ends."""
    return TOP / 2 * (1 - math.cos(2 * math.pi * share))


class Animation:
    """One animation of a scene at one seed; ``data`` holds the file once the job has finished.

    Scores and floors come from the draws that ``sweep`` already has; missing draws are not measured.
    """

    def __init__(self, scene: Scene, sweep: Sweep, form: str) -> None:
        """``form``: a name in FORMS. Raises UnknownName."""
        self.scene, self.sweep, self.form = scene, sweep, FORMS[form]
        self.data: bytes | None = None
        self._shown: dict[float, Shown] = {}
        self.job = Job(self.form.title, self._work)

    def _work(self, job: Job) -> Steps:
        count = self.form.count
        half = count // 2 + 1  # the way down repeats the way up
        job.total = len(SEVERITIES) + half + count
        for severity in SEVERITIES:
            self._shown[severity] = self.scene.shown(severity, self.scene.state.shown_seed, job.check, brief=True)
            job.advance()
            yield
        clean = Image.fromarray(draw_panel(self.scene, self._shown[0.0].clean))
        with tempfile.TemporaryFile() as spool:
            for i in range(half):
                spool.write(self._frame(eased(i / count), clean).tobytes())
                job.advance()
                yield
            self.data = yield from self.form.encode(_read(spool, count), job, self.form)

    def _frame(self, severity: float, clean: Image.Image) -> Image.Image:
        """Draw one frame: pictures and maps blended between two steps, numbers of the nearer step."""
        low = min(math.floor(severity / SEVERITY_STEP) * SEVERITY_STEP, TOP)
        high = min(low + SEVERITY_STEP, TOP)
        share = 0.0 if high == low else (severity - low) / (high - low)
        a, b = self._shown[low], self._shown[high]
        near = b if share >= 0.5 else a
        scene, method = self.scene, self.scene.state.method
        size, labels = scene.classifier.input_size, scene.comparison.labels
        map_ = (1 - share) * a.perturbed.maps[method] + share * b.perturbed.maps[method]
        pixels = (1 - share) * a.perturbed_input + share * b.perturbed_input
        segments = (1 - share) * scene.segment_values(a.perturbed) + share * scene.segment_values(b.perturbed)
        state = scene.state
        noisy = pictures.VIEWS[state.view].draw(
            Panel(pictures.to_image(pixels.astype(np.float32)), map_.astype(np.float32), labels, segments),
            state.colormap,
            state.opacity,
        )
        change = pictures.draw_difference(
            (map_ - a.clean.maps[method]).astype(np.float32), size, labels, marked_segments(near)
        )
        panels = {"Original": clean, "Noisy": Image.fromarray(noisy), "Difference": Image.fromarray(change)}
        return self._compose(near.row, severity, panels)

    def _compose(self, row: Mapping[str, Any], severity: float, panels: Mapping[str, Image.Image]) -> Image.Image:
        """Compose one frame (WIDTH × HEIGHT): panels by title, the verdict, the severity and the gauges.

        Scores are in [0, 1], None: not observed; missing scores are left out.
        """
        scene, floors = self.scene, self.sweep.floors
        frame = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        draw = ImageDraw.Draw(frame)
        noise = NOISES[scene.state.noise].title
        inner = WIDTH - 2 * EDGE

        def write(y: int, text: str, colour: tuple[int, int, int], font: ImageFont.FreeTypeFont) -> None:
            draw.text((EDGE, y), _fitting(text, font, inner), colour, font)

        head = f"{scene.method.title} · {scene.classifier.title} · {noise}"
        write(14, head, INK, _font(19, True))
        for i, (title, panel) in enumerate(panels.items()):
            left = EDGE + i * (PANEL + GAP)
            draw.text((left, 46), title, FAINT, _font(14))
            picture = ImageOps.pad(panel.convert("RGB"), (PANEL, PANEL), Image.Resampling.BILINEAR, PAPER)
            frame.paste(picture, (left, 68))
        flipped = bool(row["flipped"])
        verdict = f"{'◆' if flipped else '●'} {shown_verdict(scene, row)}"
        y = 68 + PANEL + 14
        write(y, verdict, FLIPPED if flipped else KEPT, _font(16, True))
        similar = None if row["degenerate"] else float(row["similarity"])
        other = None if floors is None else floors.other
        clean = short_name(scene.classifier.class_names[row["clean_index"]])
        confidence = float(row["clean_class_prob"])
        meters: list[tuple[str, float | None, str, float | None]] = [
            ("Severity", severity / TOP, f"{severity:.2f}", None),
            ("Map similarity", similar, decimal(similar), other),
            (f"Confidence in {clean}", confidence, percent(confidence), None),
            *(
                (name, value, decimal(value), other if "C" in name[-1] else None)
                for name, value in self._scores(float(row["severity"])).items()
            ),
        ]
        width = (inner - (len(meters) - 1) * GAP) / len(meters)
        for i, (name, value, text, tick) in enumerate(meters):
            _meter(draw, EDGE + i * (width + GAP), y + 34, width, name, value, text, tick)
        legend = "" if other is None else f"│ maps of other pictures {other:.2f}    "
        credit = f"{legend}Picture: {scene.picture.author} ({scene.picture.licence}) · CAM Lab"
        write(HEIGHT - 26, credit, FAINT, _font(12))
        return frame

    def _scores(self, severity: float) -> dict[str, float | None]:
        if self.sweep.missing(severity):
            return {}
        score = self.sweep.scores(severity).severity
        return {"Consistency C": score.consistency, "Responsiveness R": score.responsiveness}


def _read(spool: IO[bytes], count: int) -> Iterator[Bytes]:
    size = WIDTH * HEIGHT * 3
    for i in range(count):
        spool.seek(min(i, count - i) * size)
        yield np.frombuffer(spool.read(size), np.uint8).reshape(HEIGHT, WIDTH, 3)


@lru_cache(maxsize=16)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    # DejaVu ships with Matplotlib and has the arrows and signs of class names and verdicts.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Shorten a text with an ellipsis if it is too long."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _meter(
    draw: ImageDraw.ImageDraw, x: float, y: float, width: float, name: str, value: float | None, text: str,
    tick: float | None,
) -> None:  # fmt: skip
    draw.text((x, y), _fitting(name, _font(13), width), FAINT, _font(13))
    draw.text((x, y + 18), text, INK, _font(17, True))
    top = y + 46
    draw.rounded_rectangle((x, top, x + width, top + 10), 5, TRACK)
    if value is not None and value > 0:
        draw.rounded_rectangle((x, top, x + max(10.0, width * min(value, 1)), top + 10), 5, KEPT)
    if tick is not None:
        draw.line((x + width * tick, top - 3, x + width * tick, top + 13), TICK, 2)


def _gif(frames: Iterator[Bytes], job: Job, form: Form) -> Encoding:
    """Write a GIF with Pillow: one palette for all frames, made from four frames along the way."""
    size = (round(WIDTH * form.scale), round(HEIGHT * form.scale))
    small = [Image.fromarray(f).resize(size, Image.Resampling.LANCZOS) for f in frames]
    yield
    strip = Image.new("RGB", (size[0], size[1] * 4))
    for i in range(4):
        strip.paste(small[i * (form.count // 2) // 3], (0, i * size[1]))
    palette = strip.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    pages = []
    for page in small:
        pages.append(page.quantize(palette=palette, dither=Image.Dither.NONE))
        job.advance()
        yield
    buffer = io.BytesIO()
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], duration=round(1000 / form.fps), loop=0, disposal=1
    )  # fmt: skip
    return buffer.getvalue()


def _mp4(frames: Iterator[Bytes], job: Job, form: Form) -> Encoding:
    """Write an MP4 (H.264) that browsers play, with the ffmpeg of imageio-ffmpeg."""
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "severity.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), (WIDTH, HEIGHT), fps=form.fps, codec="libx264", pix_fmt_out="yuv420p", macro_block_size=2,
            output_params=["-crf", "23", "-preset", "veryfast", "-movflags", "+faststart", "-threads", "1"],
        )  # fmt: skip
        try:
            writer.send(None)
            for frame in frames:
                writer.send(np.ascontiguousarray(frame))
                job.advance()
                yield
        except OSError as error:
            raise CamLabError(f"The film could not be written ({error}); free some space and try again.") from error
        finally:
            writer.close()
        return path.read_bytes()


FORMS.add("gif", Form("GIF", ".gif", "image/gif", 8, 6.0, 0.62, _gif))
FORMS.add("mp4", Form("MP4", ".mp4", "video/mp4", 24, 8.0, 1.0, _mp4))

"""What a report is made of, whatever it is about: words, numbers, pictures and charts, none of them HTML yet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from camlab.drawing.charts.look import Chart
from camlab.drawing.pictures import Bytes
from camlab.images import OWN_KINDS, Picture

QUALITY = 86  # of the pictures' JPEG: a report has to fit on a stick and into a mail


@dataclass(frozen=True)
class Photo:
    """A picture: JPEG bytes, what stands below it, and what it shows for whoever cannot see it."""

    data: bytes
    caption: str
    alt: str


@dataclass(frozen=True)
class Plot:
    """A chart under a heading; ``about``: its explanation's name in `camlab.drawing.help.LOOKING`."""

    title: str
    chart: Chart
    about: str


@dataclass(frozen=True)
class Table:
    """Rows of texts below one another under a heading; the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    folded: bool = False  # whether it opens on a click (and in print): for what few will read


@dataclass(frozen=True)
class Credit:
    """A picture's author and licence; the address is made a link in text only, nothing is fetched."""

    title: str
    author: str
    licence: str
    url: str = ""


@dataclass(frozen=True)
class Material:
    """Everything that a report says. An empty part leaves its section out.

    summary: paragraphs in plain words; caveats: a sentence each; facts: method and settings by name; photos: rows of
    pictures side by side; gauges: HTML of `camlab.drawing.html`, which is safe; tests: (what was tested, sentences);
    reproduce: command lines; link: the query of the page that shows the same.
    """

    title: str
    subtitle: str = ""
    summary: Sequence[str] = ()
    caveats: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    photos: Sequence[tuple[str, Sequence[Photo]]] = ()
    gauges: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    tests: Sequence[tuple[str, Sequence[str]]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    reproduce: Sequence[str] = ()
    link: str = ""
    credits: Sequence[Credit] = ()


def photo(pixels: Bytes, caption: str, alt: str) -> Photo:
    """A uint8 RGB picture (H, W, 3) as a photo of a report."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True, subsampling=0)
    return Photo(buffer.getvalue(), caption, alt)


def credit_of(picture: Picture) -> Credit:
    """Whose picture it is; of a visitor's own nobody has to be named."""
    if picture.image_set in OWN_KINDS:
        return Credit(picture.title, "your own picture", "not stated")
    address = (picture.licence_url.split() or [""])[0]
    return Credit(picture.title, picture.author, picture.licence, address)

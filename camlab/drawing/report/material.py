"""The content of a report before it becomes HTML: words, numbers, pictures and charts."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from camlab.drawing.charts.look import Chart
from camlab.drawing.pictures import Bytes
from camlab.images import OWN_KINDS, Picture

QUALITY = 86  # JPEG quality; a report should fit into an e-mail


@dataclass(frozen=True)
class Photo:
    """A picture: JPEG bytes, the caption below it, and its text alternative."""

    data: bytes
    caption: str
    alt: str


@dataclass(frozen=True)
class Plot:
    """A chart under a heading; ``about``: the name of its explanation in `camlab.drawing.help.LOOKING`."""

    title: str
    chart: Chart
    about: str


@dataclass(frozen=True)
class Table:
    """A table of texts under a heading; the first column names the row."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    folded: bool = False  # collapsed until clicked (open in print), for details


@dataclass(frozen=True)
class Credit:
    """A picture's author and licence; ``url`` is shown as text only, so nothing is fetched."""

    title: str
    author: str
    licence: str
    url: str = ""


@dataclass(frozen=True)
class Material:
    """The content of a report. An empty part omits its section.

    summary: paragraphs in plain words; caveats: one sentence each; facts: method and settings by name; photos: rows
    of pictures side by side; gauges: safe HTML of `camlab.drawing.html`; tests: (what was tested, sentences);
    reproduce: command lines; link: path and query of the page that shows the same.
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
    """Encode a uint8 RGB picture (H, W, 3) for a report."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True, subsampling=0)
    return Photo(buffer.getvalue(), caption, alt)


def credit_of(picture: Picture) -> Credit:
    """Return a picture's credit; the user's own pictures name no author."""
    if picture.image_set in OWN_KINDS:
        return Credit(picture.title, "your own picture", "not stated")
    address = (picture.licence_url.split() or [""])[0]
    return Credit(picture.title, picture.author, picture.licence, address)

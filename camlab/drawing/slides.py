"""The slides of a story, shared by stories of a picture and of a study: five steps, one slide each."""

from collections.abc import Sequence
from dataclasses import dataclass

from camlab.common.registry import Registry
from camlab.drawing.charts.look import Chart
from camlab.drawing.pictures import Bytes

#: The steps of every story in order, with their titles.
STEPS: Registry[str] = Registry("step of a story")
STEPS.add("claim", "The claim")
STEPS.add("noise", "A little noise")
STEPS.add("methods", "Which methods hold")
STEPS.add("numbers", "What the numbers say")
STEPS.add("advice", "What to do")


@dataclass(frozen=True)
class Image:
    """One picture of a slide: uint8 RGB (H, W, 3), its caption and its text alternative."""

    pixels: Bytes
    caption: str
    alt: str


@dataclass(frozen=True)
class Slide:
    """One step of a story.

    gauges, credit: safe HTML of `camlab.drawing.html`; about: the name of an explanation in `camlab.drawing.help`.
    """

    step: str
    headline: str
    words: Sequence[str] = ()
    points: Sequence[str] = ()
    images: Sequence[Image] = ()
    chart: Chart | None = None
    gauges: Sequence[str] = ()
    about: str = ""
    credit: str = ""

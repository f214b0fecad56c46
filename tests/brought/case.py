"""One thing that people bring: what it is, what CAM Lab does with it, and the check that proves it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BroughtCase:
    """A row of the tables in docs/models.md and docs/images.md.

    ``tried``: what a person brought; ``happens``: what CAM Lab does with it, in one short sentence; ``check``: makes it
    in an empty folder and asserts that this is what happens.
    """

    tried: str
    happens: str
    check: Callable[[Path], None]

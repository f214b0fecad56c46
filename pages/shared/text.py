"""Text on every page: escaped Markdown, the help button of a chart, and files with safe names."""

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from camlab.drawing.help import LOOKING

_SPECIAL = frozenset("\\`*_{}[]<>()#+-.!|~$:&")


def plain(text: str) -> str:
    """Escape every character that Markdown would interpret."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)


def explanation_popover(name: str, place: str = "") -> None:
    """Draw the button “What am I looking at?”, which opens the paragraph ``LOOKING[name]`` about a chart.

    ``place`` tells two buttons of one name apart.
    """
    key = f"about_{name}{place and '_'}{place}"
    with st.popover("What am I looking at?", icon=":material/help:", type="tertiary", key=key):
        st.markdown(LOOKING[name])


class File(NamedTuple):
    """A file to download: its button, the function that makes its contents on a press, and its suffix."""

    label: str
    make: Callable[[], bytes | str]
    suffix: str
    icon: str
    help: str


_MIME = {
    ".png": "image/png",
    ".npz": "application/octet-stream",
    ".json": "application/json",
    ".html": "text/html",
}


def file_stem(*parts: str) -> str:
    """Join parts of a file name; only letters, digits and ``._-+`` stay, at most 90 characters."""
    return "".join(c for c in "_".join(parts).replace(" ", "_") if c.isalnum() or c in "._-+")[:90]


def files(stem: str, *offered: File) -> None:
    """Draw one download button per file, side by side."""
    for column, file in zip(st.columns(len(offered)), offered, strict=True):
        column.download_button(
            file.label,
            file.make,
            stem + file.suffix,
            _MIME[file.suffix],
            icon=f":material/{file.icon}:",
            key=f"file_{file.label}",  # or else a new name of the file would be a new button
            on_click="ignore",
            width="stretch",
            help=file.help,
        )

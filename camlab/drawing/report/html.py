"""A report as one HTML file: it holds all it needs, and asks nobody for anything."""

from __future__ import annotations

import time
from functools import lru_cache
from html import escape

import camlab
from camlab.common.directories import ASSETS
from camlab.common.errors import BadSetting
from camlab.drawing.report.material import Material
from camlab.drawing.report.sections import SECTIONS

LIMIT = 10_000_000  # bytes
#: The browser itself is told to fetch nothing, whatever a report holds.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)


@lru_cache(maxsize=1)
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def report_html(material: Material) -> str:
    """The report's file, UTF-8 text under 10 MB; every text of the material is escaped.

    Raises BadSetting where it would be larger.
    """
    made = {name: each.make(material) for name, each in SECTIONS.items()}
    body = "".join(
        f'<section id="{name}"><h2>{escape(SECTIONS[name].title)}</h2>{html}</section>'
        for name, html in made.items()
        if html
    )
    contents = "".join(
        f'<li><a href="#{name}">{escape(SECTIONS[name].title)}</a></li>'
        for name, html in made.items()
        if html
    )
    library = f"<script>{_plotly()}</script><script>{_asset('report.js')}</script>" if material.plots else ""
    subtitle = f'<p class="subtitle">{escape(material.subtitle)}</p>' if material.subtitle else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(material.title)}</title>'
        f"<style>{_asset('style.css')}{_asset('report.css')}</style></head><body><main>"
        f"<header><h1>{escape(material.title)}</h1>{subtitle}"
        f'<p class="made">CAM Lab {escape(camlab.__version__)} · {time.strftime("%Y-%m-%d %H:%M")}</p></header>'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>{body}'
        "<noscript><p>The plots are drawn by this file's own script, which is switched off; the sentence "
        "below each "
        "says the same.</p></noscript></main>"
        f"{library}</body></html>"
    )
    if (size := len(text.encode("utf-8", "replace"))) >= LIMIT:
        raise BadSetting(
            f"This report would be {size / 1e6:.0f} MB large, over the {LIMIT / 1e6:.0f} MB that a file "
            "to hand on "
            "should have; filter the study, or compare fewer cells."
        )
    return text

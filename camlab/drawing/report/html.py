"""A report as one self-contained HTML file: its sections in order, and the file that holds them."""

import base64
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from html import escape

import camlab
from camlab.common.directories import ASSETS
from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.drawing.charts.look import PLOTLY_CONFIG
from camlab.drawing.help import LOOKING
from camlab.drawing.report.material import Material, Photo, Plot, Table

LIMIT = 10_000_000  # bytes
#: Forbids the browser to fetch anything, whatever the report contains.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


@dataclass(frozen=True)
class Section:
    """A heading and the function that returns the HTML below it; an empty text omits the section."""

    title: str
    make: Callable[[Material], str]


SECTIONS: Registry[Section] = Registry("section of a report")


def section(name: str, title: str) -> Callable[[Callable[[Material], str]], Callable[[Material], str]]:
    """Register a section; a report shows them in the order of registration."""
    return SECTIONS.adding(name, lambda make: Section(title, make))


def _listed(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _about(name: str) -> str:
    return f'<details class="about"><summary>What am I looking at?</summary><p>{escape(LOOKING[name])}</p></details>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    drawn = (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(table.title, quote=True)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )
    if table.folded:
        return f"<details><summary>{escape(table.title)}</summary>{drawn}</details>"
    return f"<h3>{escape(table.title)}</h3>{drawn}"


@section("summary", "In short")
def _summary(material: Material) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in material.summary)


@section("caveats", "What to keep in mind")
def _caveats(material: Material) -> str:
    return _listed(material.caveats)


@section("pictures", "Pictures")
def _pictures(material: Material) -> str:
    parts = []
    for title, photos in material.photos:
        parts.append(f'<h3>{escape(title)}</h3><div class="photos">{"".join(map(_photo, photos))}</div>')
    return "".join(parts) + (_about("panels") if parts else "")


def _photo(each: Photo) -> str:
    data = base64.b64encode(each.data).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(each.alt, quote=True)}">'
        f"<figcaption>{escape(each.caption)}</figcaption></figure>"
    )


@section("scores", "Scores")
def _scores(material: Material) -> str:
    if not material.gauges:
        return ""
    return f'<div class="gauges">{"".join(material.gauges)}</div>{_about("gauges")}'


@section("plots", "Plots")
def _plots(material: Material) -> str:
    return "".join(_plot(i, each) for i, each in enumerate(material.plots))


def _plot(number: int, plot: Plot) -> str:
    figure = json.loads(plot.chart.figure.to_json())
    figure["config"] = {**PLOTLY_CONFIG, "responsive": True}
    # HTML escapes do not work inside a script, and a "<" could end it.
    data = json.dumps(figure, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    label = escape(plot.chart.alt, quote=True)
    return (
        f'<div class="chart"><h3>{escape(plot.title)}</h3>'
        f'<div class="plot" id="plot{number}" role="img" aria-label="{label}" '
        f'style="min-height:{int(plot.chart.figure.layout.height or 320)}px"></div>'
        f'<script type="application/json" data-plot="plot{number}">{data}</script>'
        f'<p class="words">{escape(plot.chart.alt)}</p>{_about(plot.about)}</div>'
    )


@section("tables", "Numbers")
def _tables(material: Material) -> str:
    return "".join(map(_table, material.tables))


@section("tests", "Tests")
def _tests(material: Material) -> str:
    return "".join(f"<h3>{escape(title)}</h3>{_listed(sentences)}" for title, sentences in material.tests)


@section("settings", "Method and settings")
def _settings(material: Material) -> str:
    return _pairs(material.facts.items())


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs)
    return f"<dl>{rows}</dl>" if rows else ""


@section("reproduce", "How to reproduce this")
def _reproduce(material: Material) -> str:
    lines = "".join(f"<pre><code>{escape(line)}</code></pre>" for line in material.reproduce)
    link = f"<p>In the app: append <code>{escape(material.link)}</code> to its address.</p>" if material.link else ""
    return lines + link


@section("versions", "Versions")
def _versions(material: Material) -> str:
    return _pairs(material.versions.items())


@section("licences", "Licences of the pictures")
def _licences(material: Material) -> str:
    if not material.credits:
        return ""
    rows = [(c.title, c.author, c.licence, c.url) for c in dict.fromkeys(material.credits)]
    table = Table("Every picture", ("Picture", "Author", "Licence", "Licence text"), rows, folded=len(rows) > 8)
    return _table(table)


@lru_cache(maxsize=1)
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def report_html(material: Material) -> str:
    """Return the report as an HTML file, UTF-8 text under 10 MB; every text of the material is escaped.

    Raises BadSetting if it would be larger.
    """
    made = {name: html for name, each in SECTIONS.items() if (html := each.make(material))}
    titles = {name: escape(SECTIONS[name].title) for name in made}
    body = "".join(f'<section id="{name}"><h2>{titles[name]}</h2>{html}</section>' for name, html in made.items())
    contents = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in titles.items())
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
        "<noscript><p>The plots need JavaScript, which is switched off; the sentence below each plot says the "
        "same.</p></noscript></main>"
        f"{library}</body></html>"
    )
    if (size := len(text.encode("utf-8", "replace"))) >= LIMIT:
        raise BadSetting(
            f"This report would have {size / 1e6:.0f} MB, over the limit of {LIMIT / 1e6:.0f} MB; filter the study, or "
            "compare fewer cells."
        )
    return text

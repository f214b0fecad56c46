"""Pieces of HTML: what they say, and that no text, whatever it holds, becomes more than text."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camlab.common.wording import NOT_OBSERVED
from camlab.drawing import html as markup
from camlab.drawing.pictures import COLOUR_MAPS, DIVERGING, colour_table
from camlab.explore.output.pair_html import moves_table
from camlab.explore.results import SegmentMove

IMG = "<img src=x onerror=alert(1)>"
NASTY = (
    IMG,
    "</span></p></section><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "&lt;b&gt; & &amp; &#60;i&#62;",
    "-->",
    "]]>",
    "\n\n# heading\n",
    "\x00\ud800",
)
VOID = {"br", "img", "input", "meta", "link", "hr"}


class Reader(HTMLParser):
    """The tree as a list of (tag, attributes), and the text a reader sees."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), attrs
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    handle_pi = unknown_decl = handle_comment

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attrs)) for tag, attrs in self.tags]

    def values(self, attribute: str) -> list[str | None]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]


MOVES = (SegmentMove(4, 1.0, 12.5, 0.25), SegmentMove(2, 9.0, 3.0, 0.1), SegmentMove(7, 5.0, 6.0, 0.004))

#: Every function with one text in every place that takes a text.
PIECES: dict[str, Callable[[str], str]] = {
    "badge": lambda text: markup.badge(text, True),
    "predictions": lambda text: markup.predictions([(text, 0.7), ("cup", 0.2)], text),
    "colour_bar": lambda text: markup.colour_bar("viridis", text, text, text),
    "gauge": lambda text: markup.gauge(
        text, text, 0.5, interval=(0.25, 0.75), ticks={text: 0.2, "a tick of its own": 0.4}, lines=[text], beside=text
    ),
    "gauge, not observed": lambda text: markup.gauge(
        text, text, None, interval=None, ticks={}, lines=[text], beside=text
    ),
    "strip": lambda text: markup.strip([(text, text, 0.5), (text, text, None)], 0.3),
    "status": lambda text: markup.status([text, "CPU", text]),
    "own_credit": markup.own_credit,
    "progress_grid": lambda text: markup.progress_grid({text: {"fog": (1, 2)}, "VGG": {}}, {"fog": text}),
    "truth": lambda text: markup.truth(text, True),
    "credit": lambda text: markup.credit(text, text, text, "https://example.org/a"),
    "credit without a link": lambda text: markup.credit(text, text, text, ""),
}  # fmt: skip


def test_every_function_is_tried() -> None:
    public = {
        name
        for name, value in vars(markup).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == markup.__name__
    }
    tried = {name.split(",")[0].removesuffix(" without a link") for name in PIECES}
    assert public == tried


@pytest.mark.parametrize("name", list(PIECES))
@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=20).filter(lambda text: "," not in text) | st.sampled_from(NASTY))
@example(IMG)
@example('"><img src=x onerror=alert(1)>')
def test_a_text_stays_a_text(name: str, text: str) -> None:
    found, plain = Reader(PIECES[name](text)), Reader(PIECES[name]("x"))
    # The same elements with the same attributes, whatever the text.
    assert found.skeleton == plain.skeleton
    assert not any(attribute.startswith("on") for _, attributes in found.skeleton for attribute in attributes)
    assert "<img" not in PIECES[name](text).lower() and "<script" not in PIECES[name](text).lower()
    # And a reader sees it as it was.
    assert text in found.text


@pytest.mark.parametrize("text", NASTY)
def test_texts_in_attributes_come_out_as_they_went_in(text: str) -> None:
    assert Reader(markup.predictions([(text, 0.5)], None)).values("title") == [text]
    bar = Reader(markup.colour_bar("viridis", text, "b", "c"))
    assert bar.values("aria-label") == [f"Colour bar from {text} through b to c"]
    gauge = Reader(markup.gauge(text, "", 0.5, interval=None, ticks={text: 0.25}, lines=[]))
    assert gauge.values("aria-label") == [f"{text} 0.50, {text} 0.25"]
    strip = Reader(markup.strip([(text, "", 0.5)], None))
    assert strip.values("aria-label") == [f"{text}: similarity 0.50"]


def test_badge() -> None:
    kept, flipped = markup.badge("kept: bison", False), markup.badge("flipped: bison", True)
    assert kept == '<span class="cl-badge cl-kept"><span aria-hidden="true">●</span> kept: bison</span>'
    assert flipped == '<span class="cl-badge cl-flipped"><span aria-hidden="true">◆</span> flipped: bison</span>'


def test_predictions() -> None:
    top = [("tabby, tabby cat", 0.714), ("tiger cat", 0.2), ("lynx, catamount", 0.001)]
    found = Reader(markup.predictions(top, "tiger cat"))
    assert found.tags[0] == ("ol", {"class": "cl-predictions", "aria-label": "Top 3 predictions"})
    assert found.text == "tabby71\u202f%tiger cat explained20\u202f%lynx0.1\u202f%"
    assert [attrs["style"] for attrs in found.of_class("cl-bar")] == [
        "width:71.40%",
        "width:20.00%",
        "width:0.10%",
    ]
    assert all(attrs["aria-hidden"] == "true" for attrs in found.of_class("cl-bar"))
    assert [attrs["title"] for attrs in found.of_class("cl-name")] == [name for name, _ in top]
    assert len(found.of_class("cl-explained")) == 1
    assert not Reader(markup.predictions(top, None)).of_class("cl-explained")
    # Only the very class counts, not one with the same first name.
    assert not Reader(markup.predictions(top, "tabby")).of_class("cl-explained")


@pytest.mark.parametrize("name", [*COLOUR_MAPS, DIVERGING])
def test_a_colour_bar_is_made_of_its_maps_own_colours(name: str) -> None:
    html = markup.colour_bar(name, "0", "½", "1")
    found = Reader(html)
    assert found.tags[0] == (
        "div",
        {"class": "cl-colourbar", "role": "img", "aria-label": "Colour bar from 0 through ½ to 1"},
    )
    assert found.text == "0½1"
    style = found.tags[1][1]["style"] or ""
    stops = style.removeprefix("background:linear-gradient(90deg,").removesuffix(")").split(",")
    table = colour_table(name)
    assert [bytes.fromhex(stop.removeprefix("#")) for stop in stops] == [bytes(c) for c in table[::15]]
    assert len(stops) == 18 and stops[0].startswith("#")


def test_a_gauge_says_its_value_interval_and_references() -> None:
    html = markup.gauge(
        "Consistency", "C", 0.8123, interval=(0.7, 0.9), ticks={"random": 0.28, "other": 0.51}, lines=["n = 4"],
        beside="pooled 0.75",
    )  # fmt: skip
    found = Reader(html)
    (track,) = found.of_class("cl-track")
    assert track["role"] == "img"
    assert track["aria-label"] == "Consistency 0.81, 95 % interval 0.70 to 0.90, random 0.28, other 0.51"
    assert found.text == "Consistency C0.81pooled 0.75random 0.28other 0.51n = 4"
    assert [attrs["style"] for attrs in found.of_class("cl-fill")] == ["width:81.23%"]
    assert [attrs["style"] for attrs in found.of_class("cl-interval")] == ["left:70.00%;width:20.00%"]
    assert [attrs["style"] for attrs in found.of_class("cl-tick")] == ["left:28.00%", "left:51.00%"]
    assert not found.of_class("cl-empty")


def test_a_gauge_without_a_value_says_not_observed() -> None:
    found = Reader(markup.gauge("Responsiveness", "R", None, interval=None, ticks={"other": 0.5}, lines=[]))
    assert found.text == f"Responsiveness R{NOT_OBSERVED}other 0.50"
    assert found.values("aria-label") == ["Responsiveness not observed, other 0.50"]
    assert not found.of_class("cl-fill") and not found.of_class("cl-interval")
    assert len(found.of_class("cl-empty")) == 2
    assert "0.00" not in found.text


@pytest.mark.parametrize(
    ("value", "width"), [(-0.5, "0.00%"), (0.0, "0.00%"), (1.0, "100.00%"), (1.5, "100.00%"), (1e-9, "0.00%")]
)
def test_nothing_is_drawn_beyond_the_scale(value: float, width: str) -> None:
    found = Reader(markup.gauge("g", "", value, interval=(value, value), ticks={"t": value}, lines=[]))
    assert found.of_class("cl-fill")[0]["style"] == f"width:{width}"
    assert found.of_class("cl-tick")[0]["style"] == f"left:{width}"
    assert found.of_class("cl-interval")[0]["style"] == f"left:{width};width:0.00%"


def test_an_interval_beyond_the_scale_is_cut_to_it() -> None:
    found = Reader(markup.gauge("g", "", 0.5, interval=(-0.5, 1.5), ticks={}, lines=[]))
    assert found.of_class("cl-interval")[0]["style"] == "left:0.00%;width:100.00%"


def test_the_strip_says_what_moved_the_map() -> None:
    items = [("Class only", "clean picture, new class", 0.61), ("Noise only", "noisy picture", None)]
    found = Reader(markup.strip(items, 0.5))
    assert found.text == "Class only 0.61clean picture, new classNoise only not observednoisy picture"
    assert found.values("aria-label") == [
        "Class only: similarity 0.61",
        "Noise only: similarity not observed",
    ]
    assert [attrs["role"] for attrs in found.of_class("cl-track")] == ["img", "img"]
    assert [attrs["style"] for attrs in found.of_class("cl-fill")] == ["width:61.00%"]
    assert [attrs["style"] for attrs in found.of_class("cl-tick1")] == ["left:50.00%"] * 2
    assert not Reader(markup.strip(items, None)).of_class("cl-tick1")


def test_moves_are_numbered_as_far_as_the_map_shows_them() -> None:
    found = Reader(moves_table(MOVES, 2, 35))
    assert found.tags[0][0] == "table"
    assert found.text == (
        "Segments that moved most in rank (1 = strongest of 35)rankmovedarea11 → 12.5▼ 11.525\u202f%29 → 3▲ "
        "610\u202f%5 → 6▼ 10.4\u202f%"
    )
    assert [tag for tag, _ in found.tags].count("b") == 2
    assert [attrs for tag, attrs in found.tags if tag == "th" and "scope" in attrs] == [{"scope": "col"}] * 3


def test_no_moves_are_said_in_words() -> None:
    assert Reader(moves_table((), 3, 35)).text == "No segment changed its rank."


def test_status() -> None:
    assert markup.status(["CPU", "12 ms"]) == '<p class="cl-status">CPU · 12 ms</p>'


# links


def links(url: Any) -> list[dict[str, str | None]]:
    found = Reader(markup.credit("Jane", "commons", "CC BY 4.0", url))
    assert found.text == "Picture: Jane · commons · CC BY 4.0"
    return [attrs for tag, attrs in found.tags if tag == "a"]


def test_every_web_address_in_a_source_is_a_link_and_the_rest_is_text() -> None:
    source = 'object: https://a.org/File:A_(1).jpg | on: https://b.org/"x ; javascript:alert(1) <b>'
    found = Reader(markup.credit("Jane", source, "none", ""))
    assert found.text == f"Picture: Jane · {source} · none"
    assert [attrs["href"] for tag, attrs in found.tags if tag == "a"] == [
        "https://a.org/File:A_(1).jpg",
        'https://b.org/"x',
    ]
    assert "b" not in [tag for tag, _ in found.tags]


def test_a_licence_is_linked_to_its_first_address() -> None:
    url = "https://creativecommons.org/licenses/by/4.0/ ; https://example.org/b"
    assert links(url) == [
        {
            "href": "https://creativecommons.org/licenses/by/4.0/",
            "target": "_blank",
            "rel": "noopener",
        }
    ]


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "\n", "not stated", "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)"),
        *("java\nscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,<script>alert(1)</script>"),
        *(
            "vbscript:x",
            "//evil.example",
            "http://plain.example",
            "x https://example.org",
            "https:javascript:x",
        ),
        *(IMG, '"https://example.org"', "&#106;avascript:alert(1)", "HTTPS://EXAMPLE.ORG"),
    ],
)
def test_no_link_is_made_of_anything_but_a_web_address(url: str) -> None:
    assert links(url) == []


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30)
    | st.text(max_size=20).map("javascript:".__add__)
    | st.text(max_size=20).map("https://".__add__)
    | st.sampled_from([f"https://{text}" for text in NASTY])
)
def test_a_link_is_a_web_address_and_nothing_else(url: str) -> None:
    for attrs in links(url):
        href = attrs["href"] or ""
        assert href.startswith("https://") and href.split() == [href]
        assert href == url.split()[0], "neither cut at a quote nor decoded"
        assert set(attrs) == {"href", "target", "rel"}


@pytest.mark.parametrize(
    ("right", "said"), [(True, "✓ right"), (False, "✗ wrong"), (None, "not a class of this model")]
)
def test_a_label_is_said_with_what_becomes_of_it(right: bool | None, said: str) -> None:
    assert Reader(markup.truth("tabby, tabby cat", right)).text == f"Label: tabby · {said}"

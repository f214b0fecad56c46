"""Lesson 1 on the page: switches for the channels, and the map that the channels make."""

from functools import partial

import streamlit as st

from camlab.common.wording import percent
from camlab.drawing import html
from camlab.drawing.pictures import data_url
from camlab.explore.output import pair_html
from camlab.lessons import Setting
from camlab.lessons.base import COLOURS, heat, overlay
from camlab.lessons.cam import STRONGEST, Channels
from pages.learn import frame
from pages.learn.state import page
from pages.shared import session
from pages.shared.text import plain


def lab(setting: Setting, run: Channels) -> None:
    """Draw the learner's map beside the finished one, and the switches below."""
    off = tuple(place for place in setting.state.off if place <= len(run.channels))
    built, pixels = run.built(off), run.scene.input.numpy()
    smooth = setting.state.smooth
    left, right = st.columns(2, gap="medium")
    for column, title, map_ in ((left, "Your map", built), (right, "Grad-CAM, all channels", run.finished)):
        with column:
            st.html(pair_html.title(title))
            empty = "" if map_.any() else " No positive value is left, so the map is empty."
            frame.image(
                overlay(pixels, map_, cells=not smooth),
                f"{title} for {run.label} on {setting.picture.title}, {map_.shape[0]}×{map_.shape[1]} cells.{empty}",
            )
    st.html(html.colour_bar(COLOURS, "0 · weak", "map value", "1 · strong"))
    st.toggle(
        "Smooth the map", smooth, key=page.key("smooth"),
        help="Off: the cells of the layer. On: the same values, interpolated as in most heat maps.",
    )  # fmt: skip
    if built.any():
        st.markdown(
            f"Correlation of your map with Grad-CAM: **{run.likeness(off):.2f}** · the channels switched on make "
            f"{percent(run.share([p for p in range(STRONGEST + 1) if p not in off]))} of the sum."
        )
    else:
        st.warning("No positive value is left, so this map is empty. Switch a channel on.", icon=":material/texture:")
    _switches(run, off)
    st.caption(plain(run.why()))
    st.html(pair_html.credit(setting.picture))


def _switches(run: Channels, off: tuple[int, ...]) -> None:
    with st.container(key="learn_quick", horizontal=True):
        for label, places in (
            ("All on", ()),
            ("Only the strongest", tuple(range(1, STRONGEST + 1))),
            ("All off", tuple(range(STRONGEST + 1))),
        ):
            st.button(label, key=f"learn.quick.{label}", on_click=page.change, kwargs={"off": places})
    with st.container(key="learn_channels", horizontal=True, gap="small"):
        for place, channel in enumerate(run.channels):
            with st.container(key=f"learn_channel_{place}", width=118):
                st.image(
                    data_url(heat(channel.activations)), width=104, output_format="PNG",
                    alt=f"Activations of channel {channel.number}; weight {channel.weight:.4f}",
                )  # fmt: skip
                _switch(place, f"{channel.number}", off)
                st.caption(f"α {channel.weight:+.4f}  \nadds {channel.part:+.2f}")
        with st.container(key="learn_channel_rest", width=240):
            st.markdown(f"**All {len(run.terms) - len(run.channels):,} others**")
            _switch(STRONGEST, "others", off)
            st.caption(f"{percent(run.share([STRONGEST]))} of the sum (absolute values)")


def _switch(place: int, name: str, off: tuple[int, ...]) -> None:
    widget = f"channel.{place}"
    page.put(widget, place not in off)
    flip = page.when(widget, partial(_flip, place, widget))
    st.checkbox(name, place not in off, key=page.key(widget), on_change=flip)


def _flip(place: int, widget: str) -> None:
    off = set(page.state().off) - {place}
    if not session.reported(page.key(widget)):
        off.add(place)
    page.change(off=tuple(sorted(off)))

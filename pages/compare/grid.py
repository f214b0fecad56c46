"""The grid of a comparison in the browser, its progress, the same in words, and the tray as a file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import decimal, plural, time_left
from camlab.explore.compare import browser
from camlab.explore.compare.figure import FORMATS, figure
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import MOST_PINS, CompareState, parse_place
from camlab.explore.output import pair_html
from camlab.explore.state import LOOKS, ExploreState, to_query
from camlab.metrics import SIMILARITIES
from pages.compare import link, report
from pages.compare.sidebar import order
from pages.explore import severity_handle
from pages.shared import background_work, session
from pages.shared.feedback import told
from pages.shared.navigation import EXPLORE
from pages.shared.text import plain

POLL_SECONDS = 0.8
KIND = "compare"

_component = st.components.v2.component(
    "camlab_compare",
    html=severity_handle.asset("compare.html"),
    css=severity_handle.asset("compare.css"),
    js=severity_handle.asset("compare.js"),
)


def grid_for(state: CompareState) -> Grid:
    """The grid of a comparison: the one under way or remembered, or a new one that begins to fill."""
    looks = {name: getattr(ExploreState(), name) for name in (*LOOKS, "draws", "method")}
    base = dataclasses.replace(state.base, **looks, **{state.axis: getattr(ExploreState(), state.axis)})
    if state.axis == "model":
        base = dataclasses.replace(base, model=state.base.model)
    key = dataclasses.replace(
        state, base=base, columns=tuple(map(str, state.values)), sort="", pins=(), a=None, b=None
    )
    grid: Grid | None = background_work.latest(KIND, key)
    if grid is None:
        with st.spinner("Loading models …") if state.axis == "model" else session.worker().foreground():
            background_work.start(KIND, key, lambda: Grid(state, session.picture(state.base.image)))
        st.session_state.pop("rerun", None)
        grid = background_work.latest(KIND, key)
        if grid is None:
            raise CamLabError(
                st.session_state.get(f"work.{KIND}.error") or "The comparison could not be started."
            )
    # One that another comparison has pushed aside goes on; one that was stopped by hand waits.
    returned = st.session_state.get("compare.shown") != grid.name
    st.session_state.update({"compare.shown": grid.name, "compare.now": grid})
    if (
        grid.adopt(state)
        and not grid.job.running
        and not grid.job.error
        and (returned or not grid.job.cancelled)
    ):
        session.worker().submit(grid.resume())
    return grid


def show(state: CompareState) -> None:
    """The grid, filling by itself, and what can be taken away of it."""
    grid = grid_for(state)
    running = grid.job.running
    st.fragment(_filling, run_every=POLL_SECONDS if running else None)(grid, state, running)
    st.html(pair_html.credit(grid.picture))


@told()
def _filling(grid: Grid, state: CompareState, was_running: bool) -> None:
    session.follow_callbacks()
    grid.job.touch()
    running = grid.job.running
    with st.container(key="compare_row", horizontal=True, vertical_alignment="center"):
        order()
        _progress(grid)
    _table(grid, state)
    _downloads(grid)
    _words(grid, state)
    if was_running and not running:
        st.rerun()


def _progress(grid: Grid) -> None:
    job = grid.job
    # The style sheet gives this container one height whatever it says, so that nothing below jumps.
    with st.container(key="compare_progress", horizontal=True, vertical_alignment="center"):
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        elif job.running:
            st.progress(
                min(job.done / max(job.total, 1), 1.0),
                text=f"{job.done} of {job.total} cells{time_left(grid.seconds_left)}",
            )
            st.button("Stop", icon=":material/stop_circle:", key="compare.stop", on_click=_stop, args=(grid,))
        elif left := len(grid.missing()):
            st.caption(f"Stopped; {plural(left, 'cell')} to come.")
            st.button("Go on", icon=":material/play_arrow:", key="compare.go", on_click=_go_on, args=(grid,))
        else:
            lacking = sum(cell.map is None for cell in grid.cells.values())
            without = f"; {lacking} without a map, each with its reason" if lacking else ""
            st.caption(f"All {plural(len(grid.places()), 'cell')} there{without}.")


def _stop(grid: Grid) -> None:
    grid.job.cancel()
    st.session_state["rerun"] = True


def _go_on(grid: Grid) -> None:
    session.worker().submit(grid.resume())
    st.session_state["rerun"] = True


def _table(grid: Grid, state: CompareState) -> None:
    base, have = state.base, _have(grid)
    shown = link.current()
    data = browser.frame(grid, state.sort) | {
        "have": have,
        "news": browser.news(grid, have),
        "pins": [place.text for place in shown.pins],
        "a": shown.a.text if shown.a else "",
        "b": shown.b.text if shown.b else "",
        "turn": st.session_state.get("compare.turn") or 0,
        "most": MOST_PINS,
        "table": severity_handle.table(base.colormap),
        "opacity": base.opacity,
    }
    held = _component(
        key="compare.grid",
        data=data,
        on_choice_change=_chosen,
        on_have_change=_received,
        on_open_change=_opened,
    )
    # A callback can be passed over where the run before was cut short; what the table reports is there still.
    if _take(held):
        st.rerun()


def _reported(name: str) -> Any:
    held = session.reported("compare.grid")
    return held.get(name) if isinstance(held, Mapping) else None


def _take(held: Any) -> bool:
    return link.take_choice(held.get("choice") if isinstance(held, Mapping) else None)


def _chosen() -> None:
    if link.take_choice(_reported("choice")):
        st.session_state["rerun"] = True
        grid: Grid | None = st.session_state.get("compare.now")
        if grid is not None:  # at once: whoever pins a cell and presses a file's button means that cell, too
            grid.adopt(dataclasses.replace(grid.state, pins=link.current().pins))


def _received() -> None:
    event = _reported("have")
    if isinstance(event, Mapping) and isinstance(event.get("count"), int) and event["count"] >= 0:
        st.session_state["compare.have"] = (str(event.get("name")), int(event["count"]))


def _have(grid: Grid) -> int:
    """How many cells of this grid the browser has said that it holds."""
    name, count = st.session_state.get("compare.have", ("", 0))
    return min(count, len(grid.cells)) if name == grid.name else 0


def _opened() -> None:
    if isinstance(text := _reported("open"), str):
        st.session_state["compare.open"] = text
        st.session_state["rerun"] = True


def leave() -> None:
    """Go to Explore where a cell was to be opened there."""
    text = st.session_state.pop("compare.open", None)
    if text is None:
        return
    runs: Mapping[Any, Grid] = st.session_state.get(f"work.{KIND}", {})
    where = parse_place(text)
    grid = next((each for each in reversed(list(runs.values())) if where in each.cells), None)
    if grid is not None:
        st.switch_page(EXPLORE, query_params=to_query(grid.explore(where)))


def _words(grid: Grid, state: CompareState) -> None:
    scene = grid.scene(grid.place(grid.rows[0], grid.columns[0]))
    floor = scene.random_floor
    measure = SIMILARITIES[state.base.similarity].scored_title
    flooring = "" if floor is None else f" Two unrelated random rankings would score {decimal(floor)}."
    st.caption(
        f"Robustness of a row: the mean similarity of its maps to their clean ones, {plain(measure)}, over n cells, "
        "flipped ones included, where a map should move. "
        f"One picture is an anecdote; a study tests it.{plain(flooring)}"
    )
    with st.expander("The same in words", icon=":material/table:"):
        head, lines = browser.table(grid, state.sort)
        st.table(pd.DataFrame(lines, columns=head).set_index(head[0]))


def _downloads(grid: Grid) -> None:
    pins = link.current().pins
    ready = bool(pins) and all(grid.cell(place) is not None for place in pins)
    reason = (
        "Pin a cell first." if not pins else "" if ready else "Some pinned cells are still being computed."
    )
    stem = re.sub(r"[^\w.+-]", "", f"camlab_comparison_{grid.picture.title}".replace(" ", "_"))[:80]
    with st.container(key="compare_files", horizontal=True, vertical_alignment="center"):
        for kind, entry in FORMATS.items():
            st.download_button(
                f"Tray ({entry.title})",
                partial(_file, grid, kind),
                f"{stem}.{kind}",
                entry.mime,
                icon=":material/download:",
                key=f"compare.file.{kind}",
                on_click="ignore",
                disabled=not ready,
                help=reason or "The pinned cells as one figure, with captions, credit and all settings.",
            )
        report.button(grid, pins, stem, reason)
        if pins:
            st.button(
                "Empty the tray",
                icon=":material/delete:",
                key="compare.empty",
                on_click=_empty,
                type="tertiary",
            )
    report.progress(grid, pins)


def _file(grid: Grid, kind: str) -> bytes:
    """The tray as it is when the file is asked for."""
    return figure(grid, grid.state.pins, kind)


def _empty() -> None:
    link.change(pins=())
    st.session_state["rerun"] = True

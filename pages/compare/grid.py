"""The grid of a comparison in the browser, its progress, its table in words, and the tray's files."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import decimal, plural
from camlab.explore.compare import browser
from camlab.explore.compare.figure import FORMATS, figure
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import MOST_PINS, CompareState, parse_place
from camlab.explore.output import pair_html
from camlab.explore.state import VIEW_FIELDS, ExploreState, to_query
from camlab.metrics import SIMILARITIES
from pages.compare import report
from pages.compare.sidebar import order
from pages.compare.state import page
from pages.explore import severity_handle
from pages.shared import background_work, image_sets, session
from pages.shared.component import Component
from pages.shared.navigation import EXPLORE
from pages.shared.text import file_stem, plain

KIND = "compare"

_component = Component("compare")


def grid_for(state: CompareState) -> Grid:
    """Return the grid of a comparison: the one under way or remembered, or a new one."""
    looks = {name: getattr(ExploreState(), name) for name in (*VIEW_FIELDS, "draws", "method")}
    base = dataclasses.replace(state.base, **looks, **{state.axis: getattr(ExploreState(), state.axis)})
    if state.axis == "model":
        base = dataclasses.replace(base, model=state.base.model)
    key = dataclasses.replace(state, base=base, columns=tuple(map(str, state.values)), sort="", pins=(), a=None, b=None)
    grid: Grid | None = background_work.latest(KIND, key)
    if grid is None:
        with st.spinner("Loading models …") if state.axis == "model" else session.worker().foreground():
            background_work.start(KIND, key, lambda: Grid(state, image_sets.picture(state.base.image)))
        st.session_state.pop("rerun", None)
        grid = background_work.latest(KIND, key)
        if grid is None:
            raise CamLabError(st.session_state.get(f"work.{KIND}.error") or "The comparison could not be started.")
    # Resume a grid that another comparison interrupted, but not one that the visitor stopped.
    returned = st.session_state.get("compare.shown") != grid.name
    st.session_state.update({"compare.shown": grid.name, "compare.now": grid})
    if grid.adopt(state) and not grid.job.running and not grid.job.error and (returned or not grid.job.cancelled):
        session.worker().submit(grid.resume())
    return grid


def show(state: CompareState) -> None:
    """Draw the grid, which fills by itself, and its files."""
    grid = grid_for(state)

    def part() -> None:
        with st.container(key="compare_row", horizontal=True, vertical_alignment="center"):
            order()
            _progress(grid)
        _table(grid, state)
        _downloads(grid)
        _words(grid, state)

    background_work.live(part, lambda: grid.job.running, grid.job)
    st.html(pair_html.credit(grid.picture))


def _progress(grid: Grid) -> None:
    job = grid.job
    # The style sheet gives this container a fixed height, so that nothing below jumps.
    with st.container(key="compare_progress", horizontal=True, vertical_alignment="center"):
        if job.error:
            st.error(plain(job.error), icon=":material/error:")
        elif job.running:
            share, text = job.done / max(job.total, 1), f"{job.done} of {job.total} cells"
            background_work.progress(share, text, grid.seconds_left, job.cancel, "compare.stop", "Stop")
        elif left := len(grid.missing()):
            st.caption(f"Stopped; {plural(left, 'cell')} not computed yet.")
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                key="compare.go",
                on_click=background_work.resume,
                args=(grid.resume,),
            )
        else:
            lacking = sum(cell.map is None for cell in grid.cells.values())
            without = f"; {lacking} without a map, each with the reason" if lacking else ""
            st.caption(f"All {plural(len(grid.places()), 'cell')} computed{without}.")


def _table(grid: Grid, state: CompareState) -> None:
    base, have = state.base, _have(grid)
    shown = page.current()
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
    _component.draw("compare.grid", data, choice=_chosen, have=_received, open=_opened)


def _chosen(report: Any) -> bool:
    if not page.take_choice(report):
        return False
    grid: Grid | None = st.session_state.get("compare.now")
    if grid is not None:  # at once, so that a file requested next includes this cell
        grid.adopt(dataclasses.replace(grid.state, pins=page.current().pins))
    return True


def _received(report: Any) -> bool:
    if isinstance(report, Mapping) and isinstance(report.get("count"), int) and report["count"] >= 0:
        st.session_state["compare.have"] = (str(report.get("name")), int(report["count"]))
    return False


def _have(grid: Grid) -> int:
    """Return the number of this grid's cells that the browser reports to have."""
    name, count = st.session_state.get("compare.have", ("", 0))
    return min(count, len(grid.cells)) if name == grid.name else 0


def _opened(report: Any) -> bool:
    if not isinstance(report, str):
        return False
    st.session_state["compare.open"] = report
    return True


def leave() -> None:
    """Go to Explore if the visitor asked to open a cell there."""
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
        "including flipped ones, where the map should move. "
        f"One picture is an anecdote; a study tests it.{plain(flooring)}"
    )
    with st.expander("The grid as a table", icon=":material/table:", key="grid_table"):
        head, lines = browser.table(grid, state.sort)
        st.table(pd.DataFrame(lines, columns=head).set_index(head[0]))


def _downloads(grid: Grid) -> None:
    pins = page.current().pins
    ready = bool(pins) and all(grid.cell(place) is not None for place in pins)
    reason = "Pin a cell first." if not pins else "" if ready else "Some pinned cells are still being computed."
    stem = file_stem("camlab_comparison", grid.picture.title)
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
        making = report.button(grid, pins, stem, reason)
        if pins:
            st.button(
                "Empty the tray",
                icon=":material/delete:",
                key="compare.empty",
                on_click=_empty,
                type="tertiary",
            )
    report.progress(grid, pins, making)


def _file(grid: Grid, kind: str) -> bytes:
    """Draw the tray as it is when the visitor requests the file."""
    return figure(grid, grid.state.pins, kind)


def _empty() -> None:
    page.change(pins=())
    st.session_state["rerun"] = True

"""The tray of a comparison as a report, made in the background beside its figures."""

import dataclasses
from collections.abc import Generator
from functools import partial

import streamlit as st

from camlab.common.jobs import Job
from camlab.common.wording import plural
from camlab.drawing.report.material import Material
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.report import MOST, noisy_pairs, report_pair, tray_material
from camlab.explore.compare.state import Place
from pages.shared import background_work
from pages.shared.report import ReportRun, download

KIND = "compare_report"
ABOUT = (
    "One self-contained file: the pinned pairs with their pictures, numbers, caveats, settings and "
    "commands. It opens offline."
)


def _collect(grid: Grid, pins: tuple[Place, ...], job: Job) -> Generator[None, None, Material]:
    """Collect the content of a tray's report, cell by cell."""
    paired = noisy_pairs(grid, pins)
    job.total = len(paired) + 1
    cells = []
    for where in paired:
        cells.append(report_pair(grid, where, job.check))
        job.advance()
        yield
    return tray_material(grid, pins, cells)


def latest(grid: Grid, pins: tuple[Place, ...]) -> ReportRun | None:
    """Return the session's report of the current tray; None if there is none."""
    run: ReportRun | None = background_work.latest(KIND, _key(grid, pins))
    return run


def _key(grid: Grid, pins: tuple[Place, ...]) -> object:
    return grid.name, dataclasses.replace(grid.state, pins=pins, sort="listed", a=None, b=None)


def button(grid: Grid, pins: tuple[Place, ...], stem: str, lacking: str) -> bool:
    """Draw the button that makes or downloads the report, and return whether the report is being made.

    lacking: why it cannot be made yet, else empty.
    """
    run = latest(grid, pins)
    running = background_work.is_running(run)
    if run is not None and run.html is not None:
        download(run.html, "Download the report (HTML)", stem, "compare.report.file", ABOUT)
        return running
    reason = lacking or _unfit(len(noisy_pairs(grid, pins)))
    st.button(
        "Report (HTML)",
        icon=":material/description:",
        key="compare.report.start",
        disabled=bool(reason) or running,
        help=reason or ABOUT,
        on_click=background_work.start,
        args=(KIND, _key(grid, pins), lambda: ReportRun(partial(_collect, grid, pins))),
    )
    return running


def _unfit(count: int) -> str:
    if not count:
        return "Pin a cell of a noisy picture: a report shows pairs."
    if count > MOST:
        return f"A report holds {MOST} cells; the tray has {plural(count, 'pair')}. Unpin some."
    return ""


def progress(grid: Grid, pins: tuple[Place, ...], running: bool) -> None:
    """Draw the progress of this tray's report, or its error. running: what ``button`` has returned."""
    background_work.watch(KIND, latest(grid, pins), running, "steps", lambda: None)

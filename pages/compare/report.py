"""The tray of a comparison as a report, made in the background beside its figures."""

import dataclasses

import streamlit as st

from camlab.common.jobs import Job, Steps
from camlab.common.wording import plural
from camlab.drawing.report.html import report_html
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.report import MOST, noisy_pairs, report_pair, tray_material
from camlab.explore.compare.state import Place
from pages.shared import background_work

KIND = "compare_report"
ABOUT = (
    "One self-contained file: the pinned pairs with their pictures, numbers, caveats, settings and "
    "commands. It opens offline."
)


class TrayReport:
    """A report of a tray being made, cell by cell."""

    def __init__(self, grid: Grid, pins: tuple[Place, ...]) -> None:
        self.grid, self.pins = grid, pins
        self.html: str | None = None
        self.job = Job("Report", self._work)

    def _work(self, job: Job) -> Steps:
        paired = noisy_pairs(self.grid, self.pins)
        job.total = len(paired) + 1
        cells = []
        for where in paired:
            cells.append(report_pair(self.grid, where, job.check))
            job.advance()
            yield
        self.html = report_html(tray_material(self.grid, self.pins, cells))
        job.advance()
        yield


def latest(grid: Grid, pins: tuple[Place, ...]) -> TrayReport | None:
    """Return the session's report of the current tray; None if there is none."""
    run: TrayReport | None = background_work.latest(KIND, _key(grid, pins))
    return run


def _key(grid: Grid, pins: tuple[Place, ...]) -> object:
    return grid.name, dataclasses.replace(grid.state, pins=pins, sort="listed", a=None, b=None)


def button(grid: Grid, pins: tuple[Place, ...], stem: str, lacking: str) -> None:
    """Draw the button that makes or downloads the report; ``lacking``: why it cannot be made yet, else empty."""
    run = latest(grid, pins)
    if run is not None and run.html is not None:
        st.download_button(
            "Download the report (HTML)",
            run.html.encode(),
            f"{stem}.html",
            "text/html",
            icon=":material/download:",
            key="compare.report.file",
            on_click="ignore",
            type="primary",
            help=ABOUT,
        )
        return
    reason = lacking or _unfit(len(noisy_pairs(grid, pins)))
    st.button(
        "Report (HTML)",
        icon=":material/description:",
        key="compare.report.start",
        disabled=bool(reason) or (run is not None and run.job.running),
        help=reason or ABOUT,
        on_click=background_work.start,
        args=(KIND, _key(grid, pins), lambda: TrayReport(grid, pins)),
    )


def _unfit(count: int) -> str:
    if not count:
        return "Pin a cell of a noisy picture: a report shows pairs."
    if count > MOST:
        return f"A report holds {MOST} cells; the tray has {plural(count, 'pair')}. Unpin some."
    return ""


def progress(grid: Grid, pins: tuple[Place, ...]) -> None:
    """Draw the progress of this tray's report, or its error."""
    background_work.watch(KIND, latest(grid, pins), "steps", lambda: None)

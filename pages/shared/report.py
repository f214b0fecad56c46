"""A report made in the background, and the button that downloads its file."""

from collections.abc import Callable, Generator

import streamlit as st

from camlab.common.jobs import Job, Steps
from camlab.drawing.report.html import report_html
from camlab.drawing.report.material import Material
from pages.shared.text import file_stem

#: Yields after each step and returns the content of a report; the job's ``total`` counts one more step, for the file.
Collect = Callable[[Job], Generator[None, None, Material]]


class ReportRun:
    """A job that collects the content of a report and writes its file; ``html`` holds it at the end."""

    def __init__(self, collect: Collect) -> None:
        self.html: str | None = None
        self.job = Job("Report", lambda job: self._work(collect, job))

    def _work(self, collect: Collect, job: Job) -> Steps:
        material = yield from collect(job)
        self.html = report_html(material)
        job.advance()
        yield


def download(html: str, label: str, stem: str, key: str, about: str | None = None) -> None:
    """Draw the button that downloads a report; ``about``: its help."""
    st.download_button(
        label,
        html.encode(),
        f"{file_stem(stem)}.html",
        "text/html",
        icon=":material/download:",
        key=key,
        on_click="ignore",
        type="primary",
        help=about,
    )

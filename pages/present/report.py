"""The report: the story as one self-contained file, made in the background."""

from collections.abc import Callable, Hashable
from functools import partial

import streamlit as st

from camlab.common.jobs import Job, Steps
from camlab.common.wording import megabytes
from camlab.drawing.report.html import report_html
from camlab.explore.output.report import scene_material
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep
from camlab.study.report import study_material
from camlab.study.store import Study, open_study, studies_root
from pages.present.state import page
from pages.shared import background_work, image_sets, session
from pages.shared.text import file_stem
from pages.study import data as study_data

ABOUT = (
    "A report is **one HTML file**: it opens from a USB stick without a network, its plots are interactive, "
    "and it prints to a clean PDF. It states the findings and their caveats in plain words, and holds the "
    "pictures, the numbers, the tests, all settings and versions, the commands that reproduce them, and the "
    "pictures' licences."
)


class SceneReport:
    """A job that makes the report of a scene: first all its draws, then the file."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.html: str | None = None
        self.job = Job("Report", self._work)

    def _work(self, job: Job) -> Steps:
        state = self.scene.state
        sweep = Sweep(self.scene, state.severity, patient=True)
        while sweep.job.running:
            sweep.job.touch()
            job.check()
            sweep.job.step()
            job.total = sweep.job.total + 1
            job.advance(sweep.job.done - job.done)
            yield
        shown = self.scene.shown(state.severity, state.shown_seed, job.check)
        self.html = report_html(scene_material(self.scene, shown, sweep))
        job.total = job.done + 1
        job.advance()
        yield


class StudyReport:
    """A job that makes the report of a study."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.html: str | None = None
        self.job = Job("Report", self._work)

    def _work(self, job: Job) -> Steps:
        job.total = 2
        material = study_material(self.study)
        job.advance()
        yield
        self.html = report_html(material)
        job.advance()
        yield


def report() -> None:
    """Draw the button, the progress and the download."""
    st.markdown(ABOUT)
    state, folder = page.state(), page.study()
    if state is None:
        study = open_study(studies_root() / folder)
        key: Hashable = (folder, study_data.stamp(study))
        stem = folder
        make: Callable[[], SceneReport | StudyReport] = partial(StudyReport, study)
    else:
        scene = Scene(session.engine(state.model), image_sets.picture(state.image), state)
        key, stem = state, file_stem("camlab", scene.picture.title, state.method, state.noise)
        make = partial(SceneReport, scene)
    background_work.offer(
        "report",
        key,
        "steps",
        make,
        lambda run: _finished(run, stem),
        "Make the report",
        "description",
        type="primary",
    )


def _finished(run: SceneReport | StudyReport, stem: str) -> None:
    if run.html is None:
        return
    data = run.html.encode()
    st.download_button(
        f"Download the report (HTML, {megabytes(len(data))})",
        data,
        f"{file_stem(stem)}.html",
        "text/html",
        key="report.file",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )

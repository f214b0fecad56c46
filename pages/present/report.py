"""The report: the story as one self-contained file, made in the background."""

from collections.abc import Generator, Hashable
from functools import partial

import streamlit as st

from camlab.common.jobs import Job
from camlab.common.wording import megabytes
from camlab.drawing.report.material import Material
from camlab.explore.output.report import scene_material
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep
from camlab.study.report import study_material
from camlab.study.store import Study, open_study, studies_root
from pages.present.state import page
from pages.shared import background_work, image_sets, session
from pages.shared.report import Collect, ReportRun, download
from pages.shared.text import file_stem
from pages.study import data as study_data

ABOUT = (
    "A report is **one HTML file**: it opens from a USB stick without a network, its plots are interactive, "
    "and it prints to a clean PDF. It states the findings and their caveats in plain words, and holds the "
    "pictures, the numbers, the tests, all settings and versions, the commands that reproduce them, and the "
    "pictures' licences."
)


def _of_scene(scene: Scene, job: Job) -> Generator[None, None, Material]:
    """Collect the content of a scene's report, after all its draws."""
    state = scene.state
    sweep = Sweep(scene, state.severity, patient=True)
    while sweep.job.running:
        sweep.job.touch()
        job.check()
        sweep.job.step()
        job.total = sweep.job.total + 1
        job.advance(sweep.job.done - job.done)
        yield
    shown = scene.shown(state.severity, state.shown_seed, job.check)
    job.total = job.done + 1
    return scene_material(scene, shown, sweep)


def _of_study(study: Study, job: Job) -> Generator[None, None, Material]:
    """Collect the content of a study's report."""
    job.total = 2
    material = study_material(study)
    job.advance()
    yield
    return material


def report() -> None:
    """Draw the button, the progress and the download."""
    st.markdown(ABOUT)
    state, folder = page.state(), page.study()
    if state is None:
        study = open_study(studies_root() / folder)
        key: Hashable = (folder, study_data.stamp(study))
        stem = folder
        collect: Collect = partial(_of_study, study)
    else:
        scene = Scene(session.engine(state.model), image_sets.picture(state.image), state)
        key, stem = state, file_stem("camlab", scene.picture.title, state.method, state.noise)
        collect = partial(_of_scene, scene)
    background_work.offer(
        "report",
        key,
        "steps",
        partial(ReportRun, collect),
        lambda run: _finished(run, stem),
        "Make the report",
        "description",
        type="primary",
    )


def _finished(run: ReportRun, stem: str) -> None:
    if run.html is not None:
        download(run.html, f"Download the report (HTML, {megabytes(len(run.html.encode()))})", stem, "report.file")

"""The About tab: a study's settings and versions, its report, and code to read its rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from camlab.cams.coincidence import JOINT
from camlab.common.wording import plural
from camlab.drawing.charts.titles import level_title, model_title
from camlab.drawing.report.html import report_html
from camlab.study import StudyPlan
from camlab.study.analysis.filters import Filters
from camlab.study.presets import command_line
from camlab.study.report import study_material
from camlab.study.store import COLUMNS
from pages.shared import image_sets
from pages.shared.navigation import PRESENT, STORY_OF_STUDY
from pages.shared.text import plain
from pages.study import data
from pages.study.data import Opened


def about(opened: Opened, filters: Filters) -> None:
    """Draw report and story, code to read the rows, settings, versions, and what was left out."""
    study = opened.study
    manifest = study.manifest
    settings = manifest.get("settings") or {}
    st.subheader("Share it", anchor=False)
    similarity = opened.similarity
    with st.container(horizontal=True, vertical_alignment="center", key="study_hand_on"):
        st.download_button(
            "Report (HTML)",
            lambda: report_html(study_material(study, similarity, filters)),
            f"{study.folder.name}.html",
            "text/html",
            key="study.report",
            icon=":material/description:",
            on_click="ignore",
            help="One self-contained file with summary, caveats, pictures, plots, tests and settings of the pairs that "
            "pass the filters. Takes a few seconds.",
        )
        st.page_link(
            PRESENT,
            label="Present it as a story",
            icon=":material/slideshow:",
            query_params={"story": f"{STORY_OF_STUDY}{study.folder.name}"},
        )
    st.subheader("Open it elsewhere", anchor=False)
    place = f"{study.folder}/rows"
    for tool, line in (
        ("pandas", f'pd.read_parquet("{place}")'),
        ("DuckDB", f"SELECT * FROM '{place}/*.parquet'"),  # noqa: S608 (text for the reader, never run)
        ("Polars", f'pl.read_parquet("{place}/*.parquet")'),
    ):
        st.caption(tool)
        st.code(line, language="sql" if tool == "DuckDB" else "python", wrap_lines=True)
    if not manifest.get("imported"):
        st.subheader("How to run it again", anchor=False)
        st.code(command_line(StudyPlan.from_json(settings)), language="bash", wrap_lines=True)
    st.subheader("Settings", anchor=False)
    models = data.models(study)
    layers = [f"{layer['name']} of {model_title(name)}" for name, about in models.items() for layer in about["layers"]]
    facts = {
        "Made": data.made(study),
        "Models": ", ".join(model_title(m) for m in _several(settings, "models")),
        "Image sets": ", ".join(_set_title(name) for name in _several(settings, "image_sets")),
        "Pictures of each set": str(settings.get("limit") or "all"),
        "CAM methods": ", ".join(level_title("method", m) for m in _several(settings, "methods")),
        "Layers": ", ".join(layers),
        "Noise types": ", ".join(level_title("noise", n) for n in _several(settings, "noises")),
        "Severities": ", ".join(f"{s:g}" if isinstance(s, float) else str(s) for s in _several(settings, "severities")),
        "Seeds": str(settings.get("seeds") or ""),
        "Model digests": ", ".join(f"{name} {about.get('fingerprint', '')}" for name, about in models.items()),
        "Versions": ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items()),
        "Schema": str(manifest.get("schema", "")),
    }
    st.table({name: text for name, text in facts.items() if text})
    for each in study.coincide:
        names = level_title("method", JOINT.join(each["methods"]))
        place = f"{each['layer']} of {model_title(each['model'])}"
        st.caption(plain(f"{names} on {place}: one map. {each.get('reason', '')}"))
    skipped = [{"model": name, **each} for name, about in models.items() for each in about["skipped"]]
    lost = study.skipped()
    if skipped or lost:
        st.subheader("Left out", anchor=False)
        for each in skipped:
            which = level_title("method", each["method"]) if each.get("method") else "All methods"
            place = f"{each.get('layer')} of {model_title(each['model'])}"
            st.caption(plain(f"{which} on {place}: {each.get('reason')}"))
        if lost:
            st.caption(plain(f"{plural(len(lost), 'picture')} could not be used."))
        for each in lost[:50]:
            st.caption(plain(f"{each['image']}: {each['reason']}"))
    with st.expander("Columns of a row", key="about_columns"):
        st.dataframe(
            pd.DataFrame([{"Column": c.name, "Type": c.kind, "Meaning": c.words} for c in COLUMNS]),
            hide_index=True,
            width="stretch",
        )


def _set_title(name: str) -> str:
    """Return the title of an image set, or the name of a folder."""
    return image_sets.titles().get(name) or Path(name).name


def _several(settings: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list among the settings; empty if an imported manifest has no list there."""
    found = settings.get(name)
    return found if isinstance(found, list) else []

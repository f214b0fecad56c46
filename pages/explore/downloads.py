"""Every measure of the pair on screen, its files, and the file that restores a state."""

import pandas as pd
import streamlit as st

from camlab.common.errors import CamLabError
from camlab.common.wording import decimal
from camlab.drawing.report.html import report_html
from camlab.explore.output.files import maps_npz, panels_png
from camlab.explore.output.record import results
from camlab.explore.output.report import scene_material
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import parse_json, to_json, to_query
from camlab.explore.sweep import Sweep
from camlab.metrics import SIMILARITIES
from pages.explore import trials
from pages.shared import session
from pages.shared.navigation import COMPARE, PRESENT, STORY_OF_EXPLORE
from pages.shared.text import File, explanation_popover, file_stem, files, plain


def similarity_table(shown: Shown) -> None:
    """Draw all similarity measures of the pair with range and meaning."""
    st.subheader("All similarity measures of this pair", anchor=False)
    rows = [
        {
            "Measure": entry.title,
            "Value": decimal(shown.values[name], 3),
            "Range": f"{entry.low:g} to {entry.high:g}",
            "Identical maps": f"{entry.identical:g}",
            "What it compares": entry.summary,
        }
        for name, entry in SIMILARITIES.items()
    ]
    st.table(pd.DataFrame(rows).set_index("Measure"))
    explanation_popover("measures")


def downloads(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    """Draw the downloads of the pair on screen (PNG, NPZ, JSON, HTML) and the upload of a state file."""
    st.subheader("Export", anchor=False)
    state = scene.state
    found = trials.measured(scene)
    st.page_link(
        COMPARE,
        label="Compare this picture's maps",
        icon=":material/grid_view:",
        query_params=to_query(state),
    )
    files(
        file_stem("camlab", scene.picture.title, state.method, state.noise, f"{state.severity:g}"),
        File(
            "Panels (PNG)",
            lambda: panels_png(scene, shown),
            ".png",
            "image",
            "The three panels with predictions, colour bars and settings.",
        ),
        File(
            "Maps (NPZ)",
            lambda: maps_npz(scene, shown),
            ".npz",
            "grid_on",
            "Both maps at the layer's resolution (float32), inputs, probabilities and segments, for NumPy.",
        ),
        File(
            "State and results (JSON)",
            lambda: to_json(state, results(scene, shown, sweep, *found)),
            ".json",
            "data_object",
            "Every setting and result with package versions. Loading this file below restores the state.",
        ),
        File(
            "Report (HTML)",
            lambda: report_html(scene_material(scene, shown, sweep, found[0])),
            ".html",
            "description",
            "One self-contained file: summary, caveats, pictures, plots, settings, with the draws so far.",
        ),
    )
    st.page_link(
        PRESENT,
        label="Present this as a story",
        icon=":material/slideshow:",
        query_params={"story": STORY_OF_EXPLORE, **to_query(state)},
        help="Five steps in large type, from the claim to the advice.",
    )
    st.file_uploader(
        "Load a saved state",
        type=["json"],
        key="state_file",
        max_upload_size=30,
        on_change=_load,
        help="A JSON file saved with the button above; the page returns to exactly that state.",
    )
    if error := st.session_state.get("state_error"):
        st.error(plain(error), icon=":material/error:")


def _load() -> None:
    file = session.reported("state_file")
    st.session_state["state_error"] = None
    if file is None:
        return
    try:
        state, problems = parse_json(file.getvalue())
    except CamLabError as problem:
        st.session_state["state_error"] = str(problem)
        return
    session.put(state, problems)

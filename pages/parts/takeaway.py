"""Every measure of the shown pair, the files to take away, and the file that brings a state back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from camlab.errors import CamLabError
from camlab.export import maps_npz, panels_png, results
from camlab.metrics import SIMILARITIES
from camlab.scene import Scene, Shown
from camlab.state import parse_json, to_json
from camlab.sweep import Sweep
from camlab.words import decimal
from pages.parts import session
from pages.parts.text import plain


def similarity_table(shown: Shown) -> None:
    """All similarity measures of the pair with range and meaning."""
    st.subheader("Every similarity of this pair", anchor=False)
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


def downloads(scene: Scene, shown: Shown, sweep: Sweep) -> None:
    """PNG, NPZ and JSON of what is on screen, and a state file to load."""
    st.subheader("Take it away", anchor=False)
    state = scene.state
    stem = f"camlab_{scene.picture.title}_{state.method}_{state.noise}_{state.severity:g}".replace(" ", "_")
    stem = "".join(c for c in stem if c.isalnum() or c in "._-+")[:90]
    files = st.columns(3)
    files[0].download_button(
        "Panels (PNG)",
        lambda: panels_png(scene, shown),
        f"{stem}.png",
        "image/png",
        icon=":material/image:",
        on_click="ignore",
        width="stretch",
        help="The three panels with predictions, colour bars and settings.",
    )
    files[1].download_button(
        "Maps (NPZ)",
        lambda: maps_npz(scene, shown),
        f"{stem}.npz",
        "application/octet-stream",
        icon=":material/grid_on:",
        on_click="ignore",
        width="stretch",
        help="Both maps at the layer's resolution (float32), inputs, probabilities and segments, for NumPy.",
    )
    files[2].download_button(
        "State and results (JSON)",
        lambda: to_json(state, results(scene, shown, sweep)),
        f"{stem}.json",
        "application/json",
        icon=":material/data_object:",
        on_click="ignore",
        width="stretch",
        help="Every setting and result with package versions. Loading this file below restores the state.",
    )
    st.file_uploader(
        "Load a saved state",
        type=["json"],
        key="state_file",
        on_change=_load,
        help="A JSON file saved with the button above; the page goes back to exactly that state.",
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

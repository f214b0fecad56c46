"""CAM Lab's router: page configuration and navigation, nothing else."""

from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parent

st.set_page_config(page_title="CAM Lab", page_icon=str(ROOT / "assets" / "icon.png"), layout="wide")
st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
st.html(ROOT / "assets" / "style.css")
st.navigation(
    [st.Page("pages/explore.py", title="Explore", icon=":material/travel_explore:", default=True)],
    position="top",
).run()

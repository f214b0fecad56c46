"""CAM Lab's router: page configuration and navigation, nothing else."""

from pathlib import Path

import streamlit as st

from pages.shared import navigation

ROOT = Path(__file__).parent

navigation.configure()
st.logo(str(ROOT / "assets" / "logo.svg"), size="large")
st.html(ROOT / "assets" / "style.css")
navigation.navigation()

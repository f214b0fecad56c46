"""Files and links of an earlier version of CAM Lab open, with the values that it gave them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from camlab.explore.state import ExploreState, parse_json, parse_query
from camlab.study.analysis.summary import records
from camlab.study.store import open_study
from tests.pages.conftest import alerts, open_app

DATA = Path(__file__).parent / "data"
LINK = (DATA / "link-before.txt").read_text("utf-8").strip().removeprefix("?")

#: What the version that wrote the three files meant by them.
STATE = ExploreState(
    model="shapes_resnet",
    image="photos/bison",
    method="layercam",
    noise="fog",
    severity=2.5,
    seed=7,
    draws=4,
    rule="clean",
    similarity="spearman",
    segmentation="slic",
    segments=(("n_segments", 60.0),),
    view="heat",
    opacity=0.4,
    colormap="viridis",
    scope="sweep",
    copies=2,
    sigma=0.2,
    outline=True,
)

#: Method: pairs, flips, C, R and RM, as that version's `summary` printed them.
SUMMARY = {
    "gradcam": (24, 16, 0.8230902164771681, 0.35575066058788885, 0.292814888235181),
    "hirescam": (24, 16, 0.913037822813071, 0.27731982182066883, 0.25320348633805223),
    "randomcam": (24, 16, 0.5644015529602595, 0.43218376103356226, 0.24392518589154824),
}


def test_a_saved_state_opens() -> None:
    assert parse_json((DATA / "state-before.json").read_bytes()) == (STATE, [])


def test_a_link_opens() -> None:
    assert parse_query(dict(parse_qsl(LINK))) == (STATE, [])


def test_a_link_opens_in_the_app() -> None:
    at = open_app(**dict(parse_qsl(LINK)))
    assert not at.exception and not alerts(at)
    shown = dict(at.query_params.items())
    assert {name: "".join(value) for name, value in shown.items()} == dict(parse_qsl(LINK))


def test_a_study_opens_with_the_same_scores() -> None:
    study = open_study(DATA / "study-before")
    assert study.name == "Before the move" and study.count() == 72
    assert len(study.images()) == 4 and not study.skipped()
    found = {
        each["method"]: tuple(each[name] for name in ("n", "n_flipped", "consistency", "responsiveness", "rm"))
        for each in records(study.rows(), ["method"], replicates=0)
    }
    assert found == {method: pytest.approx(values, abs=1e-12) for method, values in SUMMARY.items()}

"""What all visitors of one server share, and what a session makes of what its browser reports."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import streamlit as st

from camlab.engine.shared import engine_for
from camlab.explore.state import ExploreState
from pages.choose import model, more_pictures, picture, uploads
from pages.explore import downloads, scores, severity_handle
from pages.shared import session


def test_a_loaded_model_is_shared_and_kept_out_of_the_garbage_collector() -> None:
    session.engine.clear()
    engine = session.engine("efficientnet_lite0")
    assert engine is engine_for("efficientnet_lite0") is session.engine("efficientnet_lite0")
    assert gc.get_freeze_count() > 100_000
    network = {id(module) for module in engine.classifier.module.modules()}  # type: ignore[attr-defined]
    assert not network & {id(each) for each in gc.get_objects()}


class Layer:
    """Holds itself, as the parts of a traced network do."""

    def __init__(self) -> None:
        self.graph = self


def test_what_is_no_longer_used_is_freed_though_it_was_kept_out_of_the_garbage_collector() -> None:
    layer = Layer()
    gone = weakref.ref(layer)
    session.spare_garbage_collection()
    del layer
    gc.collect()
    assert gone() is not None  # nobody looks at it
    session.spare_garbage_collection()  # another model was loaded
    assert gone() is None


class Chart:
    """A chart's event as Streamlit hands it over."""

    def __init__(self, *points: dict[str, object]) -> None:
        self.selection = self
        self.points = list(points)


CALLBACKS = [
    severity_handle._typed,
    model._chosen,
    picture._set_changed,
    picture._chosen,
    picture._numbered,
    picture._shapes_changed,
    uploads._take_upload,
    uploads._cancel,
    more_pictures._take_pair,
    more_pictures._take_folder,
    more_pictures._take_dataset,
    downloads._load,
    lambda: scores._selected("curve", "severity"),
]


@pytest.mark.parametrize("held", ["gone", "empty"])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_a_callback_whose_widget_is_gone_or_empty_changes_nothing(
    callback: Callable[[], None], held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ExploreState(image="photos/bison", severity=1.25, noise="shot_noise")
    names = ["severity", "curve", "finder", "upload_file", "state_file", "pair_clean", "pair_noisy"]
    names += ["folder_path", "sources.dataset", "picture.number", "shapes.count", "shapes.seed", "intake"]
    names += [session.key(f) for f in ("severity", "model", "image", "image_set")]
    content = {} if held == "gone" else dict.fromkeys(names)
    monkeypatch.setattr(st, "session_state", {"state": before, **content})
    callback()
    assert session.with_fields() == before


def test_a_click_on_a_point_sets_the_field_also_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {"curve": Chart({"customdata": [2.5]})})
    scores._selected("curve", "severity")
    assert session.with_fields().severity == 2.5
    session.set_field("severity", 1.0)
    st.session_state["curve"] = Chart()
    scores._selected("curve", "severity")
    assert session.with_fields().severity == 2.5


def test_the_handle_sets_the_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {"state": ExploreState(severity=3.0)})
    assert severity_handle._dragged({"value": 1.0, "at": 1}) and session.with_fields().severity == 1.0


@pytest.mark.parametrize("report", [{}, 2.0, {"value": "2"}, {"value": 5.5}, [7]])
def test_a_handle_that_reports_no_severity_changes_nothing(report: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {"state": ExploreState(severity=3.0)})
    assert not severity_handle._dragged(report) and session.with_fields().severity == 3.0

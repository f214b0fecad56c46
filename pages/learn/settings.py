"""Widgets for a lesson's picture and settings: one registered description per choice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from camlab.cams import CAMS
from camlab.common.errors import CamLabError
from camlab.common.registry import Registry
from camlab.drawing.charts.titles import model_title
from camlab.explore.state import MAX_SEED, SEVERITY_STEP
from camlab.images import SHAPES, Picture
from camlab.images.builtin import IMAGE_SETS
from camlab.lessons import Lesson, LessonState
from camlab.lessons.settings import MOST_STEPS
from camlab.models import MODELS, find_model
from camlab.noise import NOISES
from pages.choose.model import at_hand, more_models
from pages.learn.state import page
from pages.shared import image_sets

PHOTOGRAPHS = ("photos", "objects", "places")
SCENES = 24  # generated scenes on offer
#: Methods that need only one pass and a layer.
METHODS = ("gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "randomcam")


@dataclass(frozen=True)
class Widget:
    """A setting's widget: a slider or number box from low to high or, without a range, a select box."""

    title: str
    low: Any = None
    high: Any = None
    step: Any = None
    help: str = ""
    slider: bool = False


WIDGETS: Registry[Widget] = Registry("setting of a lesson")
for _name, _widget in (
    ("model", Widget("Model")),
    ("image", Widget("Picture")),
    ("method", Widget("Method")),
    ("noise", Widget("Noise type")),
    (
        "severity",
        Widget("Severity", 0.0, 5.0, SEVERITY_STEP, "0 is the clean picture, 5 the strongest noise.", True),
    ),
    ("seed", Widget("Seed", 0, MAX_SEED, 1, "Each seed is another draw.")),
    ("epsilon", Widget("Largest change ε (of 255)", 0.5, 16.0, 0.5, "How far each pixel value may move.")),
    ("steps", Widget("Steps", 5, MOST_STEPS, 5, "More steps make a stronger attack.")),
):
    WIDGETS.add(_name, _widget)


def pictures(model: str) -> dict[str, Picture]:
    """Return the pictures that a lesson offers with a model, by id: those like the model's training pictures."""
    if model in MODELS and model.startswith(SHAPES):
        pool = IMAGE_SETS[SHAPES].pictures
        return {picture.id: picture for picture in (pool[i] for i in range(SCENES))}
    return {picture.id: picture for name in PHOTOGRAPHS for picture in IMAGE_SETS[name].pictures}


def settings(lesson: Lesson, state: LessonState) -> None:
    """Draw the lesson's settings; those that a teacher has fixed appear as text."""
    names = [name for name in (*lesson.settings, *lesson.moves) if name in WIDGETS]
    if state.fixed:
        fixed = [name for name in names if name in lesson.settings]
        values = " · ".join(f"{WIDGETS[n].title}: {_value_text(n, state)}" for n in fixed)
        st.caption(f":material/lock: Set by your teacher. {values}")
        names = [name for name in names if name not in lesson.settings]
    if names:
        with st.container(key="learn_settings", horizontal=True, vertical_alignment="bottom", gap="medium"):
            for name in names:
                _draw(name, state)
            if "model" in names:
                more_models("content")


def _value_text(name: str, state: LessonState) -> str:
    value = getattr(state, name)
    try:
        titles = {
            "model": lambda: find_model(value).title,
            "image": lambda: image_sets.picture(value).title,
            "method": lambda: CAMS[value].title,
            "noise": lambda: NOISES[value].title,
        }
        return str(titles[name]() if name in titles else f"{value:g}")
    except CamLabError:
        return str(value)


def _draw(name: str, state: LessonState) -> None:
    widget, value = WIDGETS[name], getattr(state, name)
    if name in _OPTIONS:
        found = _OPTIONS[name](state)
        options = found if value in found else {value: _value_text(name, state), **found}
        st.selectbox(
            widget.title,
            list(options),
            index=list(options).index(value),
            format_func=lambda each: options.get(each, str(each)),
            key=page.key(name),
            on_change=page.when("model", _model_changed) if name == "model" else None,
        )
        return
    draw: Any = st.slider if widget.slider else st.number_input
    draw(
        widget.title,
        widget.low,
        widget.high,
        value,
        step=widget.step,
        key=page.key(name),
        help=widget.help,
        format="%d" if isinstance(widget.step, int) else "%g",
    )


#: The options of each select box: title by value.
_OPTIONS: dict[str, Callable[[LessonState], dict[str, str]]] = {
    "model": lambda _: {name: model_title(name) for name in at_hand()},
    "image": lambda state: {each.id: each.title for each in pictures(state.model).values()},
    "method": lambda _: {each: CAMS[each].title for each in METHODS},
    "noise": lambda _: {each.name: each.title for each in NOISES.values() if not each.needs},
}


def change_model(name: str) -> None:
    """Use another model in the lesson. Only in a callback or before widgets are drawn."""
    page.change(model=name)
    _model_changed()


def _model_changed() -> None:
    """Choose a picture like the new model's training pictures. Only in a callback."""
    offered = pictures(page.state().model)
    if page.state().image not in offered:
        page.change(image=next(iter(offered)), layers=1)

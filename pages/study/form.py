"""The form for a study's plan: widgets for the grid, and the plan made from them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import streamlit as st

from camlab.cams import CAMS, unserved
from camlab.common.errors import BadSetting, CamLabError
from camlab.drawing.charts.titles import model_title
from camlab.images import IMAGE_SETS
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.folders import allowed_roots
from camlab.models import OWN_PREFIX, load_classifier
from camlab.noise import NOISES
from camlab.study import PRESETS, StudyPlan
from camlab.study.plan import BEFORE, DEFAULT, FITTING
from camlab.study.prepare import layer_named
from pages.choose.method_and_noise import UNAVAILABLE, missing
from pages.choose.model import at_hand
from pages.shared import image_sets
from pages.shared.page_state import Choices, among

OPTIONS = ("decompose", "keep_maps")
FIELDS = ("models", "image_sets", "methods", "noises", "severities", "seeds", "layers", "limit", "name")
LAYERS = {BEFORE: "the block before the pooled layer", DEFAULT: "the pooled layer"}
SEVERITIES = [step / 2 for step in range(1, 11)]
_choices = Choices("study.plan", {})


def fill(preset: str) -> None:
    """Set every widget to a preset's plan."""
    plan = PRESETS[preset].make()
    for name in FIELDS:
        value = getattr(plan, name)
        _choices.put(name, list(value) if isinstance(value, tuple) else value)
    for name in OPTIONS:
        _choices.put(name, getattr(plan, name))


def filled() -> bool:
    """Return whether the widgets hold a plan; Streamlit forgets it while the dialog is closed."""
    return _choices.key("models") in st.session_state


def _held(name: str) -> Any:
    return st.session_state.get(_choices.key(name))


def form() -> None:
    """Draw the widgets of the plan."""
    left, right = st.columns(2, gap="medium")
    _many(
        left, "models", "Models", at_hand(), model_title,
        "All models that need no download. Your own checkpoint is among them once you have loaded it under “More "
        "models” in Explore.",
    )  # fmt: skip
    if any(name.startswith(OWN_PREFIX) for name in _held("models") or ()):
        left.caption("The study's folder keeps a copy of your checkpoint's weights, for all who can open the study.")
    every = [*IMAGE_SETS, *image_sets.downloaded()]
    _many(
        right, "image_sets", "Image sets", every, _set_title,
        "Each model runs on the sets whose classes it knows; ShapeScenes go with the networks trained on them.",
    )  # fmt: skip
    chosen = tuple(_held("models") or ())
    layers, reasons = _looked(chosen, tuple(_held("layers") or ()))
    methods = [name for name in CAMS if name not in reasons] + [name for name in CAMS if name in reasons]
    _many(
        left, "methods", "CAM methods", methods,
        lambda name: CAMS[name].title + (UNAVAILABLE if name in reasons else ""),
        "Random-CAM belongs in every study: it shows the scores of a map that knows nothing. A method that does not "
        "work on a model or layer is left out there; the plan says why.",
    )  # fmt: skip
    noises = [name for name, kind in NOISES.items() if kind.needs != "companion"]
    _many(right, "noises", "Noise types", noises, lambda name: NOISES[name].title, "Attacks take longest.")
    left, right = st.columns(2, gap="medium")
    _many(
        left, "severities", "Severities", SEVERITIES, lambda s: f"{s:g}",
        "Whole numbers are the levels of ImageNet-C. Noise types whose strength is not monotone use only these.",
    )  # fmt: skip
    _many(
        right, "layers", "Layers", [*LAYERS, *layers], lambda name: LAYERS.get(name, name),
        "One choice for each model's own layers, or a layer that all chosen models have.",
    )  # fmt: skip
    missing("method", {CAMS[name].title: reason for name, reason in reasons.items()})
    one, two, three = st.columns(3, gap="medium")
    one.number_input(
        "Seeds", 1, 100, _held("seeds") or 1, key=_choices.key("seeds"), help="Draws of each random noise type."
    )
    two.number_input(
        "Pictures of each set",
        1,
        100_000,
        value=_held("limit"),
        key=_choices.key("limit"),
        placeholder="all",
        help="At most this many, spread evenly over the set. Empty: all (200 of ShapeScenes).",
    )
    three.text_input(
        "Name", _held("name") or "", key=_choices.key("name"), max_chars=80, help="The study's name in the list."
    )
    if _may_open_folders():
        st.text_input(
            "Folder of pictures",
            key=_choices.key("folder"),
            placeholder="a path inside a folder that this server allows",
            help="Pictures directly in it, or one subfolder per class.",
        )
    st.checkbox(
        "Measure what the class alone and the noise alone do to the map",
        bool(_held("decompose")),
        key=_choices.key("decompose"),
        help="Two further maps for every flip, to show what moved the map.",
    )
    st.checkbox(
        "Keep the maps",
        bool(_held("keep_maps")),
        key=_choices.key("keep_maps"),
        help="Stores every low-resolution map beside its row, for your own programs. Takes more disk space.",
    )


def _may_open_folders() -> bool:
    try:
        return bool(allowed_roots())
    except BadSetting:  # an error of the operator, which the dialog for folders shows
        return False


def _looked(models: tuple[str, ...], asked: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Return the layers that all models have, and why some methods work on no model at any requested layer."""
    seen = []
    for model in models:
        try:
            seen.append(_look_at(model, asked))
        except CamLabError:  # the plan's own check shows it
            continue
    if not seen:
        return [], {}
    (layers, reasons), *more = seen
    for others, lacking in more:
        layers = [name for name in layers if name in others]
        reasons = {name: why for name, why in reasons.items() if name in lacking}
    return layers, reasons


@st.cache_data(max_entries=128, show_spinner="Looking at the models …")
def _look_at(model: str, asked: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """Return a model's layers, and why some methods work at none of the requested ones. Raises MissingWeights."""
    classifier = load_classifier(model)
    names = [layer.name for layer in classifier.layers]
    there = [layer_named(classifier, word) for word in asked if word in LAYERS or word in names]
    each = [unserved(classifier, layer) for layer in there if layer is not None]
    if not each:
        return names, {}
    return names, {name: why for name, why in each[0].items() if all(name in other for other in each)}


def _many(place: Any, name: str, label: str, options: list[Any], title: Any, text: str) -> None:
    held: Iterable[Any] = _held(name) or ()
    _choices.put(name, [each for each in held if each in options])
    place.multiselect(
        label, options, default=among(options, _choices.key(name)), key=_choices.key(name), format_func=title, help=text
    )


def _set_title(name: str) -> str:
    return IMAGE_SETS[name].title if name in IMAGE_SETS else DATASETS[name].title


def planned() -> StudyPlan:
    """Return the plan that the widgets hold."""
    held = {name: _held(name) for name in FIELDS}
    chosen = list(held["image_sets"] or [])
    if folder := (_held("folder") or "").strip():
        # A folder called “photos” is not the built-in set.
        chosen.append(folder if Path(folder).is_absolute() else f"./{folder}")
    return StudyPlan(
        models=tuple(held["models"] or ()),
        image_sets=tuple(chosen),
        methods=tuple(held["methods"] or ()),
        noises=tuple(held["noises"] or ()),
        severities=tuple(sorted(held["severities"] or ())),
        seeds=int(held["seeds"] or 1),
        layers=tuple(held["layers"] or ()),
        limit=held["limit"],
        pairing=FITTING,
        confined=True,
        **{name: bool(_held(name)) for name in OPTIONS},
        name=(held["name"] or "").strip(),
    )

"""Choosing a CAM method, its smoothing and a noise type, with the reasons why some are unavailable."""

from collections.abc import Mapping, Sequence

import streamlit as st

from camlab.cams import CAMS, PACES, coinciding, unserved
from camlab.cams.smoothing import Smoothing
from camlab.common.errors import CamLabError
from camlab.common.wording import plural
from camlab.explore.state import ExploreState
from camlab.models import Classifier
from camlab.models.network.split import PLUS
from camlab.noise import NOISES, unavailable
from pages.shared import image_sets, session
from pages.shared.text import plain

UNAVAILABLE = " · unavailable"
MOST_SHOWN = 64  # noisy copies that the page offers; a link can ask for more


def method_controls(classifier: Classifier) -> None:
    """Draw the choice of the method with its cost, why others are unavailable, and the smoothing."""
    layer = _layer(classifier)
    reasons = unserved(classifier, layer)
    chosen = _usable("method", list(CAMS), reasons)
    groups = coinciding(classifier, layer) if PLUS not in layer else ()
    # Methods with the same map on this layer share one entry, named by the chosen method if it is among them.
    stands_for = {min(g.methods, key=lambda m: m != chosen): g.methods for g in groups}
    hidden = {m for shown, members in stands_for.items() for m in members if m != shown}
    offered = [m for m in CAMS if m not in hidden and m not in reasons] + [m for m in CAMS if m in reasons]

    def title(name: str) -> str:
        names = " = ".join(CAMS[m].title for m in stands_for.get(name, (name,)))
        pace = PACES[CAMS[name].cost]
        return names + (UNAVAILABLE if name in reasons else f" · {pace}" if pace else "")

    name = session.select(
        "CAM method",
        "method",
        offered,
        title,
        help="How the heat map is computed. Methods joined by = give the same map on the target layer.\n\n"
        + "\n\n".join(_about(each, reasons) for each in CAMS),
    )
    if price := CAMS[name].price:
        st.caption(f":material/hourglass: {plain(_sentence(f'Extra cost: {price}'))}")
    missing("method", {CAMS[each].title: reason for each, reason in reasons.items()})
    smoothing_controls(name)


def missing(noun: str, reasons: Mapping[str, str]) -> None:
    """Draw a button that lists the unavailable entries by title, each with the reason."""
    if reasons:
        with st.popover(
            f"{plural(len(reasons), noun)} unavailable: why?",
            icon=":material/block:",
            type="tertiary",
            key=f"unavailable_{noun.replace(' ', '_')}",
        ):
            for title, reason in reasons.items():
                st.markdown(f"**{plain(title)}**: {plain(reason)}")


def _about(name: str, reasons: Mapping[str, str]) -> str:
    entry = CAMS[name]
    price = f" Extra cost: {plain(entry.price)}." if entry.price else ""
    missing = f" *Unavailable:* {plain(reasons[name])}" if name in reasons else ""
    return f"**{entry.title}**: {plain(entry.summary)} ({plain(entry.source)}){price}{missing}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _layer(classifier: Classifier) -> str:
    """Return the target layer, or layers joined by +, that the page is about to use."""
    try:
        return classifier.resolve_layer(session.held_layer())
    except CamLabError:  # a layer of another model, which the layer's control replaces
        return classifier.default_layer


def _usable(field: str, names: Sequence[str], reasons: Mapping[str, str]) -> str:
    """Return the value of a field's widget; replace an unavailable one by the previous value, with a notice."""
    held: str = st.session_state.get(session.key(field)) or session.start(field)
    if held not in reasons:
        return held
    before = (session.start(field), getattr(ExploreState(), field), *names)
    kept = next((name for name in before if name not in reasons), held)
    session.page.say([reasons[held]])
    session.page.put(field, kept)
    return kept


def smoothing_controls(method: str) -> None:
    """Draw the smoothing options; disable eigen smoothing, with the reason, if the method does not support it."""
    entry = CAMS[method]
    lacking = f"{entry.title} has no weighted channels to smooth; choose another method, such as Grad-CAM."
    able = entry.terms is not None
    if not able and st.session_state.get(session.key("eigen")):
        session.page.say([f"{lacking} Eigen smoothing is off."])
        session.page.put("eigen", False)
    with st.expander("Smooth the map", icon=":material/blur_on:", key="smooth_the_map"):
        eigen = st.toggle(
            "Eigen smoothing",
            session.start("eigen") and able,
            key=session.key("eigen"),
            disabled=not able,
            help="Uses the strongest common pattern of the weighted channels instead of their sum. Costs almost no "
            "time."
            if able
            else lacking,
        )
        if not able:
            st.caption(f":material/info: {plain(lacking)}")
        augment = st.toggle(
            "Augmentation smoothing (× 6)",
            session.start("augment"),
            key=session.key("augment"),
            help="Averages the maps of the picture and its mirror image at three brightnesses: six times the work.",
        )
        copies = st.number_input(
            "Noisy copies to average",
            0,
            max(MOST_SHOWN, session.start("copies")),
            session.start("copies"),
            step=1,
            key=session.key("copies"),
            help="Steadies fragile maps: each map becomes the mean over this many copies of its picture with a "
            "little Gaussian noise (as in SmoothGrad). 0 switches it off; n copies take n times the work.",
        )
        sigma = session.slide(
            "Noise of the copies (σ)",
            "sigma",
            0.01,
            1.0,
            0.01,
            disabled=not copies,
            help="Standard deviation of the noise on the copies; pixel values range from 0 to 1. More noise smooths and"
            " blurs more."
            if copies
            else "Choose at least one noisy copy first.",
        )
    if parts := _smoothed_by(bool(eigen), bool(augment), int(copies or 0), float(sigma)):
        st.caption(f":material/blur_on: {parts}")


def _smoothed_by(eigen: bool, augment: bool, copies: int, sigma: float) -> str:
    """Return one sentence on the smoothing and its cost; empty without smoothing."""
    parts = ["eigen smoothing"] if eigen else []
    parts += ["augmentation"] if augment else []
    parts += [f"{copies} noisy {'copy' if copies == 1 else 'copies'} (σ {sigma:g})"] if copies else []
    if not parts:
        return ""
    passes = Smoothing(eigen, augment, copies, sigma).passes
    cost = f", {passes} times the work" if passes > 1 else ""
    return f"Smoothed by {', '.join(parts)}{cost}."


def noise_control() -> str:
    """Draw the choice of the noise type; unavailable types say what they need."""
    live = session.with_fields()
    around, digest = session.engine(live.model).pictures.surroundings(), image_sets.picture(live.image).digest
    reasons = {n: reason for n in NOISES if (reason := unavailable(n, around, digest))}
    _usable("noise", list(NOISES), reasons)
    families = list(dict.fromkeys(v.family for v in NOISES.values()))
    grouped = sorted(NOISES, key=lambda n: families.index(NOISES[n].family))
    offered = [n for n in grouped if n not in reasons] + [n for n in grouped if n in reasons]
    name: str = session.select(
        "Noise type",
        "noise",
        offered,
        lambda n: f"{NOISES[n].family} · {NOISES[n].title}{UNAVAILABLE if n in reasons else ''}",
        help="Grouped by family. Severity 1 to 5 equals the ImageNet-C level.\n\n"
        + "\n\n".join(
            f"**{entry.title}**: {plain(entry.summary)}"
            + (f" *Unavailable:* {plain(reasons[entry.name])}" if entry.name in reasons else "")
            for entry in NOISES.values()
        ),
    )
    if NOISES[name].needs == "model":
        st.caption(
            ":material/hourglass: An attack that uses this model's own gradients: each severity takes extra passes."
        )
    missing("noise type", {NOISES[each].title: reason for each, reason in reasons.items()})
    return name

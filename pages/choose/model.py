"""Choosing a model: those on this machine in the sidebar, all others in a dialog."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from camlab.common.wording import megabytes, millions, plural, sides
from camlab.drawing.charts.titles import model_title
from camlab.models import MODELS, OWN_PREFIX, Classifier, ModelRow, find_model, load_classifier
from camlab.models.hub.catalogue import (
    SHELF,
    Badge,
    CatalogueRow,
    badges,
    cached_rows,
    catalogue_row,
    families,
    search,
)
from pages.choose import model_download
from pages.choose.own_model import own_tab
from pages.shared import session
from pages.shared.feedback import told
from pages.shared.navigation import close_dialog, draw_dialog, open_dialog
from pages.shared.text import plain

AT_ONCE = 10  # results shown at first, and added by each "Show more"
COLOURS = {Badge.BUNDLED: "green", Badge.OWN: "green", Badge.CACHED: "green", Badge.DOWNLOAD: "gray"}
SIZES = {"Any size": None, "Up to 5 M": 5, "Up to 10 M": 10, "Up to 30 M": 30, "Up to 100 M": 100}
SIDES = {"Any input": None, **{f"Up to {side} px": side for side in (160, 224, 256, 299, 384)}}


def at_hand() -> list[str]:
    """List the models that need no download: bundled, cached, the visitor's own, and the one in use."""
    own: list[str] = st.session_state.get("own_models", [])
    names = [
        *MODELS,
        *(row.id for row in cached_rows() if not row.unexplained),
        *own,
        session.current().model,
    ]
    return [name for name in dict.fromkeys(names) if model_title(name) != name]


def model_controls() -> Classifier:
    """Draw the choice of the model, its facts, and the dialog with more models. Raises MissingWeights."""
    names = at_hand()
    rows = [f"**{plain(row.title)}**: {_size(row)}. {plain(row.summary)}" for row in map(find_model, names)]
    name = session.select(
        "Model",
        "model",
        names,
        model_title,
        on_change=session.page.when("model", _chosen),
        help="The image classifier whose explanations are tested. All models in this list work offline.\n\n"
        + "\n\n".join(rows),
    )
    classifier = load_classifier(name)
    st.caption(_facts(find_model(name), classifier))
    more_models()
    return classifier


def more_models(width: Literal["stretch", "content"] = "stretch") -> None:
    """Draw the button and the dialog with all other models; `model_download.arrive` returns what was chosen there."""
    st.button(
        "More models",
        icon=":material/deployed_code:",
        on_click=open_dialog,
        args=("models",),
        width=width,
        help="Well-known networks, every timm classifier, and your own checkpoint.",
    )
    # Draw it in every run while it is open: a rerun without it would close it.
    draw_dialog({"models": _more})


def _chosen() -> None:
    # If the widget is gone, it reports nothing and the model stays.
    session.change_model(session.reported(session.key("model")) or session.current().model)


def _size(row: ModelRow) -> str:
    return f"{millions(row.parameters)} parameters, {sides(row.input_size)}"


def _facts(row: ModelRow, classifier: Classifier) -> str:
    published = row.source.startswith("https://")
    parts = [
        row.family,
        _size(row),
        f"{len(classifier.class_names):,} classes",
        "your file" if row.name.startswith(OWN_PREFIX) else f"licence {row.licence}",
        f"on {str(classifier.device).upper()}",
    ]
    source = f" · [source]({row.source})" if published else ""
    return " · ".join(map(plain, parts)) + source


@st.dialog("More models", width="large", on_dismiss=close_dialog)
def _more() -> None:
    session.follow_callbacks()  # after a choice, rerun the page and close the dialog
    # Keep the tab in the session, because the browser would return to the first one at each rerun.
    titles = ["Well-known", "All of timm", "Your checkpoint"]
    shelf, everything, own = st.tabs(titles, key="models.tab", on_change="rerun")
    with shelf, told():
        st.caption("Networks often used with CAMs, each with a reason to try it. All know ImageNet's 1,000 classes.")
        _rows([catalogue_row(name) for name in SHELF], "shelf")
    with everything, told():
        _search()
    with own, told():
        own_tab()


def _search() -> None:
    text = st.text_input(
        "Search",
        key="models.text",
        placeholder="resnet 50, ViT-S, convnext tiny …",
        help="Words from a name or family; abbreviations and small typos are fine.",
    )
    left, middle, right = st.columns(3)
    counts = families()
    family = left.selectbox(
        "Family",
        ["", *counts],
        key="models.family",
        format_func=lambda name: f"{name} ({counts[name]})" if name else "All families",
        help="The network's source file in timm. Type to search.",
    )
    size = middle.selectbox(
        "Parameters", list(SIZES), key="models.size", help="More parameters take more memory and time."
    )
    side = right.selectbox("Input", list(SIDES), key="models.side", help="The longer side of the network's input.")
    most = SIZES[size]
    found = search(
        text.strip(),
        family=family or None,
        max_parameters=None if most is None else most * 1_000_000,
        max_side=SIDES[side],
    )
    # A new search starts from the top.
    asked = (text, family, size, side)
    if st.session_state.get("models.asked") != asked:
        st.session_state["models.asked"], st.session_state["models.shown"] = asked, AT_ONCE
    if not found:
        st.info("No timm classifier matches; use fewer words or wider limits.", icon=":material/info:")
        return
    st.caption(
        f"{plural(len(found), 'network')}, best match first. No accuracies are shown: the timm package has none, and "
        "published numbers may belong to other weights."
    )
    shown: int = st.session_state["models.shown"]
    _rows(found[:shown], "timm")
    if len(found) > shown:
        st.button(
            f"Show more ({len(found) - shown} left)",
            key="models.more",
            icon=":material/expand_more:",
            on_click=_show_more,
            width="stretch",
        )


def _show_more() -> None:
    st.session_state["models.shown"] = st.session_state.get("models.shown", AT_ONCE) + AT_ONCE


def _rows(rows: Sequence[CatalogueRow], place: str) -> None:
    where = badges(rows)
    for row in rows:
        _row(row, where[row.name], place)


def _row(row: CatalogueRow, badge: Badge, place: str) -> None:
    words, act = st.columns([3, 1], vertical_alignment="center")
    facts = [row.family, _size(find_model(row.id)), f"{row.classes:,} classes", row.licence]
    summary = SHELF.get(row.name, "")
    if row.unexplained:
        summary = f"Cannot be explained: {row.unexplained}."
    words.markdown(
        f"**{plain(row.name)}** :{COLOURS[badge]}-badge[{badge.value}]"
        + (f"  \n{plain(summary)}" if summary else "")
        + f"  \n:small[{plain(' · '.join(facts))}]"
    )
    here = badge is not Badge.DOWNLOAD
    act.button(
        "Use" if here else f"Download {megabytes(row.download_bytes)}",
        key=f"models.{place}.{row.name}",
        icon=":material/check:" if here else ":material/download:",
        on_click=model_download.go_to if here else model_download.start,
        args=(row.id,),
        disabled=bool(row.unexplained) or (model_download.busy() and not here),
        width="stretch",
        help=f"{'Go to' if here else 'Download from the Hugging Face hub and go to'} {plain(row.name)}."
        + (" One download at a time." if model_download.busy() and not here else ""),
    )

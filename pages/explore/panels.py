"""The three panels original, perturbed and difference, with the verdict above and the decomposition below."""

import streamlit as st

from camlab.cams import CAMS
from camlab.drawing import html
from camlab.drawing.pictures import DIVERGING, VIEWS, data_url
from camlab.explore.output import pair_html
from camlab.explore.output.panels import draw_change, draw_panel, perturbed_title
from camlab.explore.results import Floors, Shown
from camlab.explore.scene import Scene
from camlab.images import Picture
from camlab.models import short_name
from pages.shared import session
from pages.shared.text import explanation_popover

SIDES = ("clean", "perturbed")  # keys of the first two panels, which the style sheet and the scripts use


def headline(scene: Scene, shown: Shown) -> None:
    """Draw the verdict in words and the similarity of the two maps, with warnings about degenerate maps."""
    st.html(pair_html.headline(scene, shown.row))
    method = scene.state.method
    if scene.flat:
        st.warning(
            "This picture has a single colour, so there is nothing to explain: its map comes from the picture's "
            "borders alone. Choose another picture.",
            icon=":material/texture:",
        )
    for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
        if explained.degenerate[method]:
            st.warning(
                f"The {side} map is degenerate: {scene.method.title} favours no place (the same value "
                "everywhere, nothing above 0, or nothing but rounding error), so there is nothing to compare and this "
                "pair counts as not observed. Choose another picture or method.",
                icon=":material/texture:",
            )


def panels(scene: Scene, shown: Shown, picture: Picture) -> None:
    """Draw original, perturbed and difference side by side, with predictions, colour bars and credit."""
    state = scene.state
    sides = st.columns(3, gap="medium")
    titles = ("Original", perturbed_title(shown.row))
    for side, column, title, explained in zip(SIDES, sides[:2], titles, (shown.clean, shown.perturbed), strict=True):
        with column, st.container(key=side):
            st.html(pair_html.title(title))
            explains = short_name(scene.classifier.class_names[explained.target])
            st.image(
                data_url(draw_panel(scene, explained)),
                width="stretch",
                output_format="PNG",
                alt=f"{title}: {VIEWS[state.view].title.lower()} of {CAMS[state.method].title} for {explains} "
                f"on the picture {picture.title}",
            )
            st.html(html.colour_bar(state.colormap, "0 · weak", "map value", "1 · strong"))
            st.html(pair_html.predictions(scene, explained))
    with sides[2], st.container(key="difference"):
        st.html(pair_html.title("Difference (perturbed − clean)"))
        st.image(
            data_url(draw_change(scene, shown)),
            width="stretch",
            output_format="PNG",
            alt="Signed difference of the two maps; orange where the map grew, purple where it shrank",
        )
        st.html(html.colour_bar(DIVERGING, "−1 · weaker", "change", "+1 · stronger"))
        st.html(pair_html.moves(scene, shown))
    st.html(pair_html.credit(picture))
    explanation_popover("panels")


def coinciding(scene: Scene) -> None:
    """Draw the groups of methods that give the same map on this layer, with the reasons."""
    for group in scene.coincidences:
        if scene.state.method in group.methods:
            names = " = ".join(CAMS[name].title for name in group.methods)
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.info(
                f"**{names}** on this layer: one map, {len(group.methods)} names. {group.reason}",
                icon=":material/join:",
            )
            before = scene.layer_before
            if before:
                right.button(
                    f"Use {before}",
                    help="Choose the layer before, where the methods differ.",
                    on_click=session.set_field,
                    args=("layer", before),
                    width="stretch",
                )


def what_moved(scene: Scene, shown: Shown, floors: Floors | None) -> None:
    """Draw the similarity with the clean map after changing only the class, only the noise, or both."""
    st.subheader(
        "What moved the map?",
        anchor=False,
        help="The clean map compared with three others: the clean picture explained for the new class, the noisy "
        "picture explained for the old class, and both at once. The tick is the other-picture floor.",
    )
    parts = shown.decomposition
    if parts is None:
        st.caption(
            "Under this class rule both maps explain the same class, so all change comes from the noise. "
            "Choose “Each picture's own prediction” to separate class and noise."
        )
        return
    st.html(pair_html.moved_by(parts, shown.row["flipped"], floors))
    explanation_popover("moved_by")

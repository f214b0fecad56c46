"""Attack the explanation: settings, the attack while it runs, and what it found."""

import streamlit as st

from camlab.cams.smoothing import PLAIN
from camlab.drawing.pictures import data_url
from camlab.engine.shared import reference_pictures
from camlab.explore.attack.outcome import panels, sentences
from camlab.explore.attack.prepare import prepare_attack, unattackable
from camlab.explore.attack.search import ExplanationAttack
from camlab.explore.attack.settings import DEFAULTS, GOALS, OTHER, PICTURE, RANGES
from camlab.explore.output.files import attack_npz, attack_png
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.images import Picture
from pages.shared import background_work, session
from pages.shared.text import File, file_stem, files, plain

KIND = "attack"


def attack(scene: Scene, _: Shown) -> None:
    """Draw the section: its purpose, its settings, and the attack on this picture, model, method and layer."""
    st.markdown("**Can the map be moved while picture and prediction stay?**")
    st.caption(
        "Searches for a picture that looks like the clean one to a person and to the model, but has a different map: "
        "every value may move by at most ε, and the prediction must stay (Ghorbani et al. 2019; Dombrowski et al. "
        "2019). It starts from the clean picture and explains the class predicted on it."
    )
    if reason := unattackable(scene):
        st.info(plain(reason), icon=":material/block:")
        return
    if scene.state.smoothing != PLAIN:
        st.caption(":material/info: The attack uses the map without the smoothing chosen in the sidebar.")
    others = {picture.id: picture for picture in reference_pictures(scene.picture)}
    _settings(others)
    key = (scene.state.model, scene.picture.digest, scene.state.method, scene.layer)

    def make() -> ExplanationAttack:
        """Prepare an attack with the widgets' current values, which may be newer than the last run of the page."""
        epsilon, steps, slack, goal = map(session.attack.chosen, DEFAULTS)
        other = others.get(session.attack.chosen(OTHER))
        return prepare_attack(scene, epsilon=epsilon / 255, steps=int(steps), slack=slack, goal=goal, other=other)

    background_work.offer(
        KIND,
        key,
        "steps",
        make,
        lambda run: _found(scene, run),
        "Start the attack",
        "bolt",
        again="Attack again",
        type="primary",
    )


def _settings(others: dict[str, Picture]) -> None:
    """Draw the widgets of ε (in 1/255), steps, the allowed loss of probability, the goal and its picture."""
    held = session.attack.chosen
    first, second, third = st.columns(3, gap="medium")
    first.number_input(
        "Largest change ε (of 255)",
        *RANGES["epsilon"],
        held("epsilon"),
        step=0.5,
        format="%g",
        key="attack.epsilon",
        help="How far any value of the picture, from 0 to 255, may move. Up to 4 is hardly visible.",
    )
    second.number_input(
        "Steps",
        *RANGES["steps"],
        held("steps"),
        step=5,
        key="attack.steps",
        help="Each step takes a forward and a backward pass, and another forward pass to measure the result.",
    )
    third.number_input(
        "Allowed loss of probability",
        *RANGES["slack"],
        held("slack"),
        step=0.05,
        format="%g",
        key="attack.slack",
        help="How far the predicted class's probability may fall: 0.1 is ten percentage points.",
    )
    left, right = st.columns([1, 2], gap="medium")
    goal = left.selectbox(
        "Goal of the attack",
        list(GOALS),
        index=list(GOALS).index(held("goal")),
        format_func=lambda name: GOALS[name],
        key="attack.goal",
        help="Move the map as far from the clean map as possible, or towards a map of your choice.",
    )
    if goal == PICTURE:
        # A link may name any picture, even the one that is explained.
        if st.session_state.get("attack.other") not in others:
            session.attack.choose(OTHER, next(iter(others)))
        right.selectbox(
            "Whose map",
            list(others),
            index=list(others).index(held(OTHER)),
            format_func=lambda each: others[each].title,
            key="attack.other",
            help="The attack imitates the map of this photograph for its own prediction.",
        )


def _found(scene: Scene, run: ExplanationAttack) -> None:
    """Draw the best picture so far beside the clean one, with its effects and files."""
    result = run.result
    if result is None:
        if run.job.running:
            st.caption("Computing the first step …")
        return
    so_far = "Best so far. " if run.job.running else ""
    st.caption(
        plain(
            f"{so_far}ε = {run.attack.epsilon * 255:g}/255, {run.attack.steps} steps. "
            + " ".join(sentences(scene, run))
        )
    )
    drawn = panels(scene, result)
    for row in (drawn[:3], drawn[3:]):
        for column, (title, picture) in zip(st.columns(3, gap="medium"), row, strict=True):
            with column:
                st.image(
                    data_url(picture),
                    caption=title,
                    width="stretch",
                    output_format="PNG",
                    alt=f"{title}, of the attack on {scene.picture.title}",
                )
    if run.job.running:
        return
    files(
        file_stem("camlab_attack", scene.state.method, scene.picture.digest[:8]),
        File(
            "Attack (PNG)",
            lambda: attack_png(scene, run),
            ".png",
            "image",
            "The attacked picture and both maps in one figure.",
        ),
        File(
            "Attack (NPZ)",
            lambda: attack_npz(scene, run),
            ".npz",
            "grid_on",
            "Both pictures, both maps (float32) and all settings and results, for NumPy.",
        ),
    )

"""The panels of a pair: clean map, perturbed map and their difference as pixels, and the phrases beside them."""

from collections.abc import Mapping
from typing import Any

from camlab.common.errors import BadImage
from camlab.common.wording import verdict
from camlab.drawing.pictures import VIEWS, Bytes, Panel, draw_difference, lay_over, object_ink, to_image
from camlab.engine.spec import Explained
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.trials.localisation import object_mask
from camlab.models import short_name
from camlab.noise import NOISES

MARKED = 3  # segments numbered on the difference map


def draw_panel(scene: Scene, explained: Explained, view: str | None = None) -> Bytes:
    """Draw one panel, uint8 RGB; view: a name in VIEWS, by default the state's."""
    state = scene.state
    panel = Panel(
        to_image(explained.pixels()),
        explained.maps[state.method],
        scene.comparison.labels,
        scene.segment_values(explained),
    )
    drawn = VIEWS[view or state.view].draw(panel, state.colormap, state.opacity)
    layer = outline_layer(scene)
    return drawn if layer is None else lay_over(drawn, layer)


def outline_layer(scene: Scene) -> Bytes | None:
    """Draw the object's outline as an RGBA layer; None if it is switched off, unknown or unreadable."""
    if not scene.state.outline:
        return None
    try:
        mask = object_mask(scene)
    except BadImage:  # the localisation scores report it; the panel is still useful without an outline
        return None
    return None if mask is None else object_ink(mask)


def draw_change(scene: Scene, shown: Shown) -> Bytes:
    """Draw the signed difference of the two maps, uint8 RGB, and number the segments that moved most in rank."""
    delta = shown.perturbed.maps[scene.state.method] - shown.clean.maps[scene.state.method]
    return draw_difference(delta, scene.classifier.input_size, scene.comparison.labels, marked_segments(shown))


def marked_segments(shown: Shown) -> list[tuple[int, str]]:
    """Return the MARKED segments that moved most in rank, each with its number on the difference map."""
    return [(move.segment, str(i + 1)) for i, move in enumerate(shown.moves[:MARKED])]


def perturbed_title(version: Mapping[str, Any]) -> str:
    """Name a perturbation ("Gaussian noise, severity 3, seed 0") from its ``noise``, ``severity`` and ``seed``."""
    noise = NOISES[version["noise"]]
    seed = f", seed {version['seed']}" if noise.stochastic else ""
    return f"{noise.title}, severity {version['severity']:g}{seed}"


def shown_verdict(scene: Scene, row: Mapping[str, Any]) -> str:
    """Return words on whether a pair's prediction was kept or flipped, with both classes and probabilities."""
    names = scene.classifier.class_names
    clean, perturbed = short_name(names[row["clean_index"]]), short_name(names[row["perturbed_index"]])
    return verdict(clean, row["clean_prob"], perturbed, row["perturbed_prob"], row["flipped"], row["near"])

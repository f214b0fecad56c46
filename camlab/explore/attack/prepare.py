"""Prepare an explanation attack on a scene: check that its map can be attacked, and make the goal's map."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.explore.attack.search import Attack, ExplanationAttack, attackable
from camlab.explore.attack.settings import AWAY, CORNERS, GOALS
from camlab.explore.scene import Scene
from camlab.images import Picture
from camlab.models.network.split import PLUS


def unattackable(scene: Scene) -> str | None:
    """Return one sentence on why the scene's map cannot be attacked; None if it can."""
    if PLUS in scene.layer:
        return "An attack moves the map of one layer, but this map averages several; choose one target layer."
    return attackable(scene.state.method) or scene.method.serves(scene.classifier, scene.layer)


def corner_map(height: int, width: int, corner: str) -> NDArray[np.float32]:
    """Return a map (height, width) that is 1 in one corner and falls off like a bell. Raises UnknownName."""
    bottom, right = CORNERS[corner]
    down, across = (
        np.exp(-0.5 * (3 * np.abs(np.linspace(0, 1, side) - end)) ** 2)
        for side, end in ((height, bottom), (width, right))
    )
    return np.outer(down, across).astype(np.float32)


def goal_for(scene: Scene, name: str, other: Picture | None = None) -> NDArray[np.floating[Any]] | None:
    """Return the map that an attack aims at; None for the goal "away", which has none.

    ``other``: the picture of the goal "picture"; it is explained for its own prediction, with the scene's method
    and layer but without smoothing. Raises UnknownName for the goal, BadSetting if the other picture is missing.
    """
    GOALS[name]
    if name == AWAY:
        return None
    info = scene.classifier.layer_info(scene.layer)
    if name in CORNERS:
        return corner_map(info.height, info.width, name)
    if other is None:
        raise BadSetting("The attack needs a picture whose map it imitates; choose one.")
    plain: dict[str, Any] = {"eigen": False, "augment": False, "copies": 0}
    state = dataclasses.replace(scene.state, image=other.id, rule="own", target=None, **plain)
    return Scene(scene.engine, other, state).clean().maps[state.method]


def prepare_attack(
    scene: Scene, *, epsilon: float, steps: int, slack: float, goal: str = AWAY, other: Picture | None = None
) -> ExplanationAttack:
    """Return an attack on the scene's clean picture that is ready to run: submit its ``job``.

    epsilon: in [0, 1]; slack: the largest allowed fall of the prediction's probability, in [0, 1]; goal, other: as in
    `goal_for`. Raises BadSetting for an unusable method or setting.
    """
    if reason := unattackable(scene):
        raise BadSetting(reason)
    wanted = goal_for(scene, goal, other)
    attack = Attack(scene.state.method, scene.layer, epsilon, steps, slack, wanted)
    return ExplanationAttack(scene.engine, scene.input, scene.picture.digest, attack)

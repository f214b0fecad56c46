"""An explanation attack on a scene: goals, words, pictures and files of what it found."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from camlab.common.errors import BadSetting, UnknownName
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.spec import CLEAN
from camlab.explore.attack.outcome import amplification, attack_record, draw_amplified, panels, sentences
from camlab.explore.attack.prepare import corner_map, goal_for, prepare_attack, unattackable
from camlab.explore.attack.search import ExplanationAttack
from camlab.explore.attack.settings import AWAY, CORNERS, GOALS, PICTURE
from camlab.explore.output.files import attack_npz, attack_png
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from camlab.models.classifier import Classifier

BISON = find_picture("photos/bison")


@pytest.fixture(scope="module")
def scene(lite0: Classifier) -> Scene:
    engine = Engine(lite0, queue=DeviceQueue())
    return Scene(engine, find_picture("photos/german_shepherd"), ExploreState(draws=1, method="layercam"))


@pytest.fixture(scope="module")
def run(scene: Scene) -> ExplanationAttack:
    attack = prepare_attack(scene, epsilon=4 / 255, steps=3, slack=0.3, goal="top left")
    while attack.job.running:
        attack.job.step()
    assert attack.job.error is None and attack.result is not None and attack.result.step
    return attack


def test_every_goal_has_a_map_of_the_layers_size_but_away(scene: Scene) -> None:
    assert list(GOALS) == [AWAY, *CORNERS, PICTURE]
    assert goal_for(scene, AWAY) is None
    for corner in CORNERS:
        assert np.array_equal(goal_for(scene, corner), corner_map(7, 7, corner))  # type: ignore[arg-type]
    theirs = scene.engine.explain(
        scene.classifier.preprocess(BISON.load()), BISON.digest, [CLEAN], ["layercam"], scene.layer
    )[0]
    assert np.array_equal(goal_for(scene, PICTURE, BISON), theirs.maps["layercam"])  # type: ignore[arg-type]
    with pytest.raises(BadSetting, match="choose one"):
        goal_for(scene, PICTURE)
    with pytest.raises(UnknownName):
        goal_for(scene, "middle")


def test_another_pictures_map_is_plain_and_for_its_own_class(scene: Scene) -> None:
    state = dataclasses.replace(scene.state, rule="fixed", target=3, copies=2, augment=True)
    smooth = Scene(scene.engine, scene.picture, state)
    assert np.array_equal(goal_for(smooth, PICTURE, BISON), goal_for(scene, PICTURE, BISON))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "randomcam"}, "drawn at random"),
        ({"method": "scorecam"}, "attack Grad-CAM instead"),
        ({"layer": "blocks.5+blocks.6"}, "choose one target layer"),
    ],
)
def test_what_cannot_be_attacked_has_a_reason(scene: Scene, changes: dict[str, str], words: str) -> None:
    other = Scene(scene.engine, scene.picture, dataclasses.replace(scene.state, **changes))  # type: ignore[arg-type]
    assert words in (unattackable(other) or "")
    with pytest.raises(BadSetting, match=words):
        prepare_attack(other, epsilon=4 / 255, steps=3, slack=0.1)
    assert unattackable(scene) is None


@pytest.mark.parametrize("bad", [{"epsilon": 0.5}, {"steps": 0}, {"slack": 2.0}])
def test_settings_out_of_range_are_refused_before_anything_runs(scene: Scene, bad: dict[str, float]) -> None:
    with pytest.raises(BadSetting):
        prepare_attack(scene, **{"epsilon": 4 / 255, "steps": 3, "slack": 0.1, **bad})  # type: ignore[arg-type]


def test_the_sentences_are_what_was_found(scene: Scene, run: ExplanationAttack) -> None:
    result = run.result
    assert result is not None and result.reached is not None
    said = " ".join(sentences(scene, run))
    assert f"correlation {result.kept:.2f}" in said
    assert f"Correlation with the goal: {result.reached[0]:.2f} → {result.reached[1]:.2f}." in said
    assert "Prediction kept: German shepherd" in said and "4.0/255" in said
    assert f"Found in step {result.step} of 3." in said
    fresh = prepare_attack(scene, epsilon=4 / 255, steps=3, slack=0.3)
    assert sentences(scene, fresh) == []
    fresh.job.step()
    assert "this is the clean picture" in sentences(scene, fresh)[-1]
    assert not any("goal" in sentence for sentence in sentences(scene, fresh))


def test_the_change_is_amplified_until_it_fills_the_range() -> None:
    clean = np.full((3, 4, 5), 0.5, np.float32)
    attacked = clean.copy()
    attacked[0, 1, 2] += 2 / 255
    assert amplification(attacked - clean) == 63
    drawn = draw_amplified(clean, attacked)
    assert drawn.shape == (8, 10, 3) and drawn.dtype == np.uint8
    changed = (drawn != 128).any(axis=2)
    assert np.argwhere(changed).tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    assert drawn[2, 4].tolist() == [round((0.5 + 63 * 2 / 255) * 255), 128, 128]
    assert amplification(np.zeros(3)) == 1 and amplification(np.array([1.0])) == 1


def test_six_panels_of_one_size(scene: Scene, run: ExplanationAttack) -> None:
    assert run.result is not None
    drawn = panels(scene, run.result)
    assert len(drawn) == 6 and {picture.shape for _, picture in drawn} == {(448, 448, 3)}
    assert len({title for title, _ in drawn}) == 6
    before, after = dict(drawn)["Map before"], dict(drawn)["Map after"]
    assert not np.array_equal(before, after)


def test_the_files_hold_what_was_found(scene: Scene, run: ExplanationAttack) -> None:
    result = run.result
    assert result is not None
    told = attack_record(scene, run)
    assert told == json.loads(json.dumps(told, allow_nan=False))
    assert told["result"]["largest_change"] == result.largest and told["epsilon"] == 4 / 255
    assert told["goal"] is not None and told["layer"] == scene.layer
    archive = np.load(io.BytesIO(attack_npz(scene, run)), allow_pickle=False)
    assert np.array_equal(archive["attacked_input"], result.picture)
    assert np.array_equal(archive["attacked_map"], result.after)
    assert float(np.abs(archive["attacked_input"] - archive["clean_input"]).max()) == pytest.approx(result.largest)
    assert json.loads(str(archive["settings"])) == told
    assert Image.open(io.BytesIO(attack_png(scene, run))).width > 1000
    fresh = prepare_attack(scene, epsilon=4 / 255, steps=3, slack=0.3)
    assert attack_record(scene, fresh)["result"] is None
    for make in (attack_png, attack_npz):
        with pytest.raises(BadSetting, match="first step"):
            make(scene, fresh)

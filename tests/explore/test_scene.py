"""What the Explore page shows, against the rules said again, slower and simpler."""

from __future__ import annotations

import dataclasses
import io
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import camlab.engine.shared
import camlab.explore.scene
from camlab.cams import coinciding
from camlab.common.errors import BadSetting, Cancelled, UnknownName
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for, model_input, reference_pictures
from camlab.engine.spec import CLEAN, Explained, Spec
from camlab.explore.output.files import maps_npz, panels_png
from camlab.explore.output.frames import make_frame
from camlab.explore.output.panels import draw_change, draw_panel
from camlab.explore.results import Decomposition, Floors, SegmentMove
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import IMAGE_SETS, Picture, picture_from_bytes
from camlab.metrics import SIMILARITIES, Comparison, random_ranking_floor, segment, similarity
from camlab.models import short_name
from camlab.models.classifier import Classifier
from camlab.noise import perturb
from tests.material import known


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine that the app uses; what one test computed the next one finds in the cache."""
    return engine_for("efficientnet_lite0", "cpu")


@pytest.fixture(scope="module")
def bison(pictures: tuple[Picture, ...]) -> Picture:
    return pictures[0]


def png(image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return picture_from_bytes(buffer.getvalue(), "picture.png")


@pytest.fixture(scope="module")
def grey() -> Picture:
    return png(Image.new("RGB", (64, 48), (128, 128, 128)))


def state_of(picture: Picture, **changes: Any) -> ExploreState:
    return ExploreState(**({"image": picture.id, "segmentation": "slic"} | changes))


def scene_of(engine: Engine, picture: Picture, **changes: Any) -> Scene:
    return Scene(engine, picture, state_of(picture, **changes))


def unit(name: str, value: float) -> float:
    return (1 + value) / 2 if name in ("spearman", "ssim", "pearson") else value


class Twin:
    """The pair at one severity and seed, step by step, by an engine that has never seen either picture."""

    def __init__(
        self, classifier: Classifier, picture: Picture, state: ExploreState, severity: float, seed: int
    ) -> None:
        self.classifier, self.state, self.picture = classifier, state, picture
        self.layer = state.layer or classifier.default_layer
        self.clean_input = classifier.preprocess(picture.load())
        self.noisy_input = perturb(self.clean_input[None], state.noise, severity, seed, picture.digest)[0]
        self.clean = self.explain(self.clean_input, state.target if state.rule == "fixed" else None)
        target = {"own": None, "clean": self.clean.index, "fixed": state.target}[state.rule]
        self.noisy = self.explain(self.noisy_input, target)
        pixels = np.ascontiguousarray(self.clean_input.permute(1, 2, 0).numpy())
        labels = segment(pixels, state.segmentation, **dict(state.segments))
        self.comparison = Comparison(labels, labels.shape, state.p)

    def explain(self, pixels: torch.Tensor, target: int | None) -> Explained:
        return Engine(self.classifier).explain(
            pixels, self.picture.digest, [CLEAN], [self.state.method], self.layer, target
        )[0]

    def map(self, explained: Explained) -> np.ndarray:
        return explained.maps[self.state.method]

    def similarity(self, name: str, other: Explained) -> float:
        pair = self.map(self.clean)[None], self.map(other)[None]
        return float(similarity(name, *pair, self.comparison)[0])


TWINS: list[tuple[int, float, int, dict[str, Any]]] = [
    # (picture, severity, seed, changes): kept and flipped, near and far, all rules, a layer of its own
    (0, 3.0, 2, {"segmentation": "quickshift", "p": 0.8}),
    (0, 5.0, 0, {"segments": (("n_segments", 30.0),)}),
    (3, 3.0, 0, {"noise": "contrast", "method": "eigencam", "similarity": "spearman"}),
    (0, 5.0, 0, {"rule": "clean", "similarity": "pearson"}),
    (0, 4.25, 7, {"rule": "fixed", "target": 281, "noise": "impulse_noise", "segmentation": "cells"}),
    (2, 2.0, 1, {"layer": "blocks.5", "method": "gradcam++", "noise": "fog", "similarity": "iou_top20"}),
]


@pytest.mark.parametrize(("which", "severity", "seed", "changes"), TWINS)
def test_shown_equals_its_slow_twin(
    which: int,
    severity: float,
    seed: int,
    changes: dict[str, Any],
    engine: Engine,
    lite0: Classifier,
    pictures: tuple[Picture, ...],
) -> None:
    picture = pictures[which]
    state = state_of(picture, **changes)
    shown = Scene(Engine(lite0), picture, state).shown(severity, seed)
    twin = Twin(lite0, picture, state, severity, seed)
    assert np.array_equal(shown.clean_input, twin.clean_input.numpy())
    assert np.array_equal(shown.perturbed_input, twin.noisy_input.numpy())
    for found, exact in ((shown.clean, twin.clean), (shown.perturbed, twin.noisy)):
        assert np.array_equal(found.maps[state.method], twin.map(exact))
        assert np.array_equal(found.probabilities, exact.probabilities)
        assert found.target == exact.target
    assert list(shown.values) == list(SIMILARITIES)
    for name, value in shown.values.items():
        assert value == pytest.approx(twin.similarity(name, twin.noisy), abs=1e-12)

    a, b, name = twin.clean, twin.noisy, state.similarity
    top5 = sorted(range(1000), key=lambda k: (-a.probabilities[k], k))[:5]
    flipped = int(np.argmax(b.probabilities)) != int(np.argmax(a.probabilities))
    raw = twin.similarity(name, b)
    assert shown.row == {
        "model": "efficientnet_lite0",
        "image_set": picture.image_set,
        "image": picture.id,
        "method": state.method,
        "layer": twin.layer,
        "noise": state.noise,
        "severity": severity,
        "seed": seed,
        "clean_index": top5[0],
        "clean_prob": float(a.probabilities[top5[0]]),
        "perturbed_index": int(np.argmax(b.probabilities)),
        "perturbed_prob": float(b.probabilities.max()),
        "perturbed_label": lite0.class_names[int(np.argmax(b.probabilities))].split(",")[0],
        "clean_class_prob": float(b.probabilities[top5[0]]),
        "flipped": flipped,
        "near": flipped and int(np.argmax(b.probabilities)) in top5,
        "degenerate": False,
        "segments": len(np.unique(twin.comparison.labels)),
        name: raw,
        "similarity": unit(name, raw),
    }
    assert type(shown.row["flipped"]) is bool and type(shown.row["near"]) is bool


def test_the_twins_hold_kept_near_and_far_pairs(
    lite0: Classifier, engine: Engine, pictures: tuple[Picture, ...]
) -> None:
    kinds = set()
    for which, severity, seed, changes in TWINS:
        row = scene_of(engine, pictures[which], **changes).rows([(severity, seed)])[0]
        kinds.add((row["flipped"], row["near"]))
    assert kinds == {(False, False), (True, True), (True, False)}


def test_rows_are_the_rows_of_the_shown_pairs(engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison)
    pairs = [(5.0, 0), (0.0, 0), (3.25, 1), (5.0, 1)]
    rows = scene.rows(pairs)
    assert [(row["severity"], row["seed"]) for row in rows] == pairs
    assert rows == [scene.shown(severity, seed).row for severity, seed in pairs]
    assert rows[0]["flipped"] and not rows[1]["flipped"]


# what moved the map


def test_what_moved_the_map_of_a_flipped_pair(lite0: Classifier, engine: Engine, bison: Picture) -> None:
    for name in ("rbo", "pearson"):
        state = state_of(bison, similarity=name)
        shown, twin = Scene(engine, bison, state).shown(5.0, 0), Twin(lite0, bison, state, 5.0, 0)
        assert shown.row["flipped"]
        class_only = twin.explain(twin.clean_input, twin.noisy.index)
        noise_only = twin.explain(twin.noisy_input, twin.clean.index)
        assert class_only.target != twin.clean.target and noise_only.target == twin.clean.target
        expected = [unit(name, twin.similarity(name, e)) for e in (class_only, noise_only, twin.noisy)]
        found = shown.decomposition
        assert found is not None
        assert [found.class_only, found.noise_only, found.both] == pytest.approx(expected, abs=1e-12)
        assert len(set(expected)) == 3, "three different things"
        assert found.both == shown.row["similarity"]


def test_what_moved_the_map_of_a_kept_pair_is_the_noise(engine: Engine, bison: Picture) -> None:
    for name in ("rbo", "ssim"):
        scene = scene_of(engine, bison, similarity=name)
        shown = scene.shown(3.0, 0)
        assert not shown.row["flipped"]
        identical = scene.compare(name, shown.clean, shown.clean)
        assert identical is not None
        same = unit(name, identical)
        assert same == pytest.approx(1.0)
        both = shown.row["similarity"]
        assert both < 0.99
        assert shown.decomposition == Decomposition(class_only=same, noise_only=both, both=both)


@pytest.mark.parametrize(("rule", "target"), [("clean", None), ("fixed", 3)])
def test_with_one_class_in_both_there_is_nothing_to_take_apart(
    rule: str, target: int | None, engine: Engine, bison: Picture
) -> None:
    assert scene_of(engine, bison, rule=rule, target=target).shown(5.0, 0).decomposition is None


# class rules


def test_each_pictures_own_prediction(engine: Engine, bison: Picture) -> None:
    shown = scene_of(engine, bison, target=7).shown(5.0, 0)  # a class that the rule does not ask for
    assert shown.clean.target == shown.clean.index == 347
    assert shown.perturbed.target == shown.perturbed.index != 347


def test_the_clean_prediction_in_both(engine: Engine, bison: Picture) -> None:
    shown = scene_of(engine, bison, rule="clean").shown(5.0, 0)
    assert shown.clean.target == shown.perturbed.target == shown.clean.index == 347
    assert shown.perturbed.index != 347 and shown.row["flipped"]


@pytest.mark.parametrize("target", [0, 999])
def test_a_fixed_class_in_both(target: int, engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison, rule="fixed", target=target)
    shown = scene.shown(5.0, 0)
    assert shown.clean.target == shown.perturbed.target == target
    exact = engine.explain(scene.input, bison.digest, [CLEAN], ["gradcam"], "bn2", target)[0]
    assert np.array_equal(shown.clean.maps["gradcam"], exact.maps["gradcam"])


@pytest.mark.parametrize("target", [1000, -1, 10**9])
def test_a_class_that_the_model_does_not_have(target: int, engine: Engine, bison: Picture) -> None:
    with pytest.raises(BadSetting) as caught:
        scene_of(engine, bison, rule="fixed", target=target)
    assert str(caught.value) == f"EfficientNet-Lite0 has no class {target}; choose one from 0 to 999."


def test_a_fixed_class_without_a_class(engine: Engine, bison: Picture) -> None:
    with pytest.raises(BadSetting, match="choose one from 0 to 999"):
        scene_of(engine, bison, rule="fixed")


def test_a_layer_that_the_model_does_not_have(engine: Engine, bison: Picture) -> None:
    with pytest.raises(UnknownName, match=r"EfficientNet-Lite0 has no layer called 'blocks\.99'"):
        scene_of(engine, bison, layer="blocks.99")


def test_layers_by_any_name(engine: Engine, bison: Picture) -> None:
    assert scene_of(engine, bison).layer == "bn2"
    assert scene_of(engine, bison, layer="blocks[-1]").layer == "blocks.6"
    assert isinstance(engine.classifier, Classifier)
    names = [layer.name for layer in engine.classifier.layers]
    assert scene_of(engine, bison).layer_before == names[names.index("bn2") - 1]
    assert scene_of(engine, bison, layer=names[0]).layer_before is None
    assert scene_of(engine, bison, layer=names[3]).layer_before == names[2]


def test_coincidences_are_those_of_the_layer(engine: Engine, bison: Picture) -> None:
    groups = scene_of(engine, bison).coincidences
    assert groups == coinciding(engine.classifier, "bn2")
    assert ("gradcam", "xgradcam", "hirescam", "shapleycam") in [group.methods for group in groups]
    inner = scene_of(engine, bison, layer="blocks.4").coincidences
    assert all("xgradcam" not in group.methods for group in inner)


# moves


def slow_moves(before: Sequence[float], after: Sequence[float], labels: np.ndarray) -> list[SegmentMove]:
    """Every segment's rank by counting, ties sharing the mean of their places; the five largest jumps."""

    def rank(values: Sequence[float], k: int) -> float:
        ahead = sum(value > values[k] for value in values)
        tied = sum(value == values[k] for value in values)
        return ahead + (tied + 1) / 2

    moves = []
    for k in range(len(before)):
        area = sum(int(label == k) for label in labels.ravel().tolist()) / labels.size
        moves.append(SegmentMove(k, rank(before, k), rank(after, k), area))
    moves.sort(key=lambda move: (-abs(move.perturbed_rank - move.clean_rank), -move.share))
    return [move for move in moves[:5] if move.clean_rank != move.perturbed_rank]


@pytest.mark.parametrize(("severity", "method"), [(5.0, "gradcam"), (0.25, "gradcam"), (3.0, "eigencam")])
def test_moves_equal_a_slow_count(severity: float, method: str, engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison, method=method, segments=(("n_segments", 20.0),))
    shown = scene.shown(severity, 0)
    labels = scene.comparison.labels
    large = [
        torch.nn.functional.interpolate(
            torch.from_numpy(np.array(explained.maps[method], np.float64))[None, None],
            (224, 224),
            mode="bilinear",
        )[0, 0].numpy()
        for explained in (shown.clean, shown.perturbed)
    ]
    values = [[round(float(m[labels == k].mean()), 6) for k in range(labels.max() + 1)] for m in large]
    assert scene.segment_values(shown.clean) == pytest.approx(values[0], abs=1e-6)
    found = shown.moves
    before, after = (scene.segment_values(e).tolist() for e in (shown.clean, shown.perturbed))
    assert list(found) == slow_moves(before, after, labels)
    assert 0 < len(found) <= 5


def test_ties_share_their_rank_and_do_not_count_as_moves(engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison, segmentation="cells")
    clean = scene.clean()
    maps = [np.zeros((7, 7), np.float32) for _ in range(2)]
    maps[0][0, 0] = maps[1][6, 6] = 1  # first and last of 49 cells change places; 47 others stay tied
    one, two = (dataclasses.replace(clean, maps={"gradcam": m}) for m in maps)
    found = scene.moves(one, two)
    before, after = (scene.segment_values(version).tolist() for version in (one, two))
    assert list(found) == slow_moves(before, after, scene.comparison.labels)
    assert {found[0].segment, found[1].segment} == {0, 48}
    assert scene.moves(clean, clean) == ()


# floors


@pytest.mark.parametrize(
    ("name", "changes"),
    [("rbo", {}), ("pearson", {}), ("rbo", {"rule": "fixed", "target": 347, "p": 0.7})],
)
def test_floors_equal_a_loop_over_the_other_pictures(
    name: str, changes: dict[str, Any], engine: Engine, bison: Picture
) -> None:
    scene = scene_of(engine, bison, similarity=name, **changes)
    clean = scene.clean()
    values = []
    assert isinstance(engine.classifier, Classifier)
    for other in reference_pictures(bison):
        pixels = engine.classifier.preprocess(other.load())
        target = changes.get("target")
        map_ = engine.explain(pixels, other.digest, [CLEAN], ["gradcam"], "bn2", target)[0].maps["gradcam"]
        if map_.any():
            pair = clean.maps["gradcam"][None], map_[None]
            values.append(unit(name, float(similarity(name, *pair, scene.comparison)[0])))
    floors = scene.floors()
    assert floors.other is not None and floors.others == len(values) >= 20
    assert floors.other == pytest.approx(np.mean(values), abs=1e-12)
    assert floors.threshold == pytest.approx((1 + np.mean(values)) / 2, abs=1e-12)
    if name == "rbo":
        assert floors.random == random_ranking_floor(scene.comparison.n_segments, scene.state.p)
    else:
        assert floors.random is None
    assert 0 < floors.other < 1


def test_threshold_is_halfway_between_one_and_the_floor() -> None:
    assert Floors(0.1, 0.5, 24).threshold == 0.75
    assert Floors(None, 0.0, 24).threshold == 0.5
    assert Floors(0.1, None, 0).threshold is None


def test_the_other_pictures_are_many_different_and_never_the_picture_itself(
    pictures: tuple[Picture, ...],
) -> None:
    photos = IMAGE_SETS["photos"].pictures
    for picture in (*photos, *pictures):
        others = reference_pictures(picture)
        assert len(others) >= 20
        assert len({other.digest for other in others}) == len(others)
        assert picture.digest not in {other.digest for other in others}
        assert all(other.image_set == "photos" for other in others)
    # From the first to the last: not only the beginning of the alphabet.
    assert photos.index(reference_pictures(pictures[1])[0]) == 0
    assert photos.index(reference_pictures(pictures[1])[-1]) == len(photos) - 1


def test_a_photograph_uploaded_again_is_not_its_own_floor(bison: Picture) -> None:
    again = png(bison.load())
    assert again.id != bison.id and again.digest == bison.digest
    assert bison.id not in {other.id for other in reference_pictures(again)}


def test_references_come_one_after_the_other_and_can_be_stopped(engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison)
    found = list(scene.references())
    assert len(found) == len(reference_pictures(bison))
    assert all(explained.target == explained.index for explained in found)
    fixed = next(scene_of(engine, bison, rule="fixed", target=5).references())
    assert fixed.target == 5

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        list(scene_of(Engine(engine.classifier), bison).references(stop))


# nothing to compare


def test_a_picture_of_one_colour_has_no_similarity_and_no_floor(engine: Engine, grey: Picture) -> None:
    scene = scene_of(engine, grey)
    shown = scene.shown(3.0, 0)
    assert scene.flat
    assert shown.clean.degenerate["gradcam"] and not shown.clean.maps["gradcam"].any()
    assert shown.row["degenerate"] is True
    assert math.isnan(shown.row["similarity"]) and math.isnan(shown.row["rbo"])
    assert shown.values == dict.fromkeys(SIMILARITIES)
    assert shown.decomposition is not None and shown.decomposition.both is None
    floors = scene.floors()
    assert floors.other is None and floors.others == 0 and floors.threshold is None
    assert floors.random == random_ranking_floor(scene.comparison.n_segments)
    for view in ("overlay", "segments"):
        assert draw_panel(scene, shown.clean, view).shape == (448, 448, 3)
    assert draw_change(scene, shown).shape == (448, 448, 3)
    severest = scene.shown(0.0, 0)
    assert severest.row["degenerate"] and severest.moves == ()


def test_only_one_colour_is_flat(engine: Engine, bison: Picture) -> None:
    assert not scene_of(engine, bison).flat
    spot = Image.new("RGB", (224, 224), (128, 128, 128))
    spot.paste((255, 0, 0), (100, 100, 110, 110))
    assert not scene_of(engine, png(spot)).flat


class Blind(Engine):
    """An engine whose maps of noisy pictures are all degenerate."""

    def explain(self, clean: Any, digest: Any, specs: Sequence[Spec], *args: Any, **more: Any) -> list[Explained]:
        found = super().explain(clean, digest, specs, *args, **more)
        return [
            explained
            if spec.noise is None
            else dataclasses.replace(
                explained,
                maps={name: np.zeros_like(map_) for name, map_ in explained.maps.items()},
                degenerate=dict.fromkeys(explained.maps, True),
            )
            for spec, explained in zip(specs, found, strict=True)
        ]


@pytest.mark.parametrize("name", list(SIMILARITIES))
def test_a_degenerate_map_on_the_noisy_side(name: str, lite0: Classifier, engine: Engine, bison: Picture) -> None:
    scene = Scene(Blind(lite0, engine.cache), bison, state_of(bison, similarity=name))
    shown = scene.shown(5.0, 0)
    assert shown.row["degenerate"] is True and shown.row["flipped"] is True
    assert math.isnan(shown.row["similarity"]) and math.isnan(shown.row[name])
    assert set(shown.values.values()) == {None}
    assert shown.decomposition is not None
    assert shown.decomposition.both is None and shown.decomposition.noise_only is None
    assert shown.decomposition.class_only is not None


def test_an_undefined_measure_is_none_and_no_number(engine: Engine, bison: Picture) -> None:
    # One segment: its ranking says nothing, so that Spearman's ρ is not defined.
    one = {"segmentation": "cells", "segments": (("cols", 1.0), ("rows", 1.0))}
    scene = scene_of(engine, bison, similarity="spearman", **one)
    shown = scene.shown(3.0, 0)
    assert scene.comparison.n_segments == 1
    assert shown.values["spearman"] is None and shown.values["pearson"] is not None
    assert math.isnan(shown.row["similarity"]) and shown.row["degenerate"] is False
    assert shown.decomposition == Decomposition(None, None, None)
    assert scene.floors() == Floors(None, None, 24)


# the same again


@pytest.mark.parametrize("method", ["gradcam", "eigencam"])
def test_severity_0_is_the_clean_picture(method: str, lite0: Classifier, bison: Picture) -> None:
    scene = Scene(Engine(lite0), bison, state_of(bison, method=method))
    shown = scene.shown(0.0, 5)
    assert np.array_equal(shown.clean.maps[method], shown.perturbed.maps[method])
    assert np.array_equal(shown.clean_input, shown.perturbed_input)
    assert np.array_equal(shown.clean.probabilities, shown.perturbed.probabilities)
    assert not shown.row["flipped"] and shown.moves == ()
    for name, entry in SIMILARITIES.items():
        if name != "rbo" or method == "gradcam":  # Eigen-CAM's many zeros tie, which costs RBO a little
            assert shown.values[name] == pytest.approx(entry.identical, abs=1e-9), name
    assert shown.row["similarity"] == known(shown.values["rbo"]) > 0.9
    assert np.array_equal(
        draw_panel(scene, shown.clean),
        draw_panel(scene, shown.perturbed),
    )


def test_the_same_state_shows_the_same_pixels(lite0: Classifier, bison: Picture) -> None:
    drawn = []
    for _ in range(2):
        scene = Scene(Engine(lite0), bison, state_of(bison, severity=4.5, seed=3))
        shown = scene.shown(4.5, 3)
        drawn.append(
            [
                shown.clean.maps["gradcam"],
                shown.perturbed.maps["gradcam"],
                shown.perturbed_input,
                draw_panel(scene, shown.clean),
                draw_panel(scene, shown.perturbed),
                draw_panel(scene, shown.perturbed, "segments"),
                draw_change(scene, shown),
            ]
        )
    assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))
    other = Scene(Engine(lite0), bison, state_of(bison)).shown(4.5, 4)
    assert not np.array_equal(drawn[0][1], other.perturbed.maps["gradcam"])


def test_what_was_shown_before_comes_from_the_cache(lite0: Classifier, bison: Picture) -> None:
    engine = Engine(lite0)
    first = Scene(engine, bison, state_of(bison)).shown(5.0, 0)
    assert not first.cached
    again = Scene(engine, bison, state_of(bison)).shown(5.0, 0)
    assert again.cached and again.row == first.row
    # A part that is new is enough.
    assert not Scene(engine, bison, state_of(bison)).shown(5.0, 1).cached
    assert not Scene(engine, bison, state_of(bison, method="hirescam")).shown(5.0, 0).cached
    assert first.milliseconds > 0


def test_a_check_stops_the_work(lite0: Classifier, bison: Picture) -> None:
    def stop() -> None:
        raise Cancelled

    scene = Scene(Engine(lite0), bison, state_of(bison))
    for work in (
        lambda: scene.shown(3.0, 0, stop),
        lambda: scene.rows([(3.0, 0)], stop),
        lambda: scene.floors(stop),
    ):
        with pytest.raises(Cancelled):
            work()


# what is shared


def test_one_engine_a_model(engine: Engine) -> None:
    assert engine_for("efficientnet_lite0", "cpu") is engine
    with pytest.raises(UnknownName):
        engine_for("resnet_of_nobody", "cpu")


def many_at_once(make: Callable[[], Any], threads: int = 6) -> list[Any]:
    barrier = threading.Barrier(threads)

    def run(_: int) -> Any:
        barrier.wait()
        return make()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_pictures_are_prepared_once_and_forgotten_in_the_end(lite0: Classifier, bison: Picture) -> None:
    found = many_at_once(lambda: model_input(lite0, bison))
    assert all(tensor is found[0] for tensor in found)
    assert torch.equal(found[0], lite0.preprocess(bison.load()))
    assert camlab.engine.shared._inputs.bytes <= camlab.engine.shared._INPUT_BYTES
    assert camlab.engine.shared._masks.bytes <= camlab.engine.shared._MASK_BYTES


def test_words_for_classes(engine: Engine, bison: Picture) -> None:
    row = scene_of(engine, bison).rows([(5.0, 0)])[0]
    assert row["perturbed_label"] == short_name(engine.classifier.class_names[row["perturbed_index"]])
    assert "," not in row["perturbed_label"]


@pytest.mark.parametrize("seed", [0, 3])
def test_everything_drawn_of_a_pair_perturbs_the_picture_once(
    seed: int, engine: Engine, bison: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(images: torch.Tensor, *more: Any) -> torch.Tensor:
        made.append(len(images))
        return perturb(images, *more)

    monkeypatch.setattr("camlab.engine.inputs.perturb", counted)
    state = state_of(bison)
    computing = Engine(engine.classifier)
    finding = Engine(engine.classifier, computing.cache)  # finds all results in the cache, and no pixels
    for here in (computing, finding):
        made.clear()
        scene = Scene(here, bison, state)
        shown = scene.shown(5.0, seed)
        assert shown.row["flipped"] and shown.cached == (here is finding)
        for view in ("overlay", "heat"):
            draw_panel(scene, shown.perturbed, view)
        panels_png(scene, shown)
        maps_npz(scene, shown)
        make_frame(scene, shown)
        scene.pair(5.0, seed)[1].pixels()
        assert made == [1]


def test_an_explanation_keeps_the_pixels_that_it_explains(engine: Engine, bison: Picture) -> None:
    scene = scene_of(engine, bison, layer="blocks.4+bn2")
    clean, noisy = scene.pair(4.0, 1)
    exact = perturb(scene.input[None], "gaussian_noise", 4.0, 1, bison.digest)[0].numpy()
    assert np.array_equal(noisy.pixels(), exact) and noisy.pixels() is noisy.pixels()
    assert np.array_equal(clean.pixels(), scene.input.numpy())
    assert not noisy.pixels().flags.writeable and not clean.pixels().flags.writeable
    assert scene.input.numpy().flags.writeable, "only the handed-out array is read-only"
    with pytest.raises(ValueError, match="which pixels"):
        dataclasses.replace(noisy, source=None).pixels()

"""The rows of a study against what a scene says about the same pairs, one method and noise type at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from camlab.cams import PAPER_SIX
from camlab.common.errors import BadStudy
from camlab.engine.cache.memory import MapCache
from camlab.engine.engine import Engine
from camlab.engine.segments import picture_segments
from camlab.engine.shared import model_input, model_mask
from camlab.engine.spec import Explained
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, find_picture
from camlab.images.properties import properties_of
from camlab.metrics import SIMILARITIES, Comparison, rbo_cells, similarity
from camlab.models import Classifier, load_classifier
from camlab.study import StudyPlan
from camlab.study.prepare import plan_at_hand
from camlab.study.rows import TIE, ResumingClassifier, UnitWorker, is_tie
from camlab.study.sources import count_pairs
from camlab.study.store import Study


def scene_rows(classifier: Classifier, picture: Picture, layer: str, plan: StudyPlan) -> list[dict[str, Any]]:
    """Everything about a picture on a layer, by asking a scene for each method and noise type, no two methods together.

    Scenes of one method share a cache, so that its reference pictures are explained once.
    """
    found = []
    for method in plan.methods:
        engine = Engine(classifier, MapCache())
        for noise in plan.noises:
            state = ExploreState(model=classifier.name, image=picture.id, method=method, layer=layer, noise=noise)
            scene = Scene(engine, picture, state)
            pairs = [(severity, seed) for severity in plan.levels(noise) for seed in range(plan.draws(noise))]
            floor = scene.floors()
            clean = scene.clean()
            slic = picture_segments(scene.input, "slic", {"n_segments": 50}, engine.cache)
            for row, pair in zip(scene.rows(pairs), pairs, strict=True):
                shown = scene.shown(*pair)
                a, b = shown.clean.maps[method][None], shown.perturbed.maps[method][None]
                moved = shown.decomposition
                assert moved is not None
                row |= {name: np.nan if v is None else v for name, v in shown.values.items()}
                row |= {
                    "clean_margin": clean.top(2)[0][1] - clean.top(2)[1][1],
                    "tied": False,
                    "rbo_cells": np.nan if row["degenerate"] else rbo_cells(a, b)[0],
                    "rbo_slic50": np.nan
                    if row["degenerate"]
                    else similarity("rbo", a, b, Comparison(slic, slic.shape))[0],
                    "random_floor": floor.random,
                    "other_floor": np.nan if floor.other is None else floor.other,
                    "rbo_class_only": np.nan if moved.class_only is None else moved.class_only,
                    "rbo_noise_only": np.nan if moved.noise_only is None else moved.noise_only,
                }
                found.append(row)
    return found


@pytest.mark.parametrize("layer", ["layer3.0", "layer4.0"])
def test_rows_are_what_scenes_say(study: Study, plan: StudyPlan, layer: str) -> None:
    classifier = load_classifier("shapes_resnet", "cpu")
    rows = study.rows()
    image = str(rows["image"].iloc[0])
    ours = rows[(rows["model"] == "shapes_resnet") & (rows["image"] == image) & (rows["layer"] == layer)]
    theirs = pd.DataFrame(scene_rows(classifier, find_picture(image), layer, plan))
    assert len(ours) == len(theirs) == 44
    assert ours["flipped"].any() and not ours["flipped"].all()
    for name in theirs.columns.intersection(ours.columns):
        mine, other = ours[name].to_numpy(), theirs[name].to_numpy()
        if mine.dtype.kind == "f":
            # Batches of other sizes round otherwise in the last bits.
            assert mine == pytest.approx(other.astype(float), abs=1e-5, nan_ok=True), name
        else:
            assert list(mine) == list(other), name
    assert set(ours.columns) - set(theirs.columns) == {"seconds"}
    assert (ours["seconds"] > 0).all()


def test_degenerate_pairs_have_no_similarity(study: Study) -> None:
    rows = study.rows()
    measures = [*SIMILARITIES, "rbo_cells", "rbo_slic50"]
    assert rows.loc[rows["degenerate"], measures].isna().all(axis=None)
    assert rows.loc[~rows["degenerate"], "rbo"].notna().all()


def test_pictures_are_described_once_a_model(study: Study, plan: StudyPlan) -> None:
    images, rows = study.images(), study.rows()
    assert len(images) == 6
    first = rows.groupby(["model", "image"], observed=True).first()
    for row in images.itertuples():
        assert row.digest == find_picture(str(row.image)).digest
        assert first.loc[(row.model, row.image), "clean_prob"] == row.clean_prob
        assert 0 < row.object_share < 1  # scenes come with outlines
        classifier, picture = load_classifier(str(row.model)), find_picture(str(row.image))
        own = properties_of(model_input(classifier, picture).numpy(), model_mask(classifier, picture))
        assert {name: getattr(row, name) for name in own} == pytest.approx(own)
        assert row.label and row.licence
        classifier = load_classifier(str(row.model), "cpu")
        picture = find_picture(str(row.image))
        clean = model_input(classifier, picture).numpy()
        for name, value in properties_of(clean, model_mask(classifier, picture)).items():
            assert getattr(row, name) == pytest.approx(value, abs=1e-12), name


def probabilities(*values: float) -> Explained:
    return Explained(np.array(values, dtype=np.float32), 0, {}, {}, False)


def test_classes_tie_to_within_float_error() -> None:
    assert is_tie(probabilities(0.4, 0.4, 0.2))
    assert is_tie(probabilities(0.4, 0.4 + 0.4 * TIE, 0.2))
    assert not is_tie(probabilities(0.4, 0.4001, 0.1999))
    assert not is_tie(probabilities(1.0))


def test_a_row_does_not_depend_on_what_was_computed_before(plan: StudyPlan) -> None:
    ready, _ = plan_at_hand(plan, "cpu")
    one, other = UnitWorker(ready), UnitWorker(ready)
    other.compute(ready.units[0])
    last = ready.units[2]  # of the same model
    assert last.model == ready.units[0].model
    a, b = (worker.compute(last).table.drop_columns("seconds") for worker in (one, other))
    pd.testing.assert_frame_equal(a.to_pandas(), b.to_pandas(), check_exact=True)


@pytest.mark.parametrize("model", ["efficientnet_lite0", "shapes_resnet", "shapes_vgg", "shapes_vit"])
def test_no_row_depends_on_the_batch(model: str) -> None:
    plan = StudyPlan(
        (model,), ("photos" if model == "efficientnet_lite0" else "shapes",),
        # The methods with passes of their own go picture by picture; one network shows it.
        (*PAPER_SIX, "cfcam") if model == "shapes_resnet" else ("gradcam", "xgradcam", "layercam", "cfcam"),
        ("gaussian_noise",), seeds=3, layers=("before", "default"), limit=1, decompose=True,
    )  # fmt: skip
    ready, _ = plan_at_hand(plan, "cpu")
    workers = [UnitWorker(dataclasses.replace(ready, batch=batch)) for batch in (1, 16, 1000)]
    if model != "shapes_vgg":
        # Reference pictures are explained one at a time, whatever the batch; one network shows it.
        workers[1]._references = workers[2]._references = workers[0]._references
    small, default, large = (worker.compute(ready.units[0]).table.drop(["seconds"]) for worker in workers)
    # The clean picture and its versions go as 6 + 6 + …, as 12 + …, and all at once; some are flipped and asked anew.
    assert len(small) == count_pairs(plan) and plan.versions() > 12
    assert any(small["flipped"].to_pylist())
    assert small.equals(default) and small.equals(large)


def test_other_weights_are_another_study(plan: StudyPlan) -> None:
    ready, _ = plan_at_hand(plan, "cpu")
    changed = dataclasses.replace(ready, fingerprints=dict.fromkeys(plan.models, "0" * 32))
    with pytest.raises(BadStudy, match="other weights"):
        UnitWorker(changed).compute(ready.units[0])


@pytest.mark.parametrize("model", ["shapes_resnet", "shapes_vit"])
def test_resuming_from_a_layer_is_starting_anew(model: str) -> None:
    classifier = load_classifier(model, "cpu")
    pictures = torch.rand(3, 3, *classifier.input_size, generator=torch.Generator().manual_seed(0))
    z = classifier.normalise(pictures)
    names = [layer.name for layer in classifier.layers][-2:]
    resuming = ResumingClassifier(classifier)
    for layer in (*names, names[0], names[1]):  # forth, back, and forth again
        assert torch.allclose(resuming.head(z, layer), classifier.head(z, layer), atol=1e-5)
    other = z + 0.1
    assert torch.allclose(resuming.head(other, names[1]), classifier.head(other, names[1]), atol=1e-5)
    assert torch.equal(resuming.logits(pictures), classifier.logits(pictures))

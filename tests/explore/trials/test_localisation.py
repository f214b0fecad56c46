"""A scene's pair against the outline of its picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from camlab.common.errors import BadImage
from camlab.drawing.pictures import ENLARGE, lay_over, object_ink
from camlab.engine.engine import Engine
from camlab.engine.shared import model_mask
from camlab.explore.output.panels import draw_panel, outline_layer
from camlab.explore.output.record import localisation_record
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.explore.trials.localisation import PairLocalisation, localise, object_mask, why_not
from camlab.images import Picture, find_picture
from camlab.metrics.localisation import best_iou, energy_inside, mask_at_input, pointing_game
from camlab.models.classifier import Classifier

DOG = "photos/german_shepherd"


@pytest.fixture(scope="module")
def engine(lite0: Classifier) -> Engine:
    return Engine(lite0)


def scene_of(engine: Engine, picture: Picture, **changes: object) -> Scene:
    return Scene(engine, picture, ExploreState(image=picture.id, **changes))  # type: ignore[arg-type]


def pair(scene: Scene) -> Shown:
    return scene.shown(2.0, 0)


def with_mask(picture: Picture, mask: object) -> Picture:
    def read() -> np.ndarray | None:
        if isinstance(mask, Exception):
            raise mask
        return mask  # type: ignore[return-value]

    return dataclasses.replace(picture, id=f"{picture.id}_{id(mask)}", _mask=read)


def test_every_measure_is_that_of_the_map_enlarged_and_the_mask_cropped(engine: Engine, lite0: Classifier) -> None:
    scene = scene_of(engine, find_picture(DOG))
    shown = pair(scene)
    found = localise(scene, shown)
    assert isinstance(found, PairLocalisation)
    whole = scene.picture.mask()
    assert whole is not None
    mask = mask_at_input(whole, lite0.preprocessing)
    assert np.array_equal(found.mask, mask)
    import torch

    for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
        small = torch.from_numpy(explained.maps["gradcam"].copy())[None, None].double()
        large = torch.nn.functional.interpolate(small, mask.shape, mode="bilinear")[0].numpy()
        got = {m.name: getattr(m, side) for m in found.measures}
        assert got["pointing_game"] == pytest.approx(pointing_game(large, mask)[0])
        assert got["energy_pointing"] == pytest.approx(energy_inside(large, mask)[0])
        overlap, threshold = best_iou(large, mask)
        assert got["best_iou"] == pytest.approx(overlap[0], abs=1e-6)
        cut = found.thresholds[("clean", "perturbed").index(side)]
        assert cut == pytest.approx(threshold[0], abs=1e-5)
        hit = large[0] >= threshold[0] - 1e-6  # what the threshold says, counted by hand
        assert (hit & mask).sum() / (hit | mask).sum() == pytest.approx(overlap[0], abs=5e-3)
    assert found.record()["best_iou"]["clean"] == {m.name: m.clean for m in found.measures}["best_iou"]
    assert localisation_record(scene, shown) == found.record()


def test_a_degenerate_map_is_not_observed(engine: Engine) -> None:
    scene = scene_of(engine, find_picture(DOG))
    shown = pair(scene)
    nothing = dataclasses.replace(
        shown.perturbed,
        maps={"gradcam": np.zeros_like(shown.perturbed.maps["gradcam"])},
        degenerate={"gradcam": True},
    )
    found = localise(scene, dataclasses.replace(shown, perturbed=nothing))
    assert found is not None and found.thresholds[1] is None and found.thresholds[0] is not None
    assert all(m.perturbed is None and m.clean is not None for m in found.measures)


@pytest.mark.parametrize("fill", [True, False])
def test_without_a_usable_mask_there_is_a_reason_in_its_place(engine: Engine, fill: bool) -> None:
    size = find_picture(DOG).load().size[::-1]
    scene = scene_of(engine, with_mask(find_picture(DOG), np.full(size, fill)), outline=True)
    assert object_mask(scene) is None and localise(scene, pair(scene)) is None
    assert why_not(scene).startswith("The object fills all or none of the part that the model sees")
    assert outline_layer(scene) is None and localisation_record(scene, pair(scene)) is None
    bare = scene_of(engine, find_picture("places/taj_mahal"))
    assert object_mask(bare) is None and why_not(bare).startswith("This picture comes without an outline")


def test_an_outline_that_cannot_be_read_is_said_and_stops_no_panel(engine: Engine) -> None:
    broken = with_mask(find_picture(DOG), BadImage("The outline has gone; choose another picture."))
    scene = scene_of(engine, broken, outline=True)
    with pytest.raises(BadImage, match="outline has gone"):
        object_mask(scene)
    assert outline_layer(scene) is None and localisation_record(scene, pair(scene)) is None


def test_the_mask_is_read_once(engine: Engine, lite0: Classifier) -> None:
    reads = []
    picture = find_picture(DOG)

    def read() -> np.ndarray | None:
        reads.append(1)
        return picture.mask()

    counted = dataclasses.replace(picture, title="counted", _mask=read)
    first, second = model_mask(lite0, counted), model_mask(lite0, counted)
    assert first is second and len(reads) == 1


def test_the_outline_lies_on_the_objects_border_and_nowhere_else(engine: Engine) -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 8:22] = True
    layer = object_ink(mask)
    assert layer.shape == (40, 60, 4)
    drawn = layer[..., 3] > 0
    inside = np.repeat(np.repeat(mask, ENLARGE, 0), ENLARGE, 1)
    rows, columns = np.nonzero(drawn)
    assert rows.min() >= 2 * 5 - 4 and rows.max() <= 2 * 15 + 3
    assert columns.min() >= 2 * 8 - 4 and columns.max() <= 2 * 22 + 3
    assert not drawn[16:24, 24:36].any()  # deep inside
    assert drawn[10, 30] and drawn[29, 30] and drawn[20, 16] and drawn[20, 43]
    assert inside[10, 30] and inside[29, 30]
    grey = np.full((40, 60, 3), 100, np.uint8)
    laid = lay_over(grey, layer)
    assert (laid[~drawn] == 100).all() and (laid[drawn] != 100).all()


def test_panels_have_the_outline_where_the_state_asks_for_it(engine: Engine) -> None:
    picture = find_picture(DOG)
    plain, outlined = (scene_of(engine, picture, outline=on) for on in (False, True))
    shown = pair(plain)
    before, after = (draw_panel(s, shown.clean, "image") for s in (plain, outlined))
    layer = outline_layer(outlined)
    assert layer is not None and outline_layer(plain) is None
    assert np.array_equal((before != after).any(axis=2), (lay_over(before, layer) != before).any(axis=2))
    assert (before != after).any()

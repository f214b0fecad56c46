"""Perturbed pictures: made once where the model is needed, kept within bounds, keyed by all that decides them."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.common.errors import BadSetting, Cancelled
from camlab.common.jobs import in_background
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.engine.inputs import Inputs
from camlab.engine.shared import engine_for
from camlab.engine.spec import CLEAN, Spec
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture
from camlab.models.classifier import Classifier
from camlab.noise import Surroundings, no_companion, perturb
from tests.cams.stub import Stub, random_pictures, signed_stub
from tests.rounding import ROUNDED_ONCE, apart

CLEAN_PICTURE, OTHER_PICTURE = random_pictures(2, seed=7)
ATTACKED = [Spec("pgd", 3.0, 0), CLEAN, Spec("fgsm", 2.0, 5), Spec("pgd", 3.0, 1), Spec("fog", 2.0, 0)]


class Counting(Stub):
    """A stub that counts the pictures whose logits are asked for."""

    asked: int

    @classmethod
    def of(cls, stub: Stub) -> Counting:
        stub.__class__ = cls
        assert isinstance(stub, Counting)
        stub.asked = 0
        return stub

    def logits(self, x: Tensor) -> Tensor:
        self.asked += len(x)
        return super().logits(x)


@pytest.fixture
def stub() -> Counting:
    return Counting.of(signed_stub())


def inputs(stub: Stub, **more: int) -> Inputs:
    return Inputs(stub, DeviceQueue(), no_companion, **more)


def test_equals_perturb_row_by_row(stub: Counting) -> None:
    made = inputs(stub).make(CLEAN_PICTURE, "x", ATTACKED)
    assert torch.equal(made[1], CLEAN_PICTURE)
    for row in (0, 2, 3, 4):
        spec = ATTACKED[row]
        alone = perturb(
            CLEAN_PICTURE[None], str(spec.noise), spec.severity, spec.seed, "x", Surroundings(signed_stub())
        )
        assert torch.equal(made[row], alone[0]) and not torch.equal(made[row], CLEAN_PICTURE)


def test_no_version_is_made_twice(stub: Counting) -> None:
    maker = inputs(stub)
    first = maker.make(CLEAN_PICTURE, "x", ATTACKED)
    made = stub.asked
    assert made == (1 + 2 * 10) + 2
    first_again = first.clone()
    first.zero_()  # what is given out is the caller's own
    assert torch.equal(maker.make(CLEAN_PICTURE.clone(), "x", ATTACKED), first_again)
    same = [Spec("fgsm", 2.0, 99), Spec("pgd", 3.0, 0), Spec("pgd", 3.0, 0), Spec("pgd", 0.0, 4)]
    again = maker.make(CLEAN_PICTURE, "x", same)  # fgsm draws nothing: one version for all seeds
    assert torch.equal(again[0], first_again[2]) and torch.equal(again[2], first_again[0])
    assert torch.equal(again[3], CLEAN_PICTURE)
    assert stub.asked == made
    for other in ((CLEAN_PICTURE, "y"), (OTHER_PICTURE, "x")):
        before = stub.asked
        maker.make(*other, [Spec("pgd", 3.0, 0)])
        assert stub.asked == before + 11, "digest and pixels both decide"


def test_what_is_kept_is_bounded(stub: Counting) -> None:
    size = CLEAN_PICTURE.nbytes
    maker = inputs(stub, limit=2 * size)
    specs = [Spec("fgsm", s) for s in (1.0, 2.0, 3.0)]
    for spec in specs:
        maker.make(CLEAN_PICTURE, "x", [spec])
    gc.collect()
    assert maker._attacked.currsize == 2 * size
    assert sum(kept.untyped_storage().nbytes() for kept in maker._attacked.values()) == 2 * size
    before = stub.asked
    maker.make(CLEAN_PICTURE, "x", specs[1:])
    assert stub.asked == before
    maker.make(CLEAN_PICTURE, "x", specs[:1])
    assert stub.asked == before + 2
    nothing = inputs(stub, limit=1)
    assert torch.equal(nothing.make(CLEAN_PICTURE, "x", specs), maker.make(CLEAN_PICTURE, "x", specs))


def test_threads_that_want_the_same_version_make_it_once(stub: Counting) -> None:
    maker, gate = inputs(stub), threading.Barrier(4)

    def ask(_: int) -> Tensor:
        gate.wait()
        return maker.make(CLEAN_PICTURE, "x", ATTACKED)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert all(torch.equal(each, found[0]) for each in found)
    assert stub.asked == 21 + 2


def test_the_device_is_taken_and_given_back(stub: Counting) -> None:
    maker = inputs(stub)
    steps = []

    def check() -> None:
        steps.append(maker.queue._busy)
        if len(steps) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        maker.make(CLEAN_PICTURE, "x", [Spec("pgd", 3.0)], check)
    assert steps == [True] * 5 and not maker.queue._busy
    assert maker.make(CLEAN_PICTURE, "x", [Spec("pgd", 3.0)]).shape == (1, 3, 12, 10)


def test_who_is_waited_for_goes_between_the_steps_of_the_background(stub: Counting) -> None:
    maker = inputs(stub)
    order: list[str] = []
    ahead = threading.Event()

    def urgent() -> None:
        with maker.queue.turn():
            order.append("urgent")
        ahead.set()

    visitor = threading.Thread(target=urgent)

    def check() -> None:
        order.append("step")
        if len(order) == 2:
            visitor.start()
            while not maker.queue.waiting and not ahead.is_set():
                pass

    token = in_background.set(True)
    try:
        maker.make(CLEAN_PICTURE, "x", [Spec("pgd", 3.0)], check)
    finally:
        in_background.reset(token)
    visitor.join()
    assert "urgent" in order[:-3], "it did not wait for all ten steps"


# in the engine


def test_an_engine_attacks_its_own_model_and_computes_each_picture_once(stub: Counting) -> None:
    stub.double()
    engine = Engine(stub, queue=DeviceQueue())
    specs = [Spec("pgd", s, 0) for s in (1.0, 3.0)]
    found = engine.explain(CLEAN_PICTURE, "x", specs, ["gradcam"], "cut")
    made = stub.asked
    pictures = engine.inputs(CLEAN_PICTURE, "x", specs)
    assert stub.asked == made
    logits = signed_stub().double().logits(pictures).softmax(1)
    assert apart(np.stack([e.probabilities for e in found]), logits).max() <= ROUNDED_ONCE
    assert engine.explain(CLEAN_PICTURE, "x", specs, ["gradcam"], "cut")[0].cached
    with pytest.raises(Cancelled):
        engine.explain(CLEAN_PICTURE, "x", [Spec("pgd", 5.0, 0)], ["gradcam"], "cut", check=_cancel)


def _cancel() -> None:
    raise Cancelled


def test_the_second_picture_is_part_of_the_key() -> None:
    second = {"x": OTHER_PICTURE}
    engine = Engine(signed_stub().double(), queue=DeviceQueue(), companion=second.get)
    spec = [Spec("captured", 5.0)]

    def ask(digest: str = "x") -> tuple[np.ndarray, bool]:
        found = engine.explain(CLEAN_PICTURE, digest, spec, ["gradcam"], "cut")[0]
        return found.probabilities, found.cached

    first, cached = ask()
    assert not cached and ask()[1]
    expected = engine.explain(OTHER_PICTURE, "other", [CLEAN], ["gradcam"], "cut")[0].probabilities
    assert apart(first, expected).max() <= ROUNDED_ONCE
    second["x"] = random_pictures(1, seed=9)[0]
    other, cached = ask()
    assert not cached and np.abs(other - first).max() > 1e-4
    second["x"] = OTHER_PICTURE
    assert ask()[1] and np.array_equal(ask()[0], first)
    del second["x"]
    with pytest.raises(BadSetting, match="upload a pair"):
        ask()
    with pytest.raises(BadSetting, match="upload a pair"):
        ask("y")


def test_the_number_of_threads_is_part_of_an_attacks_key() -> None:
    engine = Engine(signed_stub(), queue=DeviceQueue())
    threads = torch.get_num_threads()

    def cached(noise: str) -> bool:
        return engine.explain(CLEAN_PICTURE, "x", [Spec(noise, 3.0)], ["gradcam"], "cut")[0].cached

    try:
        assert not cached("pgd") and not cached("fog") and cached("pgd")
        torch.set_num_threads(threads + 1)
        assert not cached("pgd") and cached("fog")
    finally:
        torch.set_num_threads(threads)


def test_keys_of_other_noise_types_are_what_they_were() -> None:
    """An unused second picture does not change the key of any entry."""
    plain = Engine(signed_stub(), queue=DeviceQueue())
    paired = Engine(signed_stub(), plain.cache, queue=DeviceQueue(), companion=lambda _: OTHER_PICTURE)
    for engine, cached in ((plain, False), (paired, True)):
        found = engine.explain(CLEAN_PICTURE, "x", [Spec("fog", 2.0), Spec("fgsm", 1.0)], ["gradcam"], "cut")
        assert [each.cached for each in found] == [cached, cached]


# with a real network


def test_a_scene_says_what_its_noise_lacks(pictures: tuple[Picture, ...]) -> None:
    engine = engine_for("efficientnet_lite0", "cpu")
    state = ExploreState(noise="captured", segmentation="slic")
    reason = Scene(engine, pictures[0], state).lacking
    assert reason is not None and "upload a pair" in reason
    for noise in ("fog", "pgd"):
        assert Scene(engine, pictures[0], replace(state, noise=noise)).lacking is None


def test_a_real_network_is_led_astray(lite0: Classifier, inputs: Tensor) -> None:
    clean = inputs[:1]
    here = Surroundings(lite0)
    first, second = lite0.logits(clean)[0].topk(2).indices.tolist()
    for name in ("fgsm", "pgd", "fgsm_targeted", "pgd_targeted"):
        out = perturb(clean, name, 2, 0, "x", here)
        before, after = (lite0.logits(x).softmax(1)[0] for x in (clean, out))
        if name.endswith("targeted"):
            assert after[second] > 3 * before[second]
        else:
            assert after[first] < before[first] / 2
        if name == "pgd":
            assert after.argmax() != first
        if name == "pgd_targeted":
            assert after.argmax() == second
        assert (out - clean).abs().max() <= 2 / 255 + 2**-24

"""The shared pass, the registry and the scaling."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from camlab.cams import CAMS, PAPER_SIX, cam_method, scale_maps, shared_pass
from camlab.common.errors import UnknownName
from tests.cams.stub import hand_stub, random_pictures, run, signed_stub
from tests.rounding import DOUBLE, apart

ORDER = [
    "gradcam",
    "gradcam++",
    "xgradcam",
    "ablationcam",
    "hirescam",
    "eigencam",
    "layercam",
    "gradcam_elementwise",
    "eigengradcam",
    "cfcam",
    "scorecam",
    "scorecam_top",
    "randomcam",
]


def test_registry_keeps_its_order_whatever_file_a_method_is_in() -> None:
    assert [name for name in CAMS if name in ORDER] == ORDER
    assert list(CAMS)[-1] == "randomcam"
    assert set(PAPER_SIX) <= set(CAMS) and len(PAPER_SIX) == 6


def test_every_entry_has_words_for_people() -> None:
    for name, method in CAMS.items():
        assert method.name == name
        assert method.title and method.source
        assert method.summary.endswith(".") and method.summary.count(". ") == 0


def test_unknown_method_is_one_sentence_with_a_hint() -> None:
    with pytest.raises(UnknownName, match="did you mean 'gradcam'"):
        CAMS["gradcm"]


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        cam_method("gradcam", title="", summary="", source="", uses_gradients=True)(CAMS["gradcam"].apply)


def test_hand_computed_gradcam() -> None:
    # A₁ = [[−5, 4], [31, 40]], mean gradient 3/4; A₂ = [[−30, −21], [6, 15]], mean gradient −2/4.
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)
    shared = run(hand_stub(), picture, [0])
    assert shared.activations[0].tolist() == [[[-5, 4], [31, 40]], [[-30, -21], [6, 15]]]
    assert CAMS["gradcam"].apply(shared)[0].tolist() == [[11.25, 13.5], [20.25, 22.5]]
    # Position by position: only what passes the ReLU has a gradient, +1 in channel 1 and −1 in channel 2.
    assert CAMS["hirescam"].apply(shared)[0].tolist() == [[0, 4], [25, 25]]
    assert CAMS["layercam"].apply(shared)[0].tolist() == [[0, 4], [31, 40]]
    maps, degenerate = scale_maps(CAMS["gradcam"].apply(shared))
    # Every number is exact until the quotient, which is rounded to float32.
    assert np.array_equal(maps[0], np.array([[0, 0.2], [0.8, 1]], dtype=np.float32)) and not degenerate.any()


def test_gradients_are_those_of_each_pictures_own_target() -> None:
    stub, pictures = signed_stub().double(), random_pictures(4).double()
    shared = run(stub, pictures, [0, 3, None, 3])
    assert shared.targets.tolist() == [0, 3, int(shared.logits[2].argmax()), 3]
    for row in range(4):
        alone = stub.head(stub.normalise(pictures[row : row + 1]), "cut").requires_grad_()
        stub.tail(alone, "cut")[0, shared.targets[row]].backward()  # type: ignore[no-untyped-call]
        assert alone.grad is not None and alone.grad.any()
        assert apart(shared.grads[row], alone.grad[0]).max() <= DOUBLE * float(alone.grad.abs().max())
    assert torch.equal(shared.scores, shared.logits[range(4), shared.targets])


def test_a_tail_that_works_in_place_leaves_the_activations_alone() -> None:
    pictures = random_pictures(2)
    for gradients in (True, False):
        ours = run(signed_stub(inplace=True), pictures, gradients=gradients)
        theirs = run(signed_stub(inplace=False), pictures, gradients=gradients)
        assert torch.equal(ours.activations, theirs.activations) and bool((ours.activations < 0).any())
        assert torch.equal(ours.logits, theirs.logits)


def test_nothing_is_left_on_the_model() -> None:
    stub = signed_stub()
    before = {key: value.clone() for key, value in stub.split.state_dict().items()}
    for gradients in (True, False):
        shared = run(stub, random_pictures(2), gradients=gradients)
        assert not shared.logits.requires_grad and not shared.activations.requires_grad
    for module in stub.split.modules():
        assert not module._forward_hooks and not module._backward_hooks and not module._forward_pre_hooks
        assert not module.training
    assert all(p.grad is None and not p.requires_grad for p in stub.split.parameters())
    assert all(torch.equal(before[key], value) for key, value in stub.split.state_dict().items())


def test_without_gradients_there_is_no_graph_and_asking_for_them_is_an_error() -> None:
    class Watching(type(signed_stub())):  # type: ignore[misc]
        modes: list[bool] = []  # noqa: RUF012 - collects over the whole test

        def tail(self, activations: Tensor, layer: str) -> Tensor:
            self.modes.append(torch.is_grad_enabled() and activations.requires_grad)
            return super().tail(activations, layer)  # type: ignore[no-any-return]

    stub = signed_stub()
    stub.__class__ = Watching
    shared = run(stub, random_pictures(2), gradients=False)
    assert Watching.modes == [False]
    with pytest.raises(ValueError, match="uses_gradients"):
        _ = shared.grads
    run(stub, random_pictures(2), gradients=True)
    assert Watching.modes == [False, True]


def test_methods_say_rightly_whether_they_use_gradients_and_the_class() -> None:
    stub, pictures = signed_stub(), random_pictures(2)
    for method in CAMS.values():
        if method.serves(stub, "cut") is not None:
            continue  # tests/cams/test_library.py has networks that these can serve
        shared = run(stub, pictures, gradients=False)
        if method.uses_gradients:
            with pytest.raises(ValueError):
                method.apply(shared)
        else:
            method.apply(shared)
        one, other = (method.apply(run(stub, pictures, [goal] * 2)) for goal in (0, 1))
        assert torch.equal(one, other) != method.class_specific, method.name


def test_works_inside_a_callers_no_grad() -> None:
    with torch.no_grad():
        inside = run(signed_stub(), random_pictures(1))
    assert torch.equal(inside.grads, run(signed_stub(), random_pictures(1)).grads)


# scaling


@pytest.mark.parametrize("name", [name for name in ORDER if name != "randomcam"])
def test_a_map_that_has_nothing_to_say_is_degenerate(name: str) -> None:
    # Every channel the same everywhere: no method can prefer a place.
    stub = signed_stub()
    shared = run(stub, random_pictures(2))
    constant = torch.full_like(shared.activations, 0.3) * torch.linspace(-1, 2, 7)[:, None, None]
    flat = dataclasses.replace(shared, activations=constant, native=constant, gradients=torch.full_like(constant, 0.01))
    maps, degenerate = scale_maps(CAMS[name].apply(flat))
    assert degenerate.all() and not maps.any()


def test_empty_batch() -> None:
    shared = shared_pass(signed_stub(), "cut", torch.zeros(0, 3, 12, 10), [], [], gradients=False)
    assert shared.logits.shape == (0, 5)

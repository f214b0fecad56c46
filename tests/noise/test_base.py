"""The registry, the way from severity to parameters, the random streams, and what perturb refuses."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import camlab.noise
from camlab.common.errors import BadSetting, UnknownName
from camlab.noise import FAMILIES, NOISES, noise_type, parameters_at, perturb, stream
from tests.noise.twins import DIGESTS, TABLE
from tests.rounding import apart

# Level 0 of every type, and the levels that are written otherwise than in the published table.
IDENTITY = {
    "contrast": (1,),
    "saturate": (1, 0),
    "pixelate": (1,),
    "jpeg_compression": (100,),
    "fog": (0, 2),
    "zoom_blur": (1, 0.01),
    "defocus_blur": (0, 0),
    "motion_blur": (0, 0),
}


@pytest.mark.parametrize("name", TABLE)
def test_levels_are_the_published_ones(name: str) -> None:
    published = [row if isinstance(row, tuple) else (row,) for row in TABLE[name]]
    if name == "shot_noise":  # held as 1/c, which is what is linear between the levels
        published = [(1 / row[0],) for row in published]
    if name == "zoom_blur":  # held as the last factor of the range instead of its open end
        published = [(np.arange(1, *row)[-1], row[1]) for row in published]
    assert np.allclose(NOISES[name].levels, [IDENTITY.get(name, (0,)), *published], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", NOISES.values(), ids=list(NOISES))
def test_rows_are_complete(kind: camlab.noise.NoiseType) -> None:
    assert kind is NOISES[kind.name]
    assert kind.family in FAMILIES
    assert kind.title and kind.summary.endswith(".") and kind.summary.count(".") == 1
    assert len(kind.levels) == 6 and all(len(row) == len(kind.parameters) for row in kind.levels)
    assert kind.apply.__doc__
    # A path is monotone when each parameter moves one way only from level to level.
    steps = np.diff(np.array(kind.levels), axis=0)
    assert kind.monotone == all((column >= 0).all() or (column <= 0).all() for column in steps.T)


def test_families_come_in_their_order_and_what_draws_is_flagged() -> None:
    order = [FAMILIES.index(kind.family) for kind in NOISES.values()]
    assert order == sorted(order) and set(order) == set(range(len(FAMILIES)))
    draws = [*list(TABLE)[:6], "motion_blur", "fog", "occlusion"]
    assert [name for name in TABLE if NOISES[name].stochastic] == draws
    assert [name for name in TABLE if not NOISES[name].monotone] == ["saturate"]


@pytest.mark.parametrize("name", TABLE)
@given(severity=st.floats(0, 5))
def test_parameters_are_linear_between_the_levels(name: str, severity: float) -> None:
    columns = np.array(NOISES[name].levels).T
    expected = [np.interp(severity, range(6), column) for column in columns]
    assert np.allclose(parameters_at(name, severity), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_parameters_at_a_level_are_its_row_exactly(name: str) -> None:
    assert tuple(parameters_at(name, level) for level in range(6)) == NOISES[name].levels


@pytest.mark.parametrize("severity", [math.nan, math.inf, -math.inf, -1e-9, 5.0001, 7, "3", None, True, 1j])
def test_a_severity_that_is_no_number_from_0_to_5_is_refused(severity: object, pictures: Tensor) -> None:
    with pytest.raises(BadSetting, match="0 to 5"):
        parameters_at("gaussian_noise", severity)  # type: ignore[arg-type]
    for value in (severity, [1.0, severity, 2.0]):
        with pytest.raises(BadSetting, match="0 to 5"):
            perturb(pictures, "gaussian_noise", value, 0, DIGESTS)  # type: ignore[arg-type]


def test_an_unknown_type_is_refused_with_a_hint(pictures: Tensor) -> None:
    with pytest.raises(UnknownName, match="gaussian_noise"):
        perturb(pictures, "gausian_noise", 1, 0, DIGESTS)
    with pytest.raises(UnknownName):
        parameters_at("nothing of the kind", 1)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(3, 8, 8),
        torch.zeros(1, 1, 8, 8),
        torch.zeros(1, 8, 8, 3),
        torch.zeros(1, 3, 0, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.float64),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, device="meta"),
        torch.full((1, 3, 8, 8), 1.5),
        torch.full((1, 3, 8, 8), -0.1),
        torch.full((1, 3, 8, 8), math.nan),
        np.zeros((1, 3, 8, 8), dtype=np.float32),
        None,
    ],
    ids=str,
)
def test_what_is_no_batch_of_pictures_is_refused(images: Tensor) -> None:
    with pytest.raises(BadSetting, match=r"^Pictures to perturb .*[.]$"):
        perturb(images, "gaussian_noise", 1, 0, "x")


def test_one_value_for_all_or_one_a_picture(pictures: Tensor) -> None:
    for wrong in (
        (pictures, "fog", [1, 2], 0, DIGESTS),
        (pictures, "fog", 1, [0, 1, 2, 3], DIGESTS),
        (pictures, "fog", 1, 0, DIGESTS[:2]),
    ):
        with pytest.raises(BadSetting, match="for 3 pictures"):
            perturb(*wrong)
    for seed in (0.5, "0", None, True):
        with pytest.raises(BadSetting, match="whole number"):
            perturb(pictures, "fog", 1, seed, DIGESTS)  # type: ignore[arg-type]
    spread = perturb(pictures, "fog", [1.0] * 3, [4] * 3, ["x"] * 3)
    assert torch.equal(spread, perturb(pictures, "fog", 1, 4, "x"))
    assert torch.equal(spread, perturb(pictures, "fog", np.ones(3), np.full(3, 4), "x"))  # type: ignore[arg-type]


def test_no_pictures_make_no_pictures() -> None:
    assert perturb(torch.zeros(0, 3, 8, 8), "fog", 3, 0, []).shape == (0, 3, 8, 8)


def test_streams_are_the_same_everywhere() -> None:
    """Pinned: a change here changes every stored result."""
    drawn = stream(0, "gaussian_noise", "x").integers(0, 2**32, 3).tolist()
    assert drawn == [480411078, 1703810065, 3365321456]
    assert stream(0, "gaussian_noise", "x").standard_normal() == pytest.approx(-0.3616647551825205, abs=1e-12)


def test_streams_differ_by_each_of_their_three_words() -> None:
    words = [
        (0, "a", "b"),
        (1, "a", "b"),
        (0, "b", "b"),
        (0, "a", "c"),
        (0, "b", "a"),
        (0, "ab", ""),
        (-1, "a", "b"),
    ]
    words += [(10, "a", "b"), (1, "0a", "b"), (0, 'a", "b', ""), (0, "a\0", "b"), (2**70, "a", "é")]
    assert len({stream(*each).random() for each in words}) == len(words)


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NOISES, "_entries", dict(NOISES._entries))


def test_one_decorated_function_is_a_new_type(scratch: None, pictures: Tensor) -> None:
    @noise_type(
        "tint",
        title="Tint",
        family="Digital",
        summary="Adds a drawn tint.",
        parameters=("strength",),
        levels=((0.0,), (0.1,), (0.2,), (0.3,), (0.4,), (9.0,)),
        stochastic=True,
    )
    def tint(x: Tensor, parameters: Tensor, streams: Sequence[np.random.Generator]) -> Tensor:
        assert parameters.dtype == torch.float64 and len(streams) == len(x) == len(parameters) == 2
        return x + torch.tensor([p * s.random() for p, s in zip(parameters[:, 0], streams, strict=True)])[
            :, None, None, None
        ].to(x.dtype)

    assert list(NOISES)[-1] == "tint"
    tinted = perturb(pictures, "tint", [1.5, 0, 5], 3, DIGESTS)
    assert torch.equal(tinted[1], pictures[1])
    shift = torch.tensor(0.15000000000000002 * stream(3, "tint", DIGESTS[0]).random()).to(torch.float32)
    assert apart(tinted[0], (pictures[0] + shift).clamp(0, 1)).max() <= 2.0**-23  # the shift and the sum, rounded
    assert tinted[2].max() == 1.0  # clipped


def test_a_new_family_is_one_new_file(tmp_path: Path) -> None:
    """In a copy of the package, in a process of its own."""
    package = Path(camlab.noise.__file__).parents[1]
    for file in (
        "__init__.py",
        *(f"common/{name}.py" for name in ("__init__", "errors", "registry", "torch_state")),
        *(f"noise/{f.name}" for f in Path(package, "noise").glob("*.py")),
    ):
        target = Path(tmp_path, "camlab", file)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(package, file), target)
    source = Path(package, "noise", "occlusion.py").read_text(encoding="utf-8")
    new = Path(tmp_path, "camlab", "noise", "curtain.py")
    new.write_text(source.replace('"occlusion",', '"curtain",'), encoding="utf-8")
    asked = [sys.executable, "-c", "from camlab.noise import NOISES; print(*NOISES)"]
    names = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(names) == sorted([*NOISES, "curtain"])
    assert names[: len(TABLE)] == list(TABLE)  # the families named first come first


@pytest.mark.parametrize(
    "wrong", [{"levels": ((0.0,),) * 5}, {"levels": ((0.0, 1.0),) * 6}, {"family": "Magic"}, {"name": "fog"}]
)
def test_a_malformed_row_is_refused(wrong: dict[str, object], scratch: None) -> None:
    row: dict[str, Any] = {
        "name": "new",
        "title": "T",
        "family": "Digital",
        "summary": "S.",
        "parameters": ("p",),
    }
    row |= {"levels": ((0.0,),) * 6, "stochastic": False, **wrong}
    with pytest.raises(ValueError, match=r"fog|new"):
        noise_type(row.pop("name"), **row)(lambda x, parameters, streams: x)

"""Preprocessing gives the pixels that timm gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from camlab.common.errors import BadSetting
from camlab.models.classifier import Classifier
from camlab.models.preprocessing import Preprocessing


def test_preprocessing_equals_timms(classifier: Classifier) -> None:
    from timm.data import create_transform, resolve_model_data_config

    config = resolve_model_data_config(classifier.module)
    transform = create_transform(**config, is_training=False)
    for array in (data.coffee(), data.chelsea()[:, :301], data.astronaut()[3:, 40:]):
        image = Image.fromarray(array)
        ours = classifier.preprocess(image)
        assert ours.shape == (3, *classifier.input_size)
        assert ours.dtype == torch.float32
        assert 0 <= float(ours.min()) < float(ours.max()) <= 1
        torch.testing.assert_close(classifier.normalise(ours[None])[0], transform(image), rtol=0, atol=1e-6)


def test_a_very_long_picture_is_cut_before_it_is_resized(lite0: Classifier) -> None:
    rng = np.random.default_rng(0)
    long = Image.fromarray(rng.integers(0, 256, (9, 9 * 40 + 1, 3), dtype=np.uint8))
    whole = long.resize((int(256 * long.width / 9), 256), Image.Resampling.BICUBIC)
    left = round((whole.width - 224) / 2)
    expected = np.asarray(whole.crop((left, 16, left + 224, 240)), dtype=np.float32) / 255
    for image, wanted in (
        (long, expected),
        (long.transpose(Image.Transpose.TRANSPOSE), expected.transpose(1, 0, 2)),
    ):
        ours = lite0.preprocess(image).permute(1, 2, 0).numpy()
        assert np.abs(ours - wanted).mean() < 0.01  # half a target pixel of shift at most
    huge = Image.new("RGB", (6_000_000, 8))  # whole, it would become 49 gigapixels
    assert lite0.preprocess(huge).shape == (3, 224, 224)


def test_a_model_that_is_not_square_gets_its_shape() -> None:
    preprocessing = Preprocessing((96, 160), 0.9, "bilinear", (0.5,) * 3, (0.5,) * 3)
    for size in ((500, 100), (100, 500), (160, 96), (31, 32)):
        assert preprocessing.apply(Image.new("RGB", size)).shape == (3, 96, 160)


@pytest.mark.parametrize("side", [(96, 160), (160, 96)])
@pytest.mark.parametrize("size", [(451, 300), (300, 451), (119, 120)])
def test_a_model_that_is_not_square_sees_what_timm_gives_it(side: tuple[int, int], size: tuple[int, int]) -> None:
    from timm.data import create_transform

    theirs = create_transform(
        input_size=(3, *side),
        crop_pct=0.9,
        crop_mode="center",
        interpolation="bicubic",
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )
    image = Image.fromarray(data.coffee()).resize(size)
    ours = Preprocessing(side, 0.9, "bicubic", (0.5,) * 3, (0.5,) * 3).apply(image)
    assert torch.allclose(ours, theirs(image), atol=1e-6)


@pytest.mark.parametrize("side", [(96, 96), (96, 160)])
@pytest.mark.parametrize("share", [1.0, 0.9])
def test_a_model_that_squashes_sees_what_timm_gives_it(side: tuple[int, int], share: float) -> None:
    from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, create_transform

    config = {"input_size": (3, *side), "crop_pct": share, "crop_mode": "squash", "interpolation": "bicubic"}
    config |= {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    preprocessing = Preprocessing.from_timm(config)
    theirs = create_transform(input_size=(3, *side), crop_pct=share, crop_mode="squash", interpolation="bicubic")
    image = Image.fromarray(data.coffee())
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    assert torch.allclose((preprocessing.apply(image) - mean) / std, theirs(image), atol=1e-5)
    whole = Image.new("RGB", (3000, 20))
    whole.paste((255, 0, 0), (0, 0, 60, 20))  # the far end of a long picture is seen, too
    assert share < 1 or preprocessing.apply(whole)[0, :, 0].min() > 0.4


@pytest.mark.parametrize(
    ("key", "value"), [("crop_mode", "border"), ("interpolation", "random"), ("input_size", (1, 28, 28))]
)
def test_unknown_preprocessing_is_refused(lite0: Classifier, key: str, value: object) -> None:
    config: Any = lite0.module.pretrained_cfg
    with pytest.raises(BadSetting):
        Preprocessing.from_timm({**config, key: value})

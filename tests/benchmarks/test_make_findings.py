"""The page of findings: its numbers are the rows', and a sentence that they do not bear out stops it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.make_findings import (
    DOCS,
    PICTURE,
    Findings,
    Refuted,
    best,
    fifth,
    first,
    fourth,
    page,
    second,
)
from camlab.cams.coincidence import BASELINE, is_baseline
from tests.study.study_frames import pictures_of

#: Similarity of kept pairs, and how much lower it is where the prediction flipped.
PHOTO = {
    "gradcam": (0.8, 0.2), "gradcam++": (0.76, 0.24), "xgradcam": (0.4, 0.0), "ablationcam": (0.56, 0.2),
    "hirescam": (0.7, 0.21), "eigencam": (0.66, 0.1), BASELINE: (0.08, 0.0),
}  # fmt: skip
SMALL = {**PHOTO, "eigencam": (0.9, 0.1)}
MODELS = {"efficientnet_lite0": PHOTO, "shapes_resnet": SMALL}


def rows_of(model: str, levels: dict[str, tuple[float, float]], layer: str, pictures: int = 24) -> list[dict[str, Any]]:
    rng = np.random.default_rng(len(model))
    rows: list[dict[str, Any]] = []
    for image in range(pictures):
        for severity in (1.0, 2.0, 3.0, 4.0, 5.0):
            for noise in ("gaussian_noise", "fog"):
                flipped = bool(rng.random() < severity / 6 - image / 40)
                for method, (kept, gap) in levels.items():
                    # Pictures that flip late are the steady ones: that is what survivors are.
                    value = kept - gap * flipped - (0.0 if gap == 0 else 0.05 * severity - image / 80)
                    value = float(np.clip(value + 0.06 * rng.standard_normal(), 0, 1))
                    rows.append({
                        "model": model, "image_set": "photos", "image": f"photos/{image:02d}", "method": method,
                        "layer": layer, "noise": noise, "severity": severity, "seed": 0, "flipped": flipped,
                        "near": flipped, "tied": False, "degenerate": False, "rbo": value,
                        "rbo_cells": float(np.clip(value + 2 * gap * flipped, 0, 1)),
                        "rbo_slic50": value, "random_floor": 0.1, "other_floor": 0.2,
                    })  # fmt: skip
    return rows


def made(models: dict[str, dict[str, tuple[float, float]]] = MODELS) -> Findings:
    layers = ("before", "last")
    table = pd.DataFrame(
        [row for model, levels in models.items() for layer in layers for row in rows_of(model, levels, layer)]
    )
    names = ["model", "image_set", "image", "method", "layer", "noise"]
    table = table.astype(dict.fromkeys(names, "category"))
    manifest = {"models": {model: {"layers": [{"name": layer} for layer in layers]} for model in models}}
    study: Any = SimpleNamespace(
        manifest=manifest, coincide=(), rows=lambda columns: table[columns], images=lambda: pictures_of(table)
    )
    return Findings(study, replicates=100)


def test_the_values_are_those_of_plain_loops() -> None:
    f = made()
    rows = f.photo.rows
    assert set(rows["layer"]) == {"before"} and set(rows["model"]) == {"efficientnet_lite0"}
    for method, record in f.methods.items():
        mine = rows[rows["method"] == method]
        c = mine.loc[~mine["flipped"], "rbo"].mean()
        r = 1 - mine.loc[mine["flipped"], "rbo"].mean()
        assert record["consistency"] == pytest.approx(c) and record["responsiveness"] == pytest.approx(r)
        assert record["rm"] == pytest.approx(c * r)
    by_c = rows[~rows["flipped"]].groupby("method", observed=True)["rbo"].mean().sort_values(ascending=False)
    assert best(f.methods, "consistency") == [m for m in by_c.index if not is_baseline(m)]


def test_the_page_names_all_that_the_rows_hold() -> None:
    f = made()
    text = page(f)
    c = f.methods["gradcam"]
    assert f"{len(f.rows):,} pairs" in text
    assert f"C {c['consistency']:.2f} [{c['consistency_low']:.2f}, {c['consistency_high']:.2f}]" in text
    assert [int(n) for n in re.findall(r"^### (\d)\.", text, re.M)] == [1, 2, 3, 4, 5]
    assert f.kept.sentence in text


@pytest.mark.parametrize(
    ("section", "changed", "claim"),
    [
        (first, {"gradcam": (0.5, 0.1)}, "Grad-CAM is the steadiest"),
        (second, {"xgradcam": (0.6, 0.15)}, "XGrad-CAM is all but blind"),
        (second, {BASELINE: (0.9, 0.0)}, "the random map has the highest R"),
    ],
)
def test_a_sentence_that_the_rows_do_not_bear_out_stops_the_page(
    section: Any, changed: dict[str, tuple[float, float]], claim: str
) -> None:
    with pytest.raises(Refuted, match=claim):
        section(made({**MODELS, "efficientnet_lite0": {**PHOTO, **changed}}))


def test_a_method_that_says_nothing_at_the_pooled_layer_is_named() -> None:
    assert "orthogonal" not in page(made())
    f = made()
    silent = (f.rows["model"] == "shapes_resnet") & (f.rows["layer"] == "last") & (f.rows["method"] == "hirescam")
    f.rows.loc[silent, "degenerate"] = True
    text = page(f)
    assert "No pair of HiResCAM on ShapeScenes ResNet has a map that says anything" in text
    count = int(silent.sum())
    nothing = " | ".join(["not observed"] * 5)
    assert f"| ShapeScenes ResNet | HiResCAM | {nothing} | {count:,} of {count:,} |" in text


def test_survivors_and_segmentations_are_counted_from_the_rows() -> None:
    f = made()
    rows = f.photo.rows[(f.photo.rows["method"] == "gradcam") & (f.photo.rows["severity"] == 5.0)]
    assert f"| 5 | {rows['flipped'].mean():.0%} | {rows.loc[~rows['flipped'], 'rbo'].mean():.2f} |" in fourth(f)
    # The SLIC column repeats the default's, so its order is the same one.
    slic = next(line for line in fifth(f).splitlines() if "50 SLIC" in line)
    assert slic.endswith("| 1.00 | 1.00 | 1.00 |")


def test_the_page_in_the_documentation_is_whole() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert "1,470,000 pairs" in text and "\ncamlab study --preset paper" in text
    assert f"(images/{PICTURE})" in text and "</svg>" in (DOCS / "images" / PICTURE).read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r"^### (\d)\.", text, re.M)] == [1, 2, 3, 4, 5]

"""The example in docs/ runs as it stands, and what it shows is what the library says."""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest
from PIL import Image

import camlab
from camlab.engine.shared import engine_for
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture

EXAMPLE = Path(camlab.__file__).parent.parent / "docs" / "example.py"


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        return runpy.run_path(str(EXAMPLE))


def test_the_pair_is_the_page_s(ran: dict[str, Any]) -> None:
    state = ExploreState(image="photos/german_shepherd")
    shown = Scene(engine_for(state.model), find_picture(state.image), state).shown(3.0, 0)
    assert ran["shown"].values == shown.values
    assert ran["verdict"].startswith(("kept: German shepherd", "flipped: German shepherd"))
    assert ran["rbo"] == pytest.approx(shown.values["rbo"], abs=1e-12)
    np.testing.assert_array_equal(ran["noisy"][0].numpy(), shown.perturbed_input)


def test_the_scores_follow_from_the_draws(ran: dict[str, Any]) -> None:
    draws, scores = ran["draws"], ran["scores"]
    assert sorted(draws["seed"]) == list(range(16))
    assert scores.n == 16
    assert scores.n_flipped == draws["flipped"].sum()
    assert 0 < scores.n_flipped < 16  # the picture was chosen so that C and R are both observed
    kept, flipped = (draws.loc[draws["flipped"] == side, "similarity"] for side in (False, True))
    assert scores.consistency == pytest.approx(kept.mean())
    assert scores.responsiveness == pytest.approx(1 - flipped.mean())
    assert scores.rm == pytest.approx(kept.mean() * (1 - flipped.mean()))
    assert 0 < ran["floors"].random < 1
    assert 0 < ran["floors"].other < 1


def test_the_panels_are_a_picture(ran: dict[str, Any]) -> None:
    with Image.open(io.BytesIO(ran["panels"].read_bytes())) as image:
        assert image.format == "PNG"
        assert image.width > image.height > 300
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 1000


def test_it_is_a_notebook() -> None:
    notebook = jupytext.read(EXAMPLE)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds[0] == "markdown"
    assert kinds.count("code") >= 4
    assert kinds.count("markdown") >= 4
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(cell.source, "cell", "exec")

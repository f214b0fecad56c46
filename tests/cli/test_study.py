"""``camlab study``: plans, runs, resumes, and its errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camlab.cli.main import BAD_INPUT, INTERRUPTED, main
from camlab.cli.study import add_arguments, plan_of
from camlab.study import PRESETS, StudyPlan, create, status
from camlab.study.plan import ALL, FITTING
from camlab.study.run.control import environment
from camlab.study.store import open_study
from camlab.study.store.parts import part_paths

TINY = [
    *("study", "--model", "shapes_vgg", "--images", "shapes", "--limit", "1", "--method", "gradcam"),
    *("--noise", "contrast", "--severity", "2", "--layer", "default", "--workers", "1", "--device", "cpu"),
]


def parsed(*words: str) -> StudyPlan:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return plan_of(parser.parse_args(words))


def test_what_is_named_takes_the_place_of_the_presets() -> None:
    assert parsed("--preset", "paper") == PRESETS["paper"].make()
    plan = parsed("--preset", "paper", "--model", "shapes_vit", "--noise", "fog", "--noise", "contrast", "--limit", "7")
    assert (plan.models, plan.noises, plan.limit, plan.pairing) == (
        ("shapes_vit",), ("fog", "contrast"), 7, FITTING,
    )  # fmt: skip
    assert plan.methods == PRESETS["paper"].make().methods and plan.seeds == 3
    both = parsed("--model", "shapes_vit", "--images", "photos", "--images", "objects", "--severity", "0.5")
    assert (both.image_sets, both.pairing, both.severities, both.limit) == (
        ("photos", "objects"), ALL, (0.5,), None,
    )  # fmt: skip


def test_a_plan_is_priced_and_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "--plan-only", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["pairs"] == 1 and said["seconds"] > 0 and said["bytes"] > 0
    assert main([*TINY, "--plan-only", "--method", "scorecam"]) == 0
    assert "2 pairs" in capsys.readouterr().out


def test_a_study_is_run_and_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], threads: None) -> None:
    out = ["--out", str(tmp_path / "s")]
    assert main([*TINY, *out, "--name", "Tiny"]) == 0
    text = capsys.readouterr()
    assert text.out.startswith("Tiny: 1 pairs of 1 picture")
    assert open_study(tmp_path / "s").count() == 1
    assert main([*TINY, *out]) == BAD_INPUT
    assert "resume it" in capsys.readouterr().err
    capsys.readouterr()
    assert main(["study", "--resume", *out, "--workers", "1", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["model"] == "shapes_vgg" and record["n"] == 1 and record["severity"] == 2.0
    assert open_study(tmp_path / "s").count() == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--preset", "papr"], "did you mean 'paper'"),
        (["--model", "shapes_vig"], "shapes_vi"),
        (["--noise", "fogg"], "did you mean 'fog'"),
        (["--noise", "captured"], "second picture"),
        (["--images", "nowhere"], "image set"),
        (["--severity", "9"], "out of range"),
        (["--severity", "much"], "--severity"),
        (["--seeds", "0"], "--seeds"),
        (["--model", "shapes_vgg", "--preset", "quick"], "fits shapes_vgg"),
        (["--layer", "blocks.99", "--plan-only"], "blocks.99"),
        ([], "--out DIR"),
        (["--resume"], "--out DIR"),
        (["--out", "x", "--backend", "slurm"], "backend"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *words]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert not out and says in err and err.count("\n") == 1 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_study_goes_on_as_it_was_planned(plan: StudyPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = create(plan, tmp_path / "s", device="cpu")
    assert main(["study", "--resume", "--out", str(folder), "--noise", "fog"]) == BAD_INPUT
    assert "A resumed study keeps its plan" in capsys.readouterr().err


def test_ctrl_c_leaves_a_study_that_goes_on(tmp_path: Path) -> None:
    # One pair a picture: the first part comes soon, and pictures enough are left when it is there.
    words = [*TINY[1:], "--limit", "300", "--out", "s"]
    running = subprocess.Popen(
        [sys.executable, "-m", "camlab", "study", *words],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever runs the tests in the background may have Ctrl-C ignored, which a child inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 120
    while not part_paths(tmp_path / "s") and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = running.communicate(timeout=60)
    assert running.returncode == INTERRUPTED
    assert "`camlab study --resume --out s` continues" in said and "Traceback" not in said
    found = status(tmp_path / "s")
    assert found.state == "cancelled" and found.can_resume

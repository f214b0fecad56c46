"""The command line's models: the catalogue, downloads, the user's own files."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from huggingface_hub import constants
from PIL import Image

from camlab.cams.smoothing import Smoothing
from camlab.cli.main import BAD_INPUT, main
from camlab.cli.terminal import Bar
from camlab.engine.shared import engine_for
from camlab.explore.output.record import prediction
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import find_picture
from camlab.models import load_classifier
from camlab.models.own.model import model_from_file
from tests.images.datasets.test_download import PICTURES, Server, offer, packed
from tests.images.datasets.test_download import server as server
from tests.models.hub.stand_in import stand_in
from tests.models.own.test_model import network


def test_the_catalogue_is_listed_and_searched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "catalogue", "--search", "resnet 50"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("timm/resnet50.a1_in1k ")
    assert "25.6 M" in first
    assert main(["list", "catalogue", "--search", "resnet 50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["parameters"] == 25_557_032
    assert main(["list", "catalogue", "--search", "zzz"]) == BAD_INPUT
    assert "use fewer words" in capsys.readouterr().err
    assert main(["list", "models", "--search", "x"]) == BAD_INPUT
    assert "leave --search out" in capsys.readouterr().err


def test_a_download_says_where_the_weights_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with stand_in() as server:
        server.files["/timm/resnet18.a1_in1k/resolve/main/model.safetensors"] = bytes(2_000_000)
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        assert main(["download", "timm/resnet18.a1_in1k"]) == 0
    out, err = capsys.readouterr()
    assert Path(out.strip()).stat().st_size == 2_000_000
    assert "note: 2 MB of 2 MB\n" in err
    assert main(["download", "timm/nobody"]) == BAD_INPUT


def test_a_file_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, names = tmp_path / "mine.safetensors", tmp_path / "names.txt"
    safetensors.torch.save_file(dict(network("resnet18", num_classes=2).state_dict()), path)
    names.write_text("ant\nbee\n")
    words = ["explain", "photos/bison", "--model", str(path), "--classes", str(names), "--no-floor"]
    assert main([*words, "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert "mine.safetensors, layer layer4.1" in out
    assert "ant" in out or "bee" in out
    assert "a resnet18 with 2 classes" in err
    assert main([*words, "--architecture", "resnet34"]) == BAD_INPUT
    assert "does not fit resnet34" in capsys.readouterr().err
    assert main(["explain", "photos/bison", "--classes", str(names)]) == BAD_INPUT
    assert "describes a checkpoint file" in capsys.readouterr().err
    assert main(["explain", "photos/bison", "--model", "none.pth"]) == BAD_INPUT
    assert "none.pth cannot be read" in capsys.readouterr().err


def test_a_file_s_preprocessing_and_size_are_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(dict(network("resnet18", num_classes=2).state_dict()), path)
    words = ["explain", "photos/bison", "--model", str(path), "--no-floor", "--device", "cpu", "--json"]
    settings = ["--mean", "0.5,0.4,0.3", "--std", "0.2 0.3 0.2", "--size", "64x96", "--crop", "0.5"]
    assert main([*words, *settings, "--save", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    row = model_from_file(path, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.2), input_size=(64, 96), crop_pct=0.5)
    assert found["model"] == row.name
    with Image.open(tmp_path / "out" / "clean.png") as picture:
        assert picture.size == (96, 64)
    state = ExploreState(model=row.name, image="photos/bison")
    scene = Scene(engine_for(row.name, "cpu"), find_picture(state.image), state)
    assert found["clean"] == json.loads(json.dumps(prediction(scene, scene.clean())))
    for wrong, sentence in (
        (["--mean", "120,110,100"], "divide numbers for values up to 255 by 255"),
        (["--std", "a,b,c"], "is not three numbers"),
        (["--size", "8"], "choose sides from 32"),
        (["--crop", "7"], "choose a share"),
    ):
        assert main([*words, *wrong]) == BAD_INPUT
        assert sentence in capsys.readouterr().err
    assert main(["explain", "photos/bison", "--crop", "0.5"]) == BAD_INPUT
    assert "--crop describes a checkpoint file" in capsys.readouterr().err


def test_an_own_pair_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = find_picture("shapes/0-0").load()
    noisy = np.clip(np.asarray(clean) + np.random.default_rng(0).normal(0, 40, (*clean.size[::-1], 3)), 0, 255)
    for name, image in (("clean", clean), ("noisy", Image.fromarray(noisy.astype(np.uint8)))):
        image.save(tmp_path / f"{name}.png")
    clean.crop((0, 0, 50, 20)).save(tmp_path / "wide.png")
    words = [
        "explain",
        str(tmp_path / "clean.png"),
        "--model",
        "shapes_resnet",
        "--no-floor",
        "--device",
        "cpu",
    ]
    pair = ["--pair", str(tmp_path / "noisy.png"), "--json", "--save", str(tmp_path)]
    assert main([*words, *pair]) == 0
    found = json.loads(capsys.readouterr().out)[0]
    assert (found["noise"], found["severity"]) == ("captured", 5.0) and found["similarity"]["rbo"] < 1
    with Image.open(tmp_path / "perturbed.png") as shown:
        classifier = load_classifier("shapes_resnet", "cpu")
        wanted = classifier.preprocess(Image.fromarray(noisy.astype(np.uint8)))
        assert np.abs(np.asarray(shown, float) / 255 - wanted.permute(1, 2, 0).numpy()).mean() < 0.005
    assert main([*words, *pair, "--severity", "0"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["similarity"]["rbo"] == pytest.approx(1)
    assert main([*words, "--pair", str(tmp_path / "wide.png")]) == BAD_INPUT
    assert "aspect ratios differ" in capsys.readouterr().err
    assert main([*words, "--pair", str(tmp_path / "none.png")]) == BAD_INPUT
    assert main([*words, "--noise", "captured"]) == BAD_INPUT


def test_an_attack_is_run_told_and_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "shapes/0-0", "--model", "shapes_resnet", "--no-floor", "--device", "cpu"]
    asked = ["--attack", "--epsilon", "8", "--steps", "6", "--slack", "0.3", "--goal", "top left"]
    assert main([*words, *asked, "--json", "--save", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)[0]["attack"]
    assert (found["epsilon"], found["steps"], found["slack"]) == (pytest.approx(8 / 255), 6, 0.3)
    before, after = found["result"]["goal_correlation"]
    assert after > before and 0 < found["result"]["largest_change"] <= 8 / 255 + 1e-6
    assert "6 steps" in err
    with np.load(tmp_path / "gradcam_attack.npz") as kept:
        assert np.abs(kept["attacked_input"] - kept["clean_input"]).max() == pytest.approx(
            found["result"]["largest_change"], abs=1e-6
        )
    assert (tmp_path / "gradcam_attack.png").read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--attack", "--steps", "2"]) == 0
    assert "The attack on Grad-CAM: Similarity of the two maps" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["attack"] is None
    for wrong, sentence in (
        (["--epsilon", "4"], "add --attack"),
        (["--imitate", "photos/bison"], "add --attack"),
        (["--attack", "--epsilon", "400"], "up to 64/255"),
        (["--attack", "--goal", "nowhere"], "goal of an attack"),
        (["--attack", "--goal", "picture"], "choose one"),
        (["--attack", "--method", "scorecam"], "attack Grad-CAM instead"),
    ):
        assert main([*words, *wrong]) == BAD_INPUT
        assert sentence in capsys.readouterr().err, wrong


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_without_steps() -> None:
    lively, plain = Terminal(), io.StringIO()
    for out in (lively, plain):
        with Bar(0, out) as bar:
            for done in range(0, 101, 1):
                bar.reach(done, 100, f"{done} of 100")
    assert plain.getvalue().splitlines() == [f"note: {n} of 100" for n in range(10, 101, 10)]
    drawn = lively.getvalue().split("\r\x1b[2K")
    assert drawn[51] == f"[{'#' * 12}{'.' * 12}] 50 of 100"
    assert drawn[-1] == ""


def test_maps_are_smoothed_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "shapes/0-0", "--model", "shapes_vgg", "--method", "layercam", "--no-floor"]
    words += ["--device", "cpu", "--severity", "2"]

    def measured(*more: str) -> dict[str, Any]:
        assert main([*words, *more, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)[0]
        return found

    engine = engine_for("shapes_vgg", "cpu")
    values = []
    for options, smoothing in (
        ((), Smoothing()),
        (("--aug-smooth",), Smoothing(augment=True)),
        (("--average", "3", "--sigma", "0.1"), Smoothing(noisy=3, sigma=0.1)),
        (("--eigen-smooth",), Smoothing(eigen=True)),
    ):
        record = measured(*options)
        assert record["smoothing"] == dataclasses.asdict(smoothing)
        state = ExploreState(
            model="shapes_vgg", image="shapes/0-0", method="layercam", severity=2.0, eigen=smoothing.eigen,
            augment=smoothing.augment, copies=smoothing.noisy, sigma=smoothing.sigma,
        )  # fmt: skip
        scene = Scene(engine, find_picture("shapes/0-0"), state)
        assert record["similarity"]["rbo"] == pytest.approx(scene.shown(2.0, 0).values["rbo"], abs=1e-9)
        values.append(record["similarity"]["rbo"])
    assert len(set(values)) == len(values)
    assert main([*words, "--average", "3"]) == 0
    assert "Maps are averaged over 3 noisy copies (sigma 0.15)." in capsys.readouterr().out
    for wrong, said in (
        (["--sigma", "0.1"], "--average"),
        (["--average", "3", "--sigma", "2"], "sigma of 2"),
        (["--average", "100000"], "noisy copies cannot be averaged"),
        (["--average", "3", "--sigma", "much"], "'much' is not a number"),
        (["--eigen-smooth", "--method", "eigencam"], "choose another method"),
    ):
        assert main([*words, *wrong]) == BAD_INPUT
        assert said in capsys.readouterr().err


def test_a_data_set_is_downloaded(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, server, ("imagenette2-320.tgz", packed(PICTURES)))
    monkeypatch.setenv("CAMLAB_DATA_DIR", str(tmp_path))
    assert main(["download", "imagenette"]) == 0
    out, err = capsys.readouterr()
    assert Path(out.strip()) == tmp_path / "imagenette"
    assert "licence" in err
    assert main(["list", "images", "--set", "imagenette"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 10
    server.files = {}
    monkeypatch.setenv("CAMLAB_DATA_DIR", str(tmp_path / "other"))
    assert main(["download", "imagenette"]) == BAD_INPUT
    assert "refused the download of" in capsys.readouterr().err

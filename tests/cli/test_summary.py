"""The summary of a study from the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.study_rows import COINCIDE, simulated_rows
from camlab.cli.main import BAD_INPUT, main
from camlab.metrics.tally import VALUES
from camlab.study.analysis.summary import DEFAULT_BY, records

ROWS = simulated_rows(10**9, seed=3, pictures=3, models=("resnet18",))
ROWS = ROWS[ROWS.noise.isin(["fog", "contrast"]) & ROWS.method.isin(["gradcam", "xgradcam", "randomcam"])]


@dataclass
class Shelved:
    """What the command needs of a study; it notes the columns that it is asked for."""

    rows_there: pd.DataFrame
    manifest: dict[str, Any]
    coincide: list[dict[str, Any]] = field(default_factory=lambda: list(COINCIDE))
    asked: list[str] = field(default_factory=list)

    def rows(self, columns: list[str]) -> pd.DataFrame:
        self.asked = columns
        return self.rows_there[columns]


@pytest.fixture
def shelved(monkeypatch: pytest.MonkeyPatch) -> Shelved:
    study = Shelved(ROWS, {"finished": True})
    monkeypatch.setattr("camlab.study.store.open_study", lambda folder: study)
    return study


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["summary", "somewhere", *words]) == 0
    return capsys.readouterr().out


def test_json_is_the_librarys_records(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "--json", "--no-intervals"))
    assert found == records(ROWS, coincide=COINCIDE, replicates=0)
    assert tuple(found[0])[: len(DEFAULT_BY)] == DEFAULT_BY
    assert {"n", "n_flipped", "consistency", "responsiveness", "rm", "rm_low", "rm_high"} <= set(found[0])
    assert {each["method"] for each in found if each["layer"] == "blocks.6"} == {
        "gradcam = xgradcam",
        "randomcam",
    }


def test_columns_may_be_given_in_either_way(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    once = printed(capsys, "--json", "--by", "noise, method", "--macro")
    twice = printed(capsys, "--json", "--by", "noise", "--by", "method", "--macro")
    assert once == twice
    assert json.loads(once) == records(ROWS, ("noise", "method"), coincide=COINCIDE, with_macro=True)


def test_every_line_has_its_numbers_of_pairs(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "--by", "layer,method", "--no-intervals").split("\n\n")[0].splitlines()
    found = records(ROWS, ("layer", "method"), coincide=COINCIDE, replicates=0)
    for line, record in zip(lines[1:], found, strict=True):
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        assert cells[:4] == [record["layer"], record["method"], str(record["n"]), str(record["n_pictures"])]
        assert cells[7] == f"{record['consistency']:.2f}"
        # Pooled, and within the severities beside it.
        assert cells[-1] == f"{record['stratified_rm']:.2f} over {record['stratified_rm_averaged']}"


def test_a_value_without_its_pairs_reads_not_observed(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    shelved.rows_there = ROWS[~ROWS["flipped"]]
    head, *lines = printed(capsys, "--by", "method", "--no-intervals").split("\n\n")[0].splitlines()
    assert lines
    for line in lines:
        assert line[head.index("  R ") + 2 :].startswith("not observed") and "None" not in line


def test_intervals_and_warnings_are_said(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--by", "method")
    (record, *_) = records(ROWS, ("method",), coincide=COINCIDE)
    shown = f"{record['consistency']:.2f} [{record['consistency_low']:.2f}, {record['consistency_high']:.2f}]"
    assert shown in text
    assert record["warnings"]
    assert all(f"{record['method']}: {warning}" in text for warning in record["warnings"])


def test_another_similarity(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "--json", "--similarity", "pearson", "--by", "method", "--no-intervals"))
    assert found == records(ROWS, ("method",), "pearson", COINCIDE, replicates=0)
    assert "pearson" in shelved.asked and "rbo" not in shelved.asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--by", "colour"), "grouped by 'colour'; choose from: model, image_set, image, method"),
        (("--by", "method,clutter"), "grouped by 'clutter'"),
        (("--similarity", "dice"), "no similarity 'dice' in a study; choose one of: rbo"),
    ],
)
def test_what_there_is_not_is_refused(
    shelved: Shelved, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert main(["summary", "somewhere", *words]) == BAD_INPUT
    out, err = capsys.readouterr()
    assert not out and says in err and err.count("\n") == 1
    assert not shelved.asked


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(tmp_path)]) == BAD_INPUT
    assert "is not a study" in capsys.readouterr().err


def test_a_study_under_way(shelved: Shelved, capsys: pytest.CaptureFixture[str]) -> None:
    shelved.manifest = {}
    shelved.rows_there = ROWS.iloc[:0]
    assert main(["summary", "somewhere"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == "This study has no pairs yet."
    assert "this study is unfinished" in err
    assert set(VALUES) <= set(records(ROWS.iloc[:3], replicates=0)[0])

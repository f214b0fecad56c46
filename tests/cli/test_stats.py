"""The command, with rows that are made up and with a study on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camlab.cli import stats
from camlab.cli.main import main
from camlab.common.errors import BadSetting
from camlab.study.stats import TESTS, run_tests
from tests.material import known
from tests.study.stats.frames import study

COINCIDE = [{"model": "net", "layer": "last", "methods": ["gradcam", "hirescam"], "reason": "algebra"}]


class Shelved:
    """What the command needs of a study."""

    coincide = COINCIDE

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows

    def rows(self, columns: Sequence[str]) -> pd.DataFrame:
        return self._rows[[name for name in self._rows if name in columns]]


@pytest.fixture
def shelved(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    rows = study(pictures=12, methods=["gradcam", "hirescam", "layercam", "eigencam", "randomcam"], step=0.04)
    twin = rows["method"] == "gradcam"
    for column in ("rbo", "degenerate"):
        rows.loc[rows["method"] == "hirescam", column] = rows.loc[twin, column].to_numpy()
    rows = rows.assign(pearson=rows["rbo"] * 2 - 1).drop(columns="similarity")
    monkeypatch.setattr("camlab.study.store.open_study", lambda folder: Shelved(rows))
    return rows


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["stats", "somewhere", "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_records_are_those_of_the_library(shelved: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys)
    assert sorted(found) == ["power", "tests", "verdicts"]
    assert {each["test"] for each in found["tests"]} == set(TESTS)
    (friedman,) = [each for each in found["tests"] if each["test"] == "methods_friedman"]
    (own,) = run_tests(shelved, tests=["methods_friedman"], similarity="rbo", coincide=COINCIDE)
    assert friedman["statistic"] == pytest.approx(own.statistic)
    assert friedman["effect"]["low"] == pytest.approx(known(own.effect).low)
    assert friedman["group"] == {"model": "net", "layer": "last"}
    (verdict,) = found["verdicts"]
    assert verdict["top"] == ["gradcam = hirescam"]
    assert found["power"][0]["note"]["comparisons"] == 6


def test_methods_that_coincide_never_meet(shelved: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    for result in printed(capsys)["tests"]:
        names = {result["group"].get("method"), *(result["levels"] if result["compares"] == "method" else ())}
        assert not names & {"gradcam", "hirescam"}
        for pair in result["pairs"]:
            assert not {pair["a"], pair["b"]} & {"gradcam", "hirescam"}
    # Without the manifest's word they would be two.
    (apart,) = run_tests(shelved, tests=["methods_friedman"], similarity="rbo", replicates=0)
    assert {"gradcam", "hirescam"} < set(apart.levels)


def test_options_choose(shelved: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("--test", "methods_wilcoxon", "--response", "all", "--by", "noise, image_set")
    (by_rbo,) = printed(capsys, *chosen)["tests"]
    assert by_rbo["group"] == {"image_set": "photos", "noise": "gaussian_noise"}
    assert by_rbo["response"] == "all"
    # Pearson's r is put on the scale from 0 to 1, on which these are the same numbers.
    (by_pearson,) = printed(capsys, *chosen, "--similarity", "pearson")["tests"]
    for a, b in zip(by_rbo["pairs"], by_pearson["pairs"], strict=True):
        assert (a["p"], a["difference"]) == pytest.approx((b["p"], b["difference"]))


def test_the_text_says_the_sentences(shelved: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "somewhere"]) == 0
    said = capsys.readouterr().out
    found = printed(capsys)
    for each in (*found["verdicts"], *found["tests"]):
        assert (each["reason"] or each["sentence"]) in said
    assert "gradcam = hirescam / randomcam" in said
    named = "net, eigencam, last; net, gradcam = hirescam, last; net, layercam, last; 1 more"
    assert f"Cannot be tested in 4 groups ({named}): only 1 noise type (gaussian_noise) can be compared" in said
    assert f"net, last: {found['power'][0]['note']['sentence']}" in said


def test_a_pair_that_cannot_be_tested_says_why() -> None:
    rows = study(pictures=12, methods=["gradcam", "layercam", "randomcam"], step=0.04)
    same = rows["method"] == "gradcam"
    for column in ("similarity", "degenerate"):
        rows.loc[rows["method"] == "layercam", column] = rows.loc[same, column].to_numpy()
    lines = stats.text(stats.findings(rows, tests=["methods_wilcoxon"])).splitlines()
    (line,) = (line for line in lines if "gradcam / layercam" in line)
    assert line.split()[3:] == ["12", "–", "–", "–", "–", "not", "tested:", "all", "differences", "are", "zero"]


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--by", "colour", "cannot be grouped by 'colour'"),
        ("--response", "keep", "did you mean 'kept'"),
        ("--test", "anova", "no statistical test called 'anova'"),
        ("--similarity", "looks", "'looks'"),
    ],
)
def test_what_is_wrong_is_one_line(
    shelved: pd.DataFrame, capsys: pytest.CaptureFixture[str], option: str, value: str, why: str
) -> None:
    assert main(["stats", "somewhere", option, value]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1


def test_a_study_without_rows_is_told() -> None:
    with pytest.raises(BadSetting, match="no rows yet; run it first"):
        stats.findings(study(pictures=2).iloc[:0])


def test_a_folder_that_is_no_study_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(tmp_path)]) == 2
    assert "is not a study" in capsys.readouterr().err


def test_a_study_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of the schema, written as a study's part and read back by the command."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from camlab.study.store import import_study
    from camlab.study.store.schema import COLUMNS, arrow_schema

    made = study(pictures=12)
    full = pd.DataFrame(
        {column.name: made[column.name] if column.name in made else np.ones(len(made)) for column in COLUMNS}
    )
    full = full.astype(dict.fromkeys(("model", "image_set", "image", "method", "layer", "noise"), str))
    full["perturbed_index"] = full["clean_index"] + full["flipped"]
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(full, preserve_index=False).cast(arrow_schema()), file)
    stored = import_study(file, tmp_path / "studies")
    assert main(["stats", str(stored.folder), "--json", "--test", "methods_friedman"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["tests"]
    (own,) = run_tests(made, tests=["methods_friedman"], replicates=0)
    assert (found["statistic"], found["p"]) == pytest.approx((own.statistic, own.p))


def test_methods_merge_only_where_they_are_one_on_all_that_is_pooled() -> None:
    rows = study(pictures=6, models=("net", "other"), methods=["gradcam", "hirescam", "layercam"])
    per_model = run_tests(rows, tests=["methods_friedman"], similarity="rbo", coincide=COINCIDE, replicates=0)
    assert [each.levels for each in per_model] == [
        ("gradcam = hirescam", "layercam"),
        ("gradcam", "hirescam", "layercam"),
    ]
    (pooled,) = run_tests(
        rows, by=["noise"], tests=["methods_friedman"], similarity="rbo", coincide=COINCIDE, replicates=0
    )
    assert pooled.levels == ("gradcam", "hirescam", "layercam")

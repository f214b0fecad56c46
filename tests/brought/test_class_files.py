"""Files of class names, as people have them: each gives the right names, or is asked about with all its readings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
from streamlit.testing.v1 import AppTest

from camlab.cli.main import BAD_INPUT, main
from camlab.common.errors import BadSetting
from camlab.models import find_model
from camlab.models.own.model import own_models
from camlab.models.own.name_files import NameFile, read_class_names
from tests.brought.case import BroughtCase
from tests.models.own.test_model import network
from tests.models.own.test_model import nothing_known as nothing_known

NAMES = ("tench, Tinca tinca", "goldfish", "hen")


def brought(folder: Path, filename: str, text: str, encoding: str = "utf-8") -> NameFile:
    path = folder / filename
    path.write_bytes(text.encode(encoding))
    return read_class_names(path.read_bytes(), filename)


def gives(filename: str, text: str, encoding: str = "utf-8", note: str = "") -> Callable[[Path], None]:
    """A check that the file has one reading, which gives NAMES and says what is in ``note``."""

    def check(folder: Path) -> None:
        found = brought(folder, filename, text, encoding)
        assert found.settled().names == NAMES
        assert note in found.sentence(found.settled())

    return check


def asks(filename: str, text: str, **readings: tuple[str, ...]) -> Callable[[Path], None]:
    """A check that the file has these readings, and that none is taken."""

    def check(folder: Path) -> None:
        found = brought(folder, filename, text)
        assert {reading.key.replace(" ", "_"): reading.names for reading in found.fitting(None)} == readings
        with pytest.raises(BadSetting, match=f"can be read in {len(readings)} ways"):
            found.settled()

    return check


def refuses(filename: str, text: str, words: str) -> Callable[[Path], None]:
    def check(folder: Path) -> None:
        with pytest.raises(BadSetting, match=words):
            brought(folder, filename, text)

    return check


def each(*checks: Callable[[Path], None]) -> Callable[[Path], None]:
    """A check that makes several."""

    def check(folder: Path) -> None:
        for one in checks:
            one(folder)

    return check


def _latin(found: NameFile) -> None:
    assert found.settled().names == ("Größe", "hen")
    assert "not in UTF-8" in found.sentence(found.settled())


def _repeated(found: NameFile) -> None:
    assert found.settled().names == ("crane", "hen", "crane")
    assert found.sentence(found.settled()).endswith("the classes 0, 2 share the name “crane”.")


CASES = (
    BroughtCase(
        "CSV that pandas wrote: its row numbers, then `id,label`",
        "The header decides: names from `label`, in the order of `id`.",
        gives(
            "a.csv",
            ',id,label\n0,2,hen\n1,0,"tench, Tinca tinca"\n2,1,goldfish\n',
            note="“label”, in the order of “id”",
        ),
    ),
    BroughtCase(
        "CSV with the columns `label,id`",
        "The header decides, whatever the order of the columns.",
        gives("a.csv", 'label,id\nhen,2\n"tench, Tinca tinca",0\ngoldfish,1\n'),
    ),
    BroughtCase(
        "CSV with the columns `id,wnid,name`, or without their header",
        "WordNet's ids are no names; `name` is read.",
        each(
            *(
                gives("a.csv", header + '0,n01440764,"tench, Tinca tinca"\n1,n01443537,goldfish\n2,n01514668,hen\n')
                for header in ("id,wnid,name\n", "")
            )
        ),
    ),
    BroughtCase(
        "Columns parted by semicolons, tabs or bars",
        "The separator that gives equally long rows with an index is taken; names may contain commas.",
        each(*(gives("a.csv", f"0{mark}tench, Tinca tinca\n1{mark}goldfish\n2{mark}hen\n") for mark in ";\t|")),
    ),
    BroughtCase(
        "`synset.txt`: WordNet's id, a space and the name on each line",
        "The id is left out.",
        gives("synset.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01514668 hen\n"),
    ),
    BroughtCase(
        "Hugging Face's `config.json`",
        "`id2label` and `label2id` are found at any depth.",
        gives(
            "config.json",
            '{"model_type": "vit", "id2label": {"0": "tench, Tinca tinca", "1": "goldfish", "2": "hen"},'
            ' "label2id": {"tench, Tinca tinca": 0, "goldfish": 1, "hen": 2}}',
            note="“id2label”",
        ),
    ),
    BroughtCase(
        "YOLO's `data.yaml`, with `names` as a list or a mapping",
        "`names` is read; a class called `no` stays `no`.",
        each(
            *(
                gives("data.yaml", f"path: x\nnc: 3\nnames:{names}\n")
                for names in (
                    " ['tench, Tinca tinca', goldfish, hen]",
                    "\n  0: tench, Tinca tinca\n  2: hen\n  1: goldfish",
                )
            )
        ),
    ),
    BroughtCase(
        "ImageNet's names as a Python dictionary in a text file",
        "The literal is read; no code runs.",
        gives("imagenet1000.txt", "{0: 'tench, Tinca tinca',\n 1: 'goldfish',\n 2: \"hen\"}"),
    ),
    BroughtCase(
        "Indices that begin at 1",
        "1 is the network's first class, and this is said; with one output more, 0 is the background.",
        gives("a.csv", '1,"tench, Tinca tinca"\n3,hen\n2,goldfish\n', note="whose 1 is the network's first class"),
    ),
    BroughtCase(
        "A file in UTF-16, or in Latin-1",
        "It is read, and its encoding is said.",
        each(
            gives("a.txt", "tench, Tinca tinca\ngoldfish\nhen\n", "utf-16", "UTF-16"),
            lambda folder: _latin(brought(folder, "b.txt", "Größe\nhen\n", "latin-1")),
        ),
    ),
    BroughtCase(
        "Two classes with one name, such as ImageNet's cranes",
        "Both keep the name, and this is said.",
        lambda folder: _repeated(brought(folder, "a.txt", "crane\nhen\ncrane\n")),
    ),
    BroughtCase(
        "A table with two columns of names",
        "The page shows both with their first names and asks; the command line refuses with both.",
        asks(
            "a.csv", "id,label,class\n0,tench,fish\n1,hen,bird\n", label=("tench", "hen"), **{"class": ("fish", "bird")}
        ),
    ),
    BroughtCase(
        "`id2label` and `label2id` that contradict each other",
        "The page asks; the command line refuses with both.",
        asks(
            "config.json",
            '{"id2label": {"0": "hen", "1": "owl"}, "label2id": {"hen": 1, "owl": 0}}',
            id2label=("hen", "owl"),
            label2id=("owl", "hen"),
        ),
    ),
    BroughtCase(
        "An index that is missing or occurs twice, also as a key of JSON",
        "It is refused, with the index.",
        each(
            refuses("a.csv", "0,hen\n2,owl\n", "index 1 is missing"),
            refuses("a.json", '{"0": "hen", "0": "owl"}', "index 0 occurs twice"),
        ),
    ),
    BroughtCase(
        "Names as numpy prints them, without commas",
        "They are refused: Python would join them to one name.",
        refuses("a.txt", "['hen' 'owl']", "no comma between them"),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tried)
def test_a_class_file_that_people_bring(case: BroughtCase, tmp_path: Path) -> None:
    case.check(tmp_path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A network with two outputs."""
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(network("test_resnet", num_classes=2).state_dict(), path)
    return path


AMBIGUOUS = "id,label,class\n0,tench,fish\n1,hen,bird\n"


def test_the_command_line_refuses_with_all_readings_and_takes_the_chosen_one(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.csv"
    names.write_text(AMBIGUOUS)
    words = ["explain", "photos/bison", "--model", str(checkpoint), "--architecture", "test_resnet", "--no-floor"]
    words += ["--device", "cpu", "--classes", str(names)]
    assert main(words) == BAD_INPUT
    refused = capsys.readouterr().err
    assert "2 ways, “label” (“tench”, “hen”) or “class” (“fish”, “bird”)" in refused and "--classes-as" in refused
    assert refused.count("\n") == 1 and own_models() == []
    assert main([*words, "--classes-as", "class"]) == 0
    text = capsys.readouterr()
    assert "Class names of names.csv: the names are “class”, in the order of “id”." in text.err
    assert find_model(own_models()[0].name).class_names() == ("fish", "bird")
    assert main([*words, "--classes-as", "colour"]) == BAD_INPUT
    assert "choose “label” or “class”" in capsys.readouterr().err


def _own_tab() -> None:
    from pages.choose.own_model import own_tab

    own_tab()


def test_the_page_asks_and_preselects_nothing(checkpoint: Path) -> None:
    at = AppTest.from_function(_own_tab, default_timeout=120).run()
    at.file_uploader(key="own.file").upload("mine.safetensors", checkpoint.read_bytes(), "x/y").run()
    box = next(box for box in at.selectbox if (box.key or "").startswith("own.architecture."))
    box.set_value("test_resnet").run()
    at.file_uploader(key="own.classes").upload("names.csv", AMBIGUOUS.encode(), "text/csv").run()
    (asked,) = [radio for radio in at.radio if (radio.key or "").startswith("own.reading.")]
    assert asked.value is None and at.button(key="own.use").disabled
    assert asked.options == ["label: “tench”, “hen”", "class: “fish”, “bird”"]
    asked.set_value("class").run()
    shown = [caption.value.replace("\\", "") for caption in at.caption]
    assert any("the names are “class”, in the order of “id”" in text for text in shown)
    at.button(key="own.use").click().run()
    assert [row.class_names() for row in own_models()] == [("fish", "bird")]

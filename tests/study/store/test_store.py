"""The store: what goes out comes back, and what comes in is believed in nothing."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camlab.common.errors import BadSetting, BadStudy, UnknownName
from camlab.metrics import SIMILARITIES
from camlab.study.store import (
    COLUMNS,
    EXPORTS,
    Study,
    delete,
    export,
    import_study,
    list_studies,
    new_folder,
    open_study,
    read_rows,
    rename,
    studies_root,
)
from camlab.study.store.files import held, read_json, write_json, write_whole
from camlab.study.store.parts import UnitNote, all_notes, part_paths, read_notes, write_images, write_part
from camlab.study.store.schema import KEY, arrow_schema, conform

NAMES = [column.name for column in COLUMNS]


def rows(image: str = "photos/bison", count: int = 6) -> pd.DataFrame:
    """Made-up rows of one picture that keep every rule."""
    rng = np.random.default_rng(len(image))
    flipped = np.arange(count) % 3 == 0
    frame = pd.DataFrame({column.name: rng.random(count) for column in COLUMNS if column.kind in ("number", "short")})
    return frame.assign(
        model="m", image_set="photos", image=image, method="gradcam", layer="bn2", noise="fog",
        severity=np.arange(count) * 0.5 + 0.5, seed=0, clean_index=3,
        perturbed_index=np.where(flipped, 4, 3), flipped=flipped, near=flipped, tied=False,
        degenerate=np.arange(count) == 1, segments=20,
        rbo=np.where(np.arange(count) == 1, np.nan, frame["rbo"]),
    )[NAMES]  # fmt: skip


def table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, schema=arrow_schema(), preserve_index=False)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two pictures in two parts, and a third that could not be read."""
    folder = tmp_path / "root" / "made"
    (folder / "rows").mkdir(parents=True)
    notes = []
    for unit, image in enumerate(("photos/bison", "photos/cat_tabby")):
        about = {
            **dict.fromkeys(("digest", "title", "label", "licence", "author", "source", "clean_label"), "x"),
            "model": "m", "image_set": "photos", "image": image, "clean_index": 3, "clean_prob": 0.5,
        }  # fmt: skip
        notes.append(UnitNote(unit, "m", "photos", image, 6, 1.5, image_row=about))
        write_part(folder, notes[-1:], [table(rows(image))])
    lost = UnitNote(2, "m", "photos", "photos/gone", 0, skipped="It has gone.")
    write_part(folder, [lost], [])
    write_images(folder, [*notes, lost])
    group = {"model": "m", "layer": "bn2", "methods": ["gradcam", "hirescam"], "reason": "So it is."}
    write_json(
        folder / "manifest.json",
        {
            "name": "Made",
            "created": 1.0,
            "finished": True,
            "settings": {"models": ["m"]},
            "coincide": [group],
        },
    )
    return open_study(folder)


def written(study: Study) -> pd.DataFrame:
    return pd.concat([rows("photos/bison"), rows("photos/cat_tabby")], ignore_index=True).astype(
        {"seed": np.int32, "clean_index": np.int32, "perturbed_index": np.int32, "segments": np.int32}
    )


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    texts = dict.fromkeys(KEY[:6], str)
    pd.testing.assert_frame_equal(
        found.astype(texts), expected.astype(texts), check_dtype=False, rtol=1e-6, check_column_type=False
    )


def test_rows_come_back_as_they_were_written(study: Study) -> None:
    found = study.rows()
    same(found, written(study))
    assert list(found.columns) == NAMES and study.count() == 12
    assert all(found[name].dtype.name == "category" for name in KEY[:6])
    assert list(study.rows(["rbo", "image"]).columns) == ["rbo", "image"]
    with pytest.raises(BadStudy, match="no column"):
        study.rows(["rbi"])


def test_every_similarity_has_a_column() -> None:
    assert set(SIMILARITIES) <= set(NAMES) and len(set(NAMES)) == len(NAMES)
    promised = "model image_set image method layer noise severity seed clean_index clean_prob perturbed_index"
    assert set(f"{promised} perturbed_prob flipped degenerate segments rbo".split()) <= set(NAMES)


def test_pictures_and_losses(study: Study) -> None:
    images = study.images()
    assert list(images["image"]) == ["photos/bison", "photos/cat_tabby"]
    assert images["clutter"].isna().all()
    (study.folder / "images.parquet").unlink()
    pd.testing.assert_frame_equal(study.images(), images)
    (lost,) = study.skipped()
    assert lost == {"model": "m", "image_set": "photos", "image": "photos/gone", "reason": "It has gone."}


def test_one_line_opens_it_elsewhere(study: Study) -> None:
    found = pd.read_parquet(study.folder / "rows")
    assert len(found) == 12 and list(found.columns) == NAMES


def test_a_damaged_part_is_passed_over(study: Study) -> None:
    second = part_paths(study.folder)[1]
    second.write_bytes(second.read_bytes()[:-20])
    assert read_notes(second) is None
    assert len(study.rows()) == 6 and [note.unit for note in all_notes(study.folder)] == [0, 2]
    all_notes(study.folder, remove_damaged=True)
    assert not second.exists()


def test_a_part_that_lacks_rows_it_speaks_of_is_no_part(study: Study) -> None:
    first = part_paths(study.folder)[0]
    whole = pq.read_table(first)
    pq.write_table(whole.slice(0, 4), first)
    assert read_notes(first) is None
    with pytest.raises(ValueError, match="notes"):
        write_part(study.folder, [UnitNote(9, "m", "s", "i", 5)], [table(rows())])


def test_files_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(half: Path) -> None:
        half.write_text("ha")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_whole(path, fail)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    write_whole(path, lambda half: half.write_text("new"))
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["[1]", "{", "\x00", '{"settings": ' * 5000])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BadStudy):
        open_study(tmp_path)
    assert read_json(tmp_path / "nothing.json") is None


# taking away and bringing in


def read_export(form: str, path: Path) -> pd.DataFrame:
    if form == "csv":
        return pd.read_csv(path)
    if form == "parquet":
        return pd.read_parquet(path)
    return pd.DataFrame(json.loads(path.read_text())["rows"])


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_exports_hold_every_row(study: Study, form: str, tmp_path: Path) -> None:
    path = export(study, form, tmp_path / f"out{EXPORTS[form].suffix}")
    found = read_export(form, path)
    same(found, written(study))


def test_an_export_of_another_form(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        export(study, "xlsx", tmp_path / "x")


@pytest.mark.parametrize("form", ["zip", "parquet"])
def test_what_goes_out_comes_in(study: Study, form: str, tmp_path: Path) -> None:
    path = export(study, form, tmp_path / f"theirs{EXPORTS[form].suffix}")
    root = tmp_path / "mine"
    found = import_study(path, root)
    assert found.folder.parent == root and list(root.iterdir()) == [found.folder]
    same(found.rows(), written(study))
    assert list(found.images()["image"]) == ["photos/bison", "photos/cat_tabby"]
    assert found.name == ("Made" if form == "zip" else "theirs")
    assert found.coincide == (study.coincide if form == "zip" else [])
    assert import_study(path, root, name="Another").name == "Another"


def packed(study: Study, change: Callable[[dict[str, bytes]], None], prefix: str = "") -> bytes:
    """The study's files, changed, as an archive."""
    files = {
        str(path.relative_to(study.folder)): path.read_bytes() for path in study.folder.rglob("*") if path.is_file()
    }
    change(files)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(prefix + name, content)
    return data.getvalue()


def with_backslashes(files: dict[str, bytes]) -> None:
    for name in list(files):
        files[name.replace("/", "\\")] = files.pop(name)


@pytest.mark.parametrize(("change", "prefix"), [(lambda files: None, "made/"), (with_backslashes, "made\\")])
def test_a_folder_packed_by_hand_is_taken(
    study: Study, change: Callable[[dict[str, bytes]], None], prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "hand.zip"
    path.write_bytes(packed(study, change, prefix))
    assert import_study(path, tmp_path / "r").count() == 12


def replaced(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.update({name: content})


def dropped(start: str) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        for name in [name for name in files if name.startswith(start)]:
            del files[name]

    return change


def doubled(files: dict[str, bytes]) -> None:
    files["rows/part-0000009.parquet"] = files["rows/part-0000000.parquet"]


HOSTILE: dict[str, Callable[[dict[str, bytes]], None]] = {
    "climbs": replaced("../../evil.txt", b"x"),
    "absolute": replaced("/tmp/evil.txt", b"x"),
    "drive": replaced("C:\\evil.txt", b"x"),
    "no manifest": dropped("manifest"),
    "no rows": dropped("rows/"),
    "manifest is none": replaced("manifest.json", b"[]"),
    "rows are none": replaced("rows/part-0000000.parquet", b"PAR1....PAR1"),
    "rows of a strange kind": replaced("rows/part-0000000.parquet", b"\x80\x04cos\nsystem\n"),
    "pictures are none": replaced("images.parquet", b"nothing"),
    "pairs twice": doubled,
}


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_hostile_archives_leave_nothing(study: Study, kind: str, tmp_path: Path) -> None:
    path, root = tmp_path / "bad.zip", tmp_path / "r"
    path.write_bytes(packed(study, HOSTILE[kind]))
    with pytest.raises(BadStudy):
        import_study(path, root)
    assert list(root.iterdir()) == []
    assert not (tmp_path / "evil.txt").exists() and not Path("/tmp/evil.txt").exists()


def test_links_bombs_and_damage_are_refused(study: Study, tmp_path: Path) -> None:
    root = tmp_path / "r"
    link = zipfile.ZipInfo("rows/part-0000007.parquet")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    files = {"link": (link, b"/etc/passwd"), "bomb": (zipfile.ZipInfo("rows/part-7.parquet"), bytes(3 << 20))}
    for name, (info, content) in files.items():
        path = tmp_path / f"{name}.zip"
        path.write_bytes(packed(study, lambda files: None))
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
        with pytest.raises(BadStudy, match="not unpacked"):
            import_study(path, root)
    whole = packed(study, lambda files: None)
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadStudy):
        import_study(tmp_path / "cut.zip", root)
    with pytest.raises(BadStudy, match="no file"):
        import_study(tmp_path / "nowhere.zip", root)
    assert list(root.iterdir()) == []


def with_column(name: str, value: Any) -> pd.DataFrame:
    return rows().assign(**{name: value})


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (rows().drop(columns="rbo"), "no column 'rbo'"),
        (rows().drop(columns="near"), "no column 'near'"),
        (rows().iloc[:0], "no rows"),
        (with_column("severity", "much"), "severity"),
        (with_column("severity", 0.0), "clean picture"),
        (with_column("severity", 7.0), "7"),
        (with_column("clean_prob", 1.5), "1.5"),
        (with_column("ssim", -1.5), "-1.5"),
        (with_column("seed", 2**40), "seed"),
        (with_column("seed", -1), "-1"),
        (with_column("flipped", True), "contradicts"),
        (with_column("near", True), "nothing flipped"),
        (with_column("degenerate", True), "degenerate"),
        (with_column("image", "x" * 501), "characters"),
        (with_column("image", None), "empty cells"),
        (pd.concat([rows(), rows()]), "repeats a pair"),
    ],
)
def test_tables_that_are_no_study(frame: pd.DataFrame, says: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    frame.to_parquet(path, index=False)
    with pytest.raises(BadStudy, match=says):
        read_rows(path)
    with pytest.raises(BadStudy, match=says):
        import_study(path, tmp_path / "r")


def test_a_table_may_lack_what_is_optional_and_have_more(tmp_path: Path) -> None:
    frame = rows().drop(columns=["seconds", "spearman", "tied", "other_floor"]).assign(mine="x", ssim=np.nan)
    frame.loc[0, "l1"] = None
    frame.astype({"severity": "float32", "image": "category"}).to_parquet(tmp_path / "t.parquet")
    found = read_rows(tmp_path / "t.parquet").to_pandas()
    assert list(found.columns) == NAMES
    assert found["spearman"].isna().all() and not found["tied"].any() and np.isnan(found["l1"][0])


def test_columns_named_twice() -> None:
    one = table(rows())
    with pytest.raises(BadStudy, match="two columns with one name"):
        conform(pa.table([*one.columns, one["rbo"]], names=[*one.column_names, "rbo"]))


# the shelf


def test_the_shelf_lists_renames_and_deletes(study: Study) -> None:
    root = study.folder.parent
    (root / "no-study").mkdir()
    (root / "broken").mkdir()
    (root / "broken" / "manifest.json").write_text("{")
    assert [each.folder for each in list_studies(root)] == [study.folder]
    assert rename(study.folder, "  Ours\n& others ", root).name == "Ours & others"
    assert open_study(study.folder).count() == 12
    with pytest.raises(BadSetting):
        rename(study.folder, " \n", root)
    with held(study.folder), pytest.raises(BadStudy, match="running"):
        delete(study.folder, root)
    delete(study.folder, root)
    assert list_studies(root) == [] and not study.folder.exists()


def test_nothing_outside_the_shelf_is_touched(study: Study, tmp_path: Path) -> None:
    root = tmp_path / "shelf"
    (root / "inner").mkdir(parents=True)
    inside = root / "inner" / "deep"
    shutil.copytree(study.folder, inside)
    (root / "link").symlink_to(study.folder)
    for place in (study.folder, root / ".." / "root" / "made", inside, root / "link", root, root / "inner"):
        with pytest.raises(BadStudy):
            delete(place, root)
        with pytest.raises(BadStudy):
            rename(place, "x", root)
    assert study.count() == 12 and study.name == "Made" and inside.exists()


def test_where_studies_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMLAB_STUDIES_DIR", str(tmp_path / "here"))
    assert studies_root() == tmp_path / "here" and list_studies() == []
    one, other = new_folder("Ünsere Stüdie / 1"), new_folder("Ünsere Stüdie / 1")
    assert one.parent == tmp_path / "here" and one != other and one.name.startswith("unsere-studie-1-")
    assert new_folder("漢字").name.startswith("study-")

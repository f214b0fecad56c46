"""The user's directories: the variable first, then the system's own place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from camlab.common.directories import ASSETS, IMPORT_ROOT, user_directory
from camlab.common.errors import BadSetting

NAMED = "CAMLAB_SOME_DIR"


def test_the_assets_lie_beside_the_pages() -> None:
    assert ASSETS.is_dir() and (IMPORT_ROOT / "camlab" / "__init__.py").is_file()


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAMED, f" {tmp_path} ")
    assert user_directory(NAMED, "camlab") == user_directory(NAMED, "camlab", data=True) == tmp_path
    monkeypatch.setenv(NAMED, "~/mine")
    assert user_directory(NAMED, "camlab") == Path.home() / "mine"
    monkeypatch.setenv(NAMED, "here")
    assert user_directory(NAMED, "camlab") == Path.cwd() / "here"


@pytest.mark.parametrize(
    ("platform", "variable", "value", "data", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "/a/place", False, "/a/place/camlab"),
        ("linux", "XDG_CACHE_HOME", "relative", False, "~/.cache/camlab"),
        ("linux", "XDG_DATA_HOME", "/a/place", True, "/a/place/camlab"),
        ("linux", "XDG_DATA_HOME", "relative", True, "~/.local/share/camlab"),
        ("linux", "XDG_DATA_HOME", "", True, "~/.local/share/camlab"),
        ("darwin", "XDG_CACHE_HOME", "/a/place", False, "~/Library/Caches/camlab"),
        ("darwin", "XDG_DATA_HOME", "/a/place", True, "~/Library/Application Support/camlab"),
        ("win32", "LOCALAPPDATA", "/a/place", False, "/a/place/camlab"),
        ("win32", "LOCALAPPDATA", "/a/place", True, "/a/place/camlab"),
    ],
)
def test_each_system_has_its_own_places(
    monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, value: str, data: bool, expected: str
) -> None:
    monkeypatch.delenv(NAMED, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, value)
    assert user_directory(NAMED, "camlab", data) == Path(expected).expanduser()


def test_a_user_without_a_home_is_told_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMED, "~no_such_user_here/caches")
    with pytest.raises(BadSetting, match=f"no home directory; set {NAMED} to a directory"):
        user_directory(NAMED, "camlab")

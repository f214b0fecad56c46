"""The wheel in an environment of its own, without the checkout: the commands, and the dashboard in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from playwright.sync_api import Browser, expect

import camlab
from benchmarks.browser import free_port, wait_until_up
from tests.e2e.conftest import SLOW, Visitor

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PAGES = {
    "": "Does the explanation survive the noise?",
    "compare": "Compare",
    "study": "Study",
    "learn": "Learn",
    "present": "Present",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; what it depends on comes from the tests' own environment."""
    place = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    found = subprocess.run(
        [place / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    (Path(found.stdout.strip()) / "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    return place


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Variables of a shell that knows nothing of the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CAMLAB"))}
    return {
        **kept,
        "CAMLAB_CACHE_DIR": str(tmp_path / "cache"),
        "CAMLAB_STUDIES_DIR": str(tmp_path / "studies"),
    }


def run(environment: Path, folder: Path, variables: dict[str, str], *words: str) -> str:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [environment / "bin" / "camlab", *words], cwd=folder, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_dashboard_and_nothing_beside_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
    assert {name.split("/")[0] for name in names} == {"camlab", metadata.split("/")[0]}
    assert "camlab/py.typed" in names and not [name for name in names if name.endswith(".pyc")]
    inside = {name.removeprefix("camlab/dashboard/") for name in names if name.startswith("camlab/dashboard/")}
    for folder in ("assets", "pages"):
        mine = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert mine <= inside
    assert {"app.py", ".streamlit/config.toml", "benchmarks/bench.py"} <= inside
    assert about["Version"] == camlab.__version__


def parsed(line: str) -> tuple[str, str]:
    requirement = Requirement(line)
    return canonicalize_name(requirement.name), str(requirement.specifier)


def test_what_the_wheel_depends_on_is_what_requirements_txt_says(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(archive.read(metadata).decode())
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines())
    wanted = {parsed(line) for line in lines if line}
    assert {parsed(each) for each in about.get_all("Requires-Dist", [])} == wanted


def test_the_commands_run_from_an_empty_folder(environment: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    folder = tmp_path / "empty"
    assert run(environment, folder, bare, "--version").strip() == f"camlab {camlab.__version__}"
    assert "efficientnet_lite0" in run(environment, folder, bare, "list", "models")
    (found,) = json.loads(run(environment, folder, bare, "explain", "photos/bison", "--json"))
    assert found["clean"]["label"] == "bison" and 0 <= found["similarity"]["rbo"] <= 1
    assert "--quick" in run(environment, folder, bare, "bench", "--help")
    assert not list(folder.iterdir())


def test_a_study_runs_from_an_empty_folder(environment: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    """Its workers are processes of their own, which have to find the package, too."""
    grid = ["--model", "shapes_vgg", "--images", "shapes", "--limit", "2", "--method", "gradcam"]
    noise = ["--noise", "gaussian_blur", "--severity", "3", "--workers", "1"]
    run(environment, tmp_path / "empty", bare, "study", *grid, *noise, "--out", str(tmp_path / "study"))
    assert json.loads((tmp_path / "study" / "manifest.json").read_text("utf-8"))["finished"]


@contextlib.contextmanager
def app(environment: Path, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    port = free_port()
    folder.mkdir(exist_ok=True)
    command = [str(environment / "bin" / "camlab"), "app", "--no-browser", "--port", str(port)]
    with (folder.parent / "app.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def test_the_dashboard_serves_all_five_pages_from_an_empty_folder(
    environment: Path, browser: Browser, tmp_path: Path, bare: dict[str, str]
) -> None:
    with app(environment, tmp_path / "empty", bare) as address, browser.new_context() as context:
        context.set_default_timeout(SLOW)
        # A page's own address is the first thing that this server is asked for.
        for path, heading in reversed(PAGES.items()):
            visitor = Visitor(context)
            visitor.page.goto(f"{address}/{path}")
            expect(visitor.page.locator("h1").first).to_be_visible()
            link = visitor.page.get_by_role("link", name=heading if path else "Explore")
            expect(link.first).to_be_visible()
            expect(visitor.page.locator('[data-testid="stException"]')).to_have_count(0)
            assert visitor.complaints == []
            visitor.page.close()
    assert "Traceback" not in (tmp_path / "app.log").read_text("utf-8")

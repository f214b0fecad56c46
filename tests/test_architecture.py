"""The rules of the house: imports in one direction and without circles, one door per name, one class per name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
SOURCES = ("camlab", "pages")
#: Everything that imports from the library or the pages.
READERS = (*SOURCES, "tests", "benchmarks", "docs", "app.py")


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        place = root / folder
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def tree(path: Path) -> ast.Module:
    return parsed(path.read_text("utf-8"))


@cache  # by content: a copy in which one line is planted has the trees of the original
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def nodes(text: str) -> list[ast.Import | ast.ImportFrom]:
    """Every import of a module, wherever in it."""
    # Trees of every file at once would fill the memory and slow the collection of garbage down.
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(path: Path) -> list[tuple[str, str, int]]:
    """Module, name and line of every ``from module import name`` of ours, wherever in the file it stands."""
    return imports_of(path.read_text("utf-8"))


@cache  # by content, as above
def imports_of(text: str) -> list[tuple[str, str, int]]:
    found = []
    for node in nodes(text):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in SOURCES:
            found += [(node.module, alias.name, node.lineno) for alias in node.names]
    return found


def defined(path: Path) -> set[str]:
    """Names that a module makes itself, at its top level."""
    found: set[str] = set()
    pending = list(tree(path).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.For):
            found |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.If | ast.Try):
            pending += [*node.body, *node.orelse]
    return found


def private_imports(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}:{line}: {module}.{name}"
        for path in python_files(root, *READERS)
        for module, name, line in imports(path)
        if any(re.match(r"_[^_]", part) for part in (*module.split("."), name))
    ]


def borrowed_names(root: Path) -> list[str]:
    """Imports of a name from a module that has imported it itself; a package's ``__init__`` is a door."""
    files = {module_name(root, path): path for path in python_files(root, *SOURCES)}
    return [
        f"{path.relative_to(root)}:{line}: {module}.{name}"
        for path in python_files(root, *READERS)
        for module, name, line in imports(path)
        if (home := files.get(module)) is not None and home.name != "__init__.py" and name not in defined(home)
    ]


def repeated_classes(root: Path) -> dict[str, list[str]]:
    places = defaultdict(list)
    for path in python_files(root, *SOURCES):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(root)))
    return {name: files for name, files in places.items() if len(files) > 1}


def circles(root: Path) -> list[list[str]]:
    """Sets of modules that import one another, imports inside functions and for type checkers counted."""
    files = {module_name(root, path): path for path in python_files(root, *SOURCES)}
    place = {name: number for number, name in enumerate(files)}
    arrows = set()
    for name, path in files.items():
        for node in nodes(path.read_text("utf-8")):
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif node.module:
                # `from package import module` is an import of the module, not of the package's door.
                wanted = [
                    each if (each := f"{node.module}.{alias.name}") in files else node.module for alias in node.names
                ]
            else:
                continue
            arrows |= {(place[name], place[each]) for each in wanted if each in files and each != name}
    start, end = zip(*sorted(arrows), strict=True)
    graph = coo_array(([1] * len(start), (start, end)), shape=(len(files), len(files)))
    _, label = connected_components(graph, connection="strong")
    together = defaultdict(list)
    for name, number in place.items():
        together[label[number]].append(name)
    return [sorted(names) for names in together.values() if len(names) > 1]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=root, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources in which something can be planted."""
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(copy: Path, file: str, line: str) -> None:
    path = copy / file
    path.write_text(path.read_text("utf-8") + f"\n\n{line}\n", "utf-8")


def test_imports_go_one_way() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("camlab/noise/base.py", "import camlab.cams.base", "twelve packages"),
        ("camlab/common/errors.py", "def late():\n    from camlab.images import Picture", "twelve packages"),
        (
            "camlab/metrics/pixels.py",
            "if TYPE_CHECKING:\n    from camlab.engine.engine import Engine",
            "twelve",
        ),
        ("pages/shared/session.py", "import pages.explore.page", "The pages"),
        ("pages/learn/page.py", "import pages.study.page", "The pages"),
        ("camlab/explore/state.py", "import streamlit", "neither Streamlit"),
        ("camlab/cli/main.py", "import pages.shared.session", "neither Streamlit"),
    ],
)
def test_an_import_that_is_planted_the_wrong_way_is_found(copy: Path, file: str, line: str, contract: str) -> None:
    plant(copy, file, line)
    done = lint_imports(copy)
    assert done.returncode == 1
    broken = [each for each in done.stdout.splitlines() if each.endswith("BROKEN")]
    assert len(broken) == 1 and contract in broken[0]


def test_a_package_without_a_place_in_the_order_is_found(copy: Path) -> None:
    (copy / "camlab" / "thirteenth").mkdir()
    (copy / "camlab" / "thirteenth" / "__init__.py").touch()
    assert lint_imports(copy).returncode == 1


def test_modules_import_in_no_circle(copy: Path) -> None:
    assert circles(ROOT) == []
    line = "def late():\n    from camlab.noise.sensor import gaussian_noise"
    plant(copy, "camlab/noise/base.py", line)
    assert [found for found in circles(copy) if {"camlab.noise.base", "camlab.noise.sensor"} <= set(found)]


def test_private_names_stay_in_their_module(copy: Path) -> None:
    assert private_imports(ROOT) == []
    plant(copy, "camlab/cams/eigen.py", "from camlab.noise.digital import _pixelate")
    assert len(private_imports(copy)) == 1 and "noise.digital._pixelate" in private_imports(copy)[0]


def test_a_name_is_imported_where_it_is_made(copy: Path) -> None:
    assert borrowed_names(ROOT) == []
    plant(copy, "camlab/cams/eigen.py", "from camlab.noise.digital import noise_type")
    assert len(borrowed_names(copy)) == 1


def test_a_class_name_means_one_class(copy: Path) -> None:
    assert repeated_classes(ROOT) == {}
    plant(copy, "camlab/cams/eigen.py", "class Picture:\n    pass")
    assert list(repeated_classes(copy)) == ["Picture"]


def test_the_graph_of_packages_is_the_order_that_the_docs_show() -> None:
    shown = re.findall(r"^\| `camlab/(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.M)
    packages = {path.parent.name for path in (ROOT / "camlab").glob("*/__init__.py")}
    assert len(shown) == 12 and set(shown) == packages
    graph = grimp.build_graph("camlab", cache_dir=None)
    for package in shown:
        graph.squash_module(f"camlab.{package}")
    upward = {
        (lower, upper)
        for at, lower in enumerate(shown)
        for upper in shown[at + 1 :]
        if f"camlab.{upper}" in graph.find_modules_directly_imported_by(f"camlab.{lower}")
    }
    assert upward == set()


def test_tests_mirror_the_packages() -> None:
    for package in (path.parent for path in (ROOT / "camlab").glob("*/__init__.py")):
        assert list((ROOT / "tests" / package.name).rglob("test_*.py")), package.name

"""Write the tables of the documentation anew from the registries.

    python -m benchmarks.make_docs            # writes; says which pages have changed
    python -m benchmarks.make_docs --check    # writes nothing; fails if a page is stale

In a page of docs/, whatever stands between ``<!-- begin: NAME -->`` and ``<!-- end -->`` is the part called NAME here.
All around it is written by hand.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from benchmarks.families import EXCEPTIONS
from benchmarks.families import TABLE as FAMILIES
from camlab.cams import CAMS
from camlab.cams.base import CamMethod
from camlab.common.registry import Registry
from camlab.common.wording import millions, sides
from camlab.images import IMAGE_SETS
from camlab.images.datasets.catalogue import DATASETS
from camlab.images.datasets.hub import PREFIX
from camlab.metrics import SIMILARITIES
from camlab.models import MODELS
from camlab.models.hub.catalogue import SHELF, catalogue, catalogue_row, families, table_version
from camlab.noise import NOISES
from camlab.study import PRESETS
from camlab.study.sources import count_pairs
from camlab.study.stats import TESTS
from camlab.study.store import COLUMNS, IMAGE_COLUMNS, Column

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("models.md", "images.md", "methods.md", "statistics.md", "study.md")
_MARKS = re.compile(r"(<!-- begin: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

PARTS: Registry[Callable[[], str]] = Registry("part of the documentation")


def part(name: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register the decorated function as what makes a part's text."""

    def register(make: Callable[[], str]) -> Callable[[], str]:
        return PARTS.add(name, cache(make))  # reading all outlines takes a while

    return register


def rewritten(page: str) -> str:
    """A page's text with every part made anew. Raises UnknownName for a part that nobody makes."""
    return _MARKS.sub(lambda match: f"{match[1]}{PARTS[match['name']]()}\n{match[3]}", page)


def stale(folder: Path = DOCS) -> list[str]:
    """The names of the pages whose parts are not what the registries say."""
    return [name for name in PAGES if (text := _read(folder / name)) != rewritten(text)]


def write(folder: Path = DOCS) -> list[str]:
    """Write the stale pages anew; returns their names."""
    changed = stale(folder)
    for name in changed:
        (folder / name).write_text(rewritten(_read(folder / name)), encoding="utf-8")
    return changed


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; columns whose header ends in a colon are set to the right."""
    lines = [
        [name.removesuffix(":") for name in header],
        ["---:" if name.endswith(":") else "---" for name in header],
        *([_cell(value) for value in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _link(text: str, address: str) -> str:
    return f"[{text}]({address})" if address else text


# --- models.md ---


@part("bundled-models")
def _bundled() -> str:
    return table(
        ("name", "network", "parameters:", "input:", "licence", "what it is"),
        [
            (
                f"`{row.name}`",
                _link(row.title, row.source if row.source.startswith("https://") else ""),
                millions(row.parameters),
                sides(row.input_size),
                row.licence,
                row.summary,
            )
            for row in MODELS.values()
        ],
    )


@part("shelf")
def _shelf() -> str:
    rows = [(catalogue_row(name), summary) for name, summary in SHELF.items()]
    return table(
        ("name", "parameters:", "download about:", "input:", "licence", "what it is good for"),
        [
            (
                f"[`{row.id}`](https://huggingface.co/{row.hub_id})",
                millions(row.parameters),
                f"{row.download_bytes / 1e6:,.0f} MB",
                sides(row.input_size),
                row.licence,
                summary,
            )
            for row, summary in rows
        ],
    )


@part("catalogue-size")
def _catalogue_size() -> str:
    rows = catalogue().values()
    usable = sum(not row.unexplained for row in rows)
    whys = Counter(row.unexplained for row in rows if row.unexplained)
    left_out = [f"- {count} are not supported, each for this reason: {reason}." for reason, count in whys.most_common()]
    return "\n".join(
        [
            f"The table was made with timm {table_version()}. It holds {len(rows):,} pretrained classifiers of "
            f"{len(families())} families.",
            "",
            f"- {usable:,} can be explained.",
            *left_out,
        ]
    )


@part("licences")
def _licences() -> str:
    counts = Counter(row.licence for row in catalogue().values())
    return table(("licence of the weights", "networks:"), [(name, n) for name, n in counts.most_common()])


@part("families")
def _families() -> str:
    with FAMILIES.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    there = [row for row in rows if row["model"]]
    without = ", ".join(row["family"] for row in rows if not row["model"])
    explained = [row for row in there if row["family"] not in EXCEPTIONS]
    exceptions = "\n".join(f"- **{name}**: {reason}." for name, reason in EXCEPTIONS.items())
    pretrained = families()
    return "\n\n".join(
        [
            f"Of timm's {len(rows)} families, {len(there)} have a classifier (all but {without}). "
            f"CAM Lab explains {len(explained)} of them, all but:",
            exceptions,
            table(
                ("family", "smallest network", "its parameters:", "pretrained networks:"),
                [
                    (
                        row["family"],
                        f"`{row['model']}`",
                        millions(int(row["parameters"])),
                        pretrained.get(row["family"], 0),
                    )
                    for row in explained
                ],
            ),
        ]
    )


# --- images.md ---


@part("image-sets")
def _image_sets() -> str:
    rows = []
    for image_set in IMAGE_SETS.values():
        outlined = sum(picture.mask() is not None for picture in image_set.pictures)
        rows.append((f"`{image_set.name}`", image_set.title, len(image_set.pictures), outlined, image_set.summary))
    total = sum(len(image_set.pictures) for image_set in IMAGE_SETS.values())
    header = ("name", "set", "pictures:", "with outline:", "what it shows")
    return f"{table(header, rows)}\n\nTogether: {total} pictures."


@part("image-licences")
def _image_licences() -> str:
    counts = Counter(picture.licence for image_set in IMAGE_SETS.values() for picture in image_set.pictures)
    return table(("licence", "pictures:"), [(name, n) for name, n in counts.most_common()])


@part("datasets")
def _datasets() -> str:
    return table(
        (
            "name",
            "data set",
            "pictures:",
            "classes:",
            "download:",
            "space during download:",
            "licence",
            "what it is",
        ),
        [
            (
                f"`{row.name}`",
                _link(row.title, row.source),
                f"{row.count:,}",
                row.classes,
                f"{row.megabytes:,} MB",
                f"{row.room:,} MB",
                _link(row.licence, row.licence_url),
                row.summary,
            )
            for row in DATASETS.values()
            if not row.name.startswith(PREFIX)  # whatever this machine has of the hub
        ],
    )


# --- methods.md ---

#: What the costs of `camlab.cams` mean, in the words of the page.
COSTS = {
    "shared": "one pass",
    "tail": "one more pass of the layers after the target layer",
    "full": "one more pass of the whole network",
}


def _cost(method: CamMethod) -> str:
    """The method's price where it says one; of one that needs no further pass, what it takes beside the one."""
    words = COSTS[method.cost]
    return (f"{words}, and {method.price}" if method.cost == "shared" else method.price) if method.price else words


@part("methods")
def _methods() -> str:
    library = f"Methods of pytorch-grad-cam run the code of grad-cam {version('grad-cam')}."
    rows = table(
        ("name", "method", "what it does", "depends on class", "cost", "source"),
        [
            (
                f"`{method.name}`",
                method.title,
                method.summary,
                "yes" if method.class_specific else "no",
                _cost(method),
                method.source,
            )
            for method in CAMS.values()
        ],
    )
    return f"{library}\n\n{rows}"


@part("noises")
def _noises() -> str:
    def levels(number: int, values: Sequence[Sequence[float]]) -> str:
        return " ".join(f"{row[number]:.3g}" for row in values[1:])

    return table(
        ("name", "noise type", "family", "at severities 1 to 5", "random", "what it does"),
        [
            (
                f"`{noise.name}`",
                noise.title,
                noise.family,
                "; ".join(f"{name}: {levels(i, noise.levels)}" for i, name in enumerate(noise.parameters)),
                "yes" if noise.stochastic else "no",
                noise.summary,
            )
            for noise in NOISES.values()
        ],
    )


@part("similarities")
def _similarities() -> str:
    return table(
        ("name", "measure", "range", "what it compares"),
        [
            (f"`{name}`", each.title, f"{each.low:g} to {each.high:g}", each.summary)
            for name, each in SIMILARITIES.items()
        ],
    )


# --- statistics.md ---


@part("tests")
def _tests() -> str:
    return table(
        ("name", "test", "what it asks", "unit of observation"),
        [(f"`{name}`", each.title, each.question, each.unit) for name, each in TESTS.items()],
    )


# --- study.md ---


@part("study-columns")
def _study_columns() -> str:
    return _columns(COLUMNS)


@part("study-images")
def _study_images() -> str:
    return _columns(IMAGE_COLUMNS)


def _columns(columns: Sequence[Column]) -> str:
    def bounds(column: Column) -> str:
        if column.low is None:
            return ""
        return f"from {column.low:g}" if column.high is None else f"{column.low:g} to {column.high:g}"

    rows = (
        (f"`{column.name}`", column.type, bounds(column), "yes" if column.required else "", column.words)
        for column in columns
    )
    return table(("column", "type", "values", "required", "meaning"), rows)


@part("study-presets")
def _study_presets() -> str:
    def row(name: str) -> tuple[object, ...]:
        entry = PRESETS[name]
        return f"`{name}`", f"{count_pairs(entry.make()):,}", entry.summary

    return table(("preset", "pairs:", "what it runs"), map(row, PRESETS))


def main() -> int:
    """Write the pages, or check them; the exit code is 1 if a checked page is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a page is stale")
    check = parser.parse_args().check
    pages = stale() if check else write()
    print("\n".join(f"{'stale' if check else 'written'}: docs/{name}" for name in pages) or "All pages are true.")
    return int(check and bool(pages))


if __name__ == "__main__":
    sys.exit(main())

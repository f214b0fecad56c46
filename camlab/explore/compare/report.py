"""The report of a tray of cells: pairs of any models, pictures, methods and noises beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camlab.common.errors import BadSetting
from camlab.common.wording import decimal, plural
from camlab.drawing.report.material import Material, Plot, Table, credit_of
from camlab.explore.compare.chart import PairDot, pair_dots
from camlab.explore.output.record import package_versions
from camlab.explore.output.report import facts, pair_photos, reproduce
from camlab.explore.output.words import perturbed_title, shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES

MOST = 12  # cells with pictures: what a file under 10 MB has room for, and a reader patience


@dataclass(frozen=True)
class Cell:
    """One cell of a comparison: what Explore would show of it; ``label`` names it, by default its settings."""

    scene: Scene
    shown: Shown
    label: str = ""

    @property
    def title(self) -> str:
        """The cell's name."""
        scene = self.scene
        return self.label or (
            f"{scene.method.title}, {scene.classifier.title}, {scene.picture.title}, "
            f"{perturbed_title(self.shown.row).lower()}"
        )


def cells_material(
    cells: Sequence[Cell],
    title: str = "A comparison of heat maps",
    plots: Sequence[Plot] = (),
    summary: Sequence[str] = (),
) -> Material:
    """What a report says about several cells, with whatever figures and words the page has beside them.

    Raises BadSetting without any cell, or with more than MOST.
    """
    if not 1 <= len(cells) <= MOST:
        raise BadSetting(f"A report holds 1 to {MOST} cells, not {len(cells)}; choose those that matter.")
    rows = [_row(cell) for cell in cells]
    kept = [c for c in cells if not c.shown.row["flipped"]]
    measured = sorted(
        (float(c.shown.row["similarity"]), c.title) for c in kept if not c.shown.row["degenerate"]
    )
    said = [
        f"{plural(len(cells), 'pair')} of a clean and a noisy picture; "
        f"{len(kept)} kept {'its' if len(kept) == 1 else 'their'} prediction."
    ]
    if len(measured) > 1:
        (low, least), (high, most) = measured[0], measured[-1]
        said.append(
            f"Of those that did, the map that moved most is that of {least} (similarity {low:.2f}); the "
            "steadiest is that "
            f"of {most} ({high:.2f})."
        )
    return Material(
        title=title,
        summary=[*said, *summary],
        caveats=[
            "Each cell is one noise draw of one picture (n = 1): no interval can be given, and another seed may "
            "order the cells otherwise.",
            "Chance level: what random rankings and other pictures' maps score differs from cell to cell; the "
            "table gives the former where there is a formula.",
            *_dull(cells),
        ],
        facts={f"{i + 1}. {cell.title}": "; ".join(f"{k}: {v}" for k, v in facts(cell.scene).items() if k in _TOLD)
               for i, cell in enumerate(cells)},
        photos=[(f"{i + 1}. {cell.title}", pair_photos(cell.scene, cell.shown)) for i, cell in enumerate(cells)],
        plots=[_dots(cells), *plots],
        tables=[
            Table("Every cell", ("Cell", "Prediction", "Similarity", "Random ranking", "Measure"), rows)
        ],
        versions=package_versions(),
        reproduce=list(dict.fromkeys(reproduce(c.scene.state, c.scene)[0] for c in cells)),
        credits=[credit_of(c.scene.picture) for c in cells],
    )  # fmt: skip


_TOLD = ("Target layer", "Class rule", "Maps", "Similarity", "Segments")


def _row(cell: Cell) -> tuple[str, ...]:
    row, scene = cell.shown.row, cell.scene
    return (
        cell.title,
        shown_verdict(scene, row),
        decimal(None if row["degenerate"] else row["similarity"], 3),
        "–" if scene.random_floor is None else f"{scene.random_floor:.2f}",
        SIMILARITIES[scene.state.similarity].scored_title,
    )


def _dots(cells: Sequence[Cell]) -> Plot:
    """The similarity of every cell beside one another."""
    pairs = [
        PairDot(
            f"{i + 1}. {cell.title}",
            f"{i + 1}. {cell.scene.method.title}, {NOISES[cell.scene.state.noise].title} "
            f"{cell.shown.row['severity']:g}",
            None if cell.shown.row["degenerate"] else float(cell.shown.row["similarity"]),
            bool(cell.shown.row["flipped"]),
            cell.scene.random_floor,
        )
        for i, cell in enumerate(cells)
    ]
    titles = dict.fromkeys(SIMILARITIES[cell.scene.state.similarity].scored_title for cell in cells)
    return Plot("Side by side", pair_dots(pairs, similarity_title=" / ".join(titles)), "pair_dots")


def _dull(cells: Sequence[Cell]) -> list[str]:
    count = sum(bool(cell.shown.row["degenerate"]) for cell in cells)
    return (
        [f"{plural(count, 'cell')} with a degenerate map (one that favours no place): no similarity."]
        if count
        else []
    )

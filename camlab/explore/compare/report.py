"""The report of a tray: one pair, as in Explore, for each pinned cell of a noisy picture."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from camlab.common.errors import BadSetting
from camlab.common.wording import decimal, plural
from camlab.drawing.charts.titles import model_title
from camlab.drawing.report.material import Material, Plot, Table, credit_of
from camlab.explore.charts.dots import PairDot, pair_dots
from camlab.explore.compare.browser import alt_text, version_title
from camlab.explore.compare.grid import Grid
from camlab.explore.compare.state import Place, to_link
from camlab.explore.output.panels import perturbed_title, shown_verdict
from camlab.explore.output.record import package_versions
from camlab.explore.output.report import facts, pair_photos, reproduce
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import OWN_KINDS
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES

MOST = 12  # pairs with pictures that fit into a file under 10 MB
BESIDE = "Cells of the clean picture are not listed: each pair shows its clean map."
_FACTS = ("Target layer", "Class rule", "Maps", "Similarity", "Segments")


@dataclass(frozen=True)
class ReportPair:
    """One pair of a report; ``label``: its name, derived from its settings by default."""

    scene: Scene
    shown: Shown
    label: str = ""

    @property
    def title(self) -> str:
        """The pair's name."""
        scene = self.scene
        return self.label or (
            f"{scene.method.title}, {scene.classifier.title}, {scene.picture.title}, "
            f"{perturbed_title(self.shown.row).lower()}"
        )

    @property
    def similarity(self) -> float | None:
        """Similarity of the two maps; None for a degenerate map."""
        row = self.shown.row
        return None if row["degenerate"] else float(row["similarity"])

    @property
    def measure(self) -> str:
        """Title of the similarity."""
        return SIMILARITIES[self.scene.state.similarity].scored_title


def noisy_pairs(grid: Grid, places: Sequence[Place]) -> list[Place]:
    """Return the cells that a report can show: computed ones that compare a noisy picture with the clean one."""
    cells = [grid.cell(where) for where in places]
    return [each.place for each in cells if each and each.row is not None and each.place.noise is not None]


def report_pair(grid: Grid, where: Place, check: Callable[[], None] = lambda: None) -> ReportPair:
    """Compute the pair of a cell. Raises CamLabError if that is impossible."""
    usual = ExploreState()
    state = dataclasses.replace(grid.explore(where), view=usual.view, outline=usual.outline)
    scene = Scene(grid.scene(where).engine, grid.picture, state)
    label = f"{grid.title(where)}, {version_title(where)}, {model_title(where.model)}"
    return ReportPair(scene, scene.shown(where.severity, where.seed, check), label)


def tray_material(grid: Grid, places: Sequence[Place], pairs: Sequence[ReportPair]) -> Material:
    """Return the report of a tray; ``pairs`` are the `report_pair` of its `noisy_pairs`.

    The summary lists the other pinned cells. Raises BadSetting without any pair, or with more than MOST.
    """
    paired = noisy_pairs(grid, places)
    rest = [where for where in places if where not in paired]
    bare = [cell for where in rest if where.noise is not None and (cell := grid.cell(where))]
    bare_cells = [f"Without a pair: {alt_text(grid, cell)}" for cell in bare]
    bare_cells += [BESIDE] if any(where.noise is None for where in rest) else []
    material = pairs_material(pairs, f"Explanations of “{grid.picture.title}” side by side", summary=bare_cells)
    own = grid.picture.image_set in OWN_KINDS
    shown = dataclasses.replace(grid.state, pins=tuple(places))
    return dataclasses.replace(material, link="" if own else "/compare?" + urlencode(to_link(shown)))


def pairs_material(
    pairs: Sequence[ReportPair],
    title: str = "A comparison of heat maps",
    plots: Sequence[Plot] = (),
    summary: Sequence[str] = (),
) -> Material:
    """Return a report of several pairs, which may differ in model, picture, method and noise.

    ``plots``, ``summary``: further figures and paragraphs. Raises BadSetting without any pair, or with more than
    MOST.
    """
    if not 1 <= len(pairs) <= MOST:
        raise BadSetting(f"A report holds 1 to {MOST} cells, not {len(pairs)}; pin the most important ones.")
    kept = [pair for pair in pairs if not pair.shown.row["flipped"]]
    measured = sorted((pair.similarity, pair.title) for pair in kept if pair.similarity is not None)
    sentences = [
        f"{plural(len(pairs), 'pair')} of a clean and a noisy picture; "
        f"{len(kept)} kept {'its' if len(kept) == 1 else 'their'} prediction."
    ]
    if len(measured) > 1:
        (low, least), (high, most) = measured[0], measured[-1]
        sentences.append(
            f"Among those, the map of {least} moved most (similarity {low:.2f}), and the map of {most} moved "
            f"least ({high:.2f})."
        )
    dull = sum(pair.similarity is None for pair in pairs)
    return Material(
        title=title,
        summary=[*sentences, *summary],
        caveats=[
            "Each pair is one noise draw of one picture (n = 1): it has no interval, and another seed may "
            "change the order.",
            "Chance level: the scores of random rankings and of other pictures' maps differ from pair to pair; the "
            "table gives the former where a formula exists.",
            *(
                [f"{plural(dull, 'pair')} with a degenerate map (the same value everywhere): no similarity."]
                if dull
                else []
            ),
        ],
        facts={
            f"{i}. {pair.title}": "; ".join(f"{k}: {v}" for k, v in facts(pair.scene).items() if k in _FACTS)
            for i, pair in enumerate(pairs, 1)
        },
        photos=[(f"{i}. {pair.title}", pair_photos(pair.scene, pair.shown)) for i, pair in enumerate(pairs, 1)],
        plots=[_dots(pairs), *plots],
        tables=[
            Table(
                "Every cell",
                ("Cell", "Prediction", "Similarity", "Random ranking", "Measure"),
                [_row(pair) for pair in pairs],
            )
        ],
        versions=package_versions(),
        reproduce=list(dict.fromkeys(reproduce(pair.scene.state, pair.scene)[0] for pair in pairs)),
        credits=[credit_of(pair.scene.picture) for pair in pairs],
    )


def _row(pair: ReportPair) -> tuple[str, ...]:
    floor = pair.scene.random_floor
    return (
        pair.title,
        shown_verdict(pair.scene, pair.shown.row),
        decimal(pair.similarity, 3),
        "–" if floor is None else f"{floor:.2f}",
        pair.measure,
    )


def _dots(pairs: Sequence[ReportPair]) -> Plot:
    """Plot the similarities of all pairs side by side."""
    dots = []
    for i, pair in enumerate(pairs, 1):
        row, scene = pair.shown.row, pair.scene
        short = f"{i}. {scene.method.title}, {NOISES[scene.state.noise].title} {row['severity']:g}"
        floor = scene.random_floor
        dots.append(PairDot(f"{i}. {pair.title}", short, pair.similarity, bool(row["flipped"]), floor))
    titles = dict.fromkeys(pair.measure for pair in pairs)
    return Plot("Side by side", pair_dots(dots, similarity_title=" / ".join(titles)), "pair_dots")

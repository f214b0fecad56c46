"""Lesson 4: from two maps to RBO, from many pairs to C, R and RM, and why RM alone misleads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camlab.cams import CAMS
from camlab.common.jobs import Job
from camlab.common.wording import decimal, percent, plural
from camlab.drawing.pictures import Bytes, Panel, draw_segments, to_image
from camlab.engine.spec import Spec
from camlab.explore.results import Shown
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson, overlay
from camlab.metrics import Robustness, random_ranking_floor, robustness, stratified
from camlab.metrics.ranking import average_ranks, depth_weights, tie_groups
from camlab.noise import NOISES

Floats = NDArray[np.float64]
#: Severities of the PAIRS pairs that the learner sorts, one draw each, mild to strong.
SEVERITIES = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.25, 4.5, 5.0)
COMPARED = ("gradcam", "eigencam", "randomcam")
MANY, LEVELS, SEEDS = 10, (1.0, 3.0, 5.0), (0, 1)


def agreements(x: NDArray[np.floating], y: NDArray[np.floating]) -> Floats:
    """Return the share of items that the first d of two rankings have in common, for d = 1…n: (n,) in [0, 1].

    x, y: (n,) scores, highest first; tied items share their places evenly (variant a of Corsi and Urbano 2024).
    """
    depth = np.arange(1, len(x) + 1, dtype=np.float64)[:, None]
    shares = []
    for scores in (x, y):
        above, size = tie_groups(scores[None])
        shares.append(np.clip((depth - above) / size, 0.0, 1.0))
    return np.asarray((shares[0] * shares[1]).sum(axis=1) / depth[:, 0])


@dataclass(frozen=True)
class RboByDepth:
    """RBO at each depth 1…n: agreement, weight (all weights add up to 1), and the sum so far.

    chance: the agreement of two random rankings at each depth; floor: the RBO of two random rankings.
    """

    agreement: Floats
    weight: Floats
    so_far: Floats
    chance: Floats
    floor: float

    @property
    def value(self) -> float:
        """RBO itself: the sum at the last depth."""
        return float(self.so_far[-1])

    def weighed(self, depth: int) -> float:
        """Return the share of the weight that the first ``depth`` ranks carry."""
        return float(self.weight[:depth].sum())


def rbo_by_depth(x: NDArray[np.floating], y: NDArray[np.floating], p: float) -> RboByDepth:
    """Compute RBO of two rankings (n,) at persistence p by depth. Raises BadSetting for a p outside (0, 1)."""
    n = len(x)
    floor = random_ranking_floor(n, p)
    agreement, weight = agreements(x, y), depth_weights(n, p)
    return RboByDepth(agreement, weight, np.cumsum(agreement * weight), np.arange(1, n + 1) / n, floor)


@lesson(
    "measure",
    title="Measuring it",
    minutes=5,
    intro="“The map moved” is not a number. Cut the picture into segments, rank them by the brightness of "
    "the map, and compare the two rankings. Then ask over many pairs: does the map stay when the prediction "
    "stays, and move when it flips?",
    goals=(
        "Read a bump chart, and say how RBO adds up and what p and the chance line mean.",
        "Compute consistency, responsiveness and RM from a dozen pairs.",
        "Explain why a high RM proves nothing by itself.",
    ),
    steps=(
        "Follow the strongest segments in the bump chart: which lines cross?",
        "Move p: which ranks count? Compare the value with the chance line.",
        "Move pairs between kept and flipped: which number reacts, and why?",
        "Measure Grad-CAM, Eigen-CAM and a random map on many pictures, and read every column of the table.",
    ),
    formulas=(
        Formula(
            r"\mathrm{RBO} = A_n p^n + \frac{1-p}{p}\sum_{d=1}^{n} A_d\,p^d",
            "RBO = Aₙ·pⁿ + (1 − p)/p · Σ A_d·p^d,  d = 1 … n",
            "A_d is the share of segments that the first d ranks of both lists have in common. Deeper ranks count "
            "less; p sets how much less.",
        ),
        Formula(
            r"\begin{aligned} C &= \overline{s}_{\text{kept}} \\ R &= 1-\overline{s}_{\text{flipped}} \\ "
            r"\mathrm{RM} &= C\cdot R \\ \text{gap} &= C + R - 1 \end{aligned}",
            "C = mean s over kept pairs,  R = 1 − mean s over flipped pairs,  RM = C·R,  gap = C + R − 1",
            "Consistency is the mean similarity of kept pairs, responsiveness one minus that of flipped "
            "pairs, RM their product. The gap is how much more similar kept pairs are than flipped ones.",
        ),
    ),
    sources=(
        Reference(
            "Webber, Moffat and Zobel 2010",
            "A similarity measure for indefinite rankings",
            "https://doi.org/10.1145/1852102.1852106",
        ),
        Reference(
            "Assessing the Noise Robustness of Class Activation Maps 2025",
            "C, R and RM",
            "https://arxiv.org/abs/2508.18154",
        ),
        Reference(
            "Corsi and Urbano 2024",
            "The treatment of ties in rank-biased overlap",
            "https://doi.org/10.1145/3626772.3657700",
        ),
    ),
    settings=("model", "image", "method", "noise", "severity", "seed"),
    moves=("p", "depth", "placed"),
    counts="pairs",
)
class Measuring(LessonRun):
    """The pair on screen, a dozen pairs of the same picture, and three methods over many pictures.

    dozen: rows with ``similarity`` and ``flipped``, mild to strong; many: the rows of each method in COMPARED.
    """

    def prepare(self) -> None:
        """Rank the segments of the pair on screen and measure the dozen.

        Raises CamLabError if method, model and picture do not fit together.
        """
        state = self.setting.state
        self.scene = self.setting.scene()
        self.shown: Shown = self.scene.shown(state.severity, self.scene.state.shown_seed, brief=True)
        self.values = tuple(self.scene.segment_values(each) for each in (self.shown.clean, self.shown.perturbed))
        self.pairs = [(s, (state.seed + i) if NOISES[state.noise].stochastic else 0) for i, s in enumerate(SEVERITIES)]
        self.dozen: list[dict[str, Any]] = self.scene.rows(self.pairs)
        specs = [Spec(state.noise, s, seed) for s, seed in self.pairs]
        engine, picture = self.setting.engine, self.setting.picture
        noisy = engine.inputs(self.scene.input, picture.digest, specs).numpy()
        #: Thumbnails of the dozen: noisy pictures under their maps.
        self.thumbnails: list[Bytes] = [
            overlay(pixels, version.maps[state.method])[::4, ::4].copy()
            for pixels, version in zip(noisy, self.scene.explain(specs), strict=True)
        ]
        self.many: dict[str, tuple[dict[str, Any], ...]] = dict.fromkeys(COMPARED, ())
        self.job.total = len(self.setting.pictures(MANY)) * len(self._draws())

    def _draws(self) -> list[tuple[float, int]]:
        seeds = SEEDS if NOISES[self.setting.state.noise].stochastic else SEEDS[:1]
        return [(level, seed) for level in LEVELS for seed in seeds]

    def rbo(self, p: float) -> RboByDepth:
        """Compute RBO of the pair on screen by depth."""
        return rbo_by_depth(self.values[0], self.values[1], p)

    def ranks(self) -> list[Floats]:
        """Rank the segments of the clean and of the noisy map: (n,) each, 1 the highest, ties at their mean."""
        return [average_ranks(values[None])[0] for values in self.values]

    def measured(self) -> str:
        """Return one letter per pair of the dozen: k(ept) or f(lipped)."""
        return "".join("f" if row["flipped"] else "k" for row in self.dozen)

    def scores(self, placed: str = "") -> Robustness:
        """Compute C, R and RM of the dozen, as measured or as the learner ``placed`` the pairs."""
        rows = pd.DataFrame(self.dozen)
        if placed:
            rows["flipped"] = [letter == "f" for letter in placed]
            rows["near"] = False
        return robustness(rows, unit="row", replicates=0)

    def work(self, job: Job) -> Iterator[None]:
        """Measure one picture per step with every method in COMPARED and add the rows to ``many``."""
        for picture in self.setting.pictures(MANY):
            for method in COMPARED:
                scene = self.setting.scene(picture=picture, method=method)
                self.many[method] += tuple(scene.rows(self._draws(), job.check))
            job.advance(len(self._draws()))
            yield

    def table(self) -> dict[str, tuple[Robustness, Robustness]]:
        """Return for each method the scores of all rows pooled, and the mean of the scores within each severity."""
        return {
            name: (robustness(frame, replicates=0), stratified(frame, replicates=0))
            for name, rows in self.many.items()
            if len(frame := pd.DataFrame(rows))
        }

    def by_severity(self, method: str) -> Mapping[float, tuple[float, float]]:
        """Return mean similarity and share of flips at each severity."""
        frame = pd.DataFrame(self.many[method])
        means = frame.groupby("severity")[["similarity", "flipped"]].mean()
        return {float(s): (float(row["similarity"]), float(row["flipped"])) for s, row in means.iterrows()}

    def sheet(self) -> Sheet:
        """Return both segment pictures, the scores, and the question."""
        table = self.table()
        scores = {CAMS[name].title: pooled.responsiveness for name, (pooled, _) in table.items()}
        observed = {name: value for name, value in scores.items() if value is not None}
        best = max(observed, key=lambda name: observed[name]) if observed else ""
        options = (*scores, "No flips, so R is not observed")
        built, here = self.rbo(self.setting.state.p), self.scores()
        random = table["randomcam"][0]
        levels = ", ".join(
            f"severity {s:g}: similarity {v:.2f}, {percent(f)} flipped"
            for s, (v, f) in self.by_severity("gradcam").items()
        )
        return Sheet(
            tuple(
                Figure(f"Segments, {name}", segments_picture(self, side), f"Segments coloured by the {name} map")
                for side, name in enumerate(("clean", "noisy"))
            ),
            (
                f"RBO of the pair on screen is {built.value:.2f} at p = {self.setting.state.p:g} over "
                f"{len(built.agreement)} segments; two random rankings have {built.floor:.2f}. The first "
                f"ten ranks carry {percent(built.weighed(10))} of the weight.",
                f"Of the dozen, {plural(here.n_flipped, 'pair')} flipped: C {decimal(here.consistency)}, "
                f"R {decimal(here.responsiveness)}, RM {decimal(here.rm)}.",
                *(_row(name, *both) for name, both in table.items()),
                f"Grad-CAM by severity: {levels}.",
            ),
            Question(
                "Which of the three maps has the highest responsiveness R on these pictures?",
                options,
                list(options).index(best) if best else len(options) - 1,
                f"R: {', '.join(f'{name} {decimal(value)}' for name, value in scores.items())}. A random map "
                "changes completely with any noise, so it always “responds”; only its C "
                f"({decimal(random.consistency)}) and its gap ({decimal(random.gap)}) give it away. And "
                f"flips come with strong noise, which moves any map, flip or no flip ({levels}): compare "
                "kept and flipped pairs within a severity, not mild with strong noise.",
            ),
        )  # fmt: skip


def _row(name: str, pooled: Robustness, within: Robustness) -> str:
    return (
        f"{CAMS[name].title}: C {decimal(pooled.consistency)}, R {decimal(pooled.responsiveness)}, "
        f"RM {decimal(pooled.rm)} (blind {decimal(pooled.blind)}), gap {decimal(pooled.gap)}, AUROC pooled "
        f"{decimal(pooled.auroc)}, within a severity {decimal(within.auroc)}; {pooled.n_flipped} of "
        f"{pooled.n} flipped."
    )


def segments_picture(run: Measuring, side: int) -> Bytes:
    """Colour the segments of the clean (0) or noisy (1) picture by their mean map value."""
    pixels = (run.shown.clean_input, run.shown.perturbed_input)[side]
    explained = (run.shown.clean, run.shown.perturbed)[side]
    map_ = explained.maps[run.scene.state.method]
    panel = Panel(to_image(pixels), map_, run.scene.comparison.labels, np.asarray(run.values[side]))
    return draw_segments(panel, "inferno", 0.6)

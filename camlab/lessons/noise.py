"""Lesson 3: the severities at which the map breaks and the prediction flips."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from camlab.common.jobs import Job
from camlab.common.wording import listed
from camlab.engine.shared import REFERENCE_COUNT
from camlab.lessons.base import Figure, Formula, LessonRun, Question, Reference, Sheet, lesson, overlay
from camlab.metrics import breaks_at, flips_at
from camlab.noise import NOISES

TRIED = ("gaussian_noise", "salt_and_pepper", "gaussian_blur", "jpeg_compression", "fog")
SEVERITIES = tuple(step / 2 for step in range(1, 11))
SEEDS = (0, 1, 2)
OPTIONS = ((0, 0), (1, 2), (3, 4), (5, 5))  # ranges of the number of noise types


@dataclass(frozen=True)
class BreakingPoints:
    """The severities at which one noise type breaks the map and flips the prediction; None: not up to 5."""

    noise: str
    breaks: float | None
    flips: float | None

    @property
    def map_first(self) -> bool:
        """Whether the map breaks at a lower severity than the prediction flips."""
        return self.breaks is not None and (self.flips is None or self.breaks < self.flips)

    @property
    def sentence(self) -> str:
        """Both severities in words, and which comes first."""
        parts = [f"{event} at {at:g}" if at is not None else f"{never} up to 5"
                for event, never, at in (("map breaks", "map does not break", self.breaks),
                                        ("prediction flips", "prediction does not flip", self.flips))]  # fmt: skip
        if self.map_first:
            first = "the map comes first"
        elif self.flips is not None and (self.breaks is None or self.flips < self.breaks):
            first = "the prediction comes first"
        else:
            first = "neither comes first"
        return f"{NOISES[self.noise].title}: {', '.join(parts)}; {first}."


@lesson(
    "noise",
    title="Breaking it with noise",
    minutes=5,
    intro="Strong enough noise flips the prediction and breaks the map, but often not at the same severity. "
    "Find both points by hand for one noise type, guess for the others, then measure.",
    goals=(
        "Say what it means for a map to break and for a prediction to flip.",
        "Find both severities for one noise type, and compare them across several.",
        "See that a map can break while the prediction stays, and the other way round.",
    ),
    steps=(
        "Raise the severity until the map's similarity falls below the breaking line. Note the severity.",
        "Raise it further until the prediction flips. Which came first?",
        "Choose another noise type, guess, then measure all of them.",
    ),
    formulas=(
        Formula(
            r"\text{broken: } \bar s < \tfrac12\,(1 + \text{floor})\qquad\text{flipped: } \hat y' \neq \hat y",
            "broken: mean similarity < (1 + floor) / 2      flipped: ŷ′ ≠ ŷ",
            "The map counts as broken if its similarity falls below the point halfway between 1 and the "
            "similarity with other pictures' maps (the floor) and stays below at the next step. The "
            "prediction counts as flipped if most draws flip, also at the next step.",
        ),
    ),
    sources=(
        Reference(
            "Hendrycks and Dietterich 2019",
            "Benchmarking neural network robustness (ImageNet-C)",
            "https://arxiv.org/abs/1903.12261",
        ),
        Reference(
            "Assessing the Noise Robustness of Class Activation Maps 2025",
            "the measures used here",
            "https://arxiv.org/abs/2508.18154",
        ),
    ),
    settings=("model", "image", "method"),
    moves=("noise", "severity", "seed"),
    counts="noisy pictures",
    defaults={"severity": 1.0},
)
class Breaking(LessonRun):
    """Breaking points of several noise types; ``found`` grows by one per type, ``rows`` by every draw."""

    def prepare(self) -> None:
        """Set up the scene and count the noisy pictures without explaining any.

        Raises CamLabError if method, model and picture do not fit together.
        """
        self.scene = self.setting.scene()
        self.found: tuple[BreakingPoints, ...] = ()
        self.rows: tuple[dict[str, Any], ...] = ()
        self.job.total = REFERENCE_COUNT + sum(len(SEVERITIES) * len(_seeds(noise)) for noise in TRIED)

    def work(self, job: Job) -> Iterator[None]:
        """Explain the reference pictures for the floor, then each noise type from mild to strong."""
        yield from self.measure_floors(self.scene, job)
        floor = self.floors.other if self.floors else None
        for noise in TRIED:
            scene = self.setting.scene(noise=noise)
            rows: list[dict[str, Any]] = []
            for severity in SEVERITIES:
                rows += scene.rows([(severity, seed) for seed in _seeds(noise)], job.check)
                job.advance(len(_seeds(noise)))
                yield
            self.rows += tuple(rows)
            means = pd.DataFrame(rows).groupby("severity")[["similarity", "flipped"]].mean()
            breaks = breaks_at(SEVERITIES, means["similarity"].to_list(), floor)
            flips = flips_at(SEVERITIES, means["flipped"].to_list())
            self.found += (BreakingPoints(noise, breaks, flips),)

    def sheet(self) -> Sheet:
        """Return the clean map, up to three broken ones, the breaking points, and the question."""
        pixels, method = self.scene.input.numpy(), self.setting.state.method
        figures = [Figure("Clean", overlay(pixels, self.scene.clean().maps[method]), "The clean map")]
        for found in [f for f in self.found if f.breaks is not None][:3]:
            shown = self.setting.scene(noise=found.noise).shown(float(found.breaks or 0), 0, brief=True)
            figures.append(
                Figure(
                    f"{NOISES[found.noise].title}, severity {found.breaks:g}: broken",
                    overlay(shown.perturbed_input, shown.perturbed.maps[method]),
                    f"The picture and its map where {NOISES[found.noise].title} breaks it",
                )
            )
        first = [f for f in self.found if f.map_first]
        names = listed([NOISES[f.noise].title for f in first])
        floor = self.floors.other if self.floors else None
        line = "not known" if floor is None else f"{(1 + floor) / 2:.2f}"
        return Sheet(
            tuple(figures),
            (*(f.sentence for f in self.found), f"The breaking line is {line}: halfway between 1 and the floor."),
            Question(
                f"For how many of these {len(TRIED)} noise types does the map break before the prediction flips?",
                ("none", "1 or 2", "3 or 4", "all five"),
                next(i for i, (low, high) in enumerate(OPTIONS) if low <= len(first) <= high),
                f"{len(first)}: {names}. " + " ".join(f.sentence for f in self.found)
                + " Neither reveals the other: a kept prediction does not guarantee its map.",
            ),
        )  # fmt: skip


def _seeds(noise: str) -> tuple[int, ...]:
    return SEEDS if NOISES[noise].stochastic else SEEDS[:1]

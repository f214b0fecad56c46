"""The charts of a scene's noise draws: the same on the page and in a report."""

from __future__ import annotations

from camlab.drawing.charts.look import Chart
from camlab.explore.charts.curve import severity_curve
from camlab.explore.charts.draws import similarity_ecdf, similarity_violin
from camlab.explore.sweep import Scores, Sweep, ticks
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES


def _title(sweep: Sweep) -> str:
    return SIMILARITIES[sweep.scene.state.similarity].scored_title


def curve(sweep: Sweep, scores: Scores, severity: float) -> Chart:
    """Similarity, flips and confidence over severity; ``severity`` (0 to 5) is marked."""
    floors = sweep.floors
    return severity_curve(
        sweep.frame(),
        current=severity,
        threshold=floors.threshold if floors else None,
        breaks_at=scores.breaks_at,
        flips_at=scores.flips_at,
        floors=ticks(sweep, "similarity"),
        similarity_title=_title(sweep),
        connected=NOISES[sweep.scene.state.noise].monotone,
    )


def violin(sweep: Sweep, severity: float, seed: int) -> Chart:
    """The draws of one severity, kept against flipped; the seed's draw is marked."""
    return similarity_violin(sweep.frame(severity), similarity_title=_title(sweep), current_seed=seed)


def ecdf(sweep: Sweep, severity: float) -> Chart:
    """The share of draws of one severity at or below each similarity."""
    return similarity_ecdf(
        sweep.frame(severity), similarity_title=_title(sweep), floors=ticks(sweep, "similarity")
    )

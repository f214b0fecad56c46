"""The charts of a scene's noise draws: the same on the page and in a report."""

from __future__ import annotations

from camlab import charts, pieces
from camlab.metrics import SIMILARITIES
from camlab.noise import NOISES
from camlab.sweep import Scores, Sweep


def _title(sweep: Sweep) -> str:
    return SIMILARITIES[sweep.scene.state.similarity].scored_title


def curve(sweep: Sweep, scores: Scores, severity: float) -> charts.Chart:
    """Similarity, flips and confidence over severity; ``severity`` (0 to 5) is marked."""
    floors = sweep.floors
    return charts.severity_curve(
        sweep.frame(),
        current=severity,
        threshold=floors.threshold if floors else None,
        breaks_at=scores.breaks_at,
        flips_at=scores.flips_at,
        floors=pieces.ticks(sweep, "similarity"),
        similarity_title=_title(sweep),
        connected=NOISES[sweep.scene.state.noise].monotone,
    )


def violin(sweep: Sweep, severity: float, seed: int) -> charts.Chart:
    """The draws of one severity, kept against flipped; the seed's draw is marked."""
    return charts.similarity_violin(sweep.frame(severity), similarity_title=_title(sweep), current_seed=seed)


def ecdf(sweep: Sweep, severity: float) -> charts.Chart:
    """The share of draws of one severity at or below each similarity."""
    return charts.similarity_ecdf(
        sweep.frame(severity), similarity_title=_title(sweep), floors=pieces.ticks(sweep, "similarity")
    )

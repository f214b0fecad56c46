"""The words and gauges beside a pair as HTML, also used while the user drags the severity."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from camlab.common.wording import decimal, percent, plural
from camlab.drawing import html
from camlab.engine.spec import Explained
from camlab.explore.output.panels import MARKED, perturbed_title, shown_verdict
from camlab.explore.results import Decomposition, Floors, SegmentMove, Shown
from camlab.explore.scene import Scene
from camlab.explore.sweep import Scores, Sweep, ticks
from camlab.images import OWN_KINDS, Picture
from camlab.metrics import SIMILARITIES, Robustness
from camlab.models.class_names import labelled_classes

GAUGES = ("consistency", "responsiveness", "rm")


def title(text: str) -> str:
    """Return the heading of a panel."""
    return f'<h2 class="cl-title">{escape(text)}</h2>'


def headline(scene: Scene, row: Mapping[str, Any]) -> str:
    """Return the verdict and the similarity of the two maps, with the random-ranking floor."""
    score = decimal(None if row["degenerate"] else row["similarity"])
    floor = scene.random_floor
    chance = "" if floor is None else f" · chance {decimal(floor)}"
    name = SIMILARITIES[scene.state.similarity].scored_title
    return (
        f'<p class="cl-headline">{html.badge(shown_verdict(scene, row), row["flipped"])}'
        f'<span class="cl-score">Map similarity <b>{score}</b> · {escape(name)}{chance}</span></p>'
    )


def predictions(scene: Scene, explained: Explained) -> str:
    """Return the five most probable classes, with the explained class marked, and the label if there is one."""
    names = scene.classifier.class_names
    top = [(names[index], probability) for index, probability in explained.top(5)]
    listed = html.predictions(top, names[explained.target])
    label = scene.picture.label
    if not label:
        return listed
    classes = labelled_classes(scene.picture, names)
    return listed + html.truth(label, explained.index in classes if classes else None)


def credit(picture: Picture) -> str:
    """Return the picture's credit."""
    if picture.image_set in OWN_KINDS:
        return html.own_credit(picture.source)
    return html.credit(picture.author, picture.source, picture.licence, picture.licence_url)


def moves(scene: Scene, shown: Shown) -> str:
    """Return the table of the segments that moved most in rank."""
    return moves_table(shown.moves, MARKED, scene.comparison.n_segments)


def moved_by(parts: Decomposition, flipped: bool, floors: Floors | None) -> str:
    """Return the similarity to the clean map after changing the class only, the noise only, and both."""
    same = "same class, nothing to change"
    items = [
        ("Class only", "clean picture, new class" if flipped else same, parts.class_only),
        ("Noise only", "noisy picture, old class", parts.noise_only),
        ("Both", "noisy picture, its own class", parts.both),
    ]
    return html.strip(items, floors.other if floors else None)


def pair(scene: Scene, shown: Shown) -> dict[str, str]:
    """Return the HTML that depends only on the pair, by its place on the page."""
    return {
        "headline": headline(scene, shown.row),
        "title": title(perturbed_title(shown.row)),
        "predictions": predictions(scene, shown.perturbed),
        "moves": moves(scene, shown),
    }


def gauges(sweep: Sweep, scores: Scores, scope: str) -> dict[str, str]:
    """Return the gauges of C, R and RM over one severity or, with scope ``sweep``, over all severities."""
    whole = scope == "sweep"
    score = scores.stratified if whole else scores.severity
    kept, flipped = score.n - score.n_flipped, score.n_flipped
    over = f"of {plural(score.n, 'draw')}" + (" over all severities" if whole else "")
    blind = {} if score.blind is None else {"blind value": score.blind}
    labels = {
        "consistency": ("Consistency", "C", f"{kept} {over} kept the prediction", ticks(sweep, "similarity")),
        "responsiveness": ("Responsiveness", "R", f"{flipped} {over} flipped it", ticks(sweep, "difference")),
        "rm": ("Robustness metric", "RM = C · R", f"{kept} kept and {flipped} flipped {over}", blind),
    }
    drawn = {}
    for field in GAUGES:
        name, symbol, line, marks = labels[field]
        pooled = getattr(scores.pooled, field)
        interval = score.intervals.get(field)
        drawn[field] = html.gauge(
            name,
            symbol,
            getattr(score, field),
            interval=(interval.low, interval.high) if interval else None,
            ticks=marks,
            lines=[text for text in (line, *_details(score, field, whole)) if text],
            beside=f"pooled {decimal(pooled)}" if whole and pooled is not None else "",
        )
    return drawn


def _details(score: Robustness, field: str, whole: bool) -> list[str]:
    lines = []
    value, interval = getattr(score, field), score.intervals.get(field)
    if value is not None and interval is None:
        lines.append("No interval: it needs at least 5 draws that count.")
    elif interval is not None:
        dropped = f"; undefined in {interval.undefined:.0%} of resamples" if interval.undefined >= 0.005 else ""
        lines.append(
            f"95 % interval {interval.low:.2f}–{interval.high:.2f}, over noise draws of this picture{dropped}."
        )
    if field == "responsiveness" and value is not None:
        near, far = decimal(score.responsiveness_near), decimal(score.responsiveness_far)
        lines.append(f"Near flips ({score.n_near}, within the clean top 5): {near}; far flips: {far}.")
    if field == "consistency" and score.n_degenerate:
        low, high = score.consistency_bounds or (None, None)
        lines.append(
            f"{plural(score.n_degenerate, 'degenerate pair')} left out; C could be {decimal(low)} to {decimal(high)}."
        )
    if field == "rm" and score.gap is not None:
        auroc = (
            "" if score.auroc is None else f", AUROC {score.auroc:.2f} (0.5: similarity cannot tell kept from flipped)"
        )
        lines.append(f"Gap C + R − 1 = {score.gap:+.2f}{auroc}.")
    if field == "rm" and value is not None and whole:
        lines.append("Stratified: the mean of each severity's own C · R. Pooled: C · R of all draws together.")
    if field == "rm" and score.blind is not None:
        lines.append("Blind value: the RM of a map that ignores flips at this mean similarity.")
    return lines


def moves_table(moved: Sequence[SegmentMove], numbered: int, segments: int) -> str:
    """Return a table of segments that moved in rank; the first ``numbered`` have a number on the difference map."""
    if not moved:
        return '<p class="cl-moves">No segment changed its rank.</p>'
    rows = []
    for i, move in enumerate(moved):
        arrow = "▲" if move.perturbed_rank < move.clean_rank else "▼"
        number = f"<b>{i + 1}</b>" if i < numbered else ""
        rows.append(
            f"<tr><td>{number}</td><td>{move.clean_rank:g} → {move.perturbed_rank:g}</td><td>{arrow} "
            f"{abs(move.perturbed_rank - move.clean_rank):g}</td><td>{percent(move.share)}</td></tr>"
        )
    return (
        f'<table class="cl-moves"><caption>Segments that moved most in rank (1 = strongest of {segments})</caption>'
        f'<thead><tr><th></th><th scope="col">rank</th><th scope="col">moved</th><th scope="col">area</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )

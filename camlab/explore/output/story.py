"""The story of one picture in five slides: the claim, a little noise, which methods hold, the numbers, advice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from camlab.common.wording import decimal, listed, percent, plural
from camlab.drawing.charts.titles import level_title
from camlab.drawing.pictures import VIEWS
from camlab.drawing.slides import Image, Slide
from camlab.engine.spec import Explained
from camlab.explore.charts.dots import steady_methods
from camlab.explore.output import pair_html
from camlab.explore.output.panels import draw_panel, perturbed_title, shown_verdict
from camlab.explore.results import Shown
from camlab.explore.scene import Scene
from camlab.explore.sweep import Sweep
from camlab.explore.trials.steadiness import Steady, steadiness
from camlab.metrics import SIMILARITIES
from camlab.models import short_name
from camlab.noise import NOISES


@dataclass(frozen=True)
class Measured:
    """The measurements of a story; the scene's own method is the first of ``steady``."""

    scene: Scene
    shown: Shown
    steady: Sequence[Steady]
    sweep: Sweep

    @property
    def kind(self) -> str:
        """The kind of story: "flips" if the shown pair flipped, else the outcome of the scene's method."""
        return "flips" if self.shown.row["flipped"] else self.steady[0].outcome


def measure(scene: Scene, check: Callable[[], None] = lambda: None) -> Measured:
    """Measure a scene at its severity: the pair, its draws, its floors, and all compared methods."""
    state = scene.state
    # All methods in one pass first; the scene's own method then comes from the cache.
    steady = steadiness(scene, state.seeds, check=check)
    shown = scene.shown(state.severity, state.shown_seed, check)
    sweep = Sweep(scene, state.severity)
    for row in scene.rows([(state.severity, seed) for seed in state.seeds], check):
        sweep.add(row)
    sweep.floors = scene.floors(check)
    return Measured(scene, shown, steady, sweep)


_NOISE = {
    "moves": "A little noise. The same answer. Another explanation.",
    "holds": "A little noise. The same answer. The same explanation.",
    "unsure": "A little noise. The same answer. And the explanation?",
    "unseen": "A little noise, and nothing to compare.",
    "flips": "The noise changed the answer itself.",
}
_ADVICE = {
    "moves": "Do not show one heat map as proof.",
    "holds": "This map holds. Say how you know.",
    "unsure": "Do not decide on so few draws.",
    "unseen": "Choose another picture, noise or method.",
    "flips": "First ask whether the prediction holds.",
}


def scene_slides(found: Measured) -> list[Slide]:
    """Return the five slides of a measured scene."""
    return [_claim(found), _noise(found), _methods(found), _numbers(found), _advice(found)]


def _image(found: Measured, explained: Explained, title: str, view: str | None = None) -> Image:
    scene, names = found.scene, found.scene.classifier.class_names
    label = short_name(names[explained.index])
    drawn = VIEWS[view or scene.state.view].title.lower()
    return Image(
        draw_panel(scene, explained, view),
        f"{title}: {label}, {percent(explained.probability)}",
        f"{title}: {drawn} of {scene.method.title} on the picture {scene.picture.title}",
    )


def _claim(found: Measured) -> Slide:
    scene, clean = found.scene, found.shown.clean
    label = short_name(scene.classifier.class_names[clean.index])
    return Slide(
        "claim",
        f"“{label}”, says the network. The heat map shows why.",
        [
            f"{scene.classifier.title} is {percent(clean.probability)} sure. {scene.method.title} colours "
            "the places that it holds responsible for the decision. It looks convincing."
        ],
        images=[
            _image(found, clean, "What the network sees", "image"),
            _image(found, clean, "What the map says", "overlay"),
        ],
        about="panels",
        credit=pair_html.credit(scene.picture),
    )


def _noise(found: Measured) -> Slide:
    scene, shown = found.scene, found.shown
    row, floors = shown.row, found.sweep.floors
    score = decimal(None if row["degenerate"] else row["similarity"])
    sentences = [f"{perturbed_title(row)}. Prediction {shown_verdict(scene, row)}."]
    measure = SIMILARITIES[scene.state.similarity].scored_title
    against = ""
    if floors and floors.other is not None and floors.threshold is not None:
        against = (
            f" The maps of other pictures score {floors.other:.2f}; a map counts as broken below "
            f"{floors.threshold:.2f}, halfway to an identical map."
        )
    sentences.append(f"The similarity of the two maps is {score} ({measure}; 1 means identical).{against}")
    return Slide(
        "noise",
        _NOISE[found.kind],
        sentences,
        images=[_image(found, shown.clean, "Clean"), _image(found, shown.perturbed, "Noisy")],
        about="panels",
        credit=pair_html.credit(scene.picture),
    )


def _named(found: Sequence[Steady], outcome: str) -> list[str]:
    return [level_title("method", e.method) for e in found if e.outcome == outcome and not e.baseline]


def _methods(found: Measured) -> Slide:
    real = [each for each in found.steady if not each.baseline]
    holds, moves = (_named(found.steady, outcome) for outcome in ("holds", "moves"))
    rest = len(real) - len(holds) - len(moves)
    first = found.steady[0]
    maps = plural(len(real), "different map")
    headline = (
        f"None of {maps} holds here."
        if not holds
        else f"All {maps} hold here."
        if len(holds) == len(real)
        else f"Another method, another verdict: {len(holds)} of {maps} {'holds' if len(holds) == 1 else 'hold'}."
    )
    if first.kept == 0:
        headline = "No draw kept the prediction: there is nothing to compare."
    sentences = [
        f"{NOISES[found.scene.state.noise].title} at severity {found.scene.state.severity:g}, "
        f"{plural(first.n, 'draw')}, of which {first.kept} kept the prediction.",
        *([f"Hold: {listed(holds)}."] if holds else []),
        *([f"Move: {listed(moves)}."] if moves else []),
        *([f"Undecided: {rest}."] if rest and first.kept else []),
    ]
    title = SIMILARITIES[found.scene.state.similarity].scored_title
    return Slide(
        "methods",
        headline,
        sentences,
        chart=steady_methods(found.steady, similarity_title=title),
        about="steady_methods",
    )


def _numbers(found: Measured) -> Slide:
    state = found.scene.state
    scores = found.sweep.scores(state.severity)
    score = scores.severity
    parts = [f"Consistency {decimal(score.consistency)}", f"responsiveness {decimal(score.responsiveness)}"]
    return Slide(
        "numbers",
        f"{', '.join(parts)}: over {plural(score.n, 'draw')} of one picture.",
        [
            "Consistency: does the map stay while the prediction stays? Responsiveness: does it move when the "
            "prediction flips? Compare both with chance, the ticks.",
            "One picture is an anecdote: the interval describes its noise draws, not other pictures.",
        ],
        gauges=list(pair_html.gauges(found.sweep, scores, "severity").values()),
        about="gauges",
    )


def _advice(found: Measured) -> Slide:
    first = found.steady[0]
    method = found.scene.method.title
    holds = _named(found.steady, "holds")
    score = decimal(first.similarity)
    points = {
        "moves": [
            f"Show a map only with its similarity under noise that changes nothing else. Here {method} "
            f"reaches {score}; below {decimal(first.threshold)} a map counts as broken.",
            f"On this picture {listed(holds[:3])} held under the same noise; a study tells whether that is so "
            "elsewhere."
            if holds
            else "No method held here. Say so, rather than choosing the prettiest map.",
        ],
        "holds": [
            f"{method} stays at {score} over {plural(first.measured, 'draw')} that kept the prediction, "
            f"where {decimal(first.threshold)} would be broken. Show that number beside the map.",
            "Check the opposite, too: a map that never moves would score just as well. Does it move when the "
            "prediction flips?",
        ],
        "unsure": [
            f"The interval of {method} ({decimal(first.low)} to {decimal(first.high)}) spans what counts "
            f"as broken ({decimal(first.threshold)}): measure more draws.",
            "Do not show the draw that looks best.",
        ],
        "unseen": ["No draw kept the prediction with a usable map; lower the severity, or choose another picture."],
        "flips": [
            "When the prediction flips, the map explains another class, so it should move.",
            "Lower the severity until the prediction stays, and look at the map again.",
        ],
    }[found.kind]
    return Slide(
        "advice",
        _ADVICE[found.kind],
        points=[
            *points,
            "Measure over many pictures before you trust a method: run a study, and read its tests.",
            "A steady map is not always right. Test it: does it point at the object, does the prediction use it?",
        ],
    )

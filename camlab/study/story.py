"""The story of a study in slides: one striking pair first, then the results over all pictures."""

from collections.abc import Sequence

import pandas as pd

from camlab.common.wording import decimal, percent, plural
from camlab.drawing.charts.titles import level_title
from camlab.drawing.slides import Image, Slide
from camlab.explore.output import pair_html
from camlab.explore.output.panels import draw_panel, perturbed_title, shown_verdict
from camlab.models import short_name
from camlab.study.analysis.striking import striking
from camlab.study.analysis.summary import records
from camlab.study.analysis.values import Record
from camlab.study.charts.dots import value_dots
from camlab.study.charts.plane import cr_plane
from camlab.study.report import by_consistency, drawable, study_rows, verdict_texts
from camlab.study.stats import layer_verdicts, prepare
from camlab.study.store import Study


def study_slides(study: Study, similarity: str = "rbo") -> list[Slide]:
    """Make the five slides of a study. Raises BadStudy for a study without rows."""
    rows = study_rows(study, similarity)
    methods = records(rows, ("method",), similarity)
    found = layer_verdicts(prepare(rows))
    verdicts, cautions = verdict_texts(found)
    pictures = plural(int(rows["image"].nunique()), "picture")
    order = by_consistency(methods)
    best = (
        f"{level_title('method', order[0]['method'])} keeps its map steadiest."
        if order
        else "no picture kept its prediction."
    )
    kept = 1 - float(rows["flipped"].mean())
    trusted = any(each.trusted for each in found)
    return [
        *_pair(rows, pictures),
        Slide(
            "methods",
            f"Over {pictures}: {best}",
            [
                f"Consistency of each method, with a 95 % interval over pictures: {len(rows):,} pairs, of "
                f"which {percent(kept)} kept the prediction."
            ],
            chart=value_dots(methods, value="consistency"),
            about="value_dots",
        ),
        Slide(
            "numbers",
            "A good map stays while the prediction stays, and moves when it flips.",
            [_values(order)],
            chart=cr_plane(methods),
            about="cr_plane",
        ),
        Slide(
            "advice",
            "Trust only methods that are shown to be better than chance."
            if trusted
            else "No method is shown to be trustworthy here.",
            points=[
                *verdicts[:4],
                *cautions[:4],
                "Report the number of pictures and the interval beside every map.",
            ],
        ),
    ]


def _values(order: Sequence[Record]) -> str:
    values = [
        f"{level_title('method', r['method'])}: C {decimal(r['consistency'])}, R {decimal(r['responsiveness'])}"
        for r in order[:3]
    ]
    return "; ".join(values) + ". The dashed line is a map that ignores flips." if values else "Not observed."


def _pair(rows: pd.DataFrame, pictures: str) -> list[Slide]:
    """Make the two slides of the most striking pair, in words only if this machine cannot draw it."""
    for scene, shown in drawable(rows, striking(rows, "moved")):
        row = shown.row
        label = short_name(scene.classifier.class_names[shown.clean.index])
        clean, noisy = (
            Image(
                draw_panel(scene, explained),
                f"{title}: {short_name(scene.classifier.class_names[explained.index])}, "
                f"{percent(explained.probability)}",
                f"{title}: {scene.method.title} on the picture {scene.picture.title}",
            )
            for title, explained in (("Clean", shown.clean), ("Noisy", shown.perturbed))
        )
        credit = pair_html.credit(scene.picture)
        return [
            Slide(
                "claim",
                f"“{label}”, says the network. The heat map shows why.",
                [
                    f"{scene.classifier.title} and {scene.method.title}: of the {pictures} of this study, "
                    "the one whose map moved most."
                ],
                images=[clean],
                about="panels",
                credit=credit,
            ),
            Slide(
                "noise",
                "Noise. The same answer. Another explanation.",
                [
                    f"{perturbed_title(row)}. Prediction {shown_verdict(scene, row)}.",
                    f"The similarity of the two maps is {decimal(row['similarity'])}. This is the worst case of "
                    "the study; the typical case comes next.",
                ],
                images=[clean, noisy],
                about="panels",
                credit=credit,
            ),
        ]
    return [
        Slide(
            "claim",
            "A heat map says why the network decided as it did.",
            [f"This study asks over {pictures} whether that can be trusted when a picture gets noisy."],
        ),
        Slide(
            "noise",
            "Noise is added; the prediction may stay. Does the map?",
            ["The pictures of this study are unavailable on this machine; its numbers follow."],
        ),
    ]

"""A story of a study: one telling pair first, then what holds over all its pictures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from camlab.cams.coincidence import is_baseline
from camlab.common.wording import decimal, percent, plural
from camlab.drawing.charts.titles import level_title, titled
from camlab.drawing.slides import Image, Slide
from camlab.explore.output import pair_html
from camlab.explore.output.panels import draw_panel
from camlab.explore.output.words import perturbed_title, shown_verdict
from camlab.models import short_name
from camlab.study.analysis.striking import striking
from camlab.study.analysis.summary import records
from camlab.study.charts.dots import value_dots
from camlab.study.charts.plane import cr_plane
from camlab.study.report import drawable, study_rows
from camlab.study.store import Study


def study_slides(study: Study, similarity: str = "rbo") -> list[Slide]:
    """The five slides of a study. Raises BadStudy for one without rows."""
    from camlab.study.stats import prepare, verdict

    rows = study_rows(study, similarity)
    methods = records(rows, ("method",), similarity)
    cells = prepare(rows)
    found = [verdict(part, **group, response="kept") for group, part in cells.split(["model", "layer"])]
    pictures = plural(int(rows["image"].nunique()), "picture")
    real = [r for r in methods if not is_baseline(str(r["method"])) and r["consistency"] is not None]
    order = sorted(real, key=lambda r: -float(r["consistency"]))
    best = (
        f"{level_title('method', order[0]['method'])} stays most."
        if order
        else "Nothing kept its prediction."
    )
    kept = 1 - float(rows["flipped"].mean())
    verdicts = [titled(each.sentence or each.reason) for each in found]
    cautions = list(dict.fromkeys(titled(each) for one in found for each in one.cautions))
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
            "Staying is half of it: a map should move when the prediction flips.",
            [_said(order)],
            chart=cr_plane(methods),
            about="cr_plane",
        ),
        Slide(
            "advice",
            "Trust what was shown to be better than chance."
            if trusted
            else "No method has earned trust here.",
            points=[
                *verdicts[:4],
                *cautions[:4],
                "Report the number of pictures and the interval beside every map.",
            ],
        ),
    ]


def _said(order: Sequence[dict[str, object]]) -> str:
    told = [
        f"{level_title('method', r['method'])}: C {decimal(_number(r['consistency']))}, R "
        f"{decimal(_number(r['responsiveness']))}"
        for r in order[:3]
    ]
    return "; ".join(told) + ". The dashed line is a map that is blind to flips." if told else "Not observed."


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _pair(rows: pd.DataFrame, pictures: str) -> list[Slide]:
    """The claim and the noise, told by the pair that says most; in words alone where it cannot be drawn here."""
    for scene, shown in drawable(rows, striking(rows, "moved")):
        row = shown.row
        label = short_name(scene.classifier.class_names[shown.clean.index])
        clean, noisy = (
            Image(
                draw_panel(scene, explained, pixels),
                f"{title}: {short_name(scene.classifier.class_names[explained.index])}, "
                f"{percent(explained.probability)}",
                f"{title}: {scene.method.title} on the picture {scene.picture.title}",
            )
            for title, explained, pixels in (
                ("Clean", shown.clean, shown.clean_input),
                ("Noisy", shown.perturbed, shown.perturbed_input),
            )
        )
        credit = pair_html.credit(scene.picture)
        return [
            Slide(
                "claim",
                f"“{label}”, says the network. The heat map shows why.",
                [
                    f"{scene.classifier.title} and {scene.method.title}: one of {pictures} of this study, "
                    "and the one whose map moved most."
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
                    f"The two maps are {decimal(row['similarity'])} similar. It is the worst case of the "
                    "study, not the rule: the rule comes next.",
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
            ["The pictures of this study's pairs cannot be drawn on this machine; its numbers can be told."],
        ),
    ]

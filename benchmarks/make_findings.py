"""Write docs/findings.md from the study of the preset ``paper``.

    camlab study --preset paper --out STUDY               # about an hour on two processors
    python -m benchmarks.make_findings STUDY [--out DIR]  # one or two minutes

It computes every number of the page and checks every claim against the rows. If the rows contradict a claim, it writes
nothing and prints the claim.
"""

# ruff: noqa: E501 - lines of the page's text are full only with the numbers filled in
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from camlab.cams.coincidence import BASELINE, is_baseline
from camlab.common.wording import decimal
from camlab.drawing.charts.titles import level_title
from camlab.images.properties import PROPERTIES
from camlab.metrics.association import association
from camlab.models import MODELS
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.paper_table import FORMATS, paper_table
from camlab.study.analysis.summary import columns, records
from camlab.study.charts.critical import critical_diagram
from camlab.study.stats import TestResult, run_tests
from camlab.study.store import Study, open_study

DOCS = Path(__file__).parent.parent / "docs"
PICTURE = "findings-critical-difference.svg"
SEGMENTATIONS = {
    "rbo": "quickshift (the default)",
    "rbo_cells": "the map's own cells",
    "rbo_slic50": "50 SLIC",
}
CONFIDENCE = {"clean_prob": "Clean probability", "clean_margin": "Clean margin"}
Record = dict[str, Any]


class Refuted(Exception):
    """The study contradicts a claim of the page."""


def hold(claim: str, true: bool) -> str:
    """Check a claim and return it. Raises Refuted if the rows contradict it."""
    if not true:
        raise Refuted(claim)
    return claim


@dataclass(frozen=True)
class Family:
    """Networks trained on the same classes, with their rows at the block before the pooled layer."""

    name: str
    title: str
    models: tuple[str, ...]
    rows: pd.DataFrame


class Findings:
    """The results of the study, each computed once. replicates: bootstrap replicates per interval."""

    def __init__(self, study: Study, replicates: int = 2000) -> None:
        self.study, self.replicates = study, replicates
        self.rows = study.rows([*columns(), *(s for s in SEGMENTATIONS if s != "rbo")])
        self.layers = {
            model: [layer["name"] for layer in about["layers"]] for model, about in study.manifest["models"].items()
        }
        self.photo = self._family("photo", "The three EfficientNet-Lite networks together", "efficientnet")
        self.small = [
            self._family(model, MODELS[model].title, model)
            for model in self.layers
            if not model.startswith("efficientnet")
        ]

    def _at(self, models: Sequence[str], place: int) -> pd.DataFrame:
        """Return the rows of models at layer ``place``: 0, the block before the pooled layer; 1, the pooled layer."""
        chosen = np.zeros(len(self.rows), bool)
        for model in models:
            chosen |= ((self.rows["model"] == model) & (self.rows["layer"] == self.layers[model][place])).to_numpy()
        return self.rows[chosen]

    def _family(self, name: str, title: str, start: str) -> Family:
        models = tuple(model for model in self.layers if model.startswith(start))
        return Family(name, title, models, self._at(models, 0))

    def summed(
        self,
        rows: pd.DataFrame,
        by: Sequence[str] = ("method",),
        similarity: str = "rbo",
        intervals: bool = False,
    ) -> list[Record]:
        """Summarise rows into records, with coinciding methods merged."""
        return records(rows, by, similarity, self.study.coincide, replicates=self.replicates if intervals else 0)

    @cached_property
    def methods(self) -> dict[str, Record]:
        """The records of the photo networks by method, with intervals."""
        return {each["method"]: each for each in self.summed(self.photo.rows, intervals=True)}

    def friedman(self, family: Family, response: str) -> TestResult:
        """Run Friedman's test with Nemenyi's critical difference, with pictures as blocks."""
        found = run_tests(
            family.rows, [], response, ["methods_friedman"], similarity="rbo",
            coincide=self.study.coincide, replicates=self.replicates,
        )  # fmt: skip
        return found[0]

    @cached_property
    def kept(self) -> TestResult:
        """The test of the photo networks' consistency, which the diagram shows."""
        return self.friedman(self.photo, "kept")


def best(found: dict[str, Record], value: str) -> list[str]:
    """Sort the methods by a value, highest first, without the baseline."""
    return sorted((m for m in found if not is_baseline(m)), key=lambda m: -found[m][value])


def title(method: str) -> str:
    """Return a method's title."""
    return level_title("method", method)


def span(record: Record, value: str) -> str:
    """Format a value with its interval."""
    return f"{decimal(record[value])} [{decimal(record[value + '_low'])}, {decimal(record[value + '_high'])}]"


def pipe(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def values_table(found: dict[str, Record]) -> str:
    """Return a table of C, R, RM and related values, one row per method."""
    order = [*best(found, "rm"), *(m for m in found if is_baseline(m))]
    rows = [
        [
            title(m), *(span(found[m], v) for v in ("consistency", "responsiveness", "rm")),
            decimal(found[m]["blind"]), span(found[m], "gap"), decimal(found[m]["stratified_rm"]),
            decimal(found[m]["stratified_gap"]), f"{found[m]['n']:,}", f"{found[m]['n_flipped']:,}",
            f"{found[m]['n_degenerate']:,}",
        ]
        for m in order
    ]  # fmt: skip
    head = ("method", "C", "R", "RM", "blind RM", "gap", "RM per severity", "gap per severity", "pairs", "flips",
            "degenerate")  # fmt: skip
    return pipe(head, rows)


def what_was_run(f: Findings) -> str:
    """Write the extent of the study, its command and its floors."""
    rows = f.rows
    per = {m: rows.loc[rows["model"] == m, "image"].nunique() for m in f.layers}
    kept = f.summed(f.photo.rows, ())[0]
    small = [f.summed(each.rows, ())[0] for each in f.small]
    return f"""# Findings from the paper's study

The preset `paper`, run completely: {len(rows):,} pairs, {rows["method"].nunique()} methods, {rows["noise"].nunique()} noise
types, severities 1 to 5, three seeds for every random noise type. The photo networks (EfficientNet-Lite0, 1, 2) explained
{max(per[m] for m in f.photo.models)} photographs each, the three small networks {max(per[e.name] for e in f.small)} generated
scenes each. Numbers are for the block before the pooled layer unless stated otherwise: there the methods differ, while at
the pooled layer several are identical by algebra. Similarity is RBO (p = 0.9) over quickshift segments. Brackets give 95 %
percentile bootstrap intervals over pictures.

```bash
camlab study --preset paper --out paper      # about an hour on two processors
python -m benchmarks.make_findings paper     # writes this page and checks every sentence of it
```

Before you read any value:

- **Floors.** Two random rankings have a similarity of {decimal(kept["random_floor"])} on the photographs and
  {decimal(float(np.mean([e["random_floor"] for e in small])))} on the scenes, which have few segments. A map and the map of
  another picture have {decimal(kept["other_floor"])} and {decimal(float(np.mean([e["other_floor"] for e in small])))}. A C
  that is no higher means nothing, and values on the scenes and on the photographs are not comparable.
- **Flips.** {kept["n_flipped"] / kept["n"]:.0%} of the photographs' pairs flipped, far more at severity 5 than at 1
  (finding 4). R rests on these pairs alone.
- **Pooled or per severity.** RM and gap *per severity* are means over the severities. Quote these: the pooled values, which
  the paper reports, partly compare mild with strong noise.
- **Blind RM** is the RM of a map with the same mean similarity that ignores flips."""


def tables(f: Findings) -> str:
    """Write the main table, the table in the paper's form, and the diagram."""
    found = f.methods
    by_noise = f.summed(f.photo.rows, ("method", "noise"))
    paper = FORMATS["markdown"].write(paper_table(by_noise, f.summed(f.photo.rows), "rm"))
    small = []
    for family in f.small:
        each = {r["method"]: r for r in f.summed(family.rows, intervals=True)}
        small.append(f"**{family.title}**\n\n{values_table(each)}")
    last, silent = [], []
    for model in f.layers:
        for r in f.summed(f._at([model], 1)):
            last.append([
                MODELS[model].title, title(r["method"]),
                *(decimal(r[v]) for v in ("consistency", "responsiveness", "rm", "blind", "stratified_gap")),
                f"{r['n_degenerate']:,} of {r['n']:,}",
            ])  # fmt: skip
            if r["n_degenerate"] == r["n"]:
                silent.append(f"{title(r['method'])} on {MODELS[model].title}")
    head = ("network", "method", "C", "R", "RM", "blind RM", "gap per severity", "degenerate")
    return f"""## The values

**{f.photo.title}**, block before the pooled layer:

{values_table(found)}

RM by noise type, the best of each column in bold (the intervals are too wide to separate differences of a hundredth):

{paper}
{(chr(10) * 2).join(small)}

**The pooled layer**, where Grad-CAM, XGrad-CAM and HiResCAM are identical on the convolutional networks:

{pipe(head, last)}
{_silent(silent)}
## Critical differences

![{critical_diagram(f.kept).alt}](images/{PICTURE})

{f.kept.sentence} Blocks are pictures. A picture's value is its mean over the three networks and all noise types,
severities and draws, using the cells where all methods have a value."""


def _silent(pairs: Sequence[str]) -> str:
    """Explain why some maps at the pooled layer are all degenerate."""
    if not pairs:
        return ""
    return f"""
No pair of {" and ".join(pairs)} has a map that says anything: a layer norm follows that layer, so the gradient is
orthogonal to the activation, and their product is zero by algebra. Float arithmetic leaves a remainder that looks like a
map once it is scaled; CAM Lab calls such maps degenerate (see [metric.md](metric.md)).
"""


def first(f: Findings) -> str:
    """Write finding 1: which method is steadiest depends on the network."""
    order = best(f.methods, "consistency")
    tests = [f.friedman(each, "kept") for each in f.small]
    tops = {each.name: t.ranks[0].name for each, t in zip(f.small, tests, strict=True)}
    hold("Grad-CAM is the steadiest on the photo networks", order[0] == "gradcam" == f.kept.ranks[0].name)
    hold("another method leads on one of the small networks", any(top != "gradcam" for top in tops.values()))
    by_network = "; ".join(
        f"{each.title}: {title(t.ranks[0].name)} first (average rank {t.ranks[0].value:.2f}), "
        f"{title('gradcam')} {next(r.value for r in t.ranks if 'gradcam' in r.name.split(' = ')):.2f}, W "
        f"{t.effect.value if t.effect else 0:.2f}, {t.n} pictures"
        for each, t in zip(f.small, tests, strict=True)
    )
    g, second = f.methods["gradcam"], f.methods[order[1]]
    return f"""### 1. The steadiest method is clear within a network, and differs between networks

On the photo networks {title("gradcam")} is steadiest: C {span(g, "consistency")}, followed by {title(order[1])} with
{span(second, "consistency")}. The pictures agree almost completely on the order (Kendall's W
{f.kept.effect.value if f.kept.effect else 0:.2f}; average rank of {title("gradcam")} {f.kept.ranks[0].value:.2f} of
{len(f.kept.ranks)}). On the small networks the order differs. {by_network}. Steadiness is a property of method *and* network: measure it on yours."""


def second(f: Findings) -> str:
    """Write finding 2: RM gives another order, and most of it is its blind value."""
    found = f.methods
    c, rm = best(found, "consistency"), best(found, "rm")
    top = [m for m in rm if found[m]["rm_high"] >= found[rm[0]]["rm_low"]]
    random = found[BASELINE]
    highest = max(found, key=lambda m: found[m]["responsiveness"])
    hold("the random map has the highest R", highest == BASELINE)
    hold("the steadiest method has not the highest RM", c[0] != rm[0])
    x = found["xgradcam"]
    hold("XGrad-CAM is all but blind on these blocks", x["stratified_gap_high"] < 0.06)
    share = {m: found[m]["blind"] / found[m]["rm"] for m in rm}
    return f"""### 2. RM gives a different order, and most of each RM is blind value

By RM, {title(rm[0])} leads with {span(found[rm[0]], "rm")}; the intervals of {len(top)} of {len(rm)} methods overlap with its interval
({", ".join(title(m) for m in top)}), so RM alone separates few of them. {title(c[0])}, the steadiest, has
{span(found[c[0]], "rm")}. The blind value makes up {min(share.values()):.0%} to {max(share.values()):.0%} of each RM.
{title("ablationcam")}'s maps change much under any noise, so its blind value is
{decimal(found["ablationcam"]["blind"])}, where .25 is the maximum. {title("xgradcam")} has RM
{span(x, "rm")} and blind value {decimal(x["blind"])}; its gap per severity is
only {span(x, "stratified_gap")}. On these blocks it divides by a sum of activations near zero, so its maps are
close to noise. Random maps have the highest R of all, {span(random, "responsiveness")}, and RM {span(random, "rm")}."""


def third(f: Findings) -> str:
    """Write finding 3: whether the map reacts to a changed prediction."""
    found = f.methods
    order = best(found, "stratified_auroc")
    hold("pooling flatters every method that knows of the flip", all(
        found[m]["auroc"] > found[m]["stratified_auroc"] for m in order if found[m]["auroc"] > 0.55
    ))  # fmt: skip
    rows = [
        [title(m), *(decimal(found[m][v]) for v in ("auroc", "stratified_auroc", "auroc_in_picture"))]
        for m in [*order, BASELINE]
    ]
    nets = {
        each.title: max(
            (r for r in f.summed(each.rows) if not is_baseline(r["method"])),
            key=lambda r: r["stratified_auroc"],
        )
        for each in f.small
    }
    leaders = ", ".join(f"{n}: {title(r['method'])} {decimal(r['stratified_auroc'])}" for n, r in nets.items())
    return f"""### 3. Most maps react to flips, some do not, and pooling exaggerates the reaction

AUROC: the probability that a kept pair's maps are more similar than a flipped pair's; .5 means no reaction to flips.

{pipe(("method", "all pairs pooled", "within a severity", "within a picture and severity"), rows)}

The best on the small networks, within a severity: {leaders}. More than the strength of the
noise separates kept from flipped pairs. But a single similarity is a poor alarm: at {decimal(found[order[0]]["stratified_auroc"])}, about one of
{1 / (1 - found[order[0]]["stratified_auroc"]):.0f} comparisons goes the wrong way."""


def fourth(f: Findings) -> str:
    """Write finding 4: survivorship bias."""
    rows = f.photo.rows[f.photo.rows["method"] == "gradcam"]
    same = Filters(same="severities").apply(rows)
    table = []
    for severity in (1.0, 2.0, 3.0, 4.0, 5.0):
        everything = f.summed(rows[rows["severity"] == severity])[0]
        survivors = f.summed(same[same["severity"] == severity])[0]
        table.append((severity, everything, survivors))
    (_, *first), (_, *last) = table[0], table[-1]
    drop = [a["consistency"] - b["consistency"] for a, b in zip(first, last, strict=True)]
    hold("C falls faster on the same pictures", drop[1] > drop[0])
    lines = [
        [f"{s:g}", f"{a['n_flipped'] / a['n']:.0%}", decimal(a["consistency"]), f"{a['n_consistency']:,}",
         decimal(b["consistency"]), f"{b['n_consistency']:,}"]
        for s, a, b in table
    ]  # fmt: skip
    head = ("severity", "flipped", "C", "kept pairs", "C, same pictures", "their kept pairs")
    return f"""### 4. At strong noise, C describes the survivors only

Grad-CAM on the photo networks. The last two columns use only pictures that have a kept pair at every severity of the noise
type:

{pipe(head, lines)}

From severity 1 to 5, C falls by {drop[0]:.2f} over the remaining pictures and by {drop[1]:.2f} over the same pictures.
The easy pictures are the steady ones, and only these survive strong noise. So a table of C by severity understates the
change of the maps by {drop[1] - drop[0]:.2f}."""


def fifth(f: Findings) -> str:
    """Write finding 5: other segmentations."""
    lines = []
    taus: dict[str, list[float]] = {v: [] for v in ("consistency", "rm", "stratified_gap")}
    for family in (f.photo, *f.small):
        by = {s: {r["method"]: r for r in f.summed(family.rows, similarity=s)} for s in SEGMENTATIONS}
        names = best(by["rbo"], "rm")
        for value, found in taus.items():
            for other in ("rbo_cells", "rbo_slic50"):
                found.append(float(kendalltau(*([by[s][m][value] for m in names] for s in ("rbo", other))).statistic))
        for s, words in SEGMENTATIONS.items():
            lines.append([family.title, words, *(title(best(by[s], v)[0]) for v in taus), *(
                "" if s == "rbo" else f"{taus[v][-2 + (s == 'rbo_slic50')]:.2f}" for v in taus
            )])  # fmt: skip
    c, rm = taus["consistency"], taus["rm"]
    hold("the order by C survives better than that by RM", float(np.mean(c)) > float(np.mean(rm)))
    head = (
        "networks",
        "segments",
        "first by C",
        "first by RM",
        "first by gap",
        "τ of C",
        "τ of RM",
        "τ of gap",
    )
    return f"""### 5. The order by C holds with other segments, the order by RM often does not

The same maps with other segments. τ is Kendall's rank correlation between the order of the six methods and their order
with the default segments.

{pipe(head, lines)}

For C, τ lies between {min(c):.2f} and {max(c):.2f}; for RM between {min(rm):.2f} and {max(rm):.2f}. A ranking by RM should
name its segments, and a ranking that another segmentation reverses is not reliable."""


def besides(f: Findings) -> str:
    """Write the results on noise types and properties of pictures, and the limits."""
    noises = {r["noise"]: r for r in f.summed(f.photo.rows[f.photo.rows["method"] != BASELINE], ("noise",))}
    flips = {n: r["n_flipped"] / r["n"] for n, r in noises.items()}
    most, least = max(flips, key=flips.__getitem__), min(flips, key=flips.__getitem__)
    low, high = (pick(r["rm"] for r in noises.values()) for pick in (min, max))
    images = f.study.images()
    kept = f.photo.rows[(f.photo.rows["method"] == "gradcam") & ~f.photo.rows["flipped"].to_numpy(bool)]
    means = kept.groupby(["model", "image"], observed=True)["rbo"].mean().reset_index()
    joined = means.astype({"model": str, "image": str}).merge(
        images.astype({"model": str, "image": str}), on=["model", "image"]
    )
    rows = []
    for name in [*(p for p in PROPERTIES if p in joined), *CONFIDENCE]:
        values = joined[name].to_numpy(dtype=np.float64, na_value=np.nan)
        found = association(values, joined["rbo"].to_numpy(np.float64), pd.factorize(joined["image"])[0])
        if found.rho is not None and found.interval is not None:
            rows.append([
                PROPERTIES[name].title if name in PROPERTIES else CONFIDENCE[name],
                f"{found.rho:+.2f} [{found.interval.low:+.2f}, {found.interval.high:+.2f}]", found.n_pictures,
            ])  # fmt: skip
    return f"""### Other results

- **Noise types** differ far more in how many predictions they flip ({level_title("noise", least)} {flips[least]:.0%},
  {level_title("noise", most)} {flips[most]:.0%}) than in the RM of the maps ({decimal(low)} to {decimal(high)}).
- **Pictures.** Spearman's ρ between a picture's properties and its mean similarity where the prediction was kept (Grad-CAM,
  photo networks):

{pipe(("property", "ρ", "pictures"), rows)}

**Limits.** These results do not cover other networks, other layers or attacks. They do not say which map is *right*: a map
that never changes would have the highest C. The {f.photo.rows["image"].nunique()} photographs were chosen for their open
licences, not at random; the intervals hold for similar pictures."""


SECTIONS = (what_was_run, tables, lambda f: "## Five findings", first, second, third, fourth, fifth, besides)


def page(f: Findings) -> str:
    """Return the whole page as Markdown. Raises Refuted if the rows contradict a claim."""
    return "\n\n".join(section(f).strip() for section in SECTIONS) + "\n"


def picture(result: TestResult) -> str:
    """Return the critical-difference diagram as SVG, drawn by Plotly in a browser."""
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    from benchmarks.browser import chromium_path

    figure = critical_diagram(result).figure
    figure.update_layout(font_color="#1c2330", paper_bgcolor="#ffffff", width=720)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        window = browser.new_page()
        window.set_content("<div id='plot'></div>")
        window.add_script_tag(content=get_plotlyjs())
        found: str = window.evaluate(
            "figure => Plotly.toImage(figure, {format: 'svg', width: 720, height: figure.layout.height})",
            figure.to_plotly_json() | {"data": [each.to_plotly_json() for each in figure.data]},
        )
        browser.close()
    return unquote(found.split(",", 1)[1])


def main() -> int:
    """Read the study, check the claims, write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=DOCS)
    given = parser.parse_args()
    findings = Findings(open_study(given.study))
    try:
        text = page(findings)
    except Refuted as claim:
        print(f"The study contradicts: {claim}.", file=sys.stderr)
        return 1
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "findings.md").write_text(text, encoding="utf-8")
    (given.out / "images" / PICTURE).write_text(picture(findings.kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

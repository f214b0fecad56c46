"""“What am I looking at?”: one paragraph for every chart and every group of pictures or numbers on a page."""

from __future__ import annotations

from camlab.common.registry import Registry

#: By the name of the chart's function in `camlab.charts`, or of what a page draws without one.
LOOKING: Registry[str] = Registry("explanation")

_FLOORS = (
    "Two floors are drawn: what random rankings score, and what the maps of other pictures score on these "
    "segments. A map near the second is as far away as another picture's."
)
_EMPTY = "An empty cell was not observed: nothing flipped there, or nothing stayed. That is no zero."

for _name, _text in {
    # what a page draws without a chart
    "panels": "The picture as the model sees it, clean and noisy, each under the heat map of what the method says "
    "made the model decide. Both maps are scaled from 0 to 1 by themselves, so brightness can be compared within a "
    "map, not between two. The third panel is the difference: orange where the map grew, purple where it shrank; "
    "numbers mark the segments whose rank changed most.",
    "moved_by": "A flip changes two things at once: the picture, and the class that is explained. Each bar is the "
    "similarity with the clean map when only the class, only the noise, or both change. Low under “class only” "
    "means: most of the change is the new class, not the noise. The tick is what the maps of other pictures score.",
    "gauges": "C is the mean similarity of the two maps over the draws that kept the prediction: high is good. R "
    "is one minus it over the draws that flipped it: a map should move when the prediction does. RM is C · R. The "
    "dark bar is the 95 % interval, ticks are what chance scores. A random map has a very high R, so no value says "
    "much alone, and “not observed” is no zero.",
    "measures": "The same two maps compared by every measure there is. Each row says its range and what identical "
    "maps score; where the measures disagree, the finding hangs on the choice of measure.",
    "autoplay": "One noise, made stronger and weaker again: the same random field all the way, so that what moves "
    "is the map and not the dice. Between the measured steps, a quarter of a severity apart, pictures and maps are "
    "blended; the numbers are always those of the nearest step.",
    "cells": "One row a cell: the similarity of its noisy map with its clean one, and whether the prediction "
    "stayed. Cells of different models or pictures have different chance levels, so compare them with their floors "
    "in mind.",
    # Learn
    "bump_chart": "The same segments in two rankings, clean at the left and noisy at the right, 1 at the top. A line "
    "that runs level is a segment that kept its place; lines that cross are segments that changed places. What happens "
    "near the top matters most: RBO looks there first.",
    "overlap_chart": "How RBO is built up: at each depth, the share of segments that the two top lists have in common, "
    "and the weight that p gives this depth. The sum of both is the score so far. The dashed line is what two random "
    "rankings would score; only what lies above it is agreement.",
    "first_chart": "For every noise type, the severity at which the map breaks and the one at which the prediction "
    "flips. Where the map's mark lies left of the prediction's, the explanation broke first, and nobody who looks at "
    "the prediction alone would have noticed. A mark that is missing means that it did not happen up to severity 5.",
    "randomised_chart": "Layers are made random from the last one downwards, and each method's map is compared with "
    "the map of the trained network. A method that explains what the network has learnt must fall to the chance line "
    "at once. One that stays high shows edges of the picture, whatever the network knows.",
    # Explore
    "severity_curve": "Mean similarity of the noisy maps with the clean one over severity, with the middle 80 % of "
    "the draws as a band; the share of draws whose prediction flipped; and the probability left for the clean "
    "class. Lines mark what random rankings and other pictures' maps score. A map that falls before the flips rise "
    "broke first.",
    "similarity_violin": "Every point is one noise draw at this severity: draws that kept the prediction above, "
    "draws that flipped it below. A trustworthy map has the kept ones far to the right and the flipped ones to the "
    "left; where the two clouds overlap, similarity cannot tell a kept prediction from a flipped one.",
    "similarity_ecdf": "For each similarity, the share of draws at or below it, kept and flipped apart. The "
    "further the two steps lie apart, the better similarity tells the two; the lines are the floors, which no map "
    "should come near.",
    "faithfulness_curves": "The probability of the explained class while the pixels that the map calls important "
    "are taken away, or brought back, hottest first. A faithful map makes it fall (or rise) at once: a small area "
    "under the deletion curve, a large one under the insertion curve.",
    "remedy_chart": "Similarity of the clean and the noisy map when each is averaged over more and more noisy "
    "copies, and how far averaging changes the clean map itself. Steadier is only better while the map still says "
    "the same.",
    # a story
    "steady_methods": "Each dot is the mean similarity of a method's noisy maps with its clean one, over the draws "
    "that kept the prediction, with a 95 % interval over draws. A tick marks where the map counts as broken: "
    "halfway between 1 and what the maps of other pictures score. Left of its tick a map has moved, right of it it "
    "holds. The random map knows nothing.",
    # a comparison
    "pair_dots": "Each row is one pair of a clean and a noisy picture, and its dot the similarity of their two maps: a "
    "circle where the prediction stayed, a diamond where it flipped. The tick is what two unrelated random rankings "
    "score. A kept dot near its tick is a map that moved without a reason; one pair is an anecdote.",
    # Study
    "cr_plane": "Each point is a CAM method. To the right: maps stay while the prediction stays (C). Upwards: they "
    "move when the prediction flips (R). On the straight line C + R = 1 a map is blind to flips; the random map "
    "lies near it, high up. Curves join points of equal RM.",
    "value_dots": "The value of each method with a 95 % interval over pictures, drawn again with all their rows. "
    "Where there are several severities: all their pairs pooled, and beside it the mean of the severities' own "
    "values; where the two differ, the pooled one mostly compares mild with strong noise. Open symbols rest on "
    "fewer than 5 pairs. Methods that give one and the same map on a layer are one row with all their names.",
    "value_heatmap": "A cell is a method at one severity or under one noise type; the numbers behind it "
    "are in its hover. "
    "Methods are best compared within a column: C and R pooled over severities mostly compare mild noise "
    "with strong "
    f"noise. {_EMPTY}",
    "similarity_violins": "Kept pairs should lie at high similarities and flipped ones at low; how far "
    "the two part is what "
    f"the AUROC says in one number. {_FLOORS}",
    "similarity_ridges": "The spread of similarities, one hill each, kept and flipped apart: the further "
    "their tops lie "
    f"apart, the better similarity tells the two. {_FLOORS}",
    "similarity_steps": "For each similarity, the share of pairs at or below it, kept and flipped apart. "
    "Where the two steps "
    f"run together, the map does not know of the flip. {_FLOORS}",
    "similarity_histogram": "How many pairs have each similarity, kept and flipped apart. Tall bars near "
    "1 for flipped pairs "
    f"are maps that stayed although the prediction went. {_FLOORS}",
    "severity_values": "Each severity by itself first; beside them all severities pooled (the paper's value) and "
    "the mean of the severities' values. Where the two differ much, the pooled one mostly compares mild with "
    "strong noise.",
    "value_ranks": "The rank of each method at each severity, 1 the highest. Lines that cross: the order depends "
    "on the severity, and no one method is best.",
    "severity_spread": "Mean similarity of kept and of flipped pairs with the middle 80 % of the pairs as a band. "
    "At high severities the kept pairs are those of the pictures that survived.",
    "property_correlations": "Spearman's rank correlation of a picture's mean similarity with a property of the "
    "picture, with its interval over pictures. It is no cause: properties go together.",
    "similarity_against": "One point a picture: its mean similarity against the chosen property. A slope says that "
    "pictures with more of it have steadier maps, in this study and for this selection only. It is no cause.",
    "paired_lines": "A line is one picture: the mean similarity of its kept and its flipped pairs at severities "
    "with both. Falling lines say that the map moves more when the prediction does.",
    "critical_diagram": "Methods on a line by their average rank over pictures, the best at rank 1. A bar joins "
    "methods whose ranks differ by less than the critical difference (Nemenyi): the test cannot tell those apart, "
    "which is no proof that they are equal.",
    "paper_table": "A row a method, a column a noise type, as in the paper. Point at a number to see its "
    "interval and the pairs it rests on. Bold is the highest number, not a proof: see Statistics for which "
    "differences are shown to be there.",
    "verdict": "A method is at the top where no other is shown to be better (Wilcoxon signed-rank over pictures, "
    "Holm over all pairs of methods). Being there together is no proof of being equal: perhaps there were too few "
    "pictures.",
}.items():
    LOOKING.add(_name, _text)

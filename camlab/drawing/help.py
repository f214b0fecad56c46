"""“What am I looking at?”: one paragraph for each chart and each group of pictures or numbers on a page."""

from camlab.common.registry import Registry

#: The paragraphs, by the name of the chart's function, or by another name for things without one.
LOOKING: Registry[str] = Registry("explanation")

_FLOORS = (
    "Two lines mark chance: the similarity of random rankings, and of the maps of other pictures on these segments. "
    "A map near the second is as different as another picture's map."
)
_EMPTY = "An empty cell was not observed: nothing flipped there, or everything did. That does not mean zero."

for _name, _text in {
    # drawn by a page without a chart function
    "panels": "The picture as the model sees it, clean and noisy, each under its heat map: the places that the method "
    "holds responsible for the decision. Each map is scaled to 0–1 by itself, so compare brightness within a map, not "
    "between the two. The third panel shows the difference: orange where the map grew, purple where it shrank. The "
    "numbers mark the segments whose rank changed most.",
    "moved_by": "A flip changes two things at once: the picture and the class that is explained. Each bar is the "
    "similarity with the clean map when only the class, only the noise, or both change. A low bar for “class only” "
    "means that the new class explains most of the change. The tick is the similarity with maps of other pictures.",
    "gauges": "C is the mean similarity of the two maps over the draws that kept the prediction; high is good. R is "
    "one minus the mean similarity over the draws that flipped it: a map should move when the prediction does. "
    "RM is C · R. The dark bar is the 95 % interval, the ticks are the values by chance. A random map has a very "
    "high R, so read the three together. “Not observed” does not mean zero.",
    "measures": "The same two maps under every similarity measure. Each row gives the range and the value for "
    "identical maps. If the measures disagree, the result depends on the choice of measure.",
    "autoplay": "The noise grows and fades. The random field stays the same throughout, so only its strength changes "
    "the map. Severities are measured a quarter apart; between them, pictures and maps are blended, and the numbers "
    "are those of the nearest step.",
    "cells": "One row per cell: the similarity of its noisy map with its clean map, and whether the prediction "
    "stayed. Different models and pictures have different values by chance, so compare each cell with its own.",
    # Learn
    "bump_chart": "The same segments in two rankings, clean on the left and noisy on the right, with rank 1 at the "
    "top. A level line is a segment that kept its rank; crossing lines are segments that changed places. The top "
    "matters most, because RBO gives the first ranks the highest weight.",
    "overlap_chart": "How RBO adds up. At each depth: the share of segments that the two top lists have in common, "
    "and the weight that p gives this depth. Their products add up to the score. The dashed line is the score of "
    "two random rankings; only what lies above it is agreement.",
    "first_chart": "For each noise type, the severity at which the map breaks and the one at which the prediction "
    "flips. If the map's mark lies to the left, the map broke first, and the prediction alone would not have shown "
    "it. “Never” means not up to severity 5.",
    "randomised_chart": "Layers become random from the last one down, and each method's map is compared with its map "
    "on the trained network. If a method explains what the network has learnt, its line falls to the chance line at "
    "once. A line that stays high shows edges of the picture, whatever the network knows.",
    # Explore
    "severity_curve": "Over severity: the mean similarity of the noisy maps with the clean one and the middle 80 % "
    "of the draws as a band; the share of draws that flipped the prediction; and the remaining probability of the "
    "clean class. Lines mark the similarity of random rankings and of other pictures' maps. If the map falls before "
    "the flips rise, it broke first.",
    "similarity_violin": "Each point is one noise draw at this severity: draws that kept the prediction above, "
    "draws that flipped it below. For a trustworthy map, kept draws lie far to the right and flipped draws to the "
    "left. Where the two overlap, similarity cannot tell them apart.",
    "similarity_ecdf": "For each similarity, the share of draws at or below it, separately for kept and flipped "
    "draws. The further apart the two curves, the better similarity distinguishes them. The lines mark the "
    "similarity by chance; kept draws should lie well above it.",
    "faithfulness_curves": "The probability of the explained class while pixels are removed, or restored, in the "
    "order of the map, hottest first. For a faithful map it falls (or rises) at once: a small area under the "
    "deletion curve, a large area under the insertion curve.",
    "averaging_chart": "The similarity of the clean and the noisy map when each is averaged over more and more noisy "
    "copies, and how far averaging changes the clean map itself. A steadier map is better only if it still shows "
    "the same.",
    # a story
    "steady_methods": "Each dot is the mean similarity of a method's noisy maps with its clean one, over the draws "
    "that kept the prediction, with a 95 % interval over draws. The tick marks where the map counts as broken: "
    "halfway between 1 and the similarity with maps of other pictures. A dot left of its tick is a broken map. The "
    "random map shows the score of a method that knows nothing.",
    # a comparison
    "pair_dots": "Each row is one pair of a clean and a noisy picture, and its dot the similarity of the two maps: a "
    "circle if the prediction stayed, a diamond if it flipped. The tick is the similarity of two random rankings. "
    "A circle near its tick is a map that moved without a reason; a single pair proves little.",
    # Study
    "cr_plane": "Each point is a CAM method. Further right, maps stay while the prediction stays (C). Further up, "
    "they move when the prediction flips (R). On the line C + R = 1 a map ignores flips; the random map lies near "
    "it, high up. Curves join points of equal RM.",
    "value_dots": "The value of each method with a 95 % bootstrap interval over pictures. With several severities, "
    "one row pools all pairs and one is the mean of the values at each severity; where the two differ, the pooled "
    "value mostly compares mild with strong noise. Open symbols rest on fewer than 5 pairs. Methods with identical "
    "maps on a layer share one row.",
    "value_heatmap": "Each cell is a method at one severity or under one noise type; point at it to see the numbers "
    "behind it. Compare methods within a column: C and R pooled over severities mostly compare mild with strong "
    f"noise. {_EMPTY}",
    "similarity_violins": "Kept pairs should have high similarities and flipped pairs low ones; the AUROC measures "
    f"how well the two separate. {_FLOORS}",
    "similarity_ridges": "The distribution of similarities as one hill each for kept and flipped pairs. The further "
    f"apart the two peaks, the better similarity distinguishes them. {_FLOORS}",
    "similarity_steps": "For each similarity, the share of pairs at or below it, separately for kept and flipped "
    f"pairs. Where the two curves run together, the map does not react to the flip. {_FLOORS}",
    "similarity_histogram": "The number of pairs at each similarity, separately for kept and flipped pairs. Tall "
    f"bars near 1 for flipped pairs are maps that stayed although the prediction changed. {_FLOORS}",
    "severity_values": "The value at each severity; beside it, the value of all severities pooled (as in the paper) "
    "and the mean over severities. Where the last two differ much, the pooled value mostly compares mild with "
    "strong noise.",
    "value_ranks": "The rank of each method at each severity, 1 the highest. If lines cross, the order depends on "
    "the severity, and no single method is best.",
    "severity_spread": "The mean similarity of kept and of flipped pairs, with the middle 80 % of the pairs as a "
    "band. At high severities, kept pairs come only from the pictures whose prediction survived.",
    "property_correlations": "Spearman's rank correlation of a picture's mean similarity with a property of the "
    "picture, with its interval over pictures. It does not show a cause: properties are related to each other.",
    "similarity_against": "Each point is one picture: its mean similarity against the chosen property. A rising line "
    "says that pictures with more of it have steadier maps, in this study and selection. It does not show a cause.",
    "paired_lines": "Each line is one picture: the mean similarity of its kept and its flipped pairs, at severities "
    "that have both. A falling line says that the map moves more when the prediction does.",
    "critical_diagram": "Methods on a line by their average rank over pictures, rank 1 the best. A bar joins methods "
    "whose ranks differ by less than the critical difference (Nemenyi): the test cannot tell them apart, which does "
    "not prove that they are equal.",
    "paper_table": "One row per method and one column per noise type, as in the paper. Point at a number to see its "
    "interval and the pairs behind it. Bold marks the highest number and proves nothing: Statistics tells which "
    "differences are significant.",
    "verdict": "A method is at the top if no other is shown to be better (Wilcoxon signed-rank test over pictures, "
    "Holm correction over all pairs of methods). Methods that share the top are not proven equal: there may be too "
    "few pictures.",
}.items():
    LOOKING.add(_name, _text)

"""Plotly figures of noise draws, of shown pairs and of studies, each with its sentence in words."""

from camlab.charts.cells import PairDot, pair_dots
from camlab.charts.curve import severity_curve
from camlab.charts.draws import similarity_ecdf, similarity_violin
from camlab.charts.faithful import faithfulness_curves
from camlab.charts.lessons import bump_chart, first_chart, overlap_chart, randomised_chart
from camlab.charts.look import PLOTLY_CONFIG, Chart
from camlab.charts.remedy import remedy_chart
from camlab.charts.steady import steady_methods
from camlab.charts.study_dots import value_dots
from camlab.charts.study_heat import value_heatmap
from camlab.charts.study_levels import severity_values
from camlab.charts.study_paired import paired_lines
from camlab.charts.study_pictures import property_correlations, similarity_against
from camlab.charts.study_plane import cr_plane
from camlab.charts.study_ranks import value_ranks
from camlab.charts.study_rows import POINT
from camlab.charts.study_severity import severity_spread
from camlab.charts.study_shares import similarity_histogram, similarity_steps
from camlab.charts.study_spread import similarity_ridges, similarity_violins
from camlab.charts.study_values import SHOWN

__all__ = [
    "PLOTLY_CONFIG",
    "POINT",
    "SHOWN",
    "Chart",
    "PairDot",
    "bump_chart",
    "cr_plane",
    "faithfulness_curves",
    "first_chart",
    "overlap_chart",
    "pair_dots",
    "paired_lines",
    "property_correlations",
    "randomised_chart",
    "remedy_chart",
    "severity_curve",
    "severity_spread",
    "severity_values",
    "similarity_against",
    "similarity_ecdf",
    "similarity_histogram",
    "similarity_ridges",
    "similarity_steps",
    "similarity_violin",
    "similarity_violins",
    "steady_methods",
    "value_dots",
    "value_heatmap",
    "value_ranks",
]

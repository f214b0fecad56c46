"""Plotly figures of noise draws, each with its sentence in words."""

from camlab.charts.curve import severity_curve
from camlab.charts.draws import similarity_ecdf, similarity_violin
from camlab.charts.look import PLOTLY_CONFIG, Chart

__all__ = ["PLOTLY_CONFIG", "Chart", "severity_curve", "similarity_ecdf", "similarity_violin"]

"""The study: the grid models × pictures × methods × layers × noise types × severities × seeds, a row a pair."""

from __future__ import annotations

from camlab.study.control import Status, cancel, pause, resume, start, status
from camlab.study.estimate import Estimate, estimate
from camlab.study.plan import StudyPlan
from camlab.study.prepare import create
from camlab.study.presets import PRESETS, Preset
from camlab.study.run import run_study

__all__ = [
    "PRESETS",
    "Estimate",
    "Preset",
    "Status",
    "StudyPlan",
    "cancel",
    "create",
    "estimate",
    "pause",
    "resume",
    "run_study",
    "start",
    "status",
]

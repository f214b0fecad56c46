"""The study: the grid models × pictures × methods × layers × noise types × severities × seeds, one row per pair."""

from camlab.study.plan import StudyPlan
from camlab.study.prepare import create
from camlab.study.presets import PRESETS, StudyPreset
from camlab.study.run.control import Status, cancel, pause, resume, start, status
from camlab.study.run.estimate import Estimate, estimate
from camlab.study.run.run import run_study

__all__ = [
    "PRESETS",
    "Estimate",
    "Status",
    "StudyPlan",
    "StudyPreset",
    "cancel",
    "create",
    "estimate",
    "pause",
    "resume",
    "run_study",
    "start",
    "status",
]

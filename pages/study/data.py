"""Rows, pictures and summaries of the open study, cached for all visitors until the study grows."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from camlab.metrics.intervals import REPLICATES
from camlab.study.analysis.filters import Filters
from camlab.study.analysis.summary import Ready, columns, merge_methods, ready, records, scored
from camlab.study.store import Study, open_study

#: Up to this many rows, intervals are computed at once; above it, when the visitor asks.
QUICK_INTERVALS = 300_000
KEPT = 3  # tables of rows in memory, about 100 MB per million rows

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Opened:
    """The study on screen as it was when this run of the page began: the key of all caches."""

    folder: str
    stamp: Stamp
    similarity: str

    @property
    def study(self) -> Study:
        """The study on disk."""
        return open_study(self.folder)


def stamp(study: Study) -> Stamp:
    """Return a value that changes when rows arrive: the number of parts and the time of the last change (ns)."""
    paths = study.paths()
    return len(paths), max((path.stat().st_mtime_ns for path in paths[-8:] if path.exists()), default=0)


@st.cache_resource(max_entries=KEPT, show_spinner="Reading the study …")
def all_rows(opened: Opened) -> pd.DataFrame:
    """Return all rows, scored, with coinciding methods merged. Shared by all visitors: do not modify."""
    wanted = dict.fromkeys([*columns(opened.similarity), "seed", "image"])
    study = opened.study
    return merge_methods(scored(study.rows(list(wanted)), opened.similarity), study.coincide)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def rows(opened: Opened, filters: Filters) -> pd.DataFrame:
    """Return the rows that pass the filters. Shared by all visitors: do not modify."""
    return filters.apply(all_rows(opened))


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def images(opened: Opened) -> pd.DataFrame:
    """Return the study's table of pictures. Shared by all visitors: do not modify."""
    return opened.study.images()


@st.cache_resource(max_entries=2, show_spinner=False)
def _ready(opened: Opened, filters: Filters) -> Ready:
    return ready(rows(opened, filters), opened.similarity)


@st.cache_data(max_entries=64, show_spinner=False)
def _records(opened: Opened, filters: Filters, by: tuple[str, ...], replicates: int) -> list[dict[str, Any]]:
    return records(_ready(opened, filters), by, replicates=replicates)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def options(opened: Opened) -> dict[str, list[Any]]:
    """Return the options of each filter; see `Filters.options`."""
    return Filters.options(all_rows(opened))


def summary(opened: Opened, filters: Filters, by: Sequence[str]) -> list[dict[str, Any]]:
    """Return one record per group, with intervals if `with_intervals` is true."""
    replicates = REPLICATES if with_intervals(opened, filters) else 0
    return _records(opened, filters, tuple(by), replicates)


def with_intervals(opened: Opened, filters: Filters) -> bool:
    """Return whether to compute intervals: for few rows always, else if the visitor requested them."""
    return len(rows(opened, filters)) <= QUICK_INTERVALS or bool(st.session_state.get("study.intervals"))


def opened(folder: Path, similarity: str) -> Opened:
    """Open the study in a folder. Raises BadStudy if there is none."""
    study = open_study(folder)
    return Opened(str(folder), stamp(study), similarity)


def titles(studies: Iterable[Study]) -> dict[str, str]:
    """Return each study's title by its folder's name; studies of the same name also show their date."""
    studies = list(studies)
    often = Counter(study.name for study in studies)
    return {
        study.folder.name: study.name + (f", {made(study)}" if often[study.name] > 1 and made(study) else "")
        for study in studies
    }


def made(study: Study) -> str:
    """Return when a study was made or imported; empty if unknown."""
    created = study.manifest.get("created")
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created)) if isinstance(created, (int, float)) else ""


def models(study: Study) -> dict[str, dict[str, Any]]:
    """Return the manifest's entry for each model, with valid ``layers`` and ``skipped`` whatever the file holds."""
    found = {}
    for name, about in (study.manifest.get("models") or {}).items():
        if isinstance(about, dict):
            found[str(name)] = about | {
                "layers": [x for x in _dicts(about.get("layers")) if isinstance(x.get("name"), str)],
                "skipped": _dicts(about.get("skipped")),
            }
    return found


def _dicts(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []

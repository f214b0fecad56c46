"""Rows, pictures and summaries of the open study, read once for all visitors and again where it has grown."""

from __future__ import annotations

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

#: Rows up to which intervals are drawn at once; over it they wait until they are asked for.
QUICK_INTERVALS = 300_000
KEPT = 3  # tables of rows that are held in memory, a hundred megabytes a million rows each

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Opened:
    """The study on screen as it was when this run of the page began."""

    folder: str
    stamp: Stamp
    similarity: str

    @property
    def study(self) -> Study:
        """The study on disk."""
        return open_study(self.folder)


def stamp(study: Study) -> Stamp:
    """What changes when rows come in: the number of parts, and when the folder last changed (ns)."""
    paths = study.paths()
    return len(paths), max((path.stat().st_mtime_ns for path in paths[-8:] if path.exists()), default=0)


@st.cache_resource(max_entries=KEPT, show_spinner="Reading the study …")
def _rows(folder: str, when: Stamp, similarity: str) -> pd.DataFrame:
    study = open_study(folder)
    wanted = dict.fromkeys([*columns(similarity), "seed", "image"])
    return merge_methods(scored(study.rows(list(wanted)), similarity), study.coincide)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _images(folder: str, when: Stamp) -> pd.DataFrame:
    return open_study(folder).images()


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _filtered(folder: str, when: Stamp, similarity: str, filters: Filters) -> pd.DataFrame:
    return filters.apply(_rows(folder, when, similarity))


@st.cache_resource(max_entries=2, show_spinner=False)
def _ready(folder: str, when: Stamp, similarity: str, filters: Filters) -> Ready:
    return ready(_filtered(folder, when, similarity, filters), similarity)


@st.cache_data(max_entries=64, show_spinner=False)
def _records(
    folder: str, when: Stamp, similarity: str, filters: Filters, by: tuple[str, ...], replicates: int
) -> list[dict[str, Any]]:
    return records(_ready(folder, when, similarity, filters), by, replicates=replicates)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _options(folder: str, when: Stamp, similarity: str) -> dict[str, list[Any]]:
    return Filters.options(_rows(folder, when, similarity))


def options(opened: Opened) -> dict[str, list[Any]]:
    """What each filter can be set to; see `Filters.options`."""
    return _options(opened.folder, opened.stamp, opened.similarity)


def checked(opened: Opened, filters: Filters) -> tuple[Filters, list[str]]:
    """The filters without what the study lacks, and a sentence each; see `Filters.checked`."""
    return filters.checked(all_rows(opened), options(opened))


def all_rows(opened: Opened) -> pd.DataFrame:
    """Every row, scored, methods that are one merged. Not to be changed: visitors share it."""
    return _rows(opened.folder, opened.stamp, opened.similarity)


def rows(opened: Opened, filters: Filters) -> pd.DataFrame:
    """The rows that pass. Not to be changed: visitors share them."""
    return _filtered(opened.folder, opened.stamp, opened.similarity, filters)


def images(opened: Opened) -> pd.DataFrame:
    """The study's table of pictures. Not to be changed: visitors share it."""
    return _images(opened.folder, opened.stamp)


def summary(opened: Opened, filters: Filters, by: Sequence[str]) -> list[dict[str, Any]]:
    """A record a group, with intervals unless there are very many rows and nobody asked for them."""
    replicates = REPLICATES if with_intervals(opened, filters) else 0
    return _records(opened.folder, opened.stamp, opened.similarity, filters, tuple(by), replicates)


def with_intervals(opened: Opened, filters: Filters) -> bool:
    """Whether intervals are drawn: always with few rows, else where the visitor asked."""
    return len(rows(opened, filters)) <= QUICK_INTERVALS or bool(st.session_state.get("study.intervals"))


def opened(folder: Path, similarity: str) -> Opened:
    """The study in a folder as it is now. Raises BadStudy where there is none."""
    study = open_study(folder)
    return Opened(str(folder), stamp(study), similarity)


def titles(studies: Iterable[Study]) -> dict[str, str]:
    """What each study is called, by its folder's name; those of one name also say when they were made."""
    studies = list(studies)
    often = Counter(study.name for study in studies)
    return {
        study.folder.name: study.name + (f", {made(study)}" if often[study.name] > 1 and made(study) else "")
        for study in studies
    }


def made(study: Study) -> str:
    """When a study was made, or brought in; empty where it does not say."""
    created = study.manifest.get("created")
    return (
        time.strftime("%Y-%m-%d %H:%M", time.localtime(created)) if isinstance(created, (int, float)) else ""
    )


def models(study: Study) -> dict[str, dict[str, Any]]:
    """What the manifest says of each model, with at least ``layers`` and ``skipped``; a stranger's may say anything."""
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

"""Running the statistical tests of a study in one call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from camlab.common.errors import BadSetting
from camlab.metrics.intervals import REPLICATES, SEED
from camlab.study.analysis.summary import merge_methods, scored
from camlab.study.stats.base import TESTS, Sample
from camlab.study.stats.blocks import RESPONSES
from camlab.study.stats.cells import AXES, Cells, read_cells
from camlab.study.stats.effects import holm
from camlab.study.stats.results import ALPHA, TestResult

DEFAULT_BY = ("model", "layer")
"""The default grouping: methods that coincide on a layer of a model coincide in the whole group."""


def prepare(
    rows: pd.DataFrame,
    similarity: str | None = None,
    coincide: Sequence[Mapping[str, Any]] = (),
    by: Iterable[str] = DEFAULT_BY,
) -> Cells:
    """Read a study's rows as cells; first score them and merge coinciding methods, if requested.

    similarity: the column to score by; None: ``rows`` already has the column ``similarity`` in [0, 1]. coincide: groups
    of methods with one map on a layer (``{"model", "layer", "methods", "reason"}``), to be merged. by: the columns to
    group by later: methods merge if they coincide on all models and layers that are pooled. Raises BadSetting for
    invalid rows.
    """
    if similarity is not None or coincide:
        within = [name for name in ("model", "layer") if name in set(by)]
        rows = merge_methods(rows, coincide, within) if coincide else rows
        rows = scored(rows, similarity) if similarity is not None else rows
    return read_cells(rows)


def run_tests(
    rows: pd.DataFrame | Cells,
    by: Iterable[str] = DEFAULT_BY,
    response: str = "kept",
    tests: Iterable[str] | None = None,
    *,
    similarity: str | None = None,
    coincide: Sequence[Mapping[str, Any]] = (),
    alpha: float = ALPHA,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> list[TestResult]:
    """Run the tests on every group of rows, in the order of the registry and of the groups.

    rows: scored rows, or the result of `prepare`. by: columns of AXES to group by; a test drops the column that it
    compares and adds those that it always fixes. tests: names in TESTS, None for all. replicates: 0 omits the
    intervals. A test that cannot be run gives a result with a ``reason``. Raises UnknownName for a test or a response,
    BadSetting for an unknown column or an alpha out of range.
    """
    by = list(dict.fromkeys(by))
    for name in by:
        if name not in AXES:
            raise BadSetting(f"Rows cannot be grouped by {str(name)[:60]!r}; choose from: {', '.join(AXES)}.")
    if not 0.0 < alpha < 0.5:
        raise BadSetting(f"The level of significance must lie between 0 and 0.5, not {alpha:g}.")
    chosen = [TESTS[name] for name in (TESTS if tests is None else dict.fromkeys(tests))]
    asked = RESPONSES[response]
    cells = rows if isinstance(rows, Cells) else prepare(rows, similarity, coincide, by)
    results: list[TestResult] = []
    for test in chosen:
        fixed = [name for name in AXES if name in {*by, *test.within} and name != test.compares]
        found = [test.run(Sample(part, asked, group, alpha, replicates, seed)) for group, part in cells.split(fixed)]
        results += across(found)
    return results


def across(results: Sequence[TestResult]) -> list[TestResult]:
    """Adjust the p-values of one test over all its groups by Holm, without the groups that could not be tested."""
    p = iter(holm([each.p for each in results if each.p is not None]))
    return [each if each.p is None else replace(each, p_across=next(p)) for each in results]

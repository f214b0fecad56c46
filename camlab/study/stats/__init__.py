"""Statistics of a study, with pictures as blocks; each test reports its effect, assumptions and meaning."""

# These modules register their tests, in the order in which people see them.
# isort: off
from camlab.study.stats import methods, outcomes, groups, severity  # noqa: F401
# isort: on

from camlab.study.stats.base import TESTS, Sample, StatTest, stat_test
from camlab.study.stats.blocks import RESPONSES, Blocks, Response, blocks
from camlab.study.stats.cells import AXES, Cells, read_cells
from camlab.study.stats.methods import critical_difference
from camlab.study.stats.power import PowerNote, difference_shown, pictures_needed, power_note
from camlab.study.stats.results import ALPHA, Assumption, PairResult, TestResult, Value, record
from camlab.study.stats.run import DEFAULT_BY, prepare, run_tests
from camlab.study.stats.verdict import Candidate, Verdict, fewest_pictures, layer_verdicts, verdict

__all__ = [
    "ALPHA",
    "AXES",
    "DEFAULT_BY",
    "RESPONSES",
    "TESTS",
    "Assumption",
    "Blocks",
    "Candidate",
    "Cells",
    "PairResult",
    "PowerNote",
    "Response",
    "Sample",
    "StatTest",
    "TestResult",
    "Value",
    "Verdict",
    "blocks",
    "critical_difference",
    "difference_shown",
    "fewest_pictures",
    "layer_verdicts",
    "pictures_needed",
    "power_note",
    "prepare",
    "read_cells",
    "record",
    "run_tests",
    "stat_test",
    "verdict",
]

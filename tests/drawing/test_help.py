"""Every chart has its paragraph, and every paragraph that a page asks for is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camlab.drawing.help import LOOKING

ROOT = Path(__file__).parents[2]
#: Functions that return a chart, of all packages that draw some.
CHARTS = sorted(
    {
        found
        for path in (ROOT / "camlab").rglob("*.py")
        for found in re.findall(r"^def ([a-z]\w+)\([^)]*\) -> Chart:", path.read_text("utf-8"), re.M | re.S)
    }
    - {"nothing", "no_data", "not_observed", "sweep_curve", "sweep_violin", "sweep_ecdf"}
)


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_has_a_paragraph(name: str) -> None:
    assert 120 < len(LOOKING[name]) < 900 and "\n" not in LOOKING[name] and LOOKING[name].endswith(".")


def test_pages_ask_for_what_there_is_and_show_every_chart_with_it() -> None:
    asked = set()
    for path in (ROOT / "pages").rglob("*.py"):
        text = path.read_text("utf-8")
        asked |= set(re.findall(r'explanation_popover\("(\w+)"\)', text))
        drawn = len(re.findall(r"st\.plotly_chart\(|(?<!def )\bplot\(", text))
        if drawn and path.name not in ("pair.py", "attack.py"):
            assert "explanation_popover(" in text, path.name
    assert asked <= set(LOOKING) and len(asked) > 15

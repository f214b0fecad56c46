"""The progress bar of commands."""

from __future__ import annotations

import io

from camlab.cli.terminal import WIDTH, Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_fills_up_and_goes() -> None:
    out = Terminal()
    with Bar(4, out) as bar:
        for step in range(4):
            bar.step(f"step {step}")
    shown = out.getvalue().split("\r\x1b[2K")
    assert "\n" not in out.getvalue() and shown[0] == shown[-1] == ""
    assert [line.count("#") for line in shown[1:-1]] == [0, WIDTH // 4, WIDTH // 2, WIDTH * 3 // 4]
    assert shown[2].endswith("] 1 of 4  step 1")


def test_elsewhere_each_step_is_a_line() -> None:
    out = io.StringIO()
    with Bar(2, out) as bar:
        bar.step("warming up")
        bar.step("at work")
    assert out.getvalue() == "note: 1 of 2: warming up\nnote: 2 of 2: at work\n"


def test_more_steps_than_were_announced_fill_the_bar_and_no_more() -> None:
    out = Terminal()
    bar = Bar(1, out)
    for _ in range(3):
        bar.step("again")
    assert f"[{'#' * WIDTH}] 2 of 1" in out.getvalue()

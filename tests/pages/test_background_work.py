"""Work beside the page: a run that ends while the page is drawn is not missed."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest


def page(reads: int) -> None:
    """A page that offers a run whose job has ended after so many looks at it."""
    from types import SimpleNamespace

    from camlab.common.jobs import Job
    from pages.shared import background_work

    class Ending(Job):
        looks = 0

        @property
        def running(self) -> bool:
            self.looks += 1
            return self.looks <= reads

    if background_work.latest("kind", "key") is None:
        background_work.hold("kind", "key", SimpleNamespace(job=Ending("Test", lambda _: iter(()))))
    background_work.offer("kind", "key", "steps", lambda: None, lambda _: None, "Start", "bolt", again="Again")  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("reads", range(5))
def test_a_page_drawn_while_a_run_ends_looks_again(monkeypatch: pytest.MonkeyPatch, reads: int) -> None:
    every: list[float | None] = []
    real = st.fragment

    def spied(part: Any = None, *, run_every: float | None = None) -> Any:
        every.append(run_every)
        return real(part, run_every=run_every)

    monkeypatch.setattr(st, "fragment", spied)
    at = AppTest.from_function(page, kwargs={"reads": reads}).run(timeout=30)
    assert not at.exception
    offered = [button.label for button in at.button]
    assert "Again" in offered or every[-1] is not None, "the page shows no way on and does not look again"

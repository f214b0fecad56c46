"""What the cache keys say about libraries and devices."""

from __future__ import annotations

from importlib.metadata import version

import pytest
import torch

import camlab
from camlab.common.environment import LIBRARIES, ROUNDING_VARIABLES, arithmetic, libraries, versions_of


def test_it_names_the_device_and_every_library_that_computes() -> None:
    found = arithmetic(torch.device("cpu"))
    assert found[0] == "cpu" and torch.backends.cpu.get_cpu_capability() in found[1]
    assert found[2:] == libraries() == (torch.__version__, *(version(name) for name in LIBRARIES))
    assert arithmetic(torch.device("meta")) != found


@pytest.mark.parametrize("name", ROUNDING_VARIABLES)
def test_a_variable_that_changes_rounding_changes_the_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = arithmetic(torch.device("cpu"))
    monkeypatch.setenv(name, "BF16")
    assert arithmetic.__wrapped__(torch.device("cpu")) == (*before, f"{name}=BF16")


def test_versions_leave_out_what_is_not_installed() -> None:
    found = versions_of(["numpy", "no-package-of-this-name"])
    assert list(found) == ["camlab", "python", "numpy"]
    assert found["camlab"] == camlab.__version__ and found["numpy"] == version("numpy")

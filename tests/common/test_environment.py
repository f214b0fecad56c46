"""What the cache keys say about libraries and devices."""

from __future__ import annotations

from importlib.metadata import version

import torch

from camlab.common.environment import LIBRARIES, arithmetic, libraries


def test_it_names_the_device_and_every_library_that_computes() -> None:
    found = arithmetic(torch.device("cpu"))
    assert found[0] == "cpu" and torch.backends.cpu.get_cpu_capability() in found[1]
    assert found[2:] == libraries() == (torch.__version__, *(version(name) for name in LIBRARIES))
    assert arithmetic(torch.device("meta")) != found

"""Equal parts, groups, and errors that mean that memory has run out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camlab.models.batching import AT_ONCE, group_size, halved, out_of_memory, part_size


@given(st.integers(0, 500), st.integers(1, 40), st.integers(1, 8))
def test_parts_are_equal_whole_and_never_too_large(count: int, steps: int, step: int) -> None:
    most = steps * step
    size = part_size(count, most, step)
    assert step <= size <= most and size % step == 0
    parts = [min(size, count - start) for start in range(0, count, size)]
    assert sum(parts) == count
    assert len(parts) <= -(-count // most), "no more parts than the largest size would give"
    # A smaller size, still whole, would take more parts.
    if size > step and count:
        assert -(-count // (size - step)) > -(-count // most)


def test_seventeen_at_sixteen_go_as_nine_and_eight() -> None:
    assert part_size(17, 16) == 9
    assert part_size(176, 12, AT_ONCE) == 12


def test_groups_are_of_a_cpu() -> None:
    assert group_size(torch.device("cpu"), 100) == AT_ONCE
    assert group_size(torch.device("meta"), 100) == 100 and group_size(torch.device("meta"), 0) == 1


def test_half_a_batch_is_one_of_whole_groups_on_a_cpu() -> None:
    cpu, other = torch.device("cpu"), torch.device("meta")
    tried = [(96, 16)]
    while tried[-1] != (1, 1):
        tried.append(halved(*tried[-1], cpu))
    assert tried == [(96, 16), (48, 16), (24, 16), (12, 16), (6, 16), (3, 8), (1, 4), (1, 2), (1, 1)]
    assert halved(96, 96, other) == (48, 48) and halved(11, 16, cpu) == (AT_ONCE, 16)


@pytest.mark.parametrize(
    ("error", "means_it"),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes do not fit"), False),
    ],
)
def test_memory_that_runs_out_is_told_from_other_errors(error: Exception, means_it: bool) -> None:
    assert out_of_memory(error) is means_it

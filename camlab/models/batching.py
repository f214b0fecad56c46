"""How much is held at once, and memory that runs out."""

from __future__ import annotations

import torch

#: Pictures that go through a network together on a CPU. The activations of more outgrow what the allocator keeps
#: at hand: each layer's memory is then fetched from the system anew, which takes up to half as long again. And a
#: picture's last bits depend on how many go with it, so that they stay the same however many are asked for.
AT_ONCE = 6


def group_size(device: torch.device, count: int) -> int:
    """How many of ``count`` pictures go through a network together: a few on a CPU, all of them elsewhere."""
    return AT_ONCE if device.type == "cpu" else max(1, count)


def part_size(count: int, most: int, step: int = 1) -> int:
    """The size of equal parts of ``count`` things, at most ``most`` each: 17 at 16 go as 9 and 8, not as 16 and 1.

    step: the size is a multiple of it, as ``most`` must be; only the last part is then smaller.
    """
    size = -(-count // max(1, -(-count // most)))
    return max(step, -(-size // step) * step)


def halved(size: int, chunk: int, device: torch.device) -> tuple[int, int]:
    """Half as many pictures, on a CPU in whole groups as long as there are such; then half an extra pass, too."""
    if device.type == "cpu" and size > AT_ONCE:
        return size // 2 // AT_ONCE * AT_ONCE or AT_ONCE, chunk
    return max(1, size // 2), max(1, chunk // 2)


def out_of_memory(error: Exception) -> bool:
    """Whether an error says so: CUDA, MPS and the CPU's allocator each say it in their own words."""
    text = str(error).lower()
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or any(w in text for w in words)

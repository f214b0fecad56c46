"""Batch sizes, and the recognition of out-of-memory errors."""

import torch

#: Pictures that go through a network together on a CPU. The activations of larger batches outgrow the allocator's
#: cache; then each layer's memory comes from the system, and a pass takes up to 1.5 times as long. A fixed size also
#: keeps the last bits of results the same, because they depend on the batch size.
AT_ONCE = 6


def group_size(device: torch.device, count: int) -> int:
    """Return how many of ``count`` pictures go through a network together: a few on a CPU, all elsewhere."""
    return AT_ONCE if device.type == "cpu" else max(1, count)


def part_size(count: int, most: int, step: int = 1) -> int:
    """Return the size of nearly equal parts of ``count``, at most ``most`` each: 17 at 16 gives 9 and 8, not 16 and 1.

    The size is a multiple of ``step``, of which ``most`` must be one too; only the last part may be smaller.
    """
    size = -(-count // max(1, -(-count // most)))
    return max(step, -(-size // step) * step)


def halved(size: int, chunk: int, device: torch.device) -> tuple[int, int]:
    """Halve a batch size; on a CPU keep whole groups of AT_ONCE, and ``chunk``, while there is more than one group."""
    if device.type == "cpu" and size > AT_ONCE:
        return size // 2 // AT_ONCE * AT_ONCE or AT_ONCE, chunk
    return max(1, size // 2), max(1, chunk // 2)


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out: CUDA, MPS and the CPU's allocator word it differently."""
    text = str(error).lower()
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or any(w in text for w in words)

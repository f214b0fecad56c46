"""The layout of a layer's output: maps, channels-last maps, or a sequence of tokens."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """The layout of maps of ``channels`` channels on a grid of ``height`` × ``width`` in a layer's output.

    ``kind``: "maps" (N, K, h, w), "channels_last" (N, h, w, K) or "tokens" (N, prefix + h·w, K), row by row.
    """

    kind: str
    channels: int
    height: int
    width: int
    prefix: int = 0

    @property
    def places(self) -> tuple[int, ...]:
        """The spatial dimensions of the output: a mean over them averages the places of the picture."""
        return {"maps": (2, 3), "channels_last": (1, 2), "tokens": () if self.prefix else (1,)}[self.kind]

    def to_maps(self, native: Tensor) -> Tensor:
        """Return the maps (N, K, h, w) in an output of the layer, or in its gradients, as a view."""
        if self.kind == "maps":
            return native
        if self.kind == "channels_last":
            return native.permute(0, 3, 1, 2)
        tokens = native[:, self.prefix :]
        return tokens.reshape(len(tokens), self.height, self.width, -1).permute(0, 3, 1, 2)

    def with_maps(self, native: Tensor, maps: Tensor) -> Tensor:
        """Return an output of the layer with its maps replaced by (N, K, h, w); prefix tokens stay."""
        if self.kind == "maps":
            return maps
        placed = maps.permute(0, 2, 3, 1)
        if self.kind == "channels_last":
            return placed.contiguous()
        changed = native.clone()
        changed[:, self.prefix :] = placed.flatten(1, 2)
        return changed


def find_layout(shape: tuple[int, ...], size: tuple[int, int], prefix: int | None = None) -> Layout | None:
    """Find the layout of an output of this shape for pictures of ``size`` (height, width); None without maps.

    A grid has the picture's proportions to within one place, and at least two places each way. ``prefix`` is the
    number of tokens before the picture's, which not every layer has; if it is None, there may be one or two
    (class and distillation).
    """
    if len(shape) == 4:
        _, a, b, c = shape
        if _fits(b, c, size):
            return Layout("maps", a, b, c)
        if _fits(a, b, size):
            return Layout("channels_last", c, a, b)
    if len(shape) == 3:
        _, length, channels = shape
        for before in dict.fromkeys([prefix or 0, 0, 1, 2]):
            if (grid := _grid(length - before, size)) is not None:
                return Layout("tokens", channels, *grid, before)
    return None


def _fits(height: int, width: int, size: tuple[int, int]) -> bool:
    if min(height, width) < 2 or height > size[0] or width > size[1]:
        return False
    return abs(height * size[1] / size[0] - width) <= 1 and abs(width * size[0] / size[1] - height) <= 1


def _grid(count: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the grid of ``count`` places that is nearest to the picture's proportions; None if none fits."""
    wanted = size[0] / size[1]
    fitting = [
        (height, count // height)
        for height in range(2, count // 2 + 1)
        if count % height == 0 and _fits(height, count // height, size)
    ]
    return min(fitting, key=lambda grid: abs(grid[0] / grid[1] - wanted), default=None)


#: Up to this ratio of the changes in two quarters, a layer counts as mixing its places.
MIXED = 2.0
QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def quarters_changed(picture: Tensor) -> Tensor:
    """Return a picture (1, 3, H, W) and four copies, each with one quarter's sign flipped, row by row: (5, 3, H, W)."""
    x = picture.repeat(5, 1, 1, 1)
    height, width = (side // 2 for side in x.shape[2:])
    for row, (down, across) in enumerate(QUARTERS, 1):
        rows = slice(height * down, height * (down + 1) if down == 0 else None)
        columns = slice(width * across, width * (across + 1) if across == 0 else None)
        x[row, :, rows, columns] *= -1
    return x


def follows_places(layout: Layout, outputs: Tensor) -> bool | None:
    """Return whether each changed quarter of the picture changes a layer's output most in that quarter of its grid.

    ``outputs`` are the layer's for `quarters_changed`. False: the tokens are not in row order. None: undecidable,
    because each place depends about equally on all places.
    """
    maps = layout.to_maps(outputs)
    change = (maps[1:] - maps[:1]).square().sum(dim=1)
    # Cells on the middle line belong to no quarter.
    rows = (slice(0, layout.height // 2), slice(-(-layout.height // 2), None))
    columns = (slice(0, layout.width // 2), slice(-(-layout.width // 2), None))
    parts = [change[:, rows[down], columns[across]].flatten(1) for down, across in QUARTERS]
    # Compare place by place first, because an order that spreads the quarters evenly would give equal means.
    own = torch.cat([torch.full_like(part[0], i) for i, part in enumerate(parts)])
    each = torch.cat(parts, dim=1)
    each = each / each.mean(dim=1, keepdim=True)  # one quarter may affect all places more than another
    decided = each.amax(dim=0) > MIXED * each.amin(dim=0)
    if float(decided.float().mean()) > 0.5:
        return float((each.argmax(dim=0) == own)[decided].float().mean()) > 0.5
    means = torch.stack([part.mean(dim=1) for part in parts])
    if bool((means.argmax(dim=0) == torch.arange(4, device=means.device)).all()):
        return True
    return None if float((means.amax(dim=0) / means.amin(dim=0)).amax()) < MIXED else False

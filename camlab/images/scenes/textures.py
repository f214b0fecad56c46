"""The grounds of ShapeScenes (clouds, wood, stones, cloth …) and the surfaces of its objects (stripes, dots …).

As in `camlab.images.scenes.fields`, results do not depend on the machine.
"""

from collections.abc import Callable, Sequence

import numpy as np

from camlab.common.registry import Registry
from camlab.images.scenes.fields import (
    TWO,
    Colour,
    Draws,
    Floats,
    centres,
    fractal,
    octave,
    ramp,
    wave,
    window,
)


def _turned(draws: Draws, size: int) -> tuple[Floats, Floats]:
    """Return coordinates along and across a random direction, each (size, size)."""
    a, b = draws.between(-1, 1), draws.between(-1, 1)
    length = max((a * a + b * b) ** 0.5, 1e-3)
    c, s = np.float32(round(a / length, 6)), np.float32(round(b / length, 6))
    x, y = centres(size)[None, :] - np.float32(0.5), centres(size)[:, None] - np.float32(0.5)
    return x * c + y * s, y * c - x * s


Ground = Callable[[Draws, int, Sequence[Colour]], Floats]
"""Draws, size, palette (dark, middle, light) -> colours (size, size, 3), about [0, 1]."""

GROUNDS: Registry[Ground] = Registry("ground")


def _ground(name: str) -> Callable[[Ground], Ground]:
    return lambda ground: GROUNDS.add(name, ground)


@_ground("clouds")
def _clouds(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    field = fractal(draws.part("field"), size, 2 + int(draws.between(0, 3)))
    return ramp(np.float32(0.5) + np.float32(0.75) * field, palette)


@_ground("wood")
def _wood(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    bend = fractal(draws.part("bend"), size, 1, 3, most=3)
    fine = fractal(draws.part("fine"), size, 2, 24, most=3)
    across = centres(size)[None, :] * np.float32(draws.between(5, 9)) + bend * np.float32(1.1)
    field = np.float32(0.5) * wave(across) + np.float32(0.25) + np.float32(0.4) * fine
    out = ramp(field, palette)
    return out.transpose(1, 0, 2) if draws.one() < 0.5 else out


@_ground("pebbles")
def _pebbles(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    cells = 5 + int(draws.between(0, 5))
    spots = draws.array(cells + 2, cells + 2, 2).astype(np.float32)
    tones = draws.array(cells + 2, cells + 2).astype(np.float32)
    at = centres(size) * np.float32(cells) + np.float32(1)
    here = at.astype(np.intp)
    first = np.full((size, size), np.float32(9))
    second, tone = first.copy(), np.zeros((size, size), np.float32)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            i, j = (here + di)[:, None], (here + dj)[None, :]
            spot = spots[i, j]
            dx = spot[..., 0] + j.astype(np.float32) - at[None, :]
            dy = spot[..., 1] + i.astype(np.float32) - at[:, None]
            d = dx * dx + dy * dy
            nearer = d < first
            second = np.where(nearer, first, np.minimum(second, d))
            tone = np.where(nearer, tones[i, j], tone)
            first = np.minimum(first, d)
    gap = np.sqrt(second) - np.sqrt(first)
    light = np.clip(gap * np.float32(3.2), np.float32(0.25), np.float32(1))
    fine = fractal(draws.part("fine"), size, 16, most=3)
    field = np.float32(0.12) + np.float32(0.76) * tone + np.float32(0.16) * fine
    return ramp(field, palette) * (np.float32(0.35) + np.float32(0.65) * light)[..., None]


@_ground("bokeh")
def _bokeh(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    along, _ = _turned(draws, size)
    out = ramp(np.float32(0.4) + np.float32(0.7) * along, palette)
    place = centres(size)
    for _ in range(9 + int(draws.between(0, 8))):
        x, y, r = draws.between(0, 1), draws.between(0, 1), draws.between(0.05, 0.17)
        rows, columns = window(place, y, r), window(place, x, r)
        dx, dy = place[None, columns] - np.float32(x), place[rows, None] - np.float32(y)
        d = np.sqrt(dx * dx + dy * dy)
        share = np.clip((np.float32(r) - d) / np.float32(0.045), np.float32(0), np.float32(1))
        tint = np.array(draws.choice(list(palette)), np.float32) + np.float32(draws.between(0, 0.2))
        part = out[rows, columns]
        part += (tint - part) * (share * np.float32(draws.between(0.2, 0.55)))[..., None]
    return out


@_ground("fabric")
def _fabric(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    along, across = _turned(draws, size)
    sag = fractal(draws.part("sag"), size, 2, most=3) * np.float32(0.03)
    f, g = np.float32(draws.between(4, 9)), np.float32(draws.between(3, 10))
    warp, weft = wave((along + sag) * f), wave((across + sag) * g)
    share = np.float32(draws.choice((0.0, 0.25, 0.5)))
    field = (np.float32(1) - share) * warp + share * weft
    fine = fractal(draws.part("fine"), size, 20, most=3)
    return ramp(np.float32(0.15) + np.float32(0.65) * field + np.float32(0.2) * fine, palette)


@_ground("fibres")
def _fibres(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    field = np.zeros((size, size), np.float32)
    for name, rows, columns in (("a", 3, 44), ("b", 44, 3), ("c", 7, 60)):
        strands = octave(draws.part(name), size, rows, columns) - np.float32(0.5)
        field = np.maximum(field, strands * np.float32(3.4 / 1.55))
    soft = fractal(draws.part("soft"), size, 3, most=4)
    return ramp(np.float32(0.2) + np.float32(0.75) * field + np.float32(0.3) * soft, palette)


@_ground("ripples")
def _ripples(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    along, _ = _turned(draws, size)
    bend = fractal(draws.part("bend"), size, 2, most=4)
    phase = along * np.float32(draws.between(6, 13)) + bend * np.float32(draws.between(0.8, 1.8))
    fine = fractal(draws.part("fine"), size, 12, most=4)
    return ramp(np.float32(0.2) + np.float32(0.6) * wave(phase) + np.float32(0.2) * fine, palette)


@_ground("bricks")
def _bricks(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    rows, columns = 5 + int(draws.between(0, 4)), 3 + int(draws.between(0, 2))
    tones = draws.array(rows + 1, columns + 2).astype(np.float32)
    y = centres(size) * np.float32(rows) + np.float32(draws.between(0, 1))
    i = y.astype(np.intp)
    x = centres(size)[None, :] * np.float32(columns) + np.float32(0.5) * (i % 2).astype(np.float32)[:, None]
    j = x.astype(np.intp)
    ty, tx = y - i.astype(np.float32), x - j.astype(np.float32)
    edge_y = np.minimum(ty, np.float32(1) - ty)[:, None] / np.float32(rows)
    edge_x = np.minimum(tx, np.float32(1) - tx) / np.float32(columns)
    joint = np.clip(np.minimum(edge_x, edge_y) * np.float32(90) - np.float32(0.4), np.float32(0), np.float32(1))
    fine = fractal(draws.part("fine"), size, 10, most=4)
    face = ramp(np.float32(0.1) + np.float32(0.6) * tones[i[:, None], j] + np.float32(0.3) * fine, palette)
    mortar = ramp(np.float32(0.85) + np.float32(0.15) * fine, palette)
    out: Floats = mortar + (face - mortar) * joint[..., None]
    return out


@_ground("foliage")
def _foliage(draws: Draws, size: int, palette: Sequence[Colour]) -> Floats:
    out = ramp(np.float32(0.1) + np.float32(0.3) * fractal(draws.part("soil"), size, 4, most=4), palette)
    place = centres(size)
    leaves = draws.array(90, 6)
    tones = np.float32(0.2) + np.float32(0.6) * leaves[:, 5].astype(np.float32)
    left, right = (ramp(tones + np.float32(side), palette) for side in (-0.12, 0.12))
    for k, (x, y, length, a, b, _) in enumerate(leaves.tolist()):
        reach = 0.05 + 0.07 * length
        rows, columns = window(place, y, reach), window(place, x, reach)
        dx, dy = place[None, columns] - np.float32(x), place[rows, None] - np.float32(y)
        norm = max(((a - 0.5) ** 2 + (b - 0.5) ** 2) ** 0.5, 1e-3)
        c, s = np.float32(round((a - 0.5) / norm, 6)), np.float32(round((b - 0.5) / norm, 6))
        u, v = (dx * c + dy * s) / np.float32(reach), (dy * c - dx * s) / np.float32(reach)
        # A lens of two parabolas that meet at the tips, one half lighter than the other.
        inside = np.float32(0.42) * (np.float32(1) - u * u) - np.abs(v)
        share = np.clip(inside * np.float32(reach * size) + np.float32(0.5), np.float32(0), np.float32(1))
        part = out[rows, columns]
        part += (np.where((v < 0)[..., None], left[k], right[k]) - part) * share[..., None]
    return out


Surface = Callable[[Draws, Floats, Floats, float], Floats]
"""Draws, coordinates in units of the shape's radius, radius in pixels -> share of the second colour, [0, 1]."""

SURFACES: Registry[Surface] = Registry("texture")


def _surface(name: str) -> Callable[[Surface], Surface]:
    return lambda surface: SURFACES.add(name, surface)


def _crisp(value: Floats, radius: float) -> Floats:
    """Return 1 above zero and 0 below, with a ramp one pixel wide; ``value`` is in units of the radius."""
    out: Floats = np.clip(value * np.float32(radius) + np.float32(0.5), np.float32(0), np.float32(1))
    return out


def _triangle(phase: Floats) -> Floats:
    """Return a triangle wave of period 1 between −0.25 and 0.25."""
    out: Floats = np.abs(phase - np.floor(phase) - np.float32(0.5)) - np.float32(0.25)
    return out


@_surface("plain")
def _plain(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    return np.zeros(u.shape, np.float32)


@_surface("striped")
def _striped(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    period, slope = np.float32(draws.between(0.38, 0.6)), np.float32(draws.between(-1.5, 1.5))
    steep = np.sqrt(np.float32(1) + slope * slope)
    return _crisp(_triangle((u + slope * v) / (steep * period)) * period, radius)


@_surface("checked")
def _checked(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    period = np.float32(draws.between(0.55, 0.8))
    a, b = (_crisp(_triangle(w / period) * period, radius) for w in (u, v))
    return a + b - TWO * a * b


@_surface("dotted")
def _dotted(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    period = np.float32(draws.between(0.42, 0.6))
    du, dv = ((w / period - np.floor(w / period) - np.float32(0.5)) * period for w in (u, v))
    return _crisp(np.float32(0.3) * period - np.sqrt(du * du + dv * dv), radius)


@_surface("zigzag")
def _zigzag(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    period = np.float32(draws.between(0.45, 0.65))
    bent: Floats = v + np.float32(0.8) * period * _triangle(u / period)
    return _crisp(_triangle(bent / period) * period, radius)


@_surface("mottled")
def _mottled(draws: Draws, u: Floats, v: Floats, radius: float) -> Floats:
    total = np.zeros(u.shape, np.float32)
    for cells, weight in ((4, 0.6), (9, 0.4)):
        table = draws.array(2 * cells + 4, 2 * cells + 4).astype(np.float32)
        at_u, at_v = (np.clip(w, -1.4, 1.4) * np.float32(cells / 1.4) + np.float32(cells + 1) for w in (u, v))
        j, i = at_u.astype(np.intp), at_v.astype(np.intp)
        tu, tv = at_u - j.astype(np.float32), at_v - i.astype(np.float32)
        top = table[i, j] + (table[i, j + 1] - table[i, j]) * tu
        low = table[i + 1, j] + (table[i + 1, j + 1] - table[i + 1, j]) * tu
        total += (top + (low - top) * tv) * np.float32(weight)
    out: Floats = np.clip((total - np.float32(0.32)) * np.float32(2.8), np.float32(0), np.float32(1))
    return out

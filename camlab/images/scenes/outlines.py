"""The outlines of ShapeScenes: signed distances of the ten classes' shapes, and of scattered bits without a class.

A form is a function of two arrays of coordinates (x to the right, y down; the form fits the unit circle) and
returns the signed distance: below zero inside, zero on the outline. The sign is exact everywhere. Where a form
is made of parts, the distance is at most the true one, which suffices for antialiasing.

Only +, −, ×, ÷, √ and comparisons are used: their results are the same, bit for bit, on every machine.
"""

from collections.abc import Callable, Sequence

import numpy as np

from camlab.common.registry import Registry
from camlab.images.scenes.fields import Floats

Form = Callable[[Floats, Floats], Floats]

FORMS: Registry[Form] = Registry("shape")
"""The classes, by name, in their order."""


def polygon(corners: Sequence[tuple[float, float]]) -> Form:
    """Return the form bounded by these corners in order (in either direction, not necessarily convex)."""
    ends = [*corners[1:], corners[0]]

    def distance(x: Floats, y: Floats) -> Floats:
        nearest = np.full(x.shape, np.inf, np.float32)
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(corners, ends, strict=True):
            ex, ey = np.float32(bx - ax), np.float32(by - ay)
            px, py = x - np.float32(ax), y - np.float32(ay)
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), np.float32(0), np.float32(1))
            dx, dy = px - along * ex, py - along * ey
            np.minimum(nearest, dx * dx + dy * dy, out=nearest)
            if ey != 0:  # a ray to the right crosses this edge or not (even-odd rule)
                side = px * ey - py * ex
                inside ^= (y >= min(ay, by)) & (y < max(ay, by)) & ((side < 0) == bool(ey > 0))
        out: Floats = np.sqrt(nearest)
        return np.where(inside, -out, out)

    return distance


def disc(radius: float, x0: float = 0.0, y0: float = 0.0) -> Form:
    """Return a filled circle."""
    r, cx, cy = np.float32(radius), np.float32(x0), np.float32(y0)

    def distance(x: Floats, y: Floats) -> Floats:
        dx, dy = x - cx, y - cy
        out: Floats = np.sqrt(dx * dx + dy * dy) - r
        return out

    return distance


def union(*forms: Form) -> Form:
    """Return the union of forms."""

    def distance(x: Floats, y: Floats) -> Floats:
        out = forms[0](x, y)
        for form in forms[1:]:
            out = np.minimum(out, form(x, y))
        return out

    return distance


def without(form: Form, hole: Form) -> Form:
    """Return the first form without the second."""

    def distance(x: Floats, y: Floats) -> Floats:
        return np.maximum(form(x, y), -hole(x, y))

    return distance


def capsule(ax: float, ay: float, bx: float, by: float, radius: float) -> Form:
    """Return a thick line with round ends."""
    ex, ey, r = np.float32(bx - ax), np.float32(by - ay), np.float32(radius)

    def distance(x: Floats, y: Floats) -> Floats:
        px, py = x - np.float32(ax), y - np.float32(ay)
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), np.float32(0), np.float32(1))
        dx, dy = px - along * ex, py - along * ey
        out: Floats = np.sqrt(dx * dx + dy * dy) - r
        return out

    return distance


# Corners of the polygons, in units of the shape's radius.
CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    "triangle": ((0.0, -1.0), (0.866, 0.5), (-0.866, 0.5)),
    "square": ((-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)),
    "star": (
        *((0.0, -1.0), (0.259, -0.357), (0.951, -0.309), (0.42, 0.136), (0.588, 0.809)),
        *((0.0, 0.442), (-0.588, 0.809), (-0.42, 0.136), (-0.951, -0.309), (-0.259, -0.357)),
    ),
    "cross": (
        *((-0.3, -0.93), (0.3, -0.93), (0.3, -0.3), (0.93, -0.3), (0.93, 0.3), (0.3, 0.3)),
        *((0.3, 0.93), (-0.3, 0.93), (-0.3, 0.3), (-0.93, 0.3), (-0.93, -0.3), (-0.3, -0.3)),
    ),
    "arrow": (
        *((0.0, -1.0), (0.78, -0.08), (0.3, -0.08), (0.3, 0.92)),
        *((-0.3, 0.92), (-0.3, -0.08), (-0.78, -0.08)),
    ),
    "bolt": (
        *((-0.19, -0.89), (0.44, -0.89), (0.15, -0.26), (0.62, -0.26)),
        *((-0.36, 0.92), (-0.1, 0.12), (-0.56, 0.12)),
    ),
}

# A heart is a square on its corner with a half circle on each of its upper sides.
_HEART = ((0.0, -0.37), (0.6, 0.23), (0.0, 0.83), (-0.6, 0.23))

FORMS.add("circle", disc(0.88))
FORMS.add("ring", without(disc(0.95), disc(0.52)))
FORMS.add("crescent", without(disc(0.98, 0.0, 0.0), disc(0.82, 0.5, 0.0)))
FORMS.add("triangle", polygon(CORNERS["triangle"]))
FORMS.add("square", polygon(CORNERS["square"]))
FORMS.add("star", polygon(CORNERS["star"]))
FORMS.add("cross", polygon(CORNERS["cross"]))
FORMS.add("heart", union(polygon(_HEART), disc(0.4243, -0.3, -0.07), disc(0.4243, 0.3, -0.07)))
FORMS.add("arrow", polygon(CORNERS["arrow"]))
FORMS.add("bolt", polygon(CORNERS["bolt"]))

BITS: Registry[Form] = Registry("kind of bit")
"""Small objects scattered over the ground, in units of their own size; they belong to no class."""

BITS.add("stroke", union(capsule(-1.0, 0.25, 0.1, -0.2, 0.11), capsule(0.1, -0.2, 1.0, 0.15, 0.11)))
BITS.add("dot", disc(0.3))
BITS.add("blob", union(disc(0.42, -0.3, 0.1), disc(0.36, 0.22, -0.2), disc(0.3, 0.3, 0.3)))
BITS.add("bar", polygon(((-1.4, -0.2), (1.4, -0.2), (1.4, 0.2), (-1.4, 0.2))))

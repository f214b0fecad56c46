"""ShapeScenes: generated pictures of one object on a natural-looking ground, with the object's exact outline.

The class is the object's shape; its texture, colour, place, size, turn, the ground and the scattered bits are
nuisances, drawn independently of it. A scene is a pure function of (seed, index, size), the same on every machine,
with the same composition at every size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from camlab.common.errors import BadSetting
from camlab.images.scenes.fields import Colour, Draws, Floats, centres, fractal, window
from camlab.images.scenes.outlines import BITS, FORMS, Form
from camlab.images.scenes.textures import GROUNDS, SURFACES

#: Part of the keys of stored results: raise it when `scene_plan` or `render` return something else.
SCENE_VERSION = 1

#: Scenes of this seed are never trained on: they measure accuracy, and the app shows them.
HELD_OUT_SEED = 0

CLASSES: tuple[str, ...] = tuple(FORMS)
"""Names of the classes: a scene's ``label`` is an index into them."""
TEXTURES: tuple[str, ...] = tuple(SURFACES)

COLOURS: dict[str, Colour] = {
    "red": (0.82, 0.16, 0.17),
    "orange": (0.95, 0.51, 0.13),
    "yellow": (0.96, 0.81, 0.20),
    "green": (0.20, 0.62, 0.29),
    "teal": (0.10, 0.62, 0.64),
    "blue": (0.17, 0.36, 0.80),
    "purple": (0.50, 0.26, 0.68),
    "pink": (0.93, 0.45, 0.63),
    "white": (0.94, 0.93, 0.90),
    "black": (0.13, 0.13, 0.15),
}

PALETTES: dict[str, tuple[Colour, Colour, Colour]] = {
    "sand": ((0.55, 0.43, 0.30), (0.76, 0.64, 0.47), (0.91, 0.83, 0.69)),
    "moss": ((0.16, 0.22, 0.12), (0.34, 0.42, 0.22), (0.58, 0.63, 0.40)),
    "slate": ((0.21, 0.24, 0.28), (0.42, 0.46, 0.50), (0.66, 0.69, 0.71)),
    "clay": ((0.36, 0.18, 0.13), (0.60, 0.35, 0.26), (0.79, 0.57, 0.46)),
    "sea": ((0.10, 0.24, 0.33), (0.24, 0.45, 0.53), (0.56, 0.72, 0.74)),
    "bark": ((0.20, 0.14, 0.10), (0.40, 0.30, 0.22), (0.62, 0.52, 0.41)),
    "snow": ((0.62, 0.66, 0.72), (0.79, 0.82, 0.86), (0.94, 0.95, 0.96)),
    "dusk": ((0.22, 0.17, 0.30), (0.46, 0.36, 0.50), (0.78, 0.62, 0.62)),
    "straw": ((0.42, 0.36, 0.16), (0.67, 0.60, 0.33), (0.87, 0.81, 0.56)),
}

Colouring = Callable[[Floats, Floats, Floats], Floats]

SMALLEST, LARGEST = 32, 2048
_APART = 0.30  # least distance in RGB between an object's colour and the colours of its ground
_FINE = 4  # pixels on an outline are sampled _FINE × _FINE times


@dataclass(frozen=True)
class Bit:
    """A small object under the main one: its kind, colour, place and size (shares of the side), turn (degrees)."""

    kind: str
    colour: Colour
    x: float
    y: float
    size: float
    turn: float


@dataclass(frozen=True)
class ScenePlan:
    """All parameters of a scene, known without rendering it.

    ``label`` indexes `CLASSES`; ``x``, ``y`` (the middle) and ``radius`` are shares of the picture's side,
    ``stretch`` is the object's width over its height before it is turned by ``turn`` degrees.
    """

    index: int
    seed: int
    label: int
    shape: str
    texture: str
    colour: str
    ground: str
    palette: str
    x: float
    y: float
    radius: float
    stretch: float
    turn: float
    bits: tuple[Bit, ...]


def scene_plan(index: int, seed: int = 0) -> ScenePlan:
    """Draw the plan of scene ``index`` (0, 1, 2 …) of the set with ``seed``.

    Classes are balanced: each block of ``len(CLASSES)`` indices has every class once, in random order.
    Raises BadSetting if index or seed is not a whole number from 0 on.
    """
    index, seed = _whole(index, "index"), _whole(seed, "seed")
    block, place = divmod(index, len(CLASSES))
    label = Draws("classes", seed, block).order(len(CLASSES))[place]
    draws = Draws("scene", seed, index)
    palette = draws.choice(list(PALETTES))
    radius = draws.between(0.17, 0.31)
    reach = 1.07 * radius + 0.01  # the stretch adds up to 7 %: so the object lies inside the picture
    return ScenePlan(
        index=index,
        seed=seed,
        label=label,
        shape=CLASSES[label],
        texture=draws.choice(TEXTURES),
        colour=draws.choice(_clear_of(palette)),
        ground=draws.choice(list(GROUNDS)),
        palette=palette,
        x=draws.between(reach, 1 - reach),
        y=draws.between(reach, 1 - reach),
        radius=radius,
        stretch=draws.between(0.88, 1.14),
        turn=draws.between(0, 360),
        bits=tuple(_bit(draws, palette) for _ in range(3 + int(draws.between(0, 6)))),
    )


def render(plan: ScenePlan, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Render the scene as RGB (size, size, 3), and the object's mask (size, size).

    The mask is True where a pixel's centre lies in the object. The antialiased border reaches less than one
    pixel beyond it, except at tips too thin to hold a pixel's centre. Raises BadSetting for a size that is not a
    whole number from 32 to 2048.
    """
    picture = _ground(plan, _checked_size(size))
    mask = _place(
        picture,
        FORMS[plan.shape],
        *(plan.x, plan.y, plan.radius, plan.stretch, plan.turn),
        lambda u, v, d: _object_colours(plan, size, u, v, d),
    )
    return _bytes(picture), mask


def render_ground(plan: ScenePlan, size: int) -> NDArray[np.uint8]:
    """Render the scene without its object, RGB (size, size, 3): ground and bits. Raises BadSetting like `render`."""
    return _bytes(_ground(plan, _checked_size(size)))


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
        raise BadSetting(f"The {name} of a scene must be a whole number from 0 on, not {str(value)[:40]}.")
    return int(value)


def _checked_size(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, Integral) or not SMALLEST <= int(size) <= LARGEST:
        raise BadSetting(
            f"A scene cannot be {str(size)[:40]} pixels wide; choose a whole number from {SMALLEST} to {LARGEST}."
        )
    return int(size)


def _clear_of(palette: str) -> list[str]:
    """Return the names of the colours that contrast with every colour of a palette."""

    def apart(a: Colour, b: Colour) -> bool:
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) >= _APART**2

    return [name for name, rgb in COLOURS.items() if all(apart(rgb, tone) for tone in PALETTES[palette])]


def _bit(draws: Draws, palette: str) -> Bit:
    kind = draws.choice(list(BITS))
    # Half of the bits have an object's colour, so that colour does not reveal the object.
    bright = draws.one() < 0.5
    tones = [COLOURS[name] for name in _clear_of(palette)] if bright else list(PALETTES[palette])
    return Bit(
        kind=kind,
        colour=draws.choice(tones),
        x=draws.between(0, 1),
        y=draws.between(0, 1),
        size=draws.between(0.05, 0.11),
        turn=draws.between(0, 360),
    )


def _ground(plan: ScenePlan, size: int) -> Floats:
    draws = Draws("pixels", plan.seed, plan.index)
    ground = GROUNDS[plan.ground](draws.part("ground"), size, PALETTES[plan.palette])
    # Uneven light varies grounds of the same kind and palette.
    light = np.float32(1) + np.float32(0.16) * fractal(draws.part("light"), size, 1, most=2)
    picture = np.ascontiguousarray(ground * light[..., None])
    for bit in plan.bits:
        tone = np.array(bit.colour, np.float32)
        _place(
            picture,
            BITS[bit.kind],
            *(bit.x, bit.y, bit.size, 1.0, bit.turn),
            lambda u, v, d, tone=tone: tone * (np.float32(0.92) - np.float32(0.1) * v)[..., None],  # type: ignore[misc]
        )
    return picture


def _object_colours(plan: ScenePlan, size: int, u: Floats, v: Floats, depth: Floats) -> Floats:
    """Return the object's colours at its own coordinates and distances to its outline (below zero inside)."""
    draws = Draws("pixels", plan.seed, plan.index, "object")
    base = np.array(COLOURS[plan.colour], np.float32)
    dark = sum(COLOURS[plan.colour]) < 0.75
    other = base + (np.float32(1) - base) * np.float32(0.45) if dark else base * np.float32(0.52)
    share = SURFACES[plan.texture](draws, u, v, plan.radius * size)
    colours = base + (other - base) * share[..., None]
    rim = np.clip((depth + np.float32(0.09)) * np.float32(16), np.float32(0), np.float32(1))
    light = np.float32(1.02) - np.float32(0.12) * v
    out: Floats
    if dark:  # a dark object has a light rim
        out = colours * light[..., None] + np.float32(0.28) * rim[..., None]
    else:
        out = colours * (light * (np.float32(1) - np.float32(0.5) * rim))[..., None]
    return out


def _place(
    picture: Floats,
    form: Form,
    x: float,
    y: float,
    radius: float,
    stretch: float,
    turn: float,
    colours: Colouring,
) -> NDArray[np.bool_]:
    """Draw a form into the picture, in place, and return its mask: True where a pixel's centre lies inside."""
    size = len(picture)
    mask = np.zeros((size, size), bool)
    place = centres(size)
    reach = 1.6 * radius + 1 / size
    rows, columns = window(place, y, reach), window(place, x, reach)
    dx = place[None, columns] - np.float32(x)
    dy = place[rows, None] - np.float32(y)
    # Rounded, because the last bit of a sine depends on the machine.
    c, s = round(math.cos(math.radians(turn)), 9), round(math.sin(math.radians(turn)), 9)
    root = math.sqrt(stretch)
    ux, uy = np.float32(c / (radius * root)), np.float32(s / (radius * root))
    vx, vy = np.float32(-s * root / radius), np.float32(c * root / radius)
    u, v = dx * ux + dy * uy, dx * vx + dy * vy
    depth = form(u, v)
    inside = depth < 0
    share = inside.astype(np.float32)
    # Pixels that the outline may cross: within 0.71 pixels of it, more if the form is stretched.
    edge = np.abs(depth) * np.float32(radius * size) < np.float32(0.71 * max(root, 1 / root))
    if edge.any():
        fine = (np.arange(_FINE, dtype=np.float32) + np.float32(0.5)) / np.float32(_FINE) - np.float32(0.5)
        fx, fy = (f.ravel() / np.float32(size) for f in np.meshgrid(fine, fine))
        inner = form(
            u[edge][:, None] + fx * ux + fy * uy,
            v[edge][:, None] + fx * vx + fy * vy,
        )
        share[edge] = (inner < 0).sum(1).astype(np.float32) / np.float32(_FINE * _FINE)
    part = picture[rows, columns]
    part += (colours(u, v, depth) - part) * share[..., None]
    mask[rows, columns] = inside
    return mask


def _bytes(picture: Floats) -> NDArray[np.uint8]:
    clipped = np.clip(picture, np.float32(0), np.float32(1))
    return (clipped * np.float32(255) + np.float32(0.5)).astype(np.uint8)

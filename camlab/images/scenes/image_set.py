"""ShapeScenes as an image set: pictures generated on demand, in any number.

The id ``shapes/<seed>-<index>`` determines the picture, which is the same on every machine.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache, partial

from PIL import Image

from camlab.images.builtin import IMAGE_SETS
from camlab.images.picture import ImageSet, LazyPictures, Mask, Picture
from camlab.images.scenes.scenes import CLASSES, render, scene_plan

SHAPES = "shapes"
DEFAULT_COUNT = 200
MAX_COUNT = 10_000  # pictures in one set; others are still found by their ids
MAX_SEED = 999_999
SIDE = 256  # pixels, of which most networks see 224

_NAME = re.compile(r"(0|[1-9][0-9]{0,5})-(0|[1-9][0-9]{0,8})")
_ADJECTIVES = {"checked": "checkered"}  # adjectives for textures in titles


@dataclass(frozen=True)
class SceneSet(ImageSet):
    """The first pictures drawn with one seed; ``find`` returns those of all seeds, without an index."""

    seed: int = field(default=0, kw_only=True)

    def find(self, picture_id: str) -> Picture | None:
        """Return the scene with this id, of any seed and index; None for another kind of id."""
        numbers = scene_numbers(picture_id)
        return None if numbers is None else _scene(*numbers)

    def place(self, picture_id: str) -> int | None:
        """Return the picture's index in this set, from 0; None if it has another seed or follows the last one."""
        seed, index = scene_numbers(picture_id) or (-1, -1)
        return index if seed == self.seed and index < len(self.pictures) else None


def scene_numbers(picture_id: str) -> tuple[int, int] | None:
    """Parse the seed and index in a scene's id; None for another kind of id."""
    group, _, name = picture_id.partition("/")
    found = _NAME.fullmatch(name) if group == SHAPES else None
    return None if found is None else (int(found[1]), int(found[2]))


@lru_cache(maxsize=32)
def shape_scenes(seed: int = 0, count: int = DEFAULT_COUNT) -> SceneSet:
    """Return the first ``count`` scenes drawn with ``seed``, RGB of SIDE pixels, with class and exact outline."""
    return SceneSet(
        name=SHAPES,
        title="ShapeScenes",
        summary="Generated: one object, whose shape is the class, on a natural-looking background; exact outlines.",
        pictures=LazyPictures(count, partial(_scene, seed)),
        labels=CLASSES,
        seed=seed,
    )


@lru_cache(maxsize=4096)
def _scene(seed: int, index: int) -> Picture:
    plan = scene_plan(index, seed)
    # The composition is the same at every size, so a thumbnail is rendered small.
    return Picture(
        id=f"{SHAPES}/{seed}-{index}",
        image_set=SHAPES,
        title=f"{plan.colour} {_ADJECTIVES.get(plan.texture, plan.texture)} {plan.shape} ({index})".capitalize(),
        label=plan.shape,
        label_index=None,
        author="CAM Lab",
        licence="generated, CC0",
        licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
        source=f"ShapeScenes, seed {seed}, picture {index}",
        _read=partial(_read, seed, index, SIDE),
        _mask=partial(_mask, seed, index),
        _thumbnail=partial(_read, seed, index),
    )


def _read(seed: int, index: int, side: int) -> Image.Image:
    return Image.fromarray(render(scene_plan(index, seed), side)[0])


def _mask(seed: int, index: int) -> Mask:
    return render(scene_plan(index, seed), SIDE)[1]


IMAGE_SETS.add(SHAPES, shape_scenes())

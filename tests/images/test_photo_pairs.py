"""A pair of own pictures goes through one preprocessing, and what makes it doubtful is said."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from camlab.common.errors import BadImage
from camlab.common.memo import ENTRY_OVERHEAD, Memo
from camlab.engine.shared import engine_for, second_input
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, find_picture, picture_from_bytes
from camlab.images import photo_pairs as module
from camlab.images.photo_pairs import (
    OwnPair,
    companion_input,
    companion_of,
    compare,
    forget_companion,
    own_pair,
    paired,
    set_companion,
)
from camlab.models.classifier import Classifier
from camlab.noise import perturb
from tests.material import png

PHOTOS = ("photos/bison", "places/taj_mahal", "objects/coffee")
MARGIN = 40


def picture(image: Image.Image, name: str = "a") -> Picture:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return picture_from_bytes(stream.getvalue(), f"{name}.png")


def window(name: str, down: int = 0, right: int = 0) -> Image.Image:
    """The middle of a photograph, its content moved down and right."""
    image = find_picture(name).load()
    left, top = MARGIN - right, MARGIN - down
    return image.crop((left, top, left + image.width - 2 * MARGIN, top + image.height - 2 * MARGIN))


def noisy(image: Image.Image, noise: str = "gaussian_noise", severity: float = 3.0) -> Image.Image:
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    pixels = perturb(x, noise, severity, 0, "x")[0].permute(1, 2, 0).numpy()
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


# one preprocessing


def noisy_input(clean: Picture, other: Picture, preprocess: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    set_companion(clean, other)
    found = companion_input(clean.digest, preprocess)
    forget_companion(clean.digest)
    assert found is not None
    return found


def test_a_copy_of_another_size_becomes_the_same_input(lite0: Classifier) -> None:
    clean = find_picture("photos/bison")
    image = clean.load()
    same = noisy_input(clean, picture(image), lite0.preprocess)
    assert torch.equal(same, lite0.preprocess(image))
    twice = picture(image.resize((image.width * 2, image.height * 2), Image.Resampling.LANCZOS))
    assert noisy_input(clean, twice, lambda shown: torch.tensor(shown.size)).tolist() == list(image.size)
    larger = noisy_input(clean, twice, lite0.preprocess)
    assert larger.shape == same.shape
    assert float((larger - same).abs().mean()) < 0.01
    assert float(larger.min()) >= 0 and float(larger.max()) <= 1


def test_the_noisy_one_is_resized_before_it_is_cropped() -> None:
    clean = picture(Image.new("RGB", (40, 20), "red"))
    wide = picture(Image.new("RGB", (400, 200), "blue"))
    seen: list[tuple[int, int]] = []

    def preprocess(image: Image.Image) -> torch.Tensor:
        seen.append(image.size)
        return torch.zeros(3, 4, 4)

    noisy_input(clean, wide, preprocess)
    assert seen == [(40, 20)]


@pytest.mark.parametrize(
    ("size", "fits"),
    [((200, 100), True), ((100, 50), True), ((201, 100), True), ((200, 103), False), ((100, 200), False)],
)
def test_the_shape_must_be_the_same(size: tuple[int, int], fits: bool) -> None:
    clean, other = picture(Image.new("RGB", (200, 100))), picture(Image.new("RGB", size))
    for pair in ((clean, other), (other, clean)):
        if fits:
            assert own_pair(*pair) == OwnPair(*pair)
        else:
            with pytest.raises(BadImage, match=r"200×100.*aspect ratios differ; crop both .*\.$"):
                own_pair(*pair)


# how far apart they are


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("moved", [(0, 0), (0, 3), (5, -8), (-20, 12)])
@pytest.mark.parametrize("noise", ["", "gaussian_noise", "fog"])
def test_the_shift_is_found_under_noise(name: str, moved: tuple[int, int], noise: str) -> None:
    other = window(name, *moved)
    shift, likeness = compare(window(name), noisy(other, noise) if noise else other)
    tolerance = 1 + 0.1 * max(map(abs, moved))
    assert np.abs(np.subtract(shift, moved)).max() <= tolerance
    assert likeness > 0.4


def test_the_shift_is_in_pixels_of_the_clean_one() -> None:
    clean = window("photos/bison")
    large = clean.resize((clean.width * 4, clean.height * 4), Image.Resampling.BICUBIC)
    other = window("photos/bison", 6, -4)
    assert np.abs(np.subtract(compare(large, other)[0], (24, -16))).max() <= 5
    assert np.abs(np.subtract(compare(clean, other.resize(large.size))[0], (6, -4))).max() <= 1.5


def test_warnings() -> None:
    clean = picture(window("photos/bison"))
    assert own_pair(clean, picture(noisy(window("photos/bison")))).warning is None
    moved = own_pair(clean, picture(window("photos/bison", 10, -15))).warning
    assert moved is not None
    assert moved.startswith("The noisy picture is shifted by about 10 pixels down and 15 pixels left; align")
    other = find_picture("photos/german_shepherd").load().resize(clean.load().size)
    foreign = own_pair(clean, picture(other)).warning
    assert foreign is not None
    assert "hardly look alike" in foreign
    flat = own_pair(clean, picture(Image.new("RGB", clean.load().size, "grey")))
    assert (flat.shift, flat.likeness) == ((0.0, 0.0), 0.0)
    assert flat.warning is not None


def test_different_scenes_are_told_from_noisy_ones() -> None:
    size = (300, 300)
    images = [find_picture(name).load().resize(size) for name in PHOTOS]
    for i, image in enumerate(images):
        for noise in ("gaussian_noise", "motion_blur", "fog", "brightness", "jpeg_compression"):
            assert compare(image, noisy(image, noise, 5.0))[1] > 2 * module.ALIKE, noise
        for other in images[:i]:
            assert compare(image, other)[1] < module.ALIKE


# companions


def companions(monkeypatch: pytest.MonkeyPatch, size: int) -> Callable[[int], Picture]:
    """Pictures of one megabyte each, where the process remembers so many megabytes of them."""
    limit = size * (2**20 + ENTRY_OVERHEAD)
    monkeypatch.setattr(module, "_companions", Memo(limit, lambda found: found[0].held))
    return lambda seed: dataclasses.replace(picture(Image.new("RGB", (20, 20), (seed, 0, 0)), str(seed)), held=2**20)


def test_what_the_process_remembers_is_counted_in_bytes() -> None:
    noisy = picture_from_bytes(png(1, 40, 30), "a.png")
    before = module._companions.bytes
    set_companion(paired(picture_from_bytes(png(2, 40, 30), "b.png"), noisy), noisy)
    assert module._companions.bytes == before + noisy.held + ENTRY_OVERHEAD


def test_companions(monkeypatch: pytest.MonkeyPatch) -> None:
    make = companions(monkeypatch, 2)
    first, second, third, fourth = map(make, range(4))
    assert companion_of(first.digest) is None
    assert set_companion(first, second) == OwnPair(first, second)
    assert companion_of(first.digest) is second
    set_companion(first, third)
    assert companion_of(first.digest) is third
    set_companion(second, fourth)
    companion_of(first.digest)  # asked for last: the other one goes
    set_companion(third, fourth)
    assert companion_of(second.digest) is None
    assert companion_of(first.digest) is third
    with pytest.raises(BadImage):
        set_companion(first, picture(Image.new("RGB", (40, 20))))
    assert companion_of(first.digest) is third


def test_companions_of_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    make = companions(monkeypatch, 8)
    pictures = [make(seed) for seed in range(16)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(50):
            set_companion(pictures[seed], pictures[-seed - 1])
            if companion_of(pictures[seed].digest) not in (None, pictures[-seed - 1]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(module._companions) == 8


def test_a_picture_of_a_pair_is_another_picture_than_the_same_file_alone() -> None:
    clean, dark, rain = (picture_from_bytes(png(i, 40, 30), f"{i}.png") for i in (1, 2, 3))
    first, second = paired(clean, dark), paired(clean, rain)
    assert len({clean.digest, first.digest, second.digest}) == len({clean.id, first.id, second.id}) == 3
    assert paired(clean, dark).digest == first.digest  # the same two files, the same link
    set_companion(first, dark)
    set_companion(second, rain)
    assert companion_of(first.digest) is dark and companion_of(second.digest) is rain
    assert companion_of(clean.digest) is None
    assert np.array_equal(np.asarray(first.load()), np.asarray(clean.load()))


def test_engines_get_the_second_picture_resized_and_cropped_as_the_clean_one(lite0: Classifier) -> None:
    clean = picture_from_bytes(png(11, 90, 60), "clean.png")
    noisy = picture_from_bytes(png(12, 180, 120), "noisy.png")
    found = paired(clean, noisy)
    assert second_input(lite0, found.digest) is None
    set_companion(found, noisy)
    given_to_engines = second_input(lite0, found.digest)
    assert given_to_engines is not None
    assert torch.equal(
        given_to_engines, lite0.preprocess(noisy.load().resize(clean.load().size, Image.Resampling.LANCZOS))
    )
    scene = Scene(engine_for(lite0.name, "cpu"), found, ExploreState(noise="captured", severity=5))
    assert scene.lacking is None
    pixels = scene.pair(5.0, 0)[1].pixels()
    assert np.array_equal(pixels, given_to_engines.numpy())
    assert "upload a pair" in str(Scene(scene.engine, clean, scene.state).lacking)

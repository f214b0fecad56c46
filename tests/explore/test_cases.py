"""Find cases: what is found equals what a search by hand finds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import camlab.explore.cases
from camlab.engine.engine import Engine
from camlab.engine.shared import engine_for
from camlab.explore.cases import DISAGREEMENTS, LEVELS, LISTED, SEEDS_SEARCHED, CaseSearch, FoundCase
from camlab.explore.results import Floors
from camlab.explore.scene import Scene
from camlab.explore.state import ExploreState
from camlab.images import Picture, find_picture, picture_from_path
from camlab.noise import NOISES
from tests.material import known, png

STATE = ExploreState(method="eigencam", segmentation="slic", draws=4, seed=6)  # the block of draws 4 to 7


def run(search: CaseSearch, most: int = 100_000) -> None:
    for _ in range(most):
        if not search.job.running:
            return
        search.job.step()
    raise AssertionError("the search does not end")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_for("efficientnet_lite0", "cpu")


# the real thing


@pytest.fixture(scope="module")
def real(engine: Engine, pictures: tuple[Picture, ...]) -> CaseSearch:
    search = CaseSearch(engine, [pictures[0]], STATE, ("gaussian_noise", "defocus_blur"))
    run(search)
    return search


def by_hand(engine: Engine, picture: Picture, noises: Sequence[str], kind: str) -> list[tuple[str, float, int, float]]:
    """The strongest pair of each noise type, (noise, severity, seed, similarity), strongest first."""
    found = []
    for noise in noises:
        state = dataclasses.replace(STATE, image=picture.id, noise=noise)
        scene = Scene(engine, picture, state)
        threshold = (1 + known(scene.floors().other)) / 2
        best: tuple[str, float, int, float] | None = None
        for severity in (1.0, 2.0, 3.0, 4.0, 5.0):
            for seed in (4, 5) if NOISES[noise].stochastic else (0,):
                row = scene.shown(severity, seed).row
                value = row["similarity"]
                if kind == "kept" and not row["flipped"] and value < threshold:
                    if best is None or value < best[3]:
                        best = (noise, severity, seed, value)
                elif kind == "flipped" and row["flipped"] and value >= threshold and (best is None or value > best[3]):
                    best = (noise, severity, seed, value)
        if best:
            found.append(best)
    return sorted(found, key=lambda case: case[3], reverse=kind == "flipped")


@pytest.mark.parametrize("kind", ["kept", "flipped"])
def test_the_cases_found_are_those_that_a_search_by_hand_finds(
    kind: str, real: CaseSearch, engine: Engine, pictures: tuple[Picture, ...]
) -> None:
    expected = by_hand(engine, pictures[0], real.noises, kind)
    found = [(case.state.noise, case.state.severity, case.state.seed, case.similarity) for case in real.best(kind)]
    assert found == expected
    # Both kinds are there to be found, and the stronger of two where it was searched last.
    assert [case[0] for case in found] == {
        "kept": ["defocus_blur", "gaussian_noise"],
        "flipped": ["defocus_blur"],
    }[kind]


def test_a_case_is_a_state_that_shows_it(real: CaseSearch, engine: Engine, pictures: tuple[Picture, ...]) -> None:
    for kind, entry in DISAGREEMENTS.items():
        for case in real.best(kind):
            state = case.state
            assert state == dataclasses.replace(
                STATE, image=pictures[0].id, noise=state.noise, severity=state.severity, seed=state.seed
            )
            scene = Scene(engine, pictures[0], state)
            assert scene.shown(state.severity, state.shown_seed).row == case.row
            assert case.threshold == scene.floors().threshold
            assert entry.holds(case.row, case.threshold)
            if NOISES[state.noise].stochastic:
                assert state.seeds == STATE.seeds, "the draws on screen stay the ones they were"


def test_every_pair_is_looked_at_once(real: CaseSearch) -> None:
    assert real.pairs == 5 * SEEDS_SEARCHED + 5  # defocus blur draws nothing
    assert (real.job.done, real.job.total) == (2, 2)
    assert real.job.finished and real.job.error is None and real.skipped == 0


def test_a_picture_whose_clean_map_says_nothing_is_skipped(
    engine: Engine, pictures: tuple[Picture, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    floors = Scene.floors

    def none_for_the_other(scene: Scene, *args: Any) -> Floors:
        found = floors(scene, *args)
        return Floors(found.random, None, 0) if scene.picture.id == pictures[1].id else found

    monkeypatch.setattr(Scene, "floors", none_for_the_other)
    search = CaseSearch(engine, [pictures[1], pictures[0]], STATE, ("gaussian_noise", "defocus_blur"))
    run(search)
    assert search.skipped == 1 and search.pairs == 5 * SEEDS_SEARCHED + 5
    assert search.job.done == search.job.total == 4, "the bar comes to its end all the same"
    assert {case.state.image for kind in DISAGREEMENTS for case in search.best(kind)} == {pictures[0].id}


# with rows made up


class FakeScene:
    """Rows from a table of random numbers; what it is asked for is noted."""

    threshold: float | None = 0.7
    lacks: tuple[str, ...] = ()
    asked: list[tuple[str, str, float, int]]

    def __init__(self, engine: Any, picture: Any, state: ExploreState) -> None:
        self.picture, self.state = picture, state

    @property
    def lacking(self) -> str | None:
        return f"No {self.state.noise} here." if self.state.noise in self.lacks else None

    def references(self, check: Callable[[], None]) -> Iterator[None]:
        for _ in range(3):
            check()
            yield None

    def floors(self, check: Callable[[], None]) -> Floors:
        if self.picture.id == "flat":
            return Floors(0.3, None, 0)
        return Floors(0.3, 0.4, 24)  # the threshold is 0.7

    def rows(self, pairs: Sequence[tuple[float, int]], check: Callable[[], None]) -> list[dict[str, Any]]:
        check()
        found = []
        for severity, seed in pairs:
            key = (self.picture.id, self.state.noise, severity, seed)
            type(self).asked.append(key)
            random = np.random.default_rng([sum(map(ord, self.picture.id + self.state.noise)), int(severity), seed])
            value, flip, broken = random.random(3)
            found.append(
                {
                    "severity": severity,
                    "seed": seed,
                    "similarity": math.nan if broken < 0.1 else float(value),
                    "flipped": bool(flip < 0.5),
                    "degenerate": bool(broken < 0.1),
                }
            )
        return found


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., CaseSearch]:
    class Scene(FakeScene):
        asked: list[tuple[str, str, float, int]] = []  # noqa: RUF012

    monkeypatch.setattr(camlab.explore.cases, "Scene", Scene)

    def search(pictures: Sequence[str], noises: Sequence[str], **changes: Any) -> CaseSearch:
        made = [dataclasses.replace(PICTURE, id=name) for name in pictures]
        found = CaseSearch(None, made, dataclasses.replace(STATE, **changes), noises)  # type: ignore[arg-type]
        found.asked = Scene.asked  # type: ignore[attr-defined]
        return found

    return search


PICTURE = Picture("p", "photos", "p", None, None, "", "", "", "", _read=lambda: Image.new("RGB", (1, 1)))
NOISE_NAMES = ("gaussian_noise", "shot_noise", "brightness", "fog")


def all_rows(search: CaseSearch) -> list[tuple[str, str, dict[str, Any]]]:
    rows = []
    for picture in search.pictures:
        for noise in search.noises:
            seeds = (4, 5) if NOISES[noise].stochastic else (0,)
            scene = FakeScene(None, picture, dataclasses.replace(search.state, noise=noise))
            for severity in LEVELS:
                rows += [(picture.id, noise, row) for row in scene.rows([(severity, s) for s in seeds], lambda: None)]
    return rows


def test_one_case_a_picture_and_noise_strongest_first_and_no_more_than_are_listed(
    fake: Callable[..., CaseSearch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeScene, "asked", [], raising=False)
    search = fake([f"picture{i}" for i in range(7)], NOISE_NAMES)
    run(search)
    rows = all_rows(search)
    for kind, sign in (("kept", 1), ("flipped", -1)):
        best: dict[tuple[str, str], float] = {}
        for picture, noise, row in rows:
            value, broke = row["similarity"], row["similarity"] < 0.7
            if row["degenerate"] or row["flipped"] != (kind == "flipped") or broke != (kind == "kept"):
                continue
            key = (picture, noise)
            if key not in best or sign * value < sign * best[key]:
                best[key] = value
        assert len(best) > LISTED, "more than fit"
        expected = sorted(best.items(), key=lambda item: sign * item[1])[:LISTED]
        found = [((case.state.image, case.state.noise), case.similarity) for case in search.best(kind)]
        assert found == expected
        assert all(case.threshold == 0.7 for case in search.best(kind))
    assert any(row["degenerate"] for _, _, row in rows)
    asked = FakeScene.asked
    assert search.pairs == len(rows) == len(asked) == len(set(asked))


def test_the_list_grows_while_the_search_goes_on(fake: Callable[..., CaseSearch]) -> None:
    search = fake(["a", "b", "c"], NOISE_NAMES)
    assert search.best("kept") == [] and search.best("flipped") == [] and search.job.total == 12
    strongest = math.inf
    while search.job.running:
        search.job.step()
        kept = [case.similarity for case in search.best("kept")]
        assert kept == sorted(kept)
        if kept:
            assert kept[0] <= strongest, "the strongest is never lost again"
            strongest = kept[0]
    assert strongest < 0.2
    assert search.job.done == 12


def test_what_best_gives_is_the_callers_own(fake: Callable[..., CaseSearch]) -> None:
    search = fake(["a"], NOISE_NAMES)
    run(search)
    before = search.best("kept")
    search.best("kept").clear()
    assert search.best("kept") == before and before


def test_cancelled_it_stops_and_keeps_what_it_found(fake: Callable[..., CaseSearch]) -> None:
    search = fake(["a", "b", "c", "d"], NOISE_NAMES)
    for _ in range(3 + 8):  # the reference pictures, then eight severities
        search.job.step()
    pairs, found = search.pairs, search.best("kept")
    assert pairs == 16 and found
    search.job.cancel()
    run(search)
    search.job.step()
    assert search.job.cancelled and not search.job.finished and search.job.error is None
    assert search.pairs == pairs and search.best("kept") == found


def test_pictures_without_a_clean_map_are_counted(fake: Callable[..., CaseSearch]) -> None:
    search = fake(["flat", "a", "flat"], ("fog", "brightness"))
    run(search)
    assert search.skipped == 2 and search.job.done == search.job.total == 6
    assert {case.state.image for kind in DISAGREEMENTS for case in search.best(kind)} == {"a"}
    only = fake(["flat"], ("fog",))
    run(only)
    assert only.skipped == 1 and only.pairs == 0 and only.best("kept") == only.best("flipped") == []
    assert only.job.finished and only.job.error is None


def test_noises_that_cannot_be_applied_are_left_out_with_the_reason(
    fake: Callable[..., CaseSearch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeScene, "lacks", ("fog", "shot_noise"))
    search = fake(["a", "b"], NOISE_NAMES)
    run(search)
    assert search.left_out == {"shot_noise": "No shot_noise here.", "fog": "No fog here."}
    assert search.job.done == search.job.total == 8 and search.job.error is None
    assert {noise for _, noise, _, _ in search.asked} == {"gaussian_noise", "brightness"}  # type: ignore[attr-defined]
    assert search.pairs == 2 * (5 * SEEDS_SEARCHED + 5)


def test_without_a_pair_the_users_own_noise_is_left_out(engine: Engine, pictures: tuple[Picture, ...]) -> None:
    search = CaseSearch(engine, [pictures[0]], STATE, ("captured", "brightness"))
    run(search)
    assert list(search.left_out) == ["captured"] and "upload a pair" in search.left_out["captured"]
    assert search.pairs == 5 and search.job.error is None


def test_a_file_that_has_gone_is_counted_and_the_search_goes_on(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "gone.png"
    file.write_bytes(png(77))  # a picture of no other test: one that was read before stays in memory
    gone = picture_from_path(file)
    file.unlink()
    search = CaseSearch(engine, [gone, find_picture("photos/bison")], STATE, ("brightness",))
    run(search)
    assert search.unreadable == 1 and search.pairs == 5 and search.job.error is None
    assert search.job.done == search.job.total == 2


def test_all_noises_are_searched_unless_told_otherwise(engine: Engine) -> None:
    search = CaseSearch(engine, [PICTURE, PICTURE], STATE)
    assert tuple(search.noises) == tuple(NOISES) and search.job.total == 2 * len(NOISES)


# what counts as a case


@pytest.mark.parametrize(
    ("flipped", "similarity", "kind"),
    [(False, 0.69, "kept"), (False, 0.7, None), (True, 0.7, "flipped"), (True, 0.69, None)],
)
def test_a_pair_is_a_case_of_one_kind_at_most(flipped: bool, similarity: float, kind: str | None) -> None:
    row = {"flipped": flipped, "similarity": similarity}
    assert [name for name, entry in DISAGREEMENTS.items() if entry.holds(row, 0.7)] == ([kind] if kind else [])


def test_strength_is_how_far_the_map_disagrees() -> None:
    low, high = {"similarity": 0.1}, {"similarity": 0.9}
    assert DISAGREEMENTS["kept"].strength(low) > DISAGREEMENTS["kept"].strength(high)
    assert DISAGREEMENTS["flipped"].strength(high) > DISAGREEMENTS["flipped"].strength(low)
    assert FoundCase(STATE, high, 0.7).similarity == 0.9
    assert [entry.title for entry in DISAGREEMENTS.values()] == [
        "Prediction kept, map broke",
        "Prediction flipped, map stayed",
    ]

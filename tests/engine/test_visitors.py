"""Many visitors on one engine, at a size for every test run; benchmarks/visitors.py has the long version."""

from __future__ import annotations

import numpy as np

from benchmarks.visitors import (
    LIGHT,
    SMALL_CACHE,
    Crowd,
    Visitor,
    crowd,
    left_behind,
    mistakes,
    numbers,
    soak,
    visitors,
)
from camlab.engine.cache.memory import MapCache
from camlab.engine.device_queue import DeviceQueue
from camlab.engine.engine import Engine
from camlab.images import built_in_pictures
from camlab.models.classifier import Classifier


def test_ten_visitors_at_once_get_what_one_alone_gets(lite0: Classifier) -> None:
    found = crowd(lite0, 10, 2)
    assert found.wrong == [] and found.left_behind == []
    assert found.answers == 20 and len(found.mean_waits) == 10
    # Ten who ask at once are served together, not one after the other.
    assert found.batches < found.requests


def test_a_wrong_answer_and_a_changed_network_would_be_noticed(lite0: Classifier) -> None:
    engine = Engine(lite0, MapCache(), queue=DeviceQueue())
    (visitor,) = visitors(engine, 1, 2, ["gradcam"])
    for severity in visitor.severities:
        visitor.answers.append(visitor.scene.shown(severity, visitor.scene.state.seed))
    assert mistakes(visitor, Engine(lite0, MapCache(), queue=DeviceQueue())) == []
    mixed = Visitor(visitor.scene, visitor.severities[::-1], visitor.answers)
    assert visitor.severities[0] != visitor.severities[1]
    assert len(mistakes(mixed, engine)) >= 2

    before = numbers(lite0)
    assert left_behind(lite0, before) == []
    key = next(iter(before))
    assert left_behind(lite0, before | {key: before[key] + 1}) == [f"{key} has changed"]
    running = lite0._stages[3]
    for module, name in ((lite0.module, "network"), (running.module, f"running {running.name}")):
        handle = module.register_forward_hook(lambda *_: None)
        assert left_behind(lite0, before) == [f"{name} has hooks"]
        handle.remove()
    weight = next(running.module.parameters())
    weight.requires_grad_(True)
    assert len(left_behind(lite0, before)) == 1
    weight.requires_grad_(False)
    assert left_behind(lite0, before) == []


def test_unfairness_is_the_longest_wait_over_the_mean() -> None:
    assert Crowd(4, [], [], [1.0, 2.0, 3.0, 2.0], 1, 1, 0).unfairness == 1.5


def test_memory_stays_flat_once_the_cache_is_full(lite0: Classifier) -> None:
    # As many pictures as the inputs that are remembered soon hold.
    records = soak(lite0, 60, 20, LIGHT, threads=3, pictures=built_in_pictures()[:4])
    assert [record["interactions"] for record in records] == [20, 40, 60]
    assert all(record["cache"] <= SMALL_CACHE for record in records)
    # A picture's activations are 250 kB, its input 600 kB: left behind forty times, either would show.
    assert records[-1]["tensors"] - records[0]["tensors"] < 2**20
    assert records[-1]["resident"] - records[0]["resident"] < 200 * 2**20
    assert np.isfinite([value for record in records for value in record.values()]).all()

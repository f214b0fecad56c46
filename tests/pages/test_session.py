"""What all visitors of one server share."""

from __future__ import annotations

import gc

from camlab.scene import engine_for
from pages.parts import session


def test_a_loaded_model_is_shared_and_kept_out_of_the_garbage_collector() -> None:
    session.engine.clear()
    engine = session.engine("efficientnet_lite0")
    assert engine is engine_for("efficientnet_lite0") is session.engine("efficientnet_lite0")
    assert gc.get_freeze_count() > 100_000
    network = {id(module) for module in engine.classifier.module.modules()}  # type: ignore[attr-defined]
    assert not network & {id(each) for each in gc.get_objects()}

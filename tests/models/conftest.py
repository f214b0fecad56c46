"""The bundled photo models, one after the other."""

from __future__ import annotations

import pytest

from camlab.models import load_classifier
from camlab.models.classifier import Classifier

#: Channels and side of ``blocks.6`` and of ``bn2``.
LAST = {"efficientnet_lite0": (320, 7), "efficientnet_lite1": (320, 8), "efficientnet_lite2": (352, 9)}


@pytest.fixture(scope="module", params=list(LAST))
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return load_classifier(request.param, "cpu")

"""A picture's row in a study: its origin, its properties and the model's prediction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from camlab.common.errors import BadImage
from camlab.engine.shared import model_mask
from camlab.engine.spec import Explained
from camlab.images.picture import Picture
from camlab.images.properties import properties_of
from camlab.models import Classifier, short_name
from camlab.study.sources import Unit

#: Probabilities that differ by at most this tie, to within float error.
TIE = 1e-6


def image_row(
    unit: Unit, classifier: Classifier, picture: Picture, clean: Tensor, seen: Explained
) -> dict[str, Any]:
    """Build a picture's row of ``images.parquet``; clean: (3, H, W), the model-input picture."""
    return {
        "model": unit.model,
        "image_set": unit.image_set,
        "image": unit.image,
        "digest": picture.digest,
        "title": picture.title,
        "label": picture.label or "",
        "licence": picture.licence,
        "author": picture.author,
        "source": picture.source,
        "clean_index": seen.index,
        "clean_label": short_name(classifier.class_names[seen.index]),
        "clean_prob": seen.probability,
        "clean_margin": margin(seen),
        **_properties(classifier, picture, clean),
    }


def _properties(classifier: Classifier, picture: Picture, clean: Tensor) -> dict[str, float]:
    mask: NDArray[np.bool_] | None
    try:
        mask = model_mask(classifier, picture)
    except BadImage:  # an unreadable outline counts as none
        mask = None
    return properties_of(clean.cpu().numpy(), mask)


def margin(version: Explained) -> float:
    """Return the probability of the predicted class minus the second one's; with a single class, the probability."""
    first, *rest = (probability for _, probability in version.top(2))
    return first - (rest[0] if rest else 0.0)


def is_tie(version: Explained) -> bool:
    """Return whether the top two classes tie to within float error."""
    return len(version.probabilities) > 1 and margin(version) <= TIE

"""Sentences about methods and models with their titles in place of their names."""

from __future__ import annotations

import re

from camlab.cams import CAMS
from camlab.common.errors import CamLabError
from camlab.models import MODELS, find_model


def titled(sentence: str) -> str:
    """A sentence in which each method and built-in model that is named stands with its title."""
    titles = {name: model.title for name, model in MODELS.items()} | {n: c.title for n, c in CAMS.items()}
    pattern = "|".join(rf"(?<![\w+]){re.escape(n)}(?![\w+])" for n in sorted(titles, key=len, reverse=True))
    return re.sub(pattern, lambda found: titles[found[0]], sentence)


def model_title(name: str) -> str:
    """A model's title, its name where it is no longer known: a checkpoint that others' have pushed out of memory."""
    try:
        return find_model(name).title
    except CamLabError:
        return name

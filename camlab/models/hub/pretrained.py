"""Build timm's networks with their published weights, which are read only from this machine's Hugging Face cache."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from camlab.common.errors import MissingWeights
from camlab.models.class_names import class_names_for
from camlab.models.hub.catalogue import SHELF, CatalogueRow, cached_weights, catalogue_row
from camlab.models.registry import ModelRow

if TYPE_CHECKING:
    from torch import nn


def find_pretrained(name: str) -> ModelRow:
    """Return the row of ``timm/NAME``, whether or not its weights are on this machine. Raises UnknownName."""
    row = catalogue_row(name)
    return ModelRow(
        name=row.id,
        title=row.name,
        family=row.family,
        summary=SHELF.get(row.name, f"timm's {row.architecture}, weights {row.tag or 'without a tag'}."),
        parameters=row.parameters,
        input_size=row.input_size,
        licence=row.licence,
        source=f"https://huggingface.co/{row.hub_id}",
        build=partial(build_pretrained, row),
        class_names=partial(class_names_for, row.classes),
    )


def build_pretrained(row: CatalogueRow) -> nn.Module:
    """Build the network of a row with its weights, in eval mode, on the CPU, keeping torch's random state.

    Raises MissingWeights if the weights are not in the cache, are damaged, or are unknown to this timm.
    """
    path = cached_weights(row)  # before the slow imports: missing weights are reported at once
    if path is None:
        raise MissingWeights(f"The weights of {row.id} are not on this machine; run `camlab download {row.id}`.")

    import timm
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not timm.is_model(row.architecture):
        raise MissingWeights(
            f"timm {timm.__version__} does not know {row.architecture}; run `pip install --upgrade timm`."
        )
    try:
        # Not on the meta device, which leaves buffers outside the weights, such as Swin's indices, empty.
        with torch.random.fork_rng(devices=[]):
            model = cast(
                "Any",
                timm.create_model(row.name, pretrained=True, pretrained_cfg_overlay={"state_dict": load_file(path)}),
            )
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
        raise MissingWeights(
            f"The weights of {row.id} in {path} are damaged or do not fit timm {timm.__version__}; remove that file "
            f"and run `camlab download {row.id}`."
        ) from error
    # Drop the weights passed in the configuration, which would keep a second copy of them.
    model.pretrained_cfg = {key: value for key, value in model.pretrained_cfg.items() if key != "state_dict"}
    return cast("nn.Module", model.eval())

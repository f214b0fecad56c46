"""The own models of a study: their weights in its folder, their descriptions in its manifest."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from camlab.common.errors import BadStudy
from camlab.models import OWN_PREFIX, find_model
from camlab.models.own.kept import KeptModel, keep, offer, read_kept
from camlab.study.store.files import write_whole

#: The folder of weights within a study's folder.
MODELS = "models"
#: Their descriptions within the manifest.
ENTRY = "own_models"


def keep_models(models: Iterable[str], folder: Path) -> dict[str, Any]:
    """Write the weights of those models that are own ones into a study's folder; return their descriptions by name.

    Raises UnknownName for a checkpoint that is no longer in memory, and OSError.
    """
    found: dict[str, Any] = {}
    for name in models:
        if not name.startswith(OWN_PREFIX):
            continue
        kept, data = keep(find_model(name))
        (folder / MODELS).mkdir(exist_ok=True)
        write_whole(folder / MODELS / kept.filename, lambda path, data=data: path.write_bytes(data))  # type: ignore[misc]
        found[name] = kept.to_json()
    return found


def weight_bytes(model: str) -> int:
    """Return how many bytes of weights a study keeps for a model: none unless it is an own one. Raises UnknownName."""
    return 4 * find_model(model).parameters if model.startswith(OWN_PREFIX) else 0


def offer_models(manifest: Mapping[str, Any], read: Callable[[str], bytes]) -> None:
    """Let this process find the own models of a study; ``read`` returns a file of weights by its name.

    Raises BadStudy for a manifest that cannot be read.
    """
    try:
        described = [KeptModel.from_json(each) for each in manifest.get(ENTRY, {}).values()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadStudy("The own models of this study cannot be read; start a new study.") from error
    for kept in described:
        offer(kept, partial(read, kept.filename))


def offer_from(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Let this process find the own models of the study in a folder. Raises BadStudy as `offer_models` does."""
    offer_models(manifest, lambda filename: read_kept(folder / MODELS / filename))


def weights_of(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Read the weights of a study's own models, by file name, for workers without its folder. Raises BadCheckpoint."""
    names = [KeptModel.from_json(each).filename for each in manifest.get(ENTRY, {}).values()]
    return {name: read_kept(folder / MODELS / name) for name in names}

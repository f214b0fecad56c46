"""Use the user's own checkpoints as models: match them with an architecture of timm and name them by a digest.

The process keeps the last used models, up to MAX_OWN_BYTES; a dropped one must be loaded from its file again. The same
file and settings get the same name.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cachetools import LRUCache

from camlab.common.errors import BadCheckpoint, BadSetting, UnknownName
from camlab.common.memo import Memo
from camlab.common.wording import plural
from camlab.models.class_names import class_names_for
from camlab.models.hub.catalogue import PREFIX
from camlab.models.own.checkpoint import Checkpoint, read_checkpoint
from camlab.models.own.detection import Mismatch, classifier_of, compare, expected_shapes, head_classes
from camlab.models.own.evidence import preprocessing_text, several_labels, stored_preprocessing
from camlab.models.own.name_files import NameFile, read_class_names
from camlab.models.own.recognition import Recognition, network_in, recognise, unmatched
from camlab.models.own.signature import Shapes, shapes_of
from camlab.models.own.torchvision_names import in_timms_names
from camlab.models.own.trained_size import TrainedSize, changed_kernel, resampled, trained_size
from camlab.models.registry import MODELS, OWN_PREFIX, ModelRow
from camlab.models.sizes import Arguments, Size, check_size, create, pixels, skeleton

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_OWN_BYTES = 4 * 1024**3  # for the tensors of all known checkpoints; the last one always stays
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
SUPPORTED = "CAM Lab supports classifiers with two or more outputs, of which a picture has one"


def _bytes(row: ModelRow) -> int:
    return min(4 * row.parameters, MAX_OWN_BYTES)


#: Uploaded checkpoints and their matching architectures, by upload, so that each is read only once.
_reads: Memo[tuple[Checkpoint, Recognition]] = Memo(
    MAX_OWN_BYTES // 2, lambda read: sum(value.nbytes for value in read[0].state.values())
)
_known: LRUCache[str, ModelRow] = LRUCache(MAX_OWN_BYTES, _bytes)
_lock = threading.Lock()


def read_upload(upload: str, data: Callable[[], bytes], name: str) -> tuple[Checkpoint, Recognition]:
    """Read an uploaded checkpoint and find its architectures, or return both from memory.

    ``upload`` is a key for the file, ``data`` returns its bytes. Raises BadCheckpoint.
    """

    def make() -> tuple[Checkpoint, Recognition]:
        checkpoint = read_checkpoint(data(), name)
        return checkpoint, recognise(checkpoint)

    return _reads.get(upload, make)


def forget_upload(upload: str) -> None:
    """Drop an upload's checkpoint from memory."""
    _reads.discard(upload)


def find_own(name: str) -> ModelRow:
    """Return the row of a checkpoint that this process knows. Raises UnknownName."""
    with _lock:
        row: ModelRow | None = _known.get(name)
    if row is None:
        raise UnknownName(f"The checkpoint {name[:60]!r} is no longer in memory; load its file again.")
    return row


def own_models() -> list[ModelRow]:
    """Return the rows of all checkpoints that this process knows."""
    with _lock:
        return list(_known.values())


def own_model(
    checkpoint: Checkpoint,
    architecture: str,
    class_names: Sequence[str] | NameFile | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_size: tuple[int, int] | None = None,
    crop_pct: float | None = None,
    title: str | None = None,
    remarks: Sequence[str] = (),
) -> ModelRow:
    """Make a checkpoint a model of a timm ``architecture``, found from now on by its name ``own/<12 hex digits>``.

    ``class_names``: one per output, or a file, whose reading the number of outputs may decide; default: ImageNet's if
    their number fits, else "class 0" … . ``mean`` and ``std`` hold for values in [0, 1], ``input_size`` is (height,
    width), default: the one that the tensors were trained at; ``crop_pct`` is the share (over 0, at most 1) of the
    shorter side that is kept. The default of all is what the file says, else timm's value for the architecture.
    ``remarks`` are sentences for the summary, which also tells what of the file was used or changed. Raises
    UnknownName, BadSetting, and BadCheckpoint with the sentence of ``explain_mismatch``.
    """
    given = _settings(mean, std, input_size, crop_pct)
    checkpoint = in_timms_names(checkpoint)
    stored, where = stored_preprocessing(checkpoint, architecture)
    values = preprocessing_text(stored)
    side = stored.pop("input_size", None)
    settings = {**stored, **given}
    fit = _fit(checkpoint, architecture, input_size, side and (side[1], side[2]))
    classes, notes = fit.classes, fit.notes
    if where:
        notes += (f"Where you give no other preprocessing, that of {where} holds: {values}.",)
    how = ""
    if isinstance(class_names, NameFile):
        reading = class_names.settled(classes)
        how, class_names = f" {class_names.sentence(reading)}", reading.names
    names = tuple(class_names_for(classes) if class_names is None else class_names)
    if len(names) != classes:
        raise BadSetting(
            f"There are {len(names)} class names, but {checkpoint.name} has {classes} outputs; give one per output."
        )
    # Everything that decides a prediction: one file may be loaded with several settings.
    decisive = repr((checkpoint.digest, architecture, names, sorted(settings.items()), fit.size, *fit.arguments))
    name = OWN_PREFIX + hashlib.sha256(decisive.encode()).hexdigest()[:12]
    said = "".join(f" {note}" for note in dict.fromkeys([*remarks, *notes]))
    network = skeleton(architecture, classes, fit.size, arguments=fit.arguments)
    _, height, width = network.pretrained_cfg["input_size"]
    row = ModelRow(
        name=name,
        title=title or checkpoint.name,
        family=architecture,
        summary=f"Your checkpoint {checkpoint.name}, a {architecture} with {classes} classes.{how}{said}",
        parameters=sum(p.numel() for p in network.parameters()),
        input_size=(height, width),
        licence="yours",
        source=checkpoint.name,
        build=partial(_build, architecture, fit, settings),
        class_names=lambda: names,
    )
    with _lock:
        _known[name] = row
    return row


def is_checkpoint(name: str) -> bool:
    """Return whether the name of a model means a file: by its ending, or because the file exists and no model does."""
    if name.lower().endswith(SUFFIXES):
        return True
    return name not in MODELS and not name.startswith((PREFIX, OWN_PREFIX)) and Path(name).is_file()


def model_from_file(
    path: Path,
    architecture: str | None = None,
    class_file: Path | None = None,
    classes_as: str | None = None,
    **settings: Any,
) -> ModelRow:
    """Load the model in a checkpoint file; ``architecture`` defaults to the one that matches exactly.

    ``classes_as``: the key of the reading of ``class_file``, if there are several. ``settings`` are those of
    ``own_model``. Raises BadCheckpoint, listing similar architectures, if none matches.
    """
    checkpoint = read_checkpoint(path)
    names = None
    if class_file is not None:
        try:
            names = read_class_names(class_file.read_bytes(), class_file.name)
        except OSError as error:
            raise BadSetting(
                f"{class_file} cannot be read ({error.strerror}); choose a readable file of class names."
            ) from error
        names = names if classes_as is None else names.chosen(classes_as)
    if architecture is None:
        found = recognise(checkpoint)
        if found.architecture is None:
            raise unmatched(checkpoint, found)
        architecture = found.architecture
        settings["remarks"] = found.notes
    return own_model(checkpoint, architecture, names, **settings)


def three_numbers(text: str, name: str) -> tuple[float, ...] | None:
    """Parse the numbers in a text, separated by commas or spaces; None if it is empty. Raises BadSetting.

    ``own_model`` checks their count and range.
    """
    try:
        return tuple(map(float, text.replace(",", " ").split())) or None
    except ValueError:
        raise BadSetting(f"The {name} is not three numbers; write it like 0.485, 0.456, 0.406.") from None


def _settings(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    input_size: tuple[int, int] | None,
    crop_pct: float | None,
) -> dict[str, Any]:
    """Collect the settings that replace timm's preprocessing. Raises BadSetting."""
    settings: dict[str, Any] = {}
    for name, values, low in (("mean", mean, 0.0), ("std", std, 1e-6)):
        if values is None:
            continue
        if len(values) != 3 or not all(math.isfinite(v) and low <= v <= 1 for v in values):
            raise BadSetting(
                f"The {name} must be three numbers from 0 to 1, for red, green and blue; "
                "divide numbers for values up to 255 by 255."
            )
        settings[name] = tuple(float(v) for v in values)
    if input_size is not None:
        check_size(input_size)
    if crop_pct is not None:
        if not 0.1 <= crop_pct <= 1:
            raise BadSetting(f"A crop of {crop_pct:g} is out of range; choose a share from 0.1 to 1.")
        settings["crop_pct"] = float(crop_pct)
    return settings


@dataclass(frozen=True)
class _Fit:
    """How a checkpoint becomes a network.

    ``state`` holds the tensors under the architecture's names, ``size`` is the input's (None: the architecture's own),
    ``arguments`` go to the constructor besides; ``notes`` are sentences on what was taken, inferred and changed.
    """

    state: Mapping[str, Tensor]
    classes: int
    size: Size | None
    arguments: Arguments
    notes: tuple[str, ...]


def _fit(checkpoint: Checkpoint, architecture: str, given: Size | None, said: Size | None) -> _Fit:
    """Fit a checkpoint to an architecture at the ``given`` input size, else at the one that its tensors tell.

    ``said`` is the size that the file states; it holds if it fits the tensors. Raises BadCheckpoint, and BadSetting for
    a size that the network does not take.
    """
    network, problem = network_in(checkpoint, architecture)
    shapes = network.shapes
    state: Mapping[str, Tensor] = network.state
    classes = head_classes(shapes, classifier_of(architecture))
    notes = list(network.notes)

    def difference(size: Size | None, arguments: Arguments = ()) -> Mismatch | None:
        expected = expected_shapes(architecture, classes, size, arguments)
        return compare(expected, shapes, checkpoint.name, architecture, problem)

    size: Size | None = given or said
    arguments: Arguments = ()
    mismatch = difference(size)
    trained = trained_size(shapes, architecture, classes) if mismatch is not None else None
    if trained is not None:
        size, arguments = given or trained.size, trained.arguments
        mismatch = difference(size, arguments)
        notes += [trained.note] * (given is None)
    elif mismatch is not None and given is None and said is not None:
        size, mismatch = None, difference(None)
    if mismatch is not None:
        if why := changed_kernel(shapes, architecture, lambda: (m.architecture for m in recognise(checkpoint).matches)):
            raise BadCheckpoint(f"{checkpoint.name} does not fit {architecture}: {why}.", mismatch.lines[1:])
        converted = _through_timm(network, architecture, size)
        changed = None if converted is None else resampled(shapes, shapes_of(converted), architecture)
        if converted is None or changed is None:
            raise BadCheckpoint(_unfit(mismatch, trained, size), mismatch.lines[1:])
        state = converted
        classes = head_classes(shapes_of(state), classifier_of(architecture))
        if changed:
            notes.append(_resampled_text(changed, shapes, shapes_of(state), trained))
    if classes is None or classes < 2:
        raise BadCheckpoint(f"{checkpoint.name} has a single output; {SUPPORTED}.")
    if words := several_labels(checkpoint):
        raise BadCheckpoint(f"{checkpoint.name} gives a picture several labels ({words}); {SUPPORTED}.")
    _check_finite(state, checkpoint.name)
    return _Fit(state, classes, size, arguments, tuple(notes))


def _unfit(mismatch: Mismatch, trained: TrainedSize | None, size: Size | None) -> str:
    """Return why a checkpoint does not fit: it cannot be resampled to the size asked for, or other tensors differ."""
    if trained is None or size is None:
        return mismatch.sentence
    return (
        f"{mismatch.checkpoint} was trained on pictures of {pixels(trained.size)} and its {trained.evidence} cannot be "
        f"resampled for {pixels(size)}; leave the size out."
    )


def _resampled_text(changed: Sequence[str], stored: Shapes, loaded: Shapes, trained: TrainedSize | None) -> str:
    """Return which tensors were resampled, and between which sizes."""
    first = changed[0]
    shapes = [" × ".join(map(str, each[first])) for each in (stored, loaded) if first in each]
    more = f" and {plural(len(changed) - 1, 'more tensor')}" if len(changed) > 1 else ""
    where = f", as the network was trained on pictures of {pixels(trained.size)}" if trained is not None else ""
    verb = "were" if more else "was"
    return f"{first}{more} {verb} resampled {'from ' if len(shapes) > 1 else ''}{' to '.join(shapes)}{where}."


def _check_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Raise BadCheckpoint if a tensor holds NaN or infinity."""
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise BadCheckpoint(
            f"{name} holds NaN or infinite values in {plural(len(broken), 'tensor')} ({', '.join(broken[:3])}"
            f"{', …' * (len(broken) > 3)}), so its training went wrong; load an earlier checkpoint."
        )


def _through_timm(
    checkpoint: Checkpoint, architecture: str, input_size: tuple[int, int] | None
) -> Mapping[str, Tensor] | None:
    """Convert other projects' names (such as torchvision's VGG) with timm's own conversion; return None if that fails.

    Some families accept missing tensors, which would leave random weights. So all values are loaded a second time
    with 1 added: a weight that does not change was not in the checkpoint.
    """
    import torch

    # The classifier's name is unknown before the conversion; in all these networks it is the last matrix.
    matrices = [value for value in checkpoint.state.values() if value.ndim == 2]
    if not matrices:
        return None
    plain = checkpoint.state
    moved = {key: value + 1 if value.is_floating_point() else value for key, value in plain.items()}
    try:
        with torch.device("meta"):  # only names and shapes: most mismatches fail here, quickly
            _converted(architecture, len(matrices[-1]), input_size, {k: v.to("meta") for k, v in plain.items()})
        model, other = (_converted(architecture, len(matrices[-1]), input_size, state) for state in (plain, moved))
    except Exception:  # each family has its own conversion, which may raise anything on unexpected names
        return None
    state, follows = model.state_dict(), other.state_dict()
    weights = {*dict(model.named_parameters()), *(key for key in state if "running_" in key)} & set(state)
    return state if not any(state[key].equal(follows[key]) for key in weights) else None


def _converted(
    architecture: str, classes: int, input_size: tuple[int, int] | None, state: Mapping[str, Tensor]
) -> nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # weights that are not loaded must be the same each time
        return cast(
            "nn.Module",
            create(architecture, classes, input_size, state_dict=dict(state), label_offset=0, custom_load=False),
        )


def _build(architecture: str, fit: _Fit, settings: Mapping[str, Any]) -> nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):  # not on the meta device: buffers beside the weights must be filled
        model = create(architecture, fit.classes, fit.size, arguments=fit.arguments, **settings)
    own = model.state_dict()
    # Counters missing in old checkpoints keep their values; all other tensors are required.
    model.load_state_dict({key: fit.state.get(key, value) for key, value in own.items()}, strict=True)
    return cast("nn.Module", model.eval())

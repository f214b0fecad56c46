"""Read a user's checkpoint: untrusted bytes in, named tensors out.

It reads safetensors files and PyTorch state dicts (``torch.save``), the latter with ``weights_only=True``, so that no
code in a file runs. TorchScript, ONNX and files of other frameworks are recognised and refused with advice.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import pickle
import re
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from camlab.common.errors import BadCheckpoint
from camlab.models.own.signature import shapes_of

if TYPE_CHECKING:
    from torch import Tensor

#: Limit in bytes for a file and its unpacked content: the largest networks that a workstation can explain.
MAX_BYTES = 4 * 1024**3
#: Between the keys of nested dictionaries in the full name of a tensor; "." stands between the modules of a network.
LEVEL = "/"
_DEEPEST = 12  # nested dictionaries and lists
_MOST_ENTRIES = 200_000  # in a file: more are no checkpoint
_MOST_ITEMS = 16  # numbers of a list that describes the network, such as its mean
_CONFIG = "config.json"  # what Hugging Face puts beside the weights
_CONFIG_BYTES = 1024**2
_SAVE = "save `model.state_dict()` with torch.save or safetensors and load that"


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: tensors on the CPU, and what else it says.

    ``state`` holds every tensor by its full name: the keys of nested dictionaries joined by LEVEL, so that
    ``model/fc.bias`` is ``fc.bias`` of the entry ``model``. ``facts`` holds texts, numbers and tuples of numbers by
    their full names, those of a configuration beside the file too. ``digest`` is the SHA-256 of the file; ``notes`` are
    sentences on how its tensors are used.
    """

    name: str
    digest: str
    state: Mapping[str, Tensor] = field(repr=False)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor, without the counters of batch norms."""
        return shapes_of(self.state)


def read_checkpoint(data: bytes | Path, name: str | None = None) -> Checkpoint:
    """Read a checkpoint from a file or its bytes; messages call it ``name``, by default the file's own name.

    Raises BadCheckpoint with one sentence on what the file is and what to do.
    """
    title = name or (data.name if isinstance(data, Path) else "The file")
    try:
        with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as stream:
            size = stream.seek(0, io.SEEK_END)
            if size > MAX_BYTES:
                raise BadCheckpoint(
                    f"{title} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.1f} GB that can be loaded; "
                    "choose a smaller network."
                )
            stream.seek(0)
            head = stream.read(64)
            load = _reader(stream, head, title)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            loaded = load(data, stream, title)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise BadCheckpoint(f"{title} cannot be read ({why}); check the path and try again.") from error
    state: dict[str, Tensor] = {}
    facts: dict[str, object] = {}
    _collect(loaded, title, state, facts)
    if isinstance(data, Path):
        facts |= _configuration(data.with_name(_CONFIG))
    return Checkpoint(title, digest, _usable(state, loaded, title), facts=facts)


# --- the kind of file ---

_Load = Callable[[bytes | Path, IO[bytes], str], Any]

#: Offset and first bytes of refused files, what they are, and what to do.
_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n", "a Keras or other HDF5 file", "only PyTorch networks can be loaded"),
    (4, b"TFL3", "a TensorFlow Lite network", "only PyTorch networks can be loaded"),
    (0, b"GGUF", "a GGUF file of a language model", "only image classifiers can be loaded"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it and load what is in it"),
    (0, b"7z\xbc\xaf", "a 7z archive", "unpack it and load what is in it"),
    (0, b"version https://git-lfs", "a Git LFS pointer and not the file itself", "run `git lfs pull` first"),
    (0, b"<!DOCTYPE", "a web page and not the file itself", "download the file again"),
    (0, b"<html", "a web page and not the file itself", "download the file again"),
    (257, b"ustar", "a tar archive", "unpack it and load what is in it"),
)


def _reader(stream: IO[bytes], head: bytes, title: str) -> _Load:
    """Choose the loader of the file by its first bytes. Raises BadCheckpoint for unsupported kinds."""
    if not head:
        raise BadCheckpoint(f"{title} is empty; save the checkpoint again.")
    for offset, magic, what, advice in _FOREIGN:
        stream.seek(offset)
        if stream.read(len(magic)) == magic:
            raise BadCheckpoint(f"{title} is {what}; {advice}.")
    if len(head) > 8 and head[8:9] == b"{":
        return _load_safetensors
    if head.startswith(b"PK"):
        _look_into_zip(stream, title)
        return _load_torch
    if head.startswith(b"\x80"):  # a pickle: PyTorch's format before 1.6, or anything else
        return _load_torch
    if title.lower().endswith(".onnx") or re.match(rb"\x08[\x01-\x20]\x12", head):
        raise BadCheckpoint(f"{title} is an ONNX network, which has no gradients; {_SAVE}.")
    raise BadCheckpoint(f"{title} is neither a safetensors file nor a PyTorch state dict; {_SAVE}.")


def _look_into_zip(stream: IO[bytes], title: str) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise BadCheckpoint(f"{title} is cut off or damaged; download or save it again.") from error
    names = {entry.filename.partition("/")[2] or entry.filename for entry in entries}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise BadCheckpoint(f"{title} is a TorchScript program, which cannot be split into layers; {_SAVE}.")
    if any(entry.filename.endswith(".h5") for entry in entries):
        raise BadCheckpoint(f"{title} is a Keras network; only PyTorch networks can be loaded.")
    if "data.pkl" not in names:
        raise BadCheckpoint(f"{title} is a zip archive without a state dict; unpack it and load what is in it.")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise BadCheckpoint(f"{title} unpacks to more than {MAX_BYTES / 1e9:.1f} GB; {_SAVE}.")


def _load_safetensors(data: bytes | Path, stream: IO[bytes], title: str) -> Any:
    from safetensors.torch import load, load_file

    try:
        tensors = load(data) if isinstance(data, bytes) else load_file(data)
        # The header is JSON behind its length in eight bytes; the loaders have checked it, but drop its remarks.
        remarks = json.loads(stream.read(int.from_bytes(stream.read(8), "little"))).get("__metadata__", {})
    except Exception as error:
        raise BadCheckpoint(f"{title} is a damaged safetensors file; download or save it again.") from error
    return {**tensors, "__metadata__": {key: _parsed(value) for key, value in remarks.items()}}


_allowing = threading.Lock()


@cache
def _harmless() -> list[Any]:
    """Return what training scripts store beside the weights and what does nothing but hold values.

    These are settings (plain attributes), scores as NumPy's numbers, and paths.
    """
    from numpy._core import multiarray

    kinds = [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]
    scalar = multiarray.scalar  # NumPy before 2.0 stored it under another name
    paths = [(PurePosixPath, "pathlib.PosixPath"), (PureWindowsPath, "pathlib.WindowsPath")]  # of either system
    return [argparse.Namespace, scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds, *paths]


def _load_torch(data: bytes | Path, stream: IO[bytes], title: str) -> Any:
    import torch
    from torch.serialization import safe_globals

    try:
        with _allowing, safe_globals(_harmless()):
            return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({found[1]})" if found else ""
        raise BadCheckpoint(
            f"{title} holds Python objects{what} besides tensors, and loading them could run any code; {_SAVE}."
        ) from error
    except Exception as error:  # damaged bytes raise anything: struct.error, KeyError, AssertionError …
        raise BadCheckpoint(f"{title} is cut off or damaged; download or save it again.") from error


# --- its content ---


def _parsed(text: str) -> Any:
    """Return what a text of JSON says, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _configuration(path: Path) -> dict[str, object]:
    """Return what a Hugging Face configuration beside a checkpoint says; nothing if there is no readable one."""
    found: dict[str, object] = {}
    with contextlib.suppress(OSError, ValueError, BadCheckpoint):
        if path.is_file() and path.stat().st_size <= _CONFIG_BYTES:
            _collect({path.name: json.loads(path.read_text("utf-8"))}, path.name, {}, found)
    return found


def _collect(loaded: Any, title: str, state: dict[str, Tensor], facts: dict[str, object]) -> None:
    """Sort all that a file holds into tensors and facts, by full names; everything else is left."""
    import torch

    count = 0

    def visit(value: Any, name: str, above: tuple[int, ...]) -> None:
        nonlocal count
        count += 1
        if count > _MOST_ENTRIES:
            raise BadCheckpoint(f"{title} has more than {_MOST_ENTRIES:,} entries; {_SAVE}.")
        if isinstance(value, torch.Tensor):
            state.setdefault(name, value)
        elif isinstance(value, str | int | float):  # NumPy's float64 is a float
            facts.setdefault(name, value)
        elif id(value) in above or len(above) >= _DEEPEST:
            return
        elif isinstance(value, argparse.Namespace | Mapping):
            for key, inner in dict(vars(value) if isinstance(value, argparse.Namespace) else value).items():
                visit(inner, f"{name}{LEVEL}{key}" if name else str(key), (*above, id(value)))
        elif isinstance(value, list | tuple):
            if 0 < len(value) <= _MOST_ITEMS and all(isinstance(item, int | float) for item in value):
                facts.setdefault(name, tuple(value))
            else:
                for index, inner in enumerate(value):
                    visit(inner, f"{name}{LEVEL}{index}" if name else str(index), (*above, id(value)))

    visit(loaded, "", ())


def _usable(state: dict[str, Tensor], loaded: Any, title: str) -> dict[str, Tensor]:
    """Return the tensors that a network may have. Raises BadCheckpoint if none is left.

    A few bytes that claim to be a huge tensor are refused before they are copied.
    """
    plain = {key: value.detach() for key, value in state.items() if not _unusual(value)}
    if "" in state:
        raise BadCheckpoint(f"{title} is a single tensor, not a network; {_SAVE}.")
    odd = [key for key in state if key not in plain]
    layers = [key for key in odd if key.endswith(("weight", "bias"))]  # others may be statistics of a training script
    if layers or (odd and not any(value.ndim for value in plain.values())):
        first = (layers or odd)[0][:60]
        raise BadCheckpoint(f"{title} holds a quantised, complex or sparse tensor ({first}); save it in float32.")
    if sum(value.numel() * value.element_size() for value in plain.values()) > MAX_BYTES:
        raise BadCheckpoint(f"{title} unpacks to more than {MAX_BYTES / 1e9:.1f} GB; choose a smaller network.")
    if not any(value.ndim for value in plain.values()):
        inside = ", ".join(map(str, list(loaded)[:5])) if isinstance(loaded, Mapping) else type(loaded).__name__
        raise BadCheckpoint(f"{title} contains no tensors, only {inside[:100] or 'nothing'}; {_SAVE}.")
    return plain


def _unusual(value: Tensor) -> bool:
    import torch

    return bool(value.is_quantized or value.is_complex() or value.layout != torch.strided)

"""Read a user's checkpoint: untrusted bytes in, named tensors out.

It reads safetensors files and PyTorch state dicts (``torch.save``), the latter with ``weights_only=True``, so that no
code in a file runs. TorchScript, ONNX and files of other frameworks are recognised and refused with advice.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import re
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from camlab.common.errors import BadCheckpoint
from camlab.models.own.signature import shapes_of

if TYPE_CHECKING:
    from torch import Tensor

#: Limit in bytes for a file and its unpacked content: the largest networks that a workstation can explain.
MAX_BYTES = 4 * 1024**3
#: Entries in which training scripts store the weights, averaged weights first, because these were evaluated.
WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
)
#: Prefixes that wrappers around a network (parallel training, compiling, Lightning) add to its names.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
_MOST = 0.5  # the share of names that must have a prefix: a replaced classifier often lacks it
_DEPTH = 3  # nested wrappers
_SAVE = "save `model.state_dict()` with torch.save or safetensors and load that"


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors on the CPU, under the network's own names.

    ``digest`` is the SHA-256 of the file; ``notes`` are sentences about removed wrappers and prefixes.
    """

    name: str
    digest: str
    state: Mapping[str, Tensor] = field(repr=False)
    notes: tuple[str, ...] = ()

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
    notes: list[str] = []
    state = _tensors(_unwrap(loaded, title, notes), title)
    return Checkpoint(title, digest, _strip(state, notes), tuple(notes))


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
        return load(data) if isinstance(data, bytes) else load_file(data)
    except Exception as error:
        raise BadCheckpoint(f"{title} is a damaged safetensors file; download or save it again.") from error


_allowing = threading.Lock()


def _load_torch(data: bytes | Path, stream: IO[bytes], title: str) -> Any:
    import torch
    from torch.serialization import safe_globals

    try:
        # timm's training script stores its settings beside the weights: plain attributes.
        with _allowing, safe_globals([argparse.Namespace]):
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


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _unwrap(loaded: Any, title: str, notes: list[str]) -> Mapping[str, Any]:
    """Return the mapping that holds the tensors, inside up to _DEPTH wrappers."""
    found = loaded
    for _ in range(_DEPTH):
        if not isinstance(found, Mapping):
            break
        if any(_is_tensor(value) and value.ndim for value in found.values()):
            return {str(key): value for key, value in found.items()}
        inner = [key for key in WRAPPERS if isinstance(found.get(key), Mapping) and found[key]]
        if not inner:
            break
        notes.append(f"The weights come from the entry {inner[0]!r}.")
        found = found[inner[0]]
    if _is_tensor(found):
        raise BadCheckpoint(f"{title} is a single tensor, not a network; {_SAVE}.")
    inside = ", ".join(map(str, list(found)[:5])) if isinstance(found, Mapping) else type(found).__name__
    raise BadCheckpoint(f"{title} contains no tensors, only {inside[:100] or 'nothing'}; {_SAVE}.")


def _tensors(found: Mapping[str, Any], title: str) -> dict[str, Tensor]:
    """Return plain tensors; refuse a few bytes that claim to be a huge tensor before copying them."""
    import torch

    state: dict[str, Tensor] = {key: value for key, value in found.items() if _is_tensor(value)}
    for key, value in state.items():
        if value.is_quantized or value.is_complex() or value.layout != torch.strided:
            raise BadCheckpoint(
                f"{title} holds a quantised, complex or sparse tensor ({key[:60]}); save it in float32."
            )
    if sum(value.numel() * value.element_size() for value in state.values()) > MAX_BYTES:
        raise BadCheckpoint(f"{title} unpacks to more than {MAX_BYTES / 1e9:.1f} GB; choose a smaller network.")
    state.pop("n_averaged", None)  # a counter of torch's averaged models
    return {key: value.detach() for key, value in state.items()}


def _strip(state: dict[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Remove the prefixes that wrappers add to most names."""
    while True:
        prefix = next((p for p in PREFIXES if sum(k.startswith(p) for k in state) > _MOST * len(state)), None)
        if prefix is None:
            return state
        stripped = {key.removeprefix(prefix): value for key, value in state.items()}
        if len(stripped) < len(state):  # two names would become equal
            return state
        notes.append(f"The prefix {prefix!r} was removed from the tensors' names.")
        state = stripped

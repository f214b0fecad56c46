"""What a data set is: its archives, its row, and the directory that holds those on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from camlab.common.directories import user_directory
from camlab.images.datasets.torchvision_sets import Samples

DIRECTORY_VARIABLE = "CAMLAB_DATA_DIR"
#: What to do without a network, as error messages say it.
OFFLINE_ADVICE = "connect to the network, or use built-in pictures, uploads or a folder"


@dataclass(frozen=True)
class Archive:
    """One file to fetch and its digest; an archive is unpacked into ``folder``, any other file put there.

    The digest is MD5, SHA-256 or Git's of a file, told apart by their lengths; empty: there is none to compare with.
    ``size`` in bytes, 0 where nobody has said.
    """

    url: str
    digest: str
    folder: str = ""
    size: int = 0


@dataclass(frozen=True)
class Dataset:
    """A data set that can be fetched.

    ``megabytes`` (of 10⁶ bytes) are those of the download, ``room`` those needed on the disk meanwhile: archive and
    pictures. ``count`` pictures of ``classes`` classes are shown of it, 0 where nobody has counted. ``imagenet`` maps
    classes to ImageNet indices.
    """

    name: str
    title: str
    summary: str
    author: str
    licence: str
    licence_url: str
    source: str
    megabytes: int
    room: int
    count: int
    classes: int
    archives: tuple[Archive, ...]
    open: Callable[[Path], Samples]
    imagenet: tuple[int, ...] = ()


def data_directory() -> Path:
    """Where data sets are kept: what CAMLAB_DATA_DIR says, else the user's cache directory. Raises BadSetting."""
    return user_directory(DIRECTORY_VARIABLE, "camlab-datasets")

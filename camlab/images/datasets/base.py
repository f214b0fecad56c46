"""The records of data sets and their archives, and the directory that holds them on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from camlab.common.directories import user_directory
from camlab.images.datasets.torchvision_sets import Samples

DIRECTORY_VARIABLE = "CAMLAB_DATA_DIR"
#: The advice in error messages about a missing network.
OFFLINE_ADVICE = "connect to the network, or use built-in pictures, uploads or a folder"


@dataclass(frozen=True)
class Archive:
    """One file to download and its digest; an archive is unpacked into ``folder``, any other file is stored there.

    The digest is MD5, SHA-256 or Git's, recognised by its length; empty if unknown. ``size`` is in bytes, 0 if unknown.
    """

    url: str
    digest: str
    folder: str = ""
    size: int = 0


@dataclass(frozen=True)
class Dataset:
    """A data set that can be downloaded.

    ``megabytes`` (10⁶ bytes) is the size of the download, ``room`` the disk space needed meanwhile for archives and
    pictures. ``count`` pictures of ``classes`` classes are shown, 0 if unknown. ``imagenet`` maps
    classes to ImageNet indices.
    """

    name: str
    title: str
    summary: str
    author: str
    source: str
    megabytes: int
    room: int
    open: Callable[[Path], Samples]
    archives: tuple[Archive, ...] = ()
    licence: str = "not stated"
    licence_url: str = ""
    count: int = 0
    classes: int = 0
    imagenet: tuple[int, ...] = ()


def data_directory() -> Path:
    """Return the directory of data sets: CAMLAB_DATA_DIR, else one in the user's caches. Raises BadSetting."""
    return user_directory(DIRECTORY_VARIABLE, "camlab-datasets")

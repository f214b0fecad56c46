"""Find pictures by id, file or upload, and image sets by name."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PIL import Image

from camlab.common.errors import BadImage, BadSetting, UnknownName
from camlab.images.builtin import BY_ID, IMAGE_SETS
from camlab.images.datasets.catalogue import DATASETS, open_dataset
from camlab.images.decode import Decoded, clean_name, decode, decode_image, read_bytes
from camlab.images.folders import open_folder
from camlab.images.picture import OWN_KINDS, ImageSet, Picture, digest_of, own_picture

#: Prefix of a typed name that stands for an image set or its picture, even if there is a file of this name.
SET = "set:"


def picture_from_bytes(data: bytes, name: str) -> Picture:
    """Return the picture in an uploaded file's bytes, which stay in memory. Raises BadImage."""
    decoded = decode(data, name)
    read = partial(decode, data, name)
    return own_picture("upload", digest_of(decoded.image), name, read, decoded=decoded, held=len(data))


def picture_from_path(path: str | Path) -> Picture:
    """Return the picture in a file on this machine, read again at each ``load``. Raises BadImage."""
    path = Path(path)
    decoded = decode(read_bytes(path), path.name)
    digest = digest_of(decoded.image)
    return own_picture("file", digest, path.name, partial(_read_unchanged, path, digest), decoded=decoded)


def built_in_pictures() -> list[Picture]:
    """Return all pictures that ship as files with CAM Lab, set by set; ShapeScenes are not among them."""
    return list(BY_ID.values())


def set_of(picture_id: str) -> str:
    """Return the name of the set in a picture's id, whether or not the picture exists."""
    return picture_id.partition("/")[0]


def find_picture(picture_id: str, sets: Iterable[ImageSet] = ()) -> Picture:
    """Return the picture with this id: built-in, generated, of a downloaded data set, or of ``sets``.

    Raises UnknownName for an unknown id or the user's own picture outside ``sets``, and BadSource for a picture of a
    data set that is not on this machine.
    """
    picture_id = str(picture_id)
    found = BY_ID.get(picture_id)
    if found is not None:
        return found
    for image_set in sets:
        if (found := image_set.find(picture_id)) is not None:
            return found
    shown = repr(picture_id[:60])
    group, _, name = picture_id.partition("/")
    if group in IMAGE_SETS and (found := IMAGE_SETS[group].find(picture_id)) is not None:
        return found
    if group in OWN_KINDS and name:
        raise UnknownName(f"The picture {shown} is a user's own file and was not kept; choose it again.")

    if group in DATASETS and name and (found := open_dataset(group).find(picture_id)) is not None:
        return found
    if (group in IMAGE_SETS or group in DATASETS) and name:
        raise UnknownName(f"The image set {group!r} has no picture {shown}; choose another of its pictures.")
    raise UnknownName(f"There is no picture {shown}; choose one from: {', '.join(IMAGE_SETS)}.")


def read_file(path: Path) -> Image.Image:
    """Decode a picture file. Raises BadImage, also for a file over the size limit."""
    return decode_image(read_bytes(path), path.name)


def _read_unchanged(path: Path, digest: str, bits: int | None = None) -> Decoded:
    data = read_bytes(path)
    decoded = decode(data, path.name)
    if digest_of(decoded.image) != digest:
        raise BadImage(f"The file “{clean_name(path.name)}” has changed since it was chosen; choose it again.")
    return decoded if bits is None else decode(data, path.name, bits)


def image_set_named(name: str) -> ImageSet:
    """Return a built-in set, a data set on this machine, or a folder by its path, with all that its links lead to.

    For the command line, whose user may read whatever this program may. Raises UnknownName, BadSource.
    """
    if name in IMAGE_SETS:
        return IMAGE_SETS[name]
    if name in DATASETS:
        return open_dataset(name)
    return open_folder(name, confined=False) if is_folder(name) else IMAGE_SETS[name]


def is_folder(name: str) -> bool:
    """Return whether there is a folder at a path."""
    try:
        return Path(name).is_dir()
    except ValueError:  # a null character
        return False


def meant_set(name: str) -> str:
    """Return the name of an image set, or the path of a folder, that a user has typed; ``set:NAME`` is always a set.

    Raises BadSetting for a name that means a set as well as a folder in the working directory.
    """
    known = name in IMAGE_SETS or name in DATASETS
    if known and is_folder(name):
        raise BadSetting(
            f"{name!r} is an image set of CAM Lab and also a folder here; write ./{name} for the folder or {SET}{name} "
            "for the set."
        )
    return name.removeprefix(SET)

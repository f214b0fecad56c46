"""Pictures and image sets, independent of their source."""

import dataclasses
import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import overload

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray
from PIL import Image, ImageOps

from camlab.common.errors import BadImage
from camlab.images.decode import Decoded, decode, title_from

#: The ids of a user's own pictures begin with one of these. Without the file, such an id finds nothing.
OWN_KINDS = ("upload", "file", "folder")
NOT_STATED = "not stated"
KEPT = 4096  # pictures of a lazy set that stay in memory, with their digests

_SOURCES = {
    "upload": "uploaded file",
    "file": "file on this machine",
    "folder": "file in a folder on this machine",
}

Mask = NDArray[np.bool_]
#: Decodes a picture's file; ``bits`` stretches it, as in `camlab.images.decode.decode`.
Decoding = Callable[..., Decoded]

_STRETCHED = re.compile(r"(.+)\.(\d{1,2})bit")


@dataclass(frozen=True)
class Picture:
    """One picture and its source; its pixels are read on demand.

    ``id`` is stable: ``photos/bison`` for built-in pictures, ``upload/…`` or ``file/…`` with 12 digits of the
    digest, ``folder/…`` or a data set's name with 12 digits that stand for the file (see ``open_folder`` and
    ``open_dataset``). ``label`` is the picture's class name and ``label_index`` its ImageNet index, both None
    if they are unknown; ``held`` counts the bytes of its files that stay in memory with it. Equality and hash
    use the descriptive fields.
    """

    id: str
    image_set: str
    title: str
    label: str | None
    label_index: int | None
    author: str
    licence: str
    licence_url: str
    source: str
    _read: Callable[[], Image.Image] = field(repr=False, compare=False)
    _mask: Callable[[], Mask | None] | None = field(default=None, repr=False, compare=False)
    # Draws the whole picture with this number of pixels per side, if that is cheaper than reading it.
    _thumbnail: Callable[[int], Image.Image] | None = field(default=None, repr=False, compare=False)
    held: int = field(default=0, repr=False, compare=False)
    # The folder of the file, for pictures whose id is unique only within their set.
    place: str = field(default="", repr=False, compare=False)
    # How to decode the file anew, for a user's own picture that may be stretched.
    _decode: Decoding | None = field(default=None, repr=False, compare=False)

    def load(self) -> Image.Image:
        """Read the picture: RGB, upright, at its own size. Raises BadImage if its file is missing or changed."""
        return self._read()

    @property
    def outlined(self) -> bool:
        """Whether the picture comes with an outline of the object."""
        return self._mask is not None

    def mask(self) -> Mask | None:
        """Read the object's mask, (H, W), True on the object; None if the picture has no outline.

        Raises BadImage if the mask's file cannot be read or its size differs from the picture's.
        """
        return None if self._mask is None else self._mask()

    def thumbnail(self, side: int = 96) -> Image.Image:
        """Return the centre of the picture as a square of ``side`` pixels, RGB. Raises BadImage like ``load``."""
        if self._thumbnail is not None:
            return self._thumbnail(side)
        return ImageOps.fit(self.load(), (side, side), Image.Resampling.LANCZOS)

    @cached_property
    def depth(self) -> tuple[int, int | None]:
        """The bits of each value in the file, and the fewer bits that suffice for all of them; None if none do.

        See ``Decoded``; the first call decodes a file in a folder. Raises BadImage like ``load``.
        """
        return (8, None) if self._decode is None else _depth(self._decode())

    @property
    def dim(self) -> str | None:
        """One clause that says why the picture is nearly black, if its file uses few of 16 bits; else None."""
        stored, narrow = self.depth
        if narrow is None:
            return None
        return f"“{self.title}” has {stored} bits per value but uses only {narrow} of them, so it is nearly black"

    def stretched(self, bits: int) -> "Picture":
        """Return the picture whose file's 16-bit values are read as numbers of ``bits`` bits; its id says so.

        Raises BadImage for a picture that is no file of the user's own; ``load`` of the result raises it for a file
        that has not 16 bits or larger values.
        """
        known: dict[int, Picture] = self.__dict__.setdefault("_as_bits", {})
        if bits not in known:
            if self._decode is None:
                raise BadImage(
                    f"“{self.title}” cannot be stretched, only your own files of 16 bits; leave it as it is."
                )
            read = partial(_image_of, self._decode, bits)
            title = f"{self.title} ({bits} bits)"
            found = dataclasses.replace(self, id=f"{self.id}.{bits}bit", title=title, _read=read, _decode=None)
            known[bits] = found
        return known[bits]

    @property
    def content(self) -> tuple[str, ...]:
        """A key of the pixels that needs no decoding: the digest if it is known, else folder and id.

        An id in a folder encodes the relative path, the file's size and the time of its last change.
        """
        known = self.__dict__.get("digest")
        return (self.place, self.id) if known is None else (known,)

    @cached_property
    def digest(self) -> str:
        """Hex digest of the RGB pixels and the size: the same for the same picture in any lossless file."""
        return digest_of(self.load())


class LazyPictures(Sequence[Picture]):
    """A sequence of ``count`` pictures, each made by ``make(index)`` on demand.

    The KEPT most recently used pictures stay in memory with their digests. Threads may share the sequence.
    """

    def __init__(self, count: int, make: Callable[[int], Picture]) -> None:
        self._count = count
        self._make = make
        self._kept: LRUCache[int, Picture] = LRUCache(KEPT)
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Picture, ...]: ...
    def __getitem__(self, index: int | slice) -> Picture | tuple[Picture, ...]:
        """Return one picture, or a tuple of those in the slice. Raises IndexError."""
        if isinstance(index, slice):
            return tuple(self._one(i) for i in range(self._count)[index])
        return self._one(range(self._count)[index])

    def fresh(self, index: int) -> Picture:
        """Make a picture without keeping it, to iterate over more pictures than KEPT."""
        return self._make(index)

    def place_of(self, picture_id: str) -> int | None:
        """Return the index of a picture that was made before; None for any other."""
        return self._places.get(picture_id)

    def _one(self, index: int) -> Picture:
        with self._lock:
            found = self._kept.get(index)
        if found is None:
            made = self._make(index)
            with self._lock:
                found = self._kept.setdefault(index, made)
                self._places[found.id] = index
        return found


@dataclass(frozen=True)
class ImageSet:
    """A named, ordered set of pictures.

    ``pictures`` may be lazy: its length and single pictures are cheap, iterating over all of it may not be.
    ``labels`` are the class names in it, empty if there are none. ``skipped`` counts the files left out, by the
    reasons of ``file_layout.REASONS``.
    """

    name: str
    title: str
    summary: str
    pictures: Sequence[Picture]
    labels: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict, compare=False)

    def find(self, picture_id: str) -> Picture | None:
        """Return the picture with this id, None if the set has none; the first call indexes a lazy set."""
        place = self.place(picture_id)
        if place is None:
            return None
        found, (unstretched, bits) = self.pictures[place], as_stored(picture_id)
        if found.id != unstretched:  # a file that has changed is another picture
            return None
        return found if bits is None else found.stretched(bits)

    def place(self, picture_id: str) -> int | None:
        """Return the picture's index in the set, from 0, or None; the first call indexes a lazy set.

        A stretched picture stands where it stands unstretched.
        """
        picture_id, _ = as_stored(picture_id)
        # Most ids belong to a picture that this set has already made; these need no index.
        seen = self.pictures.place_of(picture_id) if isinstance(self.pictures, LazyPictures) else None
        return self._index[0].get(picture_id) if seen is None else seen

    def search(self, text: str) -> list[int]:
        """Return the indices of the pictures whose title or class contains every word of ``text``, ignoring case."""
        words = text.casefold().split()
        return [place for place, known in enumerate(self._index[1]) if all(word in known for word in words)]

    def sample(self, count: int) -> list[Picture]:
        """Return at most ``count`` pictures, evenly spaced over the whole set."""
        every = len(self.pictures)
        picks = np.linspace(0, every - 1, min(count, every)).round().astype(int)
        return [self.pictures[int(place)] for place in picks]

    @cached_property
    def _index(self) -> tuple[dict[str, int], list[str]]:
        """Every picture's index by id, and the searched text by index."""
        made = self.pictures.fresh if isinstance(self.pictures, LazyPictures) else self.pictures.__getitem__
        places: dict[str, int] = {}
        texts = []
        for place in range(len(self.pictures)):
            picture = made(place)
            places[picture.id] = place
            texts.append(f"{picture.title}\n{picture.label or ''}".casefold())
        return places, texts


def as_stored(picture_id: str) -> tuple[str, int | None]:
    """Split the id of a stretched picture of the user's own into that of the unstretched one and the bits.

    Any other id comes back whole, with None.
    """
    found = _STRETCHED.fullmatch(picture_id)
    if found is None or picture_id.partition("/")[0] not in OWN_KINDS:
        return picture_id, None
    return found[1], int(found[2])


def narrow_of(pictures: Sequence[Picture]) -> int | None:
    """Return the bits that suffice for all files of 16 bits among the pictures; None if none do, or there are none.

    Pictures that are compared are stretched by one factor: a darker one stays darker.
    """
    deep = [picture.depth[1] for picture in pictures if picture.depth[0] == 16]
    enough = [bits for bits in deep if bits is not None]
    return max(enough) if enough and len(enough) == len(deep) else None


def read_as(bits: int | None, pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures, those in files of 16 bits read as numbers of ``bits`` bits; None changes nothing."""
    return [picture if bits is None or picture.depth[0] != 16 else picture.stretched(bits) for picture in pictures]


def is_own_id(text: str) -> bool:
    """Return whether a text has the form of the id of a user's own picture, stretched or not."""
    return re.fullmatch(f"(?:{'|'.join(OWN_KINDS)})/[0-9a-f]{{12}}", as_stored(text)[0]) is not None


def own_picture(
    kind: str,
    digits: str,
    name: str,
    read: Decoding,
    *,
    label: str | None = None,
    mask: Callable[[], Mask | None] | None = None,
    decoded: Decoded | None = None,
    held: int = 0,
    place: str = "",
) -> Picture:
    """Return a user's own picture of one of OWN_KINDS; its id takes the first twelve of the hex ``digits``.

    ``read`` decodes the file. ``decoded``, if that has been done already, saves doing it again; the digits are then the
    digest of its picture.
    """
    picture = Picture(
        id=f"{kind}/{digits[:12]}",
        image_set=kind,
        title=title_from(name),
        label=label,
        label_index=None,
        author=NOT_STATED,
        licence=NOT_STATED,
        licence_url="",
        source=_SOURCES[kind],
        _read=partial(_image_of, read, None),
        _mask=mask,
        held=held,
        place=place,
        _decode=read,
    )
    if decoded is not None:
        picture.__dict__.update(digest=digits, depth=_depth(decoded))
    return picture


def _image_of(read: Decoding, bits: int | None) -> Image.Image:
    return read(bits=bits).image


def _depth(decoded: Decoded) -> tuple[int, int | None]:
    return decoded.stored, decoded.narrow


def digest_of(image: Image.Image) -> str:
    """Return the hex digest of an RGB picture's pixels and size."""
    digest = hashlib.blake2b(f"{image.width}x{image.height}:".encode(), digest_size=16)
    digest.update(image.tobytes())
    return digest.hexdigest()


def mask_from(image: Image.Image) -> Mask:
    """Return the mask (H, W) of an outline picture: True where it is brighter than half of its brightest pixel.

    Files with values 0/1, 0/255 or smooth edges thus give the same mask. A black picture gives an empty mask.
    """
    grey = np.asarray(image.convert("L"))
    return grey > max(float(grey.max()), 1.0) / 2


def mask_from_bytes(data: bytes, name: str) -> Mask:
    """Return the mask (H, W) in the bytes of a picture file, by ``mask_from``. Raises BadImage."""
    decoded = decode(data, name)
    if decoded.narrow is not None:  # a mask of 16 bits whose values are 0 and 1 is black in 8 bits
        decoded = decode(data, name, bits=decoded.narrow)
    return mask_from(decoded.image)

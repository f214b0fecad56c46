"""Read the pictures in uploads (files, ZIP archives, or both), and count unusable files by reason.

Nothing is written to disk, and no entry is trusted: there are limits on the number of entries, the size and growth of
each, and the bytes and pixels of all. Only stored and deflated entries are read, because only these can be
decompressed in pieces of bounded size.
"""

import hashlib
import io
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from camlab.common.errors import BadImage
from camlab.common.parsing import with_slashes
from camlab.images.decode import FORMATS, MAX_BYTES, clean_name, decode
from camlab.images.file_layout import MAX_NAME_LENGTH, account, arrange, is_hidden, is_picture
from camlab.images.picture import Picture, digest_of, mask_from_bytes, own_picture

MAX_ENTRIES = 20_000  # entries of one archive, folders and refused ones included
MAX_PICTURES = 5_000  # pictures of one upload
MAX_TOTAL_BYTES = 512 * 2**20  # all unpacked files of one upload
MAX_TOTAL_PIXELS = 4 * 10**9  # about a minute of decoding
MAX_GROWTH = 100  # the factor by which an entry may grow that does not begin like a picture
MAX_PROBLEMS = 20  # sentences kept

_GROWTH_MATTERS = 2**20  # bytes: below this, a flat bitmap may compress by any factor
_COST_OF_DAMAGE = 4 * 10**6  # pixels charged for a damaged picture, of which an unknown part was decoded
_MOST_PER_PIXEL = 8  # bytes: four channels of 16 bits
_HEAD = 512
ENTRY = b"PK\1\2"  #: the first bytes of each entry in an archive's directory
_ARCHIVES = (b"PK\3\4", b"PK\5\6")
_NESTED = (
    *_ARCHIVES,
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\x28\xb5\x2f\xfd",
)
#: The errors that zipfile raises for damaged bytes, depending on where the damage is.
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Collected:
    """The result of an upload: its pictures, the number of files left out by reason, and sentences about some.

    ``notes`` say how folders were read, as in ``file_layout.SortedPaths``.
    The reasons are those of ``file_layout.REASONS``. ``problems`` holds at most MAX_PROBLEMS sentences.
    """

    pictures: tuple[Picture, ...]
    skipped: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The result in words: “37 pictures loaded; skipped: 2 links, 1 damaged or unusable picture.”."""
        taken, semicolon, rest = account(len(self.pictures), self.skipped, notes=self.notes).rstrip(".").partition(";")
        return f"{taken} loaded{semicolon}{rest}."


def collect(
    files: Iterable[tuple[str, bytes]],
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Collected:
    """Collect the pictures in uploaded files, (name, bytes) each; some or all may be ZIP archives.

    Classes and outlines follow the paths (`camlab.images.file_layout`), separately for each archive and for the
    loose files. ``check`` may raise to stop the work; ``progress`` gets the number of decoded files and of all.
    Raises nothing itself: unusable files are counted.
    """
    work = _Collection(check)
    loose = _Source()
    sources = [loose]
    for name, data in files:
        if is_archive(data):
            sources.append(work.unpack(data, clean_name(name)))
        else:
            # Browsers name a file in an uploaded folder by its path, some with the system's separators.
            work.take(loose, with_slashes(name).lstrip("/"), len(data), io.BytesIO(data).read)
    total = sum(len(source.files) for source in sources)
    done = 0
    for source in sources:
        for _ in work.decode(source):
            done += 1
            progress(done, total)
    return Collected(tuple(work.pictures), work.skipped, tuple(work.problems), tuple(work.notes))


def is_archive(data: bytes) -> bool:
    """Return whether a file begins like a ZIP archive."""
    return data.startswith(_ARCHIVES)


@dataclass
class _Source:
    """The files of one archive, or the loose ones, by path, and the paths of pictures left out.

    The outlines of pictures left out must not be taken for pictures. ``grown`` are the files that unpacked to
    many times their size.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    grown: set[str] = field(default_factory=set)


class _Collection:
    """One upload while it is read: its remaining limits, its pictures and the files left out."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check
        self.pictures: list[Picture] = []
        self.skipped: Counter[str] = Counter()
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._bytes_left = MAX_TOTAL_BYTES
        self._pixels_left = MAX_TOTAL_PIXELS
        self._seen: set[str] = set()

    def skip(self, reason: str, problem: str = "", count: int = 1) -> None:
        if count:
            self.skipped[reason] += count
        if problem and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def unpack(self, data: bytes, shown: str) -> _Source:
        """Read the picture files in an archive."""
        source = _Source()
        # Count before zipfile makes an object per entry. The count covers all that zipfile finds, and a picture's own
        # bytes almost never look like an entry.
        if data.count(ENTRY) > MAX_ENTRIES:
            self.skip("archive", f"“{shown}” has over {MAX_ENTRIES:,} entries; split it into smaller archives.")
            return source
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    self.check()
                    self._entry(archive, info, source)
        except BROKEN:
            self.skip("archive", f"“{shown}” is damaged or not an ordinary ZIP archive; pack it again.")
        return source

    def _entry(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: _Source) -> None:
        path = with_slashes(info.filename)
        reason = refusal(info)
        # A flat picture that is not compressed grows by any factor: it is judged once it is decoded.
        if reason == "bomb" and info.file_size <= MAX_BYTES:
            source.grown.add(path)
            reason = ""
        if reason:
            self.skip(reason)
            source.lost.add(path)
        elif not path.endswith("/"):
            try:
                with archive.open(info) as stream:
                    self.take(source, path, info.file_size, stream.read)
            except BROKEN:
                self.skip("damaged", f"“{clean_name(path)}” is damaged inside the archive; pack it again.")
                source.lost.add(path)

    def take(self, source: _Source, path: str, size: int, read: Callable[[int], bytes]) -> None:
        """Read one file of at most ``size`` bytes if it is a picture and within the limits."""
        early = (
            ("hidden", is_hidden(path)),
            ("long_name", len(path) > MAX_NAME_LENGTH),
            ("large", size > MAX_BYTES),
            ("duplicate", path in source.files),
            ("limit", size > self._bytes_left),
        )
        reason = next((reason for reason, holds in early if holds), "")
        head = b"" if reason else read(_HEAD)
        if not reason and not any(kind.starts(head) for kind in FORMATS):
            nested = head.startswith(_NESTED) or head[257:262] == b"ustar"
            reason = "nested" if nested else "bomb" if path in source.grown else "other"
        if reason:
            self.skip(reason)
            source.lost.add(path)
            return
        self._bytes_left -= size  # before reading: a damaged file costs time, too
        # Read more than there should be, so that zipfile reaches the end and compares the checksum.
        source.files[path] = head + read(MAX_BYTES)

    def decode(self, source: _Source) -> Iterator[None]:
        """Decode the pictures of one source, yielding once per file."""
        files = source.files
        lost = {path for path in source.lost - set(files) if is_picture(path) and not is_hidden(path)}
        layout = arrange([*files, *lost])
        self.notes += layout.notes
        orphans = [path for path in layout.orphans if path in files]
        self.skip("orphan", count=len(orphans))
        yield from (None for _ in orphans)
        for entry in layout.entries:
            self.check()
            mask = entry.mask if entry.mask in files else None
            if entry.path in files:
                self._decode(source, entry.path, entry.label, mask)
                yield
            if mask is not None:
                yield

    def _decode(self, source: _Source, path: str, label: str | None, mask: str | None) -> None:
        found, data = source.files, source.files[path]
        raw = hashlib.blake2b(data, digest_size=16, person=b"file").hexdigest()
        if raw in self._seen:
            return self.skip("duplicate")
        if len(self.pictures) >= MAX_PICTURES or self._pixels_left <= 0:
            return self.skip("limit")
        self._seen.add(raw)
        try:
            decoded = decode(data, path)
        except BadImage as error:
            self._pixels_left -= _COST_OF_DAMAGE
            return self.skip("bomb" if path in source.grown else "damaged", str(error))
        image = decoded.image
        self._pixels_left -= image.width * image.height
        if path in source.grown and len(data) > _GROWTH_MATTERS + _MOST_PER_PIXEL * image.width * image.height:
            return self.skip("bomb")
        digest = digest_of(image)
        if digest in self._seen:
            return self.skip("duplicate")
        self._seen.add(digest)
        reader, held = None, len(data)
        if mask is not None and self._fits(found[mask], mask, image.size, path):
            reader, held = partial(mask_from_bytes, found[mask], mask), held + len(found[mask])
        read, named = partial(decode, data, path), label and clean_name(label)
        self.pictures.append(
            own_picture("upload", digest, path, read, label=named, mask=reader, decoded=decoded, held=held)
        )
        return None

    def _fits(self, data: bytes, path: str, size: tuple[int, int], picture: str) -> bool:
        """Return whether a mask can be read and has its picture's size; count it as skipped otherwise."""
        try:
            height, width = mask_from_bytes(data, path).shape
        except BadImage as error:
            self._pixels_left -= _COST_OF_DAMAGE
            self.skip("mask", str(error))
            return False
        self._pixels_left -= width * height
        if (width, height) != size:
            self.skip(
                "mask_size",
                f"The mask “{clean_name(path)}” is {width}×{height} pixels, its picture “{clean_name(picture)}” "
                f"{size[0]}×{size[1]}; save it at the picture's size.",
            )
        return (width, height) == size


def refusal(info: zipfile.ZipInfo) -> str:
    """Return the reason why an entry must not be opened; empty if it is safe.

    Its path is judged with forward slashes (``with_slashes``).
    """
    name = with_slashes(info.orig_filename)  # the stored name: zipfile cuts names at a null character
    kind = stat.S_IFMT(info.external_attr >> 16)  # zero if the archive was not made on a Unix system
    checks: Sequence[tuple[str, bool]] = (
        ("long_name", len(name) > MAX_NAME_LENGTH),
        ("unsafe", _is_unsafe(name)),
        ("link", kind == stat.S_IFLNK),
        ("special", kind not in (0, stat.S_IFREG, stat.S_IFDIR)),
        ("encrypted", bool(info.flag_bits & 0x2041)),  # encrypted, strongly, or with masked headers
        ("method", info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)),
        ("bomb", info.file_size > max(_GROWTH_MATTERS, MAX_GROWTH * info.compress_size)),
    )
    return next((reason for reason, holds in checks if holds), "")


def _is_unsafe(name: str) -> bool:
    """Return whether a path with forward slashes is absolute, contains "..", a drive or control characters."""
    return (
        name.startswith("/")
        or re.match(r"[A-Za-z]:", name) is not None
        or any(ord(character) < 32 for character in name)
        or ".." in name.split("/")
    )

"""Load image sets in the background: read an upload, list a folder, download a data set.

Each is one long call on its own thread; its job reports progress and can be cancelled.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from itertools import accumulate

from camlab.common.errors import BadImage
from camlab.common.jobs import Job, Steps, run_apart
from camlab.images.archives import MAX_PICTURES, MAX_TOTAL_BYTES, Collected, collect, is_archive
from camlab.images.datasets.catalogue import DATASETS, open_dataset
from camlab.images.datasets.download import fetching
from camlab.images.find import picture_from_bytes
from camlab.images.folders import open_folder
from camlab.images.picture import ImageSet, Picture

Making = Generator[None, None, ImageSet]
Present = Callable[[], bool]

UPLOAD = "upload"
FOLDER = "folder"


class Intake:
    """One image set that is being loaded; ``image_set`` holds it once ``job`` has finished without an error.

    ``unit`` is the unit of the job's ``done`` and ``total``: pictures or bytes. ``make`` yields steps, each short or
    calling the job's ``check``, and returns the set; ``present`` is the job's.
    """

    def __init__(
        self, name: str, title: str, unit: str, make: Callable[[Job], Making], present: Present = lambda: True
    ) -> None:
        self.name, self.unit = name, unit
        self.image_set: ImageSet | None = None
        self._make = make
        self.job = Job(title, self._work, present)
        self._thread = run_apart(self.job)

    def wait(self, seconds: float) -> bool:
        """Wait at most ``seconds``, and return whether loading has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self, job: Job) -> Steps:
        self.image_set = yield from self._make(job)


def take_upload(files: Sequence[tuple[str, bytes]], already: ImageSet | None = None) -> Intake:
    """Read uploaded files, (name, bytes) each, pictures or ZIP archives, into the set of this visitor's pictures.

    ``already`` is the set so far: its pictures stay, and new ones come first. The job ends in an error if no file
    can be used.
    """

    def make(job: Job) -> Making:
        yield
        return upload_set(read_upload(files, job.check, job.show), already)

    return Intake(UPLOAD, "Reading your pictures", "pictures", make)


def take_folder(path: str) -> Intake:
    """List a folder on this machine, as ``open_folder`` does."""

    def make(job: Job) -> Making:
        yield
        return open_folder(path.strip(), check=job.check)

    return Intake(FOLDER, "Listing the folder", "", make)


def take_dataset(name: str, present: Present = lambda: True) -> Intake:
    """Download a data set and open it; stop if the visitor is no longer ``present``.

    Raises UnknownName.
    """
    dataset = DATASETS[name]

    def make(job: Job) -> Making:
        yield from fetching(name, progress=job.show)
        return open_dataset(name)

    return Intake(name, f"Downloading {dataset.title}", "bytes", make, present)


def read_upload(
    files: Sequence[tuple[str, bytes]],
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Collected:
    """Read the pictures in uploaded files and count those left out. Raises BadImage if none can be used.

    For a single picture the error states its fault; for many files it counts the reasons.
    """
    if len(files) == 1 and not is_archive(files[0][1]):
        name, data = files[0]
        return Collected((picture_from_bytes(data, name),))
    found = collect(files, check, progress)
    if not found.pictures:
        first = f" {found.problems[0]}" if found.problems else ""
        raise BadImage(f"No file in this upload can be used: {found.sentence}{first}")
    return found


def upload_set(found: Collected, already: ImageSet | None = None) -> ImageSet:
    """Return the set of a visitor's uploaded pictures, new ones first.

    It keeps at most MAX_PICTURES and MAX_TOTAL_BYTES of files in memory and drops the oldest; one upload always fits.
    """
    old = () if already is None else already.pictures
    new = {picture.id for picture in found.pictures}
    every = (*found.pictures, *(picture for picture in old if picture.id not in new))[:MAX_PICTURES]
    sizes = accumulate(picture.held for picture in every)
    pictures = tuple(picture for picture, size in zip(every, sizes, strict=True) if size <= MAX_TOTAL_BYTES)
    return ImageSet(
        name=UPLOAD,
        title="Your pictures",
        summary=found.sentence,
        pictures=pictures,
        labels=tuple(sorted({picture.label for picture in pictures if picture.label})),
        skipped=found.skipped,
    )


def with_picture(picture: Picture, already: ImageSet | None, summary: str) -> ImageSet:
    """Return the set of a visitor's uploaded pictures with ``picture`` in front."""
    return replace(upload_set(Collected((picture,)), already), summary=summary)

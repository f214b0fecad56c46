"""Errors that a user can act on: each message is one sentence on the problem and its solution."""

from collections.abc import Iterable


class CamLabError(Exception):
    """Base of all errors whose text can be shown to a user; ``lines`` are its details, to be listed below it."""

    def __init__(self, message: str = "", lines: Iterable[str] = ()) -> None:
        """Take the sentence and the details."""
        super().__init__(message)
        self.lines = tuple(lines)


class UnknownName(CamLabError):
    """A name that is not in its registry."""


class BadImage(CamLabError):
    """Bytes or a file that is no usable picture."""


class BadSource(CamLabError):
    """An archive, a folder or a data set that yields no pictures."""


class BadSetting(CamLabError):
    """A setting that is out of range or of the wrong type."""


class MissingWeights(CamLabError):
    """A model whose weights are not on this machine."""


class DownloadFailed(CamLabError):
    """Weights that could not be downloaded; no partial file is left."""


class BadCheckpoint(CamLabError):
    """A file that is no usable checkpoint of a network."""


class BadStudy(CamLabError):
    """A study that cannot be read, or a table that is no study."""


class BadState(CamLabError):
    """A saved state that cannot be read."""


class Cancelled(Exception):
    """Raised inside long work that its caller has stopped; never shown to a user."""

"""Errors that a user can act on: each message is one sentence saying what is wrong and what to do."""


class CamLabError(Exception):
    """Base of every error whose text is fit to be shown to a user as it stands."""


class UnknownName(CamLabError):
    """A name that its registry does not hold."""


class BadImage(CamLabError):
    """Bytes or a file that cannot be used as a picture."""


class BadSource(CamLabError):
    """An archive, a folder or a data set from which no pictures can be taken."""


class BadSetting(CamLabError):
    """A setting out of its range or of the wrong kind."""


class MissingWeights(CamLabError):
    """A model whose weights are not on this machine."""


class DownloadFailed(CamLabError):
    """Weights that could not be fetched; nothing of them is left behind."""


class BadCheckpoint(CamLabError):
    """A file that cannot be used as the weights of a network."""


class BadStudy(CamLabError):
    """A study that cannot be read, or a table that is none."""


class BadState(CamLabError):
    """A saved state that cannot be read."""


class Cancelled(Exception):
    """Raised inside long work when its caller asked it to stop; never shown to a user."""

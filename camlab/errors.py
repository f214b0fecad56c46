"""Errors that a user can act on: each message is one sentence saying what is wrong and what to do."""


class CamLabError(Exception):
    """Base of every error whose text is fit to be shown to a user as it stands."""


class UnknownName(CamLabError):
    """A name that its registry does not hold."""


class BadImage(CamLabError):
    """Bytes or a file that cannot be used as a picture."""


class BadSetting(CamLabError):
    """A setting out of its range or of the wrong kind."""


class MissingWeights(CamLabError):
    """A model whose weights are not on this machine."""


class BadState(CamLabError):
    """A saved state that cannot be read."""


class Cancelled(Exception):
    """Raised inside long work when its caller asked it to stop; never shown to a user."""

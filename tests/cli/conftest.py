"""The study that the command is tried on."""

from tests.study.conftest import study

__all__ = ["study"]

"""The studies that the command is tried on."""

from tests.study.conftest import plan, study, threads

__all__ = ["plan", "study", "threads"]

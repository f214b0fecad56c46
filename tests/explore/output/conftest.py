"""The study that reports and stories are made of."""

from tests.study.conftest import study

__all__ = ["study"]

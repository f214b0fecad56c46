"""Inspect, clear and verify the results on disk: the work of ``camlab cache``."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from camlab.common.errors import BadSetting
from camlab.common.registry import Registry
from camlab.engine.cache.database import DIRECTORY_VARIABLE, Database
from camlab.engine.cache.disk import open_database

#: Exit code of a check that found, and repaired, something broken, as with `fsck`.
FOUND_BROKEN = 1


@dataclass(frozen=True)
class UpkeepReport:
    """The result of a cache command: fields for JSON, lines for the terminal, the exit code."""

    record: dict[str, Any]
    lines: list[str]
    code: int = 0


UPKEEP: Registry[Callable[[Database], UpkeepReport]] = Registry("cache command")


def upkeep(name: str) -> UpkeepReport:
    """Run a command of UPKEEP on the user's cache; report a cache that is off or cannot be used.

    Raises UnknownName for the command, BadSetting for a bad directory or size in the environment.
    """
    work = UPKEEP[name]
    database = open_database()
    if database is None:
        problem = f"The cache on disk is off ({DIRECTORY_VARIABLE}=off): results are kept in memory only."
        return UpkeepReport({"directory": None, "problem": problem}, [problem])
    try:
        return work(database)
    except BadSetting as error:
        return UpkeepReport({"directory": str(database.directory), "problem": str(error)}, [str(error)])


def _command(work: Callable[[Database], UpkeepReport]) -> Callable[[Database], UpkeepReport]:
    return UPKEEP.add(work.__name__, work)


@_command
def info(database: Database) -> UpkeepReport:
    """Report where the cache is and how full."""
    found = database.info()
    lines = [
        f"directory  {found.directory}",
        f"entries    {found.entries:,}",
        f"bytes      {found.bytes:,}",
        f"limit      {found.limit:,}",
    ]
    return UpkeepReport({**dataclasses.asdict(found), "problem": None}, lines)


@_command
def clear(database: Database) -> UpkeepReport:
    """Remove every entry. Running programs keep what they hold in memory until they end."""
    removed = database.clear()
    record = {"directory": str(database.directory), "removed": removed, "problem": None}
    return UpkeepReport(record, [f"{removed:,} entries removed"])


@_command
def verify(database: Database) -> UpkeepReport:
    """Read every entry and remove the broken ones; the exit code is FOUND_BROKEN if there were any."""
    checked = database.verify()
    lines = [f"{checked.sound:,} entries sound, {checked.broken:,} broken and removed"]
    if checked.rebuilt:
        lines.insert(0, "the database itself was damaged and was replaced by an empty one")
    record = {"directory": str(database.directory), **dataclasses.asdict(checked), "problem": None}
    return UpkeepReport(record, lines, FOUND_BROKEN if checked.broken or checked.rebuilt else 0)

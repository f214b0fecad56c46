"""The command line, ``camlab COMMAND``: one module per command, in one table.

Commands call the same functions as the pages. Results go to stdout, everything else to stderr; an error that
the user can fix ends in one line and exit code 2. Slow imports wait until a command needs them.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import camlab
from camlab.cli import app, bench, cache, download, explain, list, report, stats, study, summary, train
from camlab.cli.terminal import Command
from camlab.common.errors import BadSetting, CamLabError

BAD_INPUT, INTERRUPTED, READER_GONE = (
    2,
    130,
    141,
)  # the last two are what a shell reports for SIGINT and SIGPIPE

#: In the order of the help text.
COMMANDS: tuple[Command, ...] = (
    app,
    explain,
    list,
    study,
    summary,
    stats,
    report,
    download,
    bench,
    cache,
    train,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` defaults to the process's arguments."""
    try:
        arguments = command_parser().parse_args(argv)
        code: int | None = arguments.run(arguments)
        sys.stdout.flush()
    except SystemExit as stop:  # --help and --version end here
        return int(stop.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except CamLabError as error:
        return _fail(str(error), error.lines)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{place}")
    return code or 0


def console() -> NoReturn:
    """Run the installed command ``camlab`` and exit with its code."""
    sys.exit(main())


def _fail(message: str, lines: Iterable[str] = ()) -> int:
    print("camlab:", " ".join(message.split()), file=sys.stderr)
    for line in lines:
        print(line, file=sys.stderr)
    return BAD_INPUT


class _Parser(argparse.ArgumentParser):
    """A parser that reports its errors in one line, like all other errors."""

    def error(self, message: str) -> NoReturn:
        raise BadSetting(f"{message}; see {self.prog} --help.")


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(prog="camlab", description="Measure how class activation maps react to noise.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"camlab {camlab.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, allow_abbrev=False)
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser

"""``camlab app``: start the dashboard."""

import argparse
import os
import socket
import subprocess
import sys

from camlab.cli.terminal import say
from camlab.common.directories import HOME
from camlab.common.errors import BadSetting

NAME = "app"
HELP = "start the dashboard and open it in the browser"

USUAL_PORT = 8501
LOCAL = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = "Only this machine can reach the dashboard, unless you name another address. Ctrl+C stops it."
    parser.add_argument("--port", type=int, metavar="N", help=f"default: {USUAL_PORT}, or a free one if it is taken")
    parser.add_argument("--address", default=LOCAL, metavar="A", help=f"address to listen on; default: {LOCAL}")
    parser.add_argument("--no-browser", action="store_true", help="print the address, but open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the dashboard until it is stopped. Raises BadSetting for an unusable port or address."""
    port = _free_port(arguments.address, arguments.port)
    say(f"CAM Lab: http://{arguments.address}:{port}")
    sys.stdout.flush()
    command = [
        sys.executable, "-m", "streamlit", "run", str(HOME / "app.py"),
        "--server.port", str(port),
        "--server.address", arguments.address,
        "--server.headless", "true" if arguments.no_browser else "false",
    ]  # fmt: skip
    if os.name == "posix":  # becomes the server, so that signals reach it
        os.execv(command[0], command)  # noqa: S606  a fixed program with a list of arguments, no shell
    return subprocess.call(command)


def _free_port(address: str, wanted: int | None) -> int:
    """Return the wanted port, or by default the usual one, or any free one."""
    if wanted is not None and not 1 <= wanted <= 65_535:
        raise BadSetting(f"A port is a number from 1 to 65535, not {wanted}; choose another or leave --port out.")
    for port in (USUAL_PORT, 0) if wanted is None else (wanted,):
        try:
            family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                # Like the server: the port of a server that has just stopped counts as free.
                if os.name == "posix":
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(place)
                return int(trial.getsockname()[1])
        except OSError as error:
            failure = error
    where = f"port {wanted} of {address}" if wanted is not None else address
    raise BadSetting(
        f"The dashboard cannot listen on {where} ({failure.strerror or failure}); choose another --port or --address."
    ) from failure

"""The process of a study that runs in the background: ``python -m camlab.study.run.process FOLDER [WORKERS]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from camlab.common.errors import CamLabError


def main(argv: Sequence[str]) -> int:
    """Run the study to its end; what goes wrong is in its status."""
    from camlab.study.run.run import run_study

    try:
        found = run_study(Path(argv[0]), resume=True, workers=int(argv[1]) if len(argv) > 1 else None)
    except (CamLabError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0 if found.state in ("finished", "cancelled") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

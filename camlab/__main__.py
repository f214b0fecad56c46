"""``python -m camlab``."""

import sys

from camlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

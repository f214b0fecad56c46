"""``python -m camlab``."""

import sys

from camlab.cli import main

if __name__ == "__main__":
    sys.exit(main())

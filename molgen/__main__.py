"""``python -m molgen``: the command ``molgen``."""

import sys

from molgen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

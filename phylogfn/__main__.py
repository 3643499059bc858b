"""``python -m phylogfn``: the command ``phylogfn``."""

import sys

from phylogfn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""The command lines as objects, for the reference that is made from them."""

from __future__ import annotations

from unittest.mock import patch

import molgen.cli.main
import phylogfn.cli.main

__all__ = ["molgen_app", "phylogfn_app"]


def _app(module):
    """Return the application that a program's ``main`` would run."""
    with patch.object(module, "run_app") as run:
        module.main([])
    return run.call_args.args[1]


phylogfn_app = _app(phylogfn.cli.main)
molgen_app = _app(molgen.cli.main)

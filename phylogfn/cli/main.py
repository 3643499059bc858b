"""The command ``phylogfn``: its subcommands; errors become one line on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gfncore.program.command_line import build_app, run_app
from phylogfn.cli.cite import cite
from phylogfn.cli.compare import compare
from phylogfn.cli.consensus import consensus
from phylogfn.cli.data import app as data
from phylogfn.cli.likelihood import likelihood
from phylogfn.cli.parsimony import parsimony
from phylogfn.cli.sample import sample
from phylogfn.cli.workflow import app as workflow

__all__ = ["main"]

_HELP = """Sample the posterior over phylogenetic trees of an alignment and state its accuracy,
or find its most parsimonious and near-optimal trees.

**Examples**

```
phylogfn sample primates.fasta -o out
phylogfn sample primates.fasta -o out --model HKY85+G4 --budget 10m --seed 7
phylogfn parsimony primates.fasta -o shortest
phylogfn likelihood primates.fasta out/trees.nwk
phylogfn compare out/topologies.tsv mrbayes.run1.t --burnin 0.25
phylogfn consensus out/trees.nwk
phylogfn data copy primates.fasta
phylogfn workflow init phylogeny
```

`phylogfn COMMAND --help` explains a command.
"""


COMMANDS = (sample, parsimony, likelihood, compare, consensus, data, workflow, cite)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (`gfncore.program.command_line.run_app`)."""
    app = build_app("phylogfn", _HELP, COMMANDS)
    return run_app("phylogfn", app, arguments)


if __name__ == "__main__":
    sys.exit(main())

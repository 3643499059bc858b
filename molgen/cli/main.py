"""The command ``molgen``: its subcommands; errors become one line on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gfncore.program.command_line import build_app, run_app
from molgen.cli.cite import cite
from molgen.cli.data import app as data
from molgen.cli.exact import exact
from molgen.cli.fragments import fragments
from molgen.cli.rewards import rewards
from molgen.cli.sample import sample
from molgen.cli.score import score
from molgen.cli.workflow import app as workflow

__all__ = ["main"]

_HELP = """Sample a diverse library of molecules from a score, each with its sampling probability.

**Examples**

```
molgen sample -o out
molgen sample -o out --config my-score.toml --budget 10m --seed 7
molgen score molecules.smi --reward qed > scores.csv
molgen exact -o check --max-atoms 5
molgen rewards
molgen fragments actives.smi -o my-fragments.smi
molgen workflow init molecules
```

`molgen COMMAND --help` explains a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (`gfncore.program.command_line.run_app`)."""
    commands = (sample, score, exact, rewards, fragments, data, workflow, cite)
    app = build_app("molgen", _HELP, commands)
    return run_app("molgen", app, arguments)


if __name__ == "__main__":
    sys.exit(main())

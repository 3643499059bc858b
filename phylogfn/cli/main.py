"""The command ``phylogfn``: its subcommands; errors become one line on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from gfncore.errors import UserError
from phylogfn.cli.cite import cite
from phylogfn.cli.compare import compare
from phylogfn.cli.consensus import consensus
from phylogfn.cli.data import app as data
from phylogfn.cli.likelihood import likelihood
from phylogfn.cli.sample import sample

__all__ = ["build_app", "main"]

_HELP = """An alignment goes in; a posterior over phylogenetic trees, which states its own
accuracy, comes out.

**Examples**

```
phylogfn sample primates.fasta -o out
phylogfn sample primates.fasta -o out --model HKY85+G4 --budget 10m --seed 7
phylogfn likelihood primates.fasta out/trees.nwk
phylogfn compare out/trees.nwk mrbayes.run1.t
phylogfn consensus out/trees.nwk
phylogfn data copy primates.fasta
```

`phylogfn COMMAND --help` explains a command.
"""


def build_app() -> App:
    """Return the application.

    The modules of the commands import nothing heavy: what a command needs, it imports itself.
    """
    app = App(
        name="phylogfn",
        help=_HELP,
        help_format="markdown",
        version=_version,
        version_flags=["--version"],
        suppress_keyboard_interrupt=False,
    )
    for command in (sample, likelihood, compare, consensus, data, cite):
        app.command(command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code, which the console script exits with.

    Returns
    -------
    code : int
        0 on success; 2 for a wrong input or usage, said in one line on standard error; 130 when
        interrupted.
    """
    try:
        result: Any = build_app()(
            None if arguments is None else list(arguments),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except CycloptsError as error:
        error.verbose = False
        return _fail(" ".join(str(error).split()))
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("phylogfn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, has had enough; Python would complain again
        # when it flushes at exit (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, a directory without permission
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}")
    return result if isinstance(result, int) else 0


def _fail(message: str) -> int:
    print(f"phylogfn: error: {message}", file=sys.stderr)
    return 2


def _version() -> str:
    from gfncore.provenance import software_version

    return f"phylogfn {software_version()}"


if __name__ == "__main__":
    sys.exit(main())

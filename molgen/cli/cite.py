"""``molgen cite``: the references of the methods used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gfncore.program.command_line import Flag

__all__ = ["cite"]


def cite(
    output: Path | None = None,
    /,
    *,
    bibtex: Flag = False,
    everything: Annotated[Flag, Parameter(name="--all")] = False,
) -> None:
    """Print what to cite.

    **Examples**

    ```
    molgen cite out
    molgen cite out --bibtex > molgen.bib
    ```

    Parameters
    ----------
    output
        The output directory of a run: the methods of its score are cited too.
    bibtex
        Print BibTeX entries.
    everything
        Print the references of all methods, whether used or not.
    """
    from molgen import citations

    keys = tuple(citations.REFERENCES) if everything else citations.ALWAYS_CITED
    if output is not None:
        keys = tuple(dict.fromkeys((*keys, *citations.methods_of_run(output))))
    print(citations.citations_text(citations.references(keys), as_bibtex=bibtex))

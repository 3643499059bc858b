"""``phylogfn cite``: the references of the methods used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gfncore.command_line import Flag

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
    phylogfn cite out
    phylogfn cite out --bibtex > phylogfn.bib
    ```

    Parameters
    ----------
    output
        The output directory of a run: its model is cited too.
    bibtex
        Print BibTeX entries.
    everything
        Print the references of all methods, whether used or not.
    """
    from phylogfn import citations

    keys = tuple(citations.REFERENCES) if everything else citations.ALWAYS_CITED
    if output is not None:
        keys = tuple(dict.fromkeys((*keys, *citations.methods_of_model(_model_of(output)))))
    print(citations.citations_text(citations.references(keys), as_bibtex=bibtex))


def _model_of(output: Path) -> str:
    import json

    from gfncore.errors import UserError

    path = output / "summary.json"
    try:
        model = str(json.loads(path.read_text(encoding="utf-8"))["model"])
        return model.partition(" (")[0]  # without the values of its parameters
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"{output} holds no finished run ({path.name} is missing or damaged); give the "
            "output directory of phylogfn sample"
        ) from None

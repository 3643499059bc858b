"""``phylogfn cite``: the references of the methods used."""

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
    phylogfn cite out
    phylogfn cite out --bibtex > phylogfn.bib
    ```

    Parameters
    ----------
    output
        Output directory of a run, whose methods are cited.
    bibtex
        Print BibTeX entries.
    everything
        Print the references of all methods, whether used or not.
    """
    from phylogfn import citations

    keys = tuple(citations.REFERENCES) if everything else citations.ALWAYS_CITED
    if output is not None:
        used = _methods_of(output)
        keys = tuple(dict.fromkeys((*keys, *used))) if everything else used
    print(citations.citations_text(citations.references(keys), as_bibtex=bibtex))


def _methods_of(output: Path) -> tuple[str, ...]:
    import json

    from gfncore.backward.registry import BACKWARD_POLICIES
    from gfncore.errors import UserError
    from gfncore.objectives.registry import OBJECTIVES
    from phylogfn import citations

    path = output / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        if "methods" in summary:  # of phylogfn parsimony
            return tuple(key for key in summary["methods"] if key in citations.REFERENCES)
        prior = str(summary.get("branch_prior", ""))
        model = str(summary["model"]).partition(" (")[0]  # without the values of its parameters
        # summaries of earlier runs do not say it: there was one environment
        extra = summary.get("extra", {})
        environment = str(extra.get("environment", "insertion"))
        lengths = str(extra.get("branch_lengths", "collapsed"))
        objective = OBJECTIVES.get(str(extra.get("objective", "trajectory_balance")))
        backward = BACKWARD_POLICIES.get(str(extra.get("backward_policy", "uniform")))
        method = str(extra.get("branch_length_method", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # whatever else than a summary the file holds
        raise UserError(
            f"{output} contains no finished run ({path.name} is missing or damaged); give the "
            "output directory of phylogfn sample or phylogfn parsimony"
        ) from None
    used = (
        *citations.methods_of_environment(environment, lengths),
        *(() if objective is None else objective.citations),
        *(() if backward is None else backward.citations),
        *citations.methods_of_model(model),
        *citations.methods_of_branch_prior(prior),
        *citations.methods_of_branch_lengths(method),
    )
    return tuple(dict.fromkeys((*citations.ALWAYS_CITED, *used)))

"""``molgen exact``: train where the truth can be enumerated, and compare."""

from __future__ import annotations

from typing import Any

from gfncore.program.command_line import with_options
from molgen.options import ExactOptions

__all__ = ["exact"]


@with_options(ExactOptions)
def exact(given: dict[str, Any]) -> None:
    """Train on an enumerable space, and compare the sampler with the exact distribution.

    For each correction for symmetry, `exact.json` in the output directory gives the total variation
    distance and the Jensen-Shannon divergence between the sampling probabilities and the target
    distribution, the log partition function, and a test of draws. The correction `none` shows the
    bias.

    **Examples**

    ```
    molgen exact -o check
    molgen exact -o check --elements C,N,O --max-atoms 6 --symmetry merged,none
    molgen exact -o check --environment fragments --fragments few.smi --max-fragments 3
    ```
    """
    from gfncore.program.progress import Progress

    with Progress("molgen", quiet=bool(given["quiet"])) as progress:
        progress.phase(f"starting in {given['output']}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from molgen.settings import resolve_exact

        refuse_several("molgen exact")
        check_output(given["output"], force=bool(given["force"]))
        settings = resolve_exact(given, given["config"])
        from molgen.molecules.smiles import silence_rdkit
        from molgen.runs.exact import run_exact
        from molgen.warm_up import warm_up

        silence_rdkit()
        for symmetry in settings.symmetry:
            warm_up(settings, symmetry)
        run_exact(settings, progress)

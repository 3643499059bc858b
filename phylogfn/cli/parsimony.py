"""``phylogfn parsimony``: the most parsimonious trees and a sample of near-optimal trees."""

from __future__ import annotations

from typing import Any

from gfncore.program.command_line import with_options
from phylogfn.options import ParsimonyOptions

__all__ = ["parsimony"]


@with_options(ParsimonyOptions)
def parsimony(given: dict[str, Any]) -> None:
    """Find the most parsimonious trees of an alignment, and sample near-optimal trees.

    Writes to the output directory: `report.html` (start here), `summary.json`,
    `best_trees.nwk`, `trees.tsv` (all trees with scores and probabilities), `consensus.nwk` and
    `consensus.strict.nwk`.

    **Examples**

    ```
    phylogfn parsimony primates.fasta -o out
    phylogfn parsimony primates.fasta -o out --gaps state --temperature 0.5 1 2
    phylogfn parsimony morphology.nex -o out --budget 10m --seed 7
    phylogfn parsimony -o out --resume --temperature 0.7
    ```
    """
    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress

    with (
        resumable("phylogfn parsimony", given["output"]),
        Progress("phylogfn", quiet=bool(given["quiet"])) as progress,
    ):
        # The first words come before anything heavy is imported.
        alignment, output = given["alignment"], given["output"]
        progress.phase(f"reading {alignment}" if alignment else f"starting in {output}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from phylogfn.cli.options import check_alignment
        from phylogfn.settings import resolve_parsimony_settings

        refuse_several("phylogfn parsimony")
        check_output(output, force=bool(given["force"]), resume=bool(given["resume"]))
        settings = resolve_parsimony_settings(given, given["config"])
        progress.budget_seconds = settings.budget_seconds
        check_alignment(settings)
        if settings.tensorboard:
            from gfncore.program.tensorboard import require_tensorboard

            require_tensorboard()
        from phylogfn.runs.parsimony.main import run_parsimony
        from phylogfn.warm_up import warm_up_parsimony

        run_parsimony(settings, progress, prepare=warm_up_parsimony)

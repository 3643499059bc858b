"""``phylogfn sample``: the main job."""

from __future__ import annotations

from typing import Any

from gfncore.program.command_line import with_options
from phylogfn.options import SampleOptions

__all__ = ["sample"]


@with_options(SampleOptions)
def sample(given: dict[str, Any]) -> int:
    """Sample the posterior over trees of an alignment, and compute the evidence of its model.

    Writes to the output directory: `report.html` (start here), `summary.json`, `trees.nwk`,
    `topologies.tsv`, `consensus.nwk`, and the files that FigTree, Tracer, RWTY and MrBayes read.

    The exit code is 3 if the effective sample size is below 10; the files then carry a warning and
    have no clade supports. Otherwise it is 0.

    **Examples**

    ```
    phylogfn sample primates.fasta -o out
    phylogfn sample primates.fasta -o out --model HKY85+G4 --budget 10m --seed 7
    phylogfn sample -o out --resume --budget 20m
    phylogfn sample --config out/run.toml -o again
    ```
    """
    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress

    with (
        resumable("phylogfn sample", given["output"]),
        Progress("phylogfn", quiet=bool(given["quiet"])) as progress,
    ):
        # The first words come before anything heavy is imported.
        alignment, output = given["alignment"], given["output"]
        progress.phase(f"reading {alignment}" if alignment else f"starting in {output}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from phylogfn.cli.options import check_alignment
        from phylogfn.settings import resolve_settings

        refuse_several("phylogfn sample")
        check_output(output, force=bool(given["force"]), resume=bool(given["resume"]))
        settings = resolve_settings(given, given["config"])
        progress.budget_seconds = settings.budget_seconds
        check_alignment(settings)
        if settings.tensorboard:
            from gfncore.program.tensorboard import require_tensorboard

            require_tensorboard()
        from phylogfn.runs.sample.main import run_sample
        from phylogfn.warm_up import warm_up_sampling

        return run_sample(settings, progress, prepare=warm_up_sampling)

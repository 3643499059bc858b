"""``molgen sample``: the main job."""

from __future__ import annotations

from typing import Any

from gfncore.program.command_line import with_options
from molgen.options import SampleOptions

__all__ = ["sample"]


@with_options(SampleOptions)
def sample(given: dict[str, Any]) -> None:
    """Sample molecules in proportion to a score, with the probability of each.

    Writes to the output directory: `report.html` (look here first), `library.csv`, `library.smi`,
    `library.sdf`, `scored.csv` (all molecules that were scored), `summary.json`; with several
    objectives `pareto.csv`.

    **Examples**

    ```
    molgen sample -o out
    molgen sample -o out --config my-score.toml --budget 10m --seed 7
    molgen sample -o out --core "c1ccc([*])cc1[*]" --reward qed
    molgen sample -o out --environment atoms --elements C,N,O --max-atoms 12
    molgen sample -o out --resume --budget 20m
    molgen sample --config out/run.toml -o again
    ```
    """
    import io

    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress
    from gfncore.training.distributed import process_rank

    leads = process_rank() == 0  # of those that torchrun started, one speaks and writes
    stream = None if leads else io.StringIO()
    with (
        resumable("molgen sample", given["output"]),
        Progress("molgen", quiet=bool(given["quiet"]), stream=stream) as progress,
    ):
        # The first words come before anything heavy is imported.
        progress.phase(f"starting in {given['output']}")
        from gfncore.program.output import check_output
        from molgen.settings import resolve_sample

        if leads:
            check_output(given["output"], force=bool(given["force"]), resume=bool(given["resume"]))
        settings = resolve_sample(given, given["config"])
        progress.budget_seconds = settings.budget_seconds
        if settings.tensorboard:
            from gfncore.program.tensorboard import require_tensorboard

            require_tensorboard()
        from molgen.molecules.smiles import silence_rdkit
        from molgen.runs.sample.main import run_sample
        from molgen.warm_up import warm_up

        silence_rdkit()
        warm_up(settings, settings.symmetry)
        run_sample(settings, progress)

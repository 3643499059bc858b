"""``phylogfn parsimony``: the most parsimonious trees and a sample of near-optimal trees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from gfncore.program.command_line import Flag

__all__ = ["parsimony"]

_SCORE = Group("Parsimony", sort_key=1)
_RUN = Group("Run", sort_key=2)
_INPUT = Group("Input", sort_key=3)


def parsimony(
    alignment: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    gaps: Annotated[
        Literal["missing", "state"] | None, Parameter(group=_SCORE, show_default="missing")
    ] = None,
    temperature: Annotated[
        list[str] | None,
        Parameter(group=_SCORE, show_default="1", consume_multiple=True, negative=""),
    ] = None,
    excess: Annotated[
        float | None, Parameter(group=_SCORE, show_default="2, or more while few trees are found")
    ] = None,
    samples: Annotated[int | None, Parameter(group=_RUN, show_default="1000")] = None,
    budget: Annotated[str | None, Parameter(group=_RUN, show_default="5m")] = None,
    environment: Annotated[
        Literal["insertion", "merging"] | None, Parameter(group=_RUN, show_default="insertion")
    ] = None,
    seed: Annotated[int | None, Parameter(group=_RUN, show_default="1")] = None,
    threads: Annotated[int | None, Parameter(group=_RUN, show_default="all cores")] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"] | None, Parameter(group=_RUN, show_default="auto")
    ] = None,
    tensorboard: Annotated[
        bool | None, Parameter(group=_RUN, negative="", show_default=False)
    ] = None,
    config: Path | None = None,
    resume: Flag = False,
    force: Flag = False,
    data_type: Annotated[
        Literal["dna", "rna", "protein", "standard"] | None,
        Parameter(group=_INPUT, show_default="as declared in the file, or detected"),
    ] = None,
    format: Annotated[
        Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None,
        Parameter(group=_INPUT, show_default="detected from the content"),
    ] = None,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
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

    Parameters
    ----------
    alignment
        Alignment file: FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or compressed; - for
        standard input. Character weights, ordered and excluded characters are read from NEXUS
        files.
    output
        Directory for the results; created if it does not exist, refused if it is not empty.
    gaps
        Treatment of gaps: missing data, or an additional state.
    temperature
        Sampling temperatures in steps, one or more (0.5 1 2 or 0.5,1,2): a tree of score s is drawn
        with probability proportional to exp(-s/T).
    excess
        Maximum number of steps above the best score of the trees that the search collects.
    samples
        Number of trees to draw at each temperature.
    budget
        Maximum wall-clock time of the run, such as 30s, 5m or 1h. The run ends earlier once it is
        accurate enough.
    environment
        Construction method: insertion of one taxon after another (one way to build each topology,
        so its probability is exact), or merging of pairs of subtrees.
    seed
        Random seed; the same seed gives the same results.
    threads
        Number of threads.
    device
        Device on which the network runs.
    tensorboard
        Also write the training metrics for TensorBoard, to `tensorboard/` in the output directory.
    config
        TOML file of settings; command-line options override it.
    resume
        Resume the run in the output directory from its last checkpoint, or draw at other
        temperatures.
    force
        Replace the run in the output directory.
    data_type
        Type of the data; standard stands for morphological characters.
    format
        File format of the alignment.
    quiet
        Print warnings and errors only.
    """
    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress

    with (
        resumable("phylogfn parsimony", output),
        Progress("phylogfn", quiet=quiet) as progress,
    ):
        # The first words come before anything heavy is imported.
        progress.phase(f"reading {alignment}" if alignment else f"starting in {output}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from phylogfn.cli.options import check_alignment
        from phylogfn.settings import resolve_parsimony_settings

        refuse_several("phylogfn parsimony")
        check_output(output, force=force, resume=resume)
        settings = resolve_parsimony_settings(
            {
                "alignment": alignment,
                "output": output,
                "gaps": gaps,
                "temperature": temperature,
                "excess": excess,
                "samples": samples,
                "budget": budget,
                "environment": environment,
                "seed": seed,
                "threads": threads,
                "device": device,
                "tensorboard": tensorboard,
                "data_type": data_type,
                "format": format,
                "resume": resume or None,
                "force": force or None,
                "quiet": quiet or None,
            },
            config,
        )
        progress.budget_seconds = settings.budget_seconds
        check_alignment(settings)
        if settings.tensorboard:
            from gfncore.program.tensorboard import require_tensorboard

            require_tensorboard()
        from phylogfn.runs.parsimony.main import run_parsimony
        from phylogfn.warm_up import warm_up_parsimony

        warm_up_parsimony(settings)
        run_parsimony(settings, progress)

"""``phylogfn parsimony``: the shortest trees, and a sample of those that are nearly as short."""

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
        Parameter(group=_INPUT, show_default="as the file says, or found from the characters"),
    ] = None,
    format: Annotated[
        Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None,
        Parameter(group=_INPUT, show_default="found from the content"),
    ] = None,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
    """Find the most parsimonious trees of an alignment, and sample those that are nearly as short.

    Writes to the output directory: `report.html` (look here first), `summary.json`,
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
        FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or gzipped; - for standard input. NEXUS
        files may have weights, ordered and excluded characters.
    output
        Directory of the results; made if missing, refused if not empty.
    gaps
        Take gaps as missing data or as one more state.
    temperature
        Temperatures in steps, one or more (0.5 1 2 or 0.5,1,2): a tree of score s is drawn in
        proportion to exp(-s/T).
    excess
        Collect trees that have at most so many steps more than the best.
    samples
        Trees to draw at each temperature.
    budget
        Wall-clock time for search and training: 30s, 5m, 1h. The run ends earlier when it is
        accurate enough.
    environment
        How the sampler builds trees: taxon by taxon into the branches of one tree (each topology
        in one way, so that its probability is exact), or by merging subtrees in pairs.
    seed
        The same seed gives the same files.
    threads
        Threads to use.
    device
        Where the network runs.
    tensorboard
        Write the figures of training for TensorBoard as well, into `tensorboard/` in the output
        directory.
    config
        TOML file of settings; the command line goes first.
    resume
        Go on with the interrupted run in the output directory, or draw at other temperatures.
    force
        Replace the run in the output directory.
    data_type
        Kind of data; standard is for morphological characters.
    format
        Format of the alignment.
    quiet
        Say nothing but warnings and errors.
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

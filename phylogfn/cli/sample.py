"""``phylogfn sample``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from gfncore.program.command_line import Flag

__all__ = ["sample"]

_MODEL = Group("Model", sort_key=1)
_RUN = Group("Run", sort_key=2)
_INPUT = Group("Input", sort_key=3)


def sample(
    alignment: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    model: Annotated[str | None, Parameter(group=_MODEL, show_default="JC69")] = None,
    branch_prior: Annotated[str | None, Parameter(group=_MODEL, show_default="exp:10")] = None,
    samples: Annotated[int | None, Parameter(group=_RUN, show_default="1000")] = None,
    budget: Annotated[str | None, Parameter(group=_RUN, show_default="5m")] = None,
    environment: Annotated[
        Literal["insertion", "merging"] | None, Parameter(group=_RUN, show_default="insertion")
    ] = None,
    backward_policy: Annotated[
        Literal["uniform", "learned"] | None, Parameter(group=_RUN, show_default="uniform")
    ] = None,
    branch_lengths: Annotated[
        Literal["collapsed", "bins", "lognormal"] | None,
        Parameter(group=_RUN, show_default="collapsed"),
    ] = None,
    length_bins: Annotated[str | None, Parameter(group=_RUN, show_default="128:1e-5:2")] = None,
    random_trees: Annotated[
        bool | None, Parameter(group=_RUN, negative="", show_default=False)
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
        Literal["dna", "rna", "protein"] | None,
        Parameter(group=_INPUT, show_default="found from the characters"),
    ] = None,
    format: Annotated[
        Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None,
        Parameter(group=_INPUT, show_default="found from the content"),
    ] = None,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
    """Sample the posterior over trees of an alignment, and compute the evidence of its model.

    Writes to the output directory: `report.html` (look here first), `summary.json`, `trees.nwk`,
    `topologies.tsv`, `consensus.nwk`, and the files that FigTree, Tracer, RWTY and MrBayes read.

    The exit code is 0, or 3 when hardly any draws are effective: files are then written with a
    warning and without supports.

    **Examples**

    ```
    phylogfn sample primates.fasta -o out
    phylogfn sample primates.fasta -o out --model HKY85+G4 --budget 10m --seed 7
    phylogfn sample -o out --resume --budget 20m
    phylogfn sample --config out/run.toml -o again
    ```

    Parameters
    ----------
    alignment
        FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or gzipped; - for standard input.
    output
        Directory of the results; made if missing, refused if not empty.
    model
        Substitution model, such as JC69, HKY85+G4, GTR+G4+I, LG+G4.
    branch_prior
        Prior on branch lengths: exp:RATE.
    samples
        Posterior draws to write.
    budget
        Wall-clock time for search and training: 30s, 5m, 1h. The run ends earlier when it is
        accurate enough.
    environment
        How trees are built: taxon by taxon into the branches of one tree (each topology in one way,
        so that its probability is exact), or by merging subtrees in pairs.
    backward_policy
        Of merging: how the histories of a topology share its reward, evenly or as is learned.
    branch_lengths
        Of merging: integrate them out of each topology's reward; or draw them with the tree, from
        histograms (bins) or from mixtures of log-normals.
    length_bins
        Of branch lengths in bins: NUMBER:SMALLEST:LARGEST edge, of equal width in log length.
    random_trees
        Learn from trees built by random steps too, so that the sampler's probabilities also rank
        trees far below the posterior. Not with --branch-lengths bins or lognormal.
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
        Go on with the interrupted run in the output directory.
    force
        Replace the run in the output directory.
    data_type
        Kind of sequences.
    format
        Format of the alignment.
    quiet
        Say nothing but warnings and errors.
    """
    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress

    with (
        resumable("phylogfn sample", output),
        Progress("phylogfn", quiet=quiet) as progress,
    ):
        # The first words come before anything heavy is imported.
        progress.phase(f"reading {alignment}" if alignment else f"starting in {output}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from phylogfn.cli.options import check_alignment
        from phylogfn.settings import resolve_settings

        refuse_several("phylogfn sample")
        check_output(output, force=force, resume=resume)
        settings = resolve_settings(
            {
                "alignment": alignment,
                "output": output,
                "model": model,
                "branch_prior": branch_prior,
                "samples": samples,
                "budget": budget,
                "environment": environment,
                "backward_policy": backward_policy,
                "branch_lengths": branch_lengths,
                "random_trees": random_trees,
                "length_bins": length_bins,
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
        from phylogfn.runs.sample.main import run_sample
        from phylogfn.warm_up import warm_up_sampling

        warm_up_sampling(settings)
        return run_sample(settings, progress)

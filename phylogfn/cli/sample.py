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
        Parameter(group=_INPUT, show_default="detected from the characters"),
    ] = None,
    format: Annotated[
        Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None,
        Parameter(group=_INPUT, show_default="detected from the content"),
    ] = None,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> int:
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

    Parameters
    ----------
    alignment
        Alignment file: FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or compressed; - for
        standard input.
    output
        Directory for the results; created if it does not exist, refused if it is not empty.
    model
        Substitution model, such as JC69, HKY85+G4, GTR+G4+I, LG+G4.
    branch_prior
        Prior on each branch length: exp:RATE, an exponential distribution of mean 1/RATE.
    samples
        Number of posterior draws to write.
    budget
        Maximum wall-clock time of the run, such as 30s, 5m or 1h. The run ends earlier once it is
        accurate enough.
    environment
        Construction method: insertion of one taxon after another (one way to build each topology,
        so its probability is exact), or merging of pairs of subtrees.
    backward_policy
        (merging only) Backward policy, which divides the reward of a topology among its
        construction histories.
    branch_lengths
        (merging only) Treatment of branch lengths: integrated out of the reward (collapsed), or
        drawn with the tree, from histograms (bins) or from mixtures of log-normal densities.
    length_bins
        (--branch-lengths bins only) Histogram bins as NUMBER:SMALLEST:LARGEST edge, equally wide in
        log length.
    random_trees
        Also train on trees built by random steps, so that the probabilities of the sampler also
        rank improbable trees. Requires --branch-lengths collapsed.
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
        Resume the run in the output directory from its last checkpoint.
    force
        Replace the run in the output directory.
    data_type
        Type of the sequences.
    format
        File format of the alignment.
    quiet
        Print warnings and errors only.
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

"""``phylogfn sample`` as a function."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Never

from gfncore.backward.registry import BackwardName
from gfncore.program.callback_progress import CallbackProgress, ProgressReport
from gfncore.program.library_call import call_text, check_keywords, temporary_run

if TYPE_CHECKING:
    from phylogfn.likelihood.branch_prior import BranchPrior
    from phylogfn.results.posterior import Posterior

__all__ = ["sample"]


def sample(
    alignment: str | os.PathLike[str],
    *,
    model: str | None = None,
    branch_prior: str | BranchPrior | None = None,
    priors: Mapping[str, str] | None = None,
    partitions: str | os.PathLike[str] | None = None,
    codon_positions: str | None = None,
    models: Mapping[str, str] | None = None,
    link: str | Sequence[str] | None = None,
    outgroup: str | Sequence[str] | None = None,
    constraint: str | os.PathLike[str] | None = None,
    samples: int | None = None,
    budget: str | float | None = None,
    runs: int | None = None,
    environment: Literal["insertion", "merging"] | None = None,
    backward_policy: BackwardName | None = None,
    branch_lengths: Literal["collapsed", "bins", "lognormal"] | None = None,
    length_bins: str | None = None,
    objective: str | None = None,
    sub_trajectory_lambda: float | None = None,
    random_trees: bool | None = None,
    predictive: bool | None = None,
    ancestral: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    data_type: Literal["dna", "rna", "protein", "standard"] | None = None,
    format: Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None = None,
    progress: Callable[[ProgressReport], object] | None = None,
    **unknown: Never,
) -> Posterior:
    """Return the posterior over trees of an alignment, and the evidence of its model.

    The settings are those of ``phylogfn sample``, and so are the results of a seed. Nothing is
    printed and no file is left: `Posterior.write` writes the files. Messages go to the logger
    ``phylogfn`` of `logging`, warnings among them, which ``posterior.warnings`` holds too.

    Parameters
    ----------
    alignment : str or path
        Alignment file: FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or compressed.
    model : str
        Substitution model, such as ``HKY85+G4`` or ``LG+G4``. Default: ``auto``, which compares
        models by their evidences and averages over them (`Posterior.model_table`).
    branch_prior : str or BranchPrior
        Prior on branch lengths, such as ``exp:10`` or ``gammadir:1,0.1,1,1``. Default:
        ``gammadir:1,0.1,1,1``, that of MrBayes.
    priors : mapping of str to str
        Priors on free parameters of the model, such as ``{"gamma_shape": "exp:1"}``. Default:
        those of MrBayes.
    partitions : str or path
        Partition of the columns: a file in the style of RAxML or NEXUS, the name of a partition in
        the NEXUS alignment, or ``none``. Default: that of a NEXUS file, if it has one.
    codon_positions : str
        Division of nucleotides by codon position, such as ``1,2,3`` or ``1+2,3``.
    models : mapping of str to str
        Models of parts, by their name or kind of data, such as ``{"gene1": "HKY85+G4"}``.
    link : str or sequence of str
        Parameters that the parts share, such as ``gamma_shape``; ``rates`` or ``all``.
    outgroup : str or sequence of str
        Taxa of the outgroup, on whose branch all trees are rooted. Default: the outgroup of a NEXUS
        file; otherwise, and with ``none``, trees are unrooted.
    constraint : str or path
        File of hard constraints: one clade per line, or a tree of any degree.
    samples : int
        Number of posterior draws. Default: 1000.
    budget : str or float
        Maximum wall-clock time, such as ``30s``, ``5m`` or ``1h``, or in seconds. The run ends
        earlier once it is accurate enough. Default: ``5m``.
    runs : int
        Number of independent runs within the budget, which are compared and combined. Default: 2.
    environment : str
        Construction method: ``insertion`` (default) of one taxon after another, or ``merging`` of
        pairs of subtrees.
    backward_policy : str
        (merging only) ``uniform`` (default), ``learned``, ``maximum_entropy``,
        ``trajectory_likelihood`` or ``pessimistic``.
    branch_lengths : str
        (merging only) ``collapsed`` (default): integrated out of the reward; or drawn with the
        tree, from histograms (``bins``) or mixtures of log-normal densities (``lognormal``).
    length_bins : str
        (bins only) ``NUMBER:SMALLEST:LARGEST``. Default: ``128:1e-5:2``.
    objective : str
        Training objective of the sampler's own draws. Default: ``"trajectory_balance"``.
    sub_trajectory_lambda : float
        (``"sub_trajectory_balance"`` only) Weight of a part of k steps, to the power k.
    random_trees : bool
        Whether the sampler is also trained on trees built by random steps. Default: False.
    predictive : bool
        Whether to compare the data with alignments simulated from posterior draws (posterior
        predictive checks); the result is ``posterior.predictive``. Default: False.
    ancestral : str or path
        File of the clades whose ancestral sequences are reconstructed, one per line, or
        ``consensus`` for all clades of the consensus tree; the result is ``posterior.ancestral``.
    seed : int
        Random seed. Default: 1.
    threads : int
        Number of threads. Default: all cores that this process may use.
    device : str
        Device of the network: ``auto`` (default), ``cpu`` or ``cuda``.
    data_type, format : str
        Type of the sequences and format of the file. Default: detected.
    progress : callable
        Called with a `ProgressReport` several times a second, in the thread that called this
        function. An exception that it raises ends the run.

    Raises
    ------
    UserError
        The alignment or a setting cannot be used; the message is that of the command line.

    Examples
    --------
    >>> import phylogfn
    >>> posterior = phylogfn.sample("primates.fasta", model="JC69", budget="1m", samples=100)
    >>> posterior.verdict, round(posterior.log_evidence, -1)
    ('trusted', -6490.0)
    >>> posterior.topologies()["probability"].head(2).round(1).tolist()
    [0.9, 0.1]
    >>> posterior.consensus(outgroup="Lemur_catta").to_ete3().children[0].name
    'Lemur_catta'
    """
    check_keywords(sample, unknown)
    given = {
        "model": model,
        "branch_prior": branch_prior,
        "priors": priors,
        "partitions": None if partitions is None else os.fspath(partitions),
        "codon_positions": codon_positions,
        "models": models,
        "link": link if link is None or isinstance(link, str) else list(link),
        "outgroup": outgroup if outgroup is None or isinstance(outgroup, str) else list(outgroup),
        "constraint": None if constraint is None else os.fspath(constraint),
        "samples": samples,
        "budget": budget,
        "runs": runs,
        "environment": environment,
        "backward_policy": backward_policy,
        "branch_lengths": branch_lengths,
        "length_bins": length_bins,
        "objective": objective,
        "sub_trajectory_lambda": sub_trajectory_lambda,
        "random_trees": random_trees,
        "predictive": predictive,
        "ancestral": None if ancestral is None else os.fspath(ancestral),
        "seed": seed,
        "threads": threads,
        "device": device,
        "data_type": data_type,
        "format": format,
    }
    path = os.fspath(alignment)
    with CallbackProgress("phylogfn", progress) as shown, temporary_run("phylogfn") as output:
        shown.phase(f"reading {path}")
        from phylogfn.cli.options import check_alignment
        from phylogfn.runs.sample.main import finished_run
        from phylogfn.settings import resolve_settings
        from phylogfn.warm_up import warm_up_sampling

        settings = resolve_settings({"alignment": path, "output": output, **given})
        shown.budget_seconds = settings.budget_seconds
        check_alignment(settings)
        command = call_text("phylogfn.sample", path, **given)
        with finished_run(settings, shown, command, prepare=warm_up_sampling) as (_, posterior):
            return posterior

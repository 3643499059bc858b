"""The subcommand `phylogfn likelihood`: a row of tab-separated values for each tree of a file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gfncore.program.command_line import with_options
from gfncore.program.messages import Note, say
from gfncore.program.options import RUN, Option, Options, Seed, Threads, integer
from phylogfn.options import (
    DEFAULT_BRANCH_PRIOR,
    INPUT,
    MODEL,
    Alignment,
    DataType,
    Format,
    Model,
    PriorOnLengths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.estimates.lengths.one_topology import TopologyEvidence
    from phylogfn.likelihood.branch_prior import BranchPrior
    from phylogfn.likelihood.tree_likelihood import TreeLikelihood
    from phylogfn.models import ModelSpec
    from phylogfn.trees.files import NamedTrees
    from phylogfn.trees.tree import Tree

__all__ = ["likelihood"]

MOST_DRAWS = 1_000_000
SHORTEST = 1e-8  # expected substitutions per site


class LikelihoodOptions(Options):
    """Options of ``phylogfn likelihood``."""

    GROUPS = (MODEL, RUN, INPUT)
    POSITIONAL = {"alignment": "ALIGNMENT", "trees": "TREES"}

    alignment: Alignment
    trees: Annotated[Path, Option("Tree file, Newick or NEXUS, with the taxa of the alignment.")]
    model: Model = "JC69"
    optimize: Annotated[
        bool,
        Option(
            "Maximise the likelihood over branch lengths and free parameters first, and add "
            "columns for the fitted parameters and the tree with its lengths.",
        ),
    ] = False
    evidence: Annotated[
        bool,
        Option(
            "Add the log marginal likelihood of the topology and its standard error: branch "
            "lengths are integrated out; parameters keep their given or fitted values.",
        ),
    ] = False
    branch_prior: PriorOnLengths = DEFAULT_BRANCH_PRIOR
    draws: Annotated[
        int,
        integer(2, MOST_DRAWS),
        Option("(--evidence only) Importance draws of branch lengths per tree.", group=RUN),
    ] = 1000
    seed: Seed = 1
    threads: Threads = None
    data_type: DataType = None
    format: Format = None


@with_options(LikelihoodOptions)
def likelihood(given: dict[str, Any]) -> None:
    """Print the log-likelihood of each tree as a tab-separated table with one row per tree.

    **Examples**

    ```
    phylogfn likelihood primates.fasta trees.nwk
    phylogfn likelihood primates.fasta trees.nwk --model HKY85+G4 --optimize
    phylogfn likelihood primates.fasta trees.nwk --model "K80{4.2}+G4{0.5}" --evidence
    ```
    """
    from gfncore.errors import UserError
    from phylogfn.alignments.alignment import likelihood_notes, read_alignment
    from phylogfn.alignments.ascertainment import check_ascertainment, conditioned_sites
    from phylogfn.alignments.patterns import compress
    from phylogfn.cli.tree_notes import show_notes
    from phylogfn.likelihood.branch_prior import parse_branch_prior
    from phylogfn.models import parse_model
    from phylogfn.trees.files import read_trees

    options = LikelihoodOptions.checked(given)
    optimize, evidence, draws = options["optimize"], options["evidence"], options["draws"]
    try:
        prior = parse_branch_prior(options["branch_prior"])
    except ValueError as error:
        raise UserError(f"--branch-prior: {error}") from None
    data = read_alignment(
        options["alignment"], data_type=options["data_type"], file_format=options["format"]
    )
    spec = parse_model(options["model"], data.alphabet)
    check_ascertainment(spec, data)
    for note in (*data.notes, *likelihood_notes(data, conditioned_sites(spec, data))):
        _warn(note)
    headers = {header: taxon for taxon, header in enumerate(data.headers)}
    found = read_trees(options["trees"], data.names, aliases=headers)
    show_notes([found])
    patterns = compress(data)
    spec = spec.resolve(patterns)
    _check(spec, found, optimize, evidence)
    _warn_of_short_lengths(found, optimize)
    header = ["tree", "log_likelihood", "tree_length"]
    header += ["log_evidence", "log_evidence_se", "pareto_k"] if evidence else []
    header += [*spec.labels, "newick"] if optimize else []
    print("\t".join(header))
    integral = _Integral(prior, draws, options["seed"]) if evidence else None
    row = _Row(spec, patterns, data.names, optimize, integral)
    usable = [_with_positive_lengths(tree) for tree in found.trees]
    for number, (fields, note) in enumerate(_in_order(row, usable, options["threads"]), start=1):
        print("\t".join([str(number), *fields]))
        if note:
            say(f"phylogfn: note: tree {number}: {note}")
    if integral is not None:
        _warn_of_tails(integral.tails, draws)


def _warn_of_tails(tails: list[float], draws: int) -> None:
    """Warn of log evidences whose standard errors are unreliable."""
    from gfncore.evaluation.pareto_k import PARETO_K_LIMIT

    undefined = sum(not math.isfinite(k) and k != -math.inf for k in tails)
    heavy = [k for k in tails if math.isfinite(k) and k > PARETO_K_LIMIT]
    if heavy:
        _warn(
            f"--evidence: a few draws dominate the importance weights of branch lengths in "
            f"{len(heavy)} of {len(tails)} trees (Pareto k up to {max(heavy):.2f}, should be below "
            f"{PARETO_K_LIMIT}): standard errors are too small; give more than --draws {draws}"
        )
    if undefined:
        _warn(
            f"--evidence: the tail of the importance weights cannot be estimated in {undefined} of "
            f"{len(tails)} trees: standard errors may be too small; give more than --draws {draws}"
        )


def _check(spec: ModelSpec, found: NamedTrees, optimize: bool, evidence: bool) -> None:
    """Raise an error if parameters or branch lengths have no values."""
    from gfncore.errors import UserError

    if optimize:
        return
    if spec.n_free:
        raise UserError(
            f"model '{spec.name}' leaves {', '.join(spec.labels)} free; add --optimize, or give "
            "values in braces, as in 'HKY85{2.1}+F{0.3,0.2,0.2,0.3}+G4{0.5}+I{0.2}'"
        )
    if evidence:
        return
    for number, tree in enumerate(found.trees, start=1):
        if tree.lengths is None:
            raise UserError(
                f"{found.source}: tree {number} has no branch lengths; add --optimize to fit "
                "them or --evidence to integrate them out"
            )


def _warn_of_short_lengths(found: NamedTrees, optimize: bool) -> None:
    short = [
        number
        for number, tree in enumerate(found.trees, start=1)
        if tree.lengths is not None and tree.lengths[1:].min() < SHORTEST
    ]
    if short and not optimize:
        _warn(
            f"{found.source}: branches shorter than {SHORTEST:g} in {len(short)} of {len(found)} "
            f"trees (first: tree {short[0]}) are set to {SHORTEST:g}"
        )


def _warn(message: str) -> None:

    say(f"phylogfn: warning: {message}")


def _with_positive_lengths(tree: Tree) -> Tree:
    """The tree with lengths of at least `SHORTEST`: at 0, data that differ have no likelihood."""
    import numpy as np

    from phylogfn.trees.tree import Tree

    if tree.lengths is None:
        return tree
    lengths = np.maximum(tree.lengths, SHORTEST)
    lengths[0] = 0.0
    return Tree(tree.parent, tree.children, lengths)


class _Row:
    """Computes the fields of one tree and a note on them; safe to call from several threads."""

    def __init__(
        self,
        spec: ModelSpec,
        patterns: SitePatterns,
        names: tuple[str, ...],
        optimize: bool,
        integral: _Integral | None,
    ):
        from phylogfn.likelihood.tree_likelihood import TreeLikelihood

        self.spec = spec
        self.patterns = patterns
        self.names = names
        self.optimize = optimize
        self.integral = integral
        self.fixed = None if spec.n_free else TreeLikelihood(patterns, spec.build())

    def __call__(self, tree: Tree) -> tuple[list[str], Note | None]:
        from phylogfn.likelihood.model_fit import bounds_note, fit_model
        from phylogfn.likelihood.tree_likelihood import TreeLikelihood
        from phylogfn.results.rounding import decimals
        from phylogfn.trees.tree import Tree, canonical_newick

        values: list[str] = []
        note = None
        target = self.fixed
        if self.optimize:
            fit = fit_model(self.spec, self.patterns, tree)
            note = bounds_note(self.spec, fit.theta)
            tree = Tree(tree.parent, tree.children, fit.lengths)
            values = [f"{value:.8g}" for value in self.spec.describe(fit.theta).values()]
            values.append(canonical_newick(tree, self.names))
            target = TreeLikelihood(self.patterns, fit.model)
        assert target is not None  # only --optimize leaves it open
        fields = ["NA", "NA"]
        if tree.lengths is not None:
            fields = [f"{target.log_likelihood(tree):.6f}", f"{tree.lengths[1:].sum():.8g}"]
        if self.integral is not None:
            found = self.integral(target, tree)
            fields += [
                f"{found.log_evidence:.{decimals(found.standard_error, 6)}f}",
                f"{found.standard_error:.2g}",
                f"{found.pareto_k:.2f}" if math.isfinite(found.pareto_k) else "NA",
            ]
        return fields + values, note


@dataclass(frozen=True)
class _Integral:
    """Log evidence of a topology and its standard error, by importance draws of the lengths."""

    prior: BranchPrior
    draws: int
    seed: int
    tails: list[float] = field(default_factory=list)  # Pareto k of each tree done

    def __call__(self, target: TreeLikelihood, tree: Tree) -> TopologyEvidence:
        from phylogfn.estimates.lengths.one_topology import topology_evidence
        from phylogfn.likelihood.collapsed import CollapsedReward

        reward = CollapsedReward(target, self.prior, threads=1)
        found = topology_evidence(tree.parent, tree.lengths, reward, self.draws, self.seed)
        reward.pool.shutdown()
        self.tails.append(found.pareto_k)
        return found


def _in_order(
    row: _Row, trees: list[Tree], threads: int | None
) -> Iterator[tuple[list[str], Note | None]]:
    """Fields and notes of the trees in order, several at a time (the kernels free the GIL)."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    workers = min(threads or available, len(trees))
    if workers == 1:
        yield from map(row, trees)
        return
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(row, trees)

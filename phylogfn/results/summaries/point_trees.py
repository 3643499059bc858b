"""Single trees that stand for a posterior: maximum a posteriori, maximum clade credibility.

The maximum a posteriori topology has the highest probability, with the branch lengths integrated
out. The maximum clade credibility topology has the highest product of the posterior probabilities
of its clades (Heled & Bouckaert, BMC Evol. Biol. 13:221, 2013), among the listed topologies and
those of the draws. Where no topology is probable, the first is a choice among many equals, while
the second agrees with most of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phylogfn.results.phylogeny import Phylogeny
from phylogfn.results.posterior_data import PosteriorData, draw_branches, split_table
from phylogfn.results.rounding import decimals
from phylogfn.results.warnings import failure
from phylogfn.trees.consensus import rounded_supports, tree_of_splits, without_supports
from phylogfn.trees.splits import SplitTable, split_incidence, tabulate_splits
from phylogfn.trees.tree import Tree, splits

__all__ = ["map_tree", "mcc_tree"]


def map_tree(posterior: PosteriorData, table: SplitTable | None = None) -> Phylogeny:
    """Return the most probable topology with clade probabilities and mean branch lengths.

    Lengths are averaged over the draws with this topology; if there are none, over those that have
    the clade, and unknown where none has.

    Parameters
    ----------
    posterior : PosteriorData
    table : SplitTable, optional
        Supports and lengths of the splits, if already computed.
    """
    table = split_table(posterior) if table is None else table
    drawn = split_incidence(posterior.draw_parents)
    if posterior.n_topologies:
        best = splits(posterior.topology(0))
    else:
        best = _most_frequent(posterior)
    inside = np.array([split in best for split in drawn.splits], bool)
    counts = np.bincount(drawn.topologies[inside[drawn.columns]], minlength=posterior.n_draws)
    of_best = np.flatnonzero(counts == posterior.n_taxa - 3)
    if len(of_best):
        own = tabulate_splits(posterior.names, draw_branches(posterior, of_best))
        table = replace(table, mean_lengths=own.mean_lengths, sd_lengths=own.sd_lengths)
    return _phylogeny(posterior, table, best, "map")


def mcc_tree(posterior: PosteriorData, table: SplitTable | None = None) -> Phylogeny:
    """Return the maximum clade credibility tree with clade probabilities and mean branch lengths.

    It maximises the sum of the log probabilities of its clades over the listed topologies and those
    of the draws; of equals, the first listed. Each length is averaged over the draws that have the
    clade, as in the consensus tree.

    Parameters
    ----------
    posterior : PosteriorData
    table : SplitTable, optional
        Supports and lengths of the splits, if already computed.
    """
    table = split_table(posterior) if table is None else table
    candidates = np.concatenate([posterior.topology_parents, posterior.draw_parents])
    best = splits(Tree.from_parents(candidates[_most_credible(candidates, table)]))
    return _phylogeny(posterior, table, best, "mcc")


def _most_credible(parents: NDArray[np.int32], table: SplitTable) -> int:
    """Return the index of the topology whose clades have the largest product of probabilities."""
    found = split_incidence(parents)
    p = np.array([table.supports.get(split, 0.0) for split in found.splits])
    log_p = np.log(p, out=np.full(len(p), -np.inf), where=p > 0.0)
    scores = np.bincount(found.topologies, log_p[found.columns], minlength=len(parents))
    # sums of equal terms in another order differ in their last digits
    return int(np.flatnonzero(scores >= scores.max() - 1e-9)[0])


def _most_frequent(posterior: PosteriorData) -> set[int]:
    counts: dict[frozenset[int], int] = {}
    for row in posterior.draw_parents:
        key = frozenset(splits(Tree.from_parents(row)))
        counts[key] = counts.get(key, 0) + 1
    return set(max(counts, key=lambda key: counts[key]))


def _phylogeny(posterior: PosteriorData, table: SplitTable, best: set[int], name: str) -> Phylogeny:
    tree = tree_of_splits(table, {split: table.supports.get(split, 0.0) for split in best})
    failed = failure(posterior)
    if failed is not None:
        tree = without_supports(tree)
    else:
        tree = rounded_supports(tree, lambda error: max(decimals(error), 2))
    found = Phylogeny(posterior.names, tree, warning=failed, label=name)
    if posterior.outgroup is not None:
        return found.rooted_at(posterior.outgroup.names, nearest=True)
    return found

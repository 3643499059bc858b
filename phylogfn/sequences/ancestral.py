"""Ancestral sequences averaged over a posterior of trees.

The ancestor of a clade is the node at the end of its branch, on the side of the clade. The
probabilities of its states at a site (`phylogfn.sequences.node_states`) are averaged over the draws
whose tree contains the clade, and so over the uncertainty of the rest of the tree, of branch
lengths and of the parameters (Huelsenbeck & Bollback, Syst. Biol. 50:351, 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phylogfn.sequences.node_states import node_state_probabilities
from phylogfn.trees.tree import node_splits

if TYPE_CHECKING:
    from phylogfn.models import SiteModel
    from phylogfn.sequences.named_clades import NamedClade
    from phylogfn.trees.tree import Tree

__all__ = ["THRESHOLD", "AncestralPart", "AncestralSequence", "AncestralSequences", "reconstruct"]

THRESHOLD = 0.8  # probability below which a sequence has no state
FEWEST = 20  # draws, even if the time is up


@dataclass(frozen=True, eq=False)
class AncestralPart:
    """Columns of an alignment that evolve by one model.

    Attributes
    ----------
    masks : ndarray, shape (n, P), uint32
        The distinct columns: possible states of each taxon.
    site_to_pattern : ndarray, shape (n_sites,), int
        The column of each site.
    numbers : ndarray, shape (n_sites,), int
        Numbers of the sites in the file, from 1.
    states : str
        The states, a character each.
    unknown : str
        The character of a state that is not known.
    """

    masks: NDArray[np.uint32]
    site_to_pattern: NDArray[np.int32]
    numbers: NDArray[np.int64]
    states: str
    unknown: str


@dataclass(frozen=True, eq=False)
class AncestralSequence:
    """Probabilities of the states of the ancestor of a clade.

    Attributes
    ----------
    clade : NamedClade
    n_draws : int
        Number of draws that contain the clade, of those that were used.
    probabilities : tuple of ndarray, shape (n_sites, K)
        For each part, at its sites; empty if no draw contains the clade.
    """

    clade: NamedClade
    n_draws: int
    probabilities: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, eq=False)
class AncestralSequences:
    """Ancestral sequences of several clades.

    Attributes
    ----------
    sequences : tuple of AncestralSequence
    parts : tuple of AncestralPart
    n_used : int
        Number of draws that were used.
    """

    sequences: tuple[AncestralSequence, ...]
    parts: tuple[AncestralPart, ...]
    n_used: int

    def text(self, sequence: AncestralSequence, threshold: float = THRESHOLD) -> str:
        """Return the most probable states, in the order of the sites in the file.

        Sites whose most probable state is less probable than the threshold have the character for
        an unknown state.
        """
        numbers = np.concatenate([part.numbers for part in self.parts])
        letters = []
        for part, p in zip(self.parts, sequence.probabilities, strict=True):
            best = np.array(list(part.states))[p.argmax(axis=1)]
            letters.append(np.where(p.max(axis=1) >= threshold, best, part.unknown))
        return "".join(np.concatenate(letters)[np.argsort(numbers, kind="stable")])


def reconstruct(
    clades: Sequence[NamedClade],
    parts: Sequence[AncestralPart],
    tree_of_draw: Callable[[int], Tree],
    models_of_draw: Callable[[int], Sequence[SiteModel]],
    n_draws: int,
    until: Callable[[int], bool] = lambda done: False,
) -> AncestralSequences:
    """Return the ancestral sequences of clades, averaged over draws from a posterior.

    Parameters
    ----------
    clades : sequence of NamedClade
    parts : sequence of AncestralPart
    tree_of_draw, models_of_draw : callable
        Tree with branch lengths, and model of each part, of a draw by its number.
    n_draws : int
        Draws 0, 1, ... are independent and equally weighted.
    until : callable
        Called with the number of draws used so far; ends the average when it returns True, but not
        before `FEWEST` draws.
    """
    sums = [[np.zeros((len(part.states), part.masks.shape[1])) for part in parts] for _ in clades]
    counts = np.zeros(len(clades), np.int64)
    used = 0
    for draw in range(n_draws):
        if draw >= FEWEST and until(draw):
            break
        used += 1
        tree = tree_of_draw(draw)
        places = _ancestors(tree, clades)
        held = [i for i, node in enumerate(places) if node >= 0]
        if not held:
            continue
        nodes = sorted({places[i] for i in held})
        counts[held] += 1
        for k, (part, model) in enumerate(zip(parts, models_of_draw(draw), strict=True)):
            found = node_state_probabilities(tree, part.masks, model, nodes)
            for i in held:
                sums[i][k] += found[nodes.index(places[i])]
    sequences = []
    for clade, count, own in zip(clades, counts.tolist(), sums, strict=True):
        probabilities = tuple(
            (total / count).T[part.site_to_pattern]
            for part, total in zip(parts, own, strict=True)
            if count
        )
        sequences.append(AncestralSequence(clade, count, probabilities))
    return AncestralSequences(tuple(sequences), tuple(parts), used)


def _ancestors(tree: Tree, clades: Sequence[NamedClade]) -> list[int]:
    """Return the ancestor of each clade in a tree; -1 if the tree does not contain the clade."""
    n = tree.n_taxa
    below = {mask: node for node, mask in enumerate(node_splits(tree)) if node}
    found = []
    for clade in clades:
        mask = sum(1 << taxon for taxon in clade.taxa)
        if mask & 1:  # the branch is that of the other taxa, and the clade at its upper end
            node = below.get(mask ^ ((1 << n) - 1), -1)
            found.append(int(tree.parent[node]) if node >= 0 else -1)
        else:
            found.append(below.get(mask, -1))
    return found

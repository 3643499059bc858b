"""A tree with its taxa, and its forms in other packages: ETE, Biopython, DendroPy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gfncore.errors import UserError
from phylogfn.trees.consensus import ConsensusTree, consensus_newick, consensus_nexus
from phylogfn.trees.rooting import outgroup_taxa, root_at_outgroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from Bio.Phylo.BaseTree import Tree as BiopythonTree
    from dendropy import Tree as DendropyTree
    from ete3 import Tree as EteTree

__all__ = ["Phylogeny", "newick_with_warning", "nexus_with_warning"]

_EXTRAS = {"ete3": ("ETE 3", "ete"), "dendropy": ("DendroPy", "dendropy")}


@dataclass(frozen=True)
class Phylogeny:
    """A phylogenetic tree: a consensus with clade probabilities, or a draw from a posterior.

    Branch lengths are expected substitutions per site. ``str(phylogeny)`` is its Newick text.

    Parameters
    ----------
    names : tuple of str
        The taxa, exactly as in the input.
    tree : ConsensusTree
        Its leaves are numbers of taxa.
    rooted : bool
        Whether the base is a root; otherwise its position has no meaning.
    exact : bool
        Whether branch lengths are written with enough digits for exact reading, instead of eight
        digits.
    warning : str, optional
        Added to Newick and NEXUS text as a comment if the tree is not a reliable result.
    label : str, optional
        Name of the tree in NEXUS text. Default: that of a majority-rule consensus.

    Examples
    --------
    >>> from phylogfn.trees.consensus import ConsensusTree
    >>> base = ConsensusTree((-1, 0, 0, 0, 3, 3), (None, 0, 1, None, 2, 3), (None,) * 6,
    ...                      (None,) * 6, (None, None, None, 0.875, None, None))
    >>> print(Phylogeny(("a", "b", "c", "d"), base))
    (a,b,(c,d)0.875);
    >>> print(Phylogeny(("a", "b", "c", "d"), base).rooted_at(["c", "d"]))
    ((a,b)0.875,(c,d)0.875);
    """

    names: tuple[str, ...]
    tree: ConsensusTree
    rooted: bool = False
    exact: bool = False
    warning: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        return self.newick()

    def rooted_at(self, outgroup: str | Sequence[str], *, nearest: bool = False) -> Phylogeny:
        """Return the tree rooted in the middle of the branch to an outgroup.

        Parameters
        ----------
        outgroup : str or sequence of str
            A taxon, or the taxa of a clade.
        nearest : bool
            If the taxa are not a clade of this tree, root it on the branch that separates most of
            them (`phylogfn.trees.rooting.root_at_outgroup`).

        Raises
        ------
        UserError
            A taxon is unknown, or the taxa are not a clade of this tree and `nearest` is False.
        """
        given = [outgroup] if isinstance(outgroup, str) else list(map(str, outgroup))
        taxa = outgroup_taxa(given, self.names, "outgroup")
        tree = root_at_outgroup(self.tree, taxa, nearest=nearest)
        if tree is None:
            raise UserError(
                f"outgroup: the {len(taxa)} taxa are not a clade of the tree; give one taxon, or "
                "the taxa of a clade"
            )
        return replace(self, tree=tree, rooted=True)

    def newick(self) -> str:
        """Return Newick text; clade probabilities are the labels of inner nodes."""
        return newick_with_warning(
            consensus_newick(self.tree, self.names, exact=self.exact), self.warning
        )

    def nexus(self) -> str:
        """Return NEXUS text with the annotations that FigTree shows."""
        text = consensus_nexus(self.tree, self.names, rooted=self.rooted, label=self.label)
        return nexus_with_warning(text, self.warning)

    def to_ete3(self) -> EteTree:
        """Return a tree of ETE 3; clade probabilities are its supports, NaN where unknown.

        Raises
        ------
        UserError
            ETE 3 is not installed.
        """
        ete3 = _import("ete3")
        nodes = [ete3.Tree(dist=0.0)]
        for node, above in enumerate(self.tree.parent[1:], 1):
            taxon, support = self.tree.taxon[node], self.tree.supports[node]
            here = nodes[above].add_child(
                name="" if taxon is None else self.names[taxon], dist=self.tree.lengths[node]
            )
            if taxon is None:
                here.support = math.nan if support is None else support
            nodes.append(here)
        return nodes[0]

    def to_biopython(self) -> BiopythonTree:
        """Return a tree of Biopython; clade probabilities are its confidences."""
        from Bio.Phylo.BaseTree import Clade, Tree

        nodes = [Clade()]
        for node, above in enumerate(self.tree.parent[1:], 1):
            taxon = self.tree.taxon[node]
            here = Clade(
                branch_length=self.tree.lengths[node],
                name=None if taxon is None else self.names[taxon],
                confidence=self.tree.supports[node],
            )
            nodes[above].clades.append(here)
            nodes.append(here)
        return Tree(nodes[0], rooted=self.rooted)

    def to_dendropy(self) -> DendropyTree:
        """Return a tree of DendroPy; clade probabilities are the labels of its inner nodes.

        Raises
        ------
        UserError
            DendroPy is not installed.
        """
        dendropy = _import("dendropy")
        return dendropy.Tree.get(
            data=consensus_newick(self.tree, self.names, exact=self.exact),
            schema="newick",
            preserve_underscores=True,
            rooting="force-rooted" if self.rooted else "force-unrooted",
        )


def _import(module: str) -> Any:
    """Import and return an optional package; the error says how to install it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        name, extra = _EXTRAS[module]
        raise UserError(
            f"{name} is not installed; in a clone of phylogfn: pip install '.[{extra}]'"
        ) from None


def newick_with_warning(newick: str, warning: str | None) -> str:
    """Return a Newick tree with a warning as a comment of its root.

    The comment has the form of the New Hampshire X format, ``[&&NHX:warning=...]``, and precedes
    the semicolon: some readers fail on comments of another form or at other positions.
    """
    if warning is None:
        return newick
    plain = re.sub(r"[\[\]:;=,()&']+", "", warning)
    return f"{newick.removesuffix(';')}[&&NHX:warning={plain}];"


def nexus_with_warning(text: str, warning: str | None) -> str:
    """Return NEXUS text with a warning as a comment on its second line."""
    if warning is None:
        return text
    head, rest = text.split("\n", 1)
    return f"{head}\n[Warning: {warning}]\n{rest}"

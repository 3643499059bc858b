"""``phylogfn consensus``: the consensus of many trees."""

from __future__ import annotations

from gfncore.program.command_line import Flag, InputFile

__all__ = ["consensus"]


def consensus(
    *trees: InputFile, burnin: float = 0.0, strict: Flag = False, nexus: Flag = False
) -> None:
    """Print the majority-rule consensus of trees, with clade supports and mean branch lengths.

    Several files are pooled with equal weights. All trees of a file are used
    unless --burnin is given.

    **Examples**

    ```
    phylogfn consensus out/trees.nwk > consensus.nwk
    phylogfn consensus mrbayes.run1.t mrbayes.run2.t --burnin 0.25 --nexus > consensus.con.tre
    ```

    Parameters
    ----------
    trees
        Files of trees: Newick, NEXUS (including MrBayes .t and .trprobs), topologies.tsv; `-` is
        standard input.
    burnin
        Fraction of trees to discard at the start of each file, for samples of a Markov chain; of
        weighted trees, all are used.
    strict
        Print the strict consensus: only clades that are in all trees.
    nexus
        Print NEXUS with clade probabilities for FigTree instead of plain Newick.
    """
    import math

    from gfncore.errors import UserError
    from phylogfn.cli.tree_notes import show_notes
    from phylogfn.trees.consensus import consensus_newick, consensus_nexus, consensus_tree
    from phylogfn.trees.samples import read_tree_sample
    from phylogfn.trees.splits import tabulate_splits

    if not trees:
        raise UserError("consensus needs at least one tree file (found none)")
    first = read_tree_sample(trees[0], burnin=burnin)
    samples = [first, *(read_tree_sample(path, first.names, burnin=burnin) for path in trees[1:])]
    show_notes(samples)
    pooled = (
        (weight / total, branches)
        for sample in samples
        for total in [math.fsum(sample.weights)]
        for weight, branches in zip(sample.weights, sample.branches, strict=True)
    )
    table = tabulate_splits(first.names, pooled)
    root = consensus_tree(table, strict=strict)
    if nexus:
        print(consensus_nexus(root, table.names, strict=strict), end="")
    else:
        print(consensus_newick(root, table.names))

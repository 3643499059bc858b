"""``phylogfn consensus``: one tree for many."""

from __future__ import annotations

from gfncore.program.command_line import Flag, InputFile

__all__ = ["consensus"]


def consensus(
    *trees: InputFile, burnin: float = 0.0, strict: Flag = False, nexus: Flag = False
) -> None:
    """Print the majority-rule consensus of trees, with supports and mean branch lengths.

    Several files are pooled, each with the same weight. All trees of a file are used, whatever
    its name, unless --burnin is given.

    **Examples**

    ```
    phylogfn consensus out/trees.nwk > consensus.nwk
    phylogfn consensus mrbayes.run1.t mrbayes.run2.t --burnin 0.25 --nexus > consensus.con.tre
    ```

    Parameters
    ----------
    trees
        Files of trees: Newick, NEXUS (MrBayes .t and .trprobs too), topologies.tsv; `-` is
        standard input.
    burnin
        Share of the trees left out at the start of each file, for samples of a Markov chain;
        weighted trees are all used.
    strict
        Keep the clades that all trees hold, not those of more than half.
    nexus
        Print NEXUS that FigTree shows with clade probabilities, not plain Newick.
    """
    import math

    from gfncore.errors import UserError
    from phylogfn.cli.tree_notes import show_notes
    from phylogfn.trees.consensus import consensus_newick, consensus_nexus, consensus_tree
    from phylogfn.trees.samples import read_tree_sample
    from phylogfn.trees.splits import tabulate_splits

    if not trees:
        raise UserError("consensus needs a file of trees")
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

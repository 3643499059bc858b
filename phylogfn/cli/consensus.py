"""``phylogfn consensus``: the consensus of many trees."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gfncore.program.command_line import Flag, InputFile

__all__ = ["consensus"]


def consensus(
    *trees: InputFile,
    burnin: float = 0.0,
    outgroup: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    strict: Flag = False,
    nexus: Flag = False,
) -> None:
    """Print the majority-rule consensus of trees, with clade supports and mean branch lengths.

    Several files are pooled with equal weights. All trees of a file are used
    unless --burnin is given.

    **Examples**

    ```
    phylogfn consensus out/trees.nwk > consensus.nwk
    phylogfn consensus out/trees.nwk --outgroup Lemur_catta,Tarsius_syrichta
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
    outgroup
        Taxa of the outgroup, separated by commas, or the option repeated: the tree is rooted on its
        branch, or on the branch that separates most of it. Default: unrooted.
    strict
        Print the strict consensus: only clades that are in all trees.
    nexus
        Print NEXUS with clade probabilities for FigTree instead of plain Newick.
    """
    import math

    from gfncore.errors import UserError
    from gfncore.program.messages import say
    from phylogfn.cli.tree_notes import show_notes
    from phylogfn.trees.consensus import consensus_newick, consensus_nexus, consensus_tree
    from phylogfn.trees.rooting import outgroup_split, outgroup_taxa, root_at_outgroup
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
    if outgroup:
        taxa = outgroup_taxa(outgroup, table.names, "--outgroup")
        rooted = root_at_outgroup(root, taxa)
        if rooted is None:
            rooted = root_at_outgroup(root, taxa, nearest=True)
            support = table.supports.get(outgroup_split(taxa, table.n_taxa), 0.0)
            say(
                f"phylogfn: warning: the outgroup is not a clade of the consensus (it is one in "
                f"{100 * support:.1f} % of the trees); the root is on the branch that separates "
                "most of it"
            )
        assert rooted is not None
        root = rooted
    if nexus:
        print(
            consensus_nexus(root, table.names, strict=strict, rooted=bool(outgroup)),
            end="",
        )
    else:
        print(consensus_newick(root, table.names))

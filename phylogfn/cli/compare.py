"""``phylogfn compare``: do sets of trees agree?"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from gfncore.program.command_line import InputFile

__all__ = ["compare"]


def compare(
    *trees: InputFile,
    burnin: float = 0.0,
    minimum: Annotated[float, Parameter(name="--min-frequency")] = 0.10,
) -> None:
    """Compare two or more sets of trees of the same taxa.

    Prints the number of trees of each file, the average standard deviation of split frequencies
    (ASDSF; below 0.01 the sets agree well), the largest difference in the frequency of a split,
    and the Robinson-Foulds distance between the majority-rule consensus trees. All trees of a file
    are used unless --burnin is given.

    **Examples**

    ```
    phylogfn compare mrbayes.run1.t mrbayes.run2.t --burnin 0.25
    phylogfn compare out/topologies.tsv mrbayes.run1.t --burnin 0.25
    phylogfn compare seed1/topologies.tsv seed2/topologies.tsv
    ```

    Parameters
    ----------
    trees
        Two or more files: Newick, NEXUS (including MrBayes .t and .trprobs), topologies.tsv; `-` is
        standard input.
    burnin
        Fraction of trees to discard at the start of each file, for samples of a Markov chain; of
        weighted trees, all are used.
    minimum
        Minimum frequency that a split must reach in at least one file to count in the ASDSF.
    """
    from itertools import combinations

    from gfncore.errors import UserError
    from phylogfn.cli.tree_notes import show_notes
    from phylogfn.trees.comparison import (
        asdsf,
        largest_split_difference,
        mean_robinson_foulds,
        robinson_foulds_splits,
        split_names,
    )
    from phylogfn.trees.consensus import consensus_splits
    from phylogfn.trees.samples import read_tree_sample

    if not 0.0 <= minimum <= 1.0:
        raise UserError(f"--min-frequency {minimum:g} is not a frequency; give a value from 0 to 1")
    if len(trees) < 2:
        raise UserError(f"compare needs at least two tree files (found {len(trees)})")
    if not 0.0 <= minimum <= 1.0:
        raise UserError(f"--min-frequency {minimum:g} is not a frequency; give a value from 0 to 1")
    first = read_tree_sample(trees[0], burnin=burnin)
    samples = [first, *(read_tree_sample(path, first.names, burnin=burnin) for path in trees[1:])]
    show_notes(samples)
    tables = [sample.split_table() for sample in samples]
    runs = [table.supports for table in tables]

    print("file\ttrees\tused\ttopologies")
    for sample in samples:
        used, topologies = len(sample.branches), len(sample.topology_weights())
        print(f"{sample.source}\t{sample.n_read}\t{used}\t{topologies}")
    print()
    value = asdsf(runs, minimum)
    if value == value:
        print(f"asdsf\t{value:.6f}")
    else:
        print(f"asdsf\tNA (no split reaches a frequency of {minimum:g} in any file)")
    worst = largest_split_difference(runs)
    if worst is None:
        print("largest_split_difference\tNA (no splits)")
    else:
        frequencies = ", ".join(f"{run.get(worst.split, 0.0):.4f}" for run in runs)
        print(
            f"largest_split_difference\t{worst.difference:.6f}\t{frequencies}"
            f"\t{split_names(worst.split, first.names)}"
        )
    consensus = [set(consensus_splits(table)) for table in tables]
    for one, other in combinations(range(len(samples)), 2):
        pair = f"{samples[one].source}\t{samples[other].source}"
        print(f"rf_consensus\t{robinson_foulds_splits(consensus[one], consensus[other])}\t{pair}")
        print(f"rf_mean\t{mean_robinson_foulds(runs[one], runs[other]):.4f}\t{pair}")

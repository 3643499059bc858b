"""Time of the message-passing network, beside a network of PyTorch Geometric's `RGCNConv`.

    python -m benchmarks.gfncore.backbone
    python -m benchmarks.gfncore.backbone --quick

Both networks have the same weights; before anything is timed, their outputs must agree. Graphs are
drug-like molecules (atoms and bonds by order, three rounds) and random trees (two relations, up and
down, two rounds), as many as a step of training has. A round is a forward and a backward pass of
each network, in turn, in processor time; figures are medians of the ratios of the rounds, with the
lowest and the highest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rdkit import Chem
from torch_geometric.nn import RGCNConv

from benchmarks.machine import markdown_table, measured_on
from benchmarks.molecules import draw_molecules
from gfncore.graph_batch import GraphBatch
from gfncore.policies.backbone import Backbone
from phylogfn.trees.tree import random_topology

FEATURES = 16
AGREE = 1e-4  # largest difference of the outputs, in float32
SMALLEST, LARGEST = 12, 32  # heavy atoms
N_TAXA = 21


class LayerBackbone(Backbone):
    """The same network with PyTorch Geometric's layers and the weights of another."""

    def __init__(self, other: Backbone, features: int) -> None:
        super().__init__(features, 1, other.relations, other.hidden, len(other.own))
        self.load_state_dict(other.state_dict())
        r, h = self.relations, self.hidden
        self.layers = torch.nn.ModuleList()
        for own, messages in zip(other.own, other.messages, strict=True):
            layer = RGCNConv(h, h, r, aggr="sum")
            values = own.state_dict()
            relations = messages.state_dict()["weight"].T.reshape(r, h, h)
            layer.load_state_dict(
                {"weight": relations, "root": values["weight"].T, "bias": values["bias"]}
            )
            self.layers.append(layer)

    def forward(self, graph: GraphBatch, added: torch.Tensor | None = None) -> torch.Tensor:
        """Return the embeddings of the nodes, float32 (N, H)."""
        shift = self.types(graph.graph_type).index_select(0, graph.node_graph)
        h = torch.relu(self.inputs(graph.node_features) + shift)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            h = h + torch.relu(norm(layer(h, graph.edge_index, graph.edge_type)))
        return h


def batch_of(edges: list[np.ndarray], sizes: list[int]) -> GraphBatch:
    """One batch of graphs, each given by (source, target, relation) rows and its nodes."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rows = np.concatenate([e + [s, s, 0] for e, s in zip(edges, starts, strict=True)])
    none = torch.zeros(0, dtype=torch.int64)
    return GraphBatch(
        node_features=torch.randn(sum(sizes), FEATURES),
        node_graph=torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)),
        graph_type=torch.zeros(len(sizes), dtype=torch.int64),
        edge_index=torch.from_numpy(np.ascontiguousarray(rows[:, :2].T)),
        edge_type=torch.from_numpy(np.ascontiguousarray(rows[:, 2])),
        action_state=none,
        action_index=none,
    )


def molecules(count: int) -> GraphBatch:
    """Drug-like molecules; relations are the bond orders."""
    edges, sizes = [], []
    for molecule in draw_molecules(count, SMALLEST, LARGEST):
        Chem.Kekulize(molecule, clearAromaticFlags=True)
        bonds = [
            (ends[i], ends[1 - i], int(bond.GetBondTypeAsDouble()) - 1)
            for bond in molecule.GetBonds()
            for ends in [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())]
            for i in (0, 1)
        ]
        edges.append(np.array(bonds))
        sizes.append(molecule.GetNumAtoms())
    return batch_of(edges, sizes)


def trees(count: int) -> GraphBatch:
    """Random topologies; relations are from parent to child and back."""
    rng = np.random.default_rng(1)
    edges = []
    for _ in range(count):
        parent = random_topology(N_TAXA, rng).parent
        child = np.flatnonzero(parent >= 0)
        up = np.stack([child, parent[child], np.zeros_like(child)], axis=1)
        down = np.stack([parent[child], child, np.ones_like(child)], axis=1)
        edges.append(np.concatenate([up, down]).astype(np.int64))
    return batch_of(edges, [2 * N_TAXA - 2] * count)


def ratios(graph: GraphBatch, relations: int, n_layers: int, rounds: int) -> list[float]:
    """Processor time of PyTorch Geometric's layers over that of `Backbone`, by round."""
    torch.manual_seed(1)
    ours = Backbone(FEATURES, 1, relations, rounds=n_layers)
    theirs = LayerBackbone(ours, FEATURES)
    difference = float((ours(graph) - theirs(graph)).detach().abs().max())
    if difference > AGREE:
        sys.exit(f"the networks disagree by {difference:g}")

    def seconds(network: Callable[[GraphBatch], torch.Tensor]) -> float:
        began = time.process_time()
        network(graph).square().mean().backward()
        return time.process_time() - began

    for network in (ours, theirs):
        seconds(network)
    return [seconds(theirs) / seconds(ours) for _ in range(rounds)]


def main() -> None:
    """Check, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few graphs, 3 rounds")
    options = parser.parse_args()
    few = 10 if options.quick else 1
    rounds = 3 if options.quick else options.rounds
    torch.set_num_threads(options.threads)
    rows = []
    for name, make, count, relations, n_layers in (
        ("molecules", molecules, 180, 3, 3),
        ("trees", trees, 500, 2, 2),
        ("trees", trees, 2000, 2, 2),
    ):
        graph = make(count // few)
        found = ratios(graph, relations, n_layers, rounds)
        n_nodes = len(graph.node_features)
        spread = f"{min(found):.2f}-{max(found):.2f}"
        rows.append(
            [f"{count // few:,} {name}", f"{n_nodes:,}", f"{statistics.median(found):.2f}", spread]
        )
    words = [Path(sys.executable).name, "-m", "benchmarks.gfncore.backbone", *sys.argv[1:]]
    print(measured_on(words))
    print(f"{rounds} rounds, {options.threads} threads. The outputs agree.\n")
    print(markdown_table(["graphs", "nodes", "time of RGCNConv / ours", "lowest-highest"], rows))


if __name__ == "__main__":
    main()

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from gfncore.errors import UserError
from molgen.molecules.graph import FINISHED, AtomTable, GraphStates, canonical_states, state_keys


def random_graphs(n_graphs, width, rng, colours=2, orders=2):
    """Padded arrays of random simple graphs in random numbering."""
    room = width * (width - 1) // 2
    colour = np.full((n_graphs, width), -1, np.int16)
    edges = np.full((n_graphs, room, 3), -1, np.int16)
    n_nodes = rng.integers(0, width + 1, n_graphs).astype(np.int16)
    n_edges = np.zeros(n_graphs, np.int16)
    for i, n in enumerate(n_nodes):
        colour[i, :n] = rng.integers(0, colours, n)
        for u in range(n):
            for v in range(u + 1, n):
                if rng.random() < 0.4:
                    edges[i, n_edges[i]] = u, v, rng.integers(1, orders + 1)
                    n_edges[i] += 1
    stage = rng.integers(0, 2, n_graphs).astype(np.int8)
    mark = np.where((stage == 1) & (n_nodes > 0), rng.integers(0, np.maximum(n_nodes, 1)), -1)
    return colour, n_nodes, edges, n_edges, stage, mark.astype(np.int16)


def renumbered(graphs, rng):
    """The same graphs, their nodes and edges in another order; and the new number of each node."""
    colour, n_nodes, edges, n_edges, stage, mark = (a.copy() for a in graphs)
    number = np.full(colour.shape, -1)
    for i, n in enumerate(n_nodes):
        p, m = rng.permutation(n), n_edges[i]
        number[i, :n] = p
        colour[i, p] = graphs[0][i, :n]
        rows = graphs[2][i, rng.permutation(m)].copy()
        rows[:, :2] = p[rows[:, :2]] if n else rows[:, :2]
        flipped = rng.random(m) < 0.5
        rows[flipped, :2] = rows[flipped, 1::-1]
        edges[i, :m] = rows
        if mark[i] >= 0:
            mark[i] = p[mark[i]]
    return (colour, n_nodes, edges, n_edges, stage, mark), number


def automorphisms(states, i):
    """All automorphisms of a state, by trying every permutation."""
    n, m = states.n_nodes[i], states.n_edges[i]
    bonds = {(u, v): k for u, v, k in states.edges[i, :m].tolist()}
    found = []
    for p in permutations(range(n)):
        if states.mark[i] >= 0 and p[states.mark[i]] != states.mark[i]:
            continue
        if any(states.colour[i, p[u]] != states.colour[i, u] for u in range(n)):
            continue
        image = {(min(p[u], p[v]), max(p[u], p[v])): k for (u, v), k in bonds.items()}
        if image == bonds:
            found.append(p)
    return found


def test_numbering_does_not_matter():
    rng = np.random.default_rng(1)
    graphs = random_graphs(400, 7, rng)
    states, position = canonical_states(*graphs)
    other, number = renumbered(graphs, rng)
    again, moved = canonical_states(*other)
    for name in ("colour", "n_nodes", "edges", "n_edges", "node_orbit", "edge_orbit", "mark"):
        assert np.array_equal(getattr(states, name), getattr(again, name)), name
    assert np.allclose(states.log_aut, again.log_aut)
    assert np.array_equal(state_keys(states), state_keys(again))
    for i, n in enumerate(graphs[1]):  # positions say where each given node is
        assert sorted(position[i, :n]) == list(range(n))
        assert np.array_equal(states.colour[i, position[i, :n]], graphs[0][i, :n])
        assert np.array_equal(again.colour[i, moved[i, :n]], other[0][i, :n])
        bonds = {(u, v): k for u, v, k in states.edges[i, : states.n_edges[i]].tolist()}
        for u, v, k in graphs[2][i, : graphs[3][i]]:
            p, q = sorted((position[i, u], position[i, v]))
            assert bonds[p, q] == k
        if graphs[5][i] >= 0:
            assert states.mark[i] == position[i, graphs[5][i]]


def test_orbits_and_counts_are_those_of_all_automorphisms():
    rng = np.random.default_rng(2)
    states, _ = canonical_states(*random_graphs(60, 6, rng, colours=1, orders=1))
    for i in range(len(states)):
        group = automorphisms(states, i)
        n, m = states.n_nodes[i], states.n_edges[i]
        assert states.log_aut[i] == pytest.approx(np.log(len(group)))
        orbits = [min(p[u] for p in group) for u in range(n)]
        assert states.node_orbit[i, :n].tolist() == orbits
        rows = {tuple(e): r for r, e in enumerate(states.edges[i, :m, :2].tolist())}
        images = [min(rows[tuple(sorted((p[u], p[v])))] for p in group) for u, v in rows]
        assert states.edge_orbit[i, :m].tolist() == images
        assert (states.edges[i, m:] == -1).all() and (states.colour[i, n:] == -1).all()


def test_a_numbering_does_not_depend_on_the_batch():
    rng = np.random.default_rng(3)
    graphs = random_graphs(50, 6, rng)
    states, _ = canonical_states(*graphs)
    for i in range(len(states)):
        alone, _ = canonical_states(*[a[i : i + 1] for a in graphs])
        assert np.array_equal(alone.colour[0], states.colour[i])
        assert np.array_equal(alone.edges[0], states.edges[i])


def test_keys_tell_everything_apart():
    def state(colours=(0, 1), bonds=((0, 1, 1),), stage=0, mark=-1, width=4):
        colour = np.full((1, width), -1, np.int16)
        edges = np.full((1, width, 3), -1, np.int16)
        colour[0, : len(colours)] = colours
        edges[0, : len(bonds)] = np.reshape(bonds, (-1, 3))
        states, _ = canonical_states(
            colour,
            np.array([len(colours)], np.int16),
            edges,
            np.array([len(bonds)], np.int16),
            np.array([stage], np.int8),
            np.array([mark], np.int16),
        )
        return tuple(state_keys(states)[0].tolist())

    keys = {
        state(),
        state(colours=(0, 0)),
        state(bonds=((0, 1, 2),)),
        state(bonds=()),
        state(colours=(0, 1, 0)),
        state(stage=FINISHED),
        state(stage=1, mark=0),
        state(stage=1, mark=1),
        state(colours=(), bonds=()),
    }
    assert len(keys) == 9
    assert state(width=6) == state()
    assert state(colours=(1, 0)) == state()


def test_take_and_concat():
    states, _ = canonical_states(*random_graphs(20, 5, np.random.default_rng(4)))
    front, back = states.take(np.arange(12)), states.take(np.arange(12, 20))
    assert np.array_equal(state_keys(GraphStates.concat([front, back])), state_keys(states))
    assert len(states.take(np.array([3, 3, 3]))) == 3


def test_atom_tables():
    table = AtomTable.of(["C", "N+", "S6"])
    assert table.atomic_numbers.tolist() == [6, 7, 16]
    assert table.charges.tolist() == [0, 1, 0]
    assert table.valences.tolist() == [4, 4, 6]
    assert not table.is_plain and AtomTable.plain(2, 5).is_plain
    assert AtomTable.plain(2, 5).max_bond_order == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "none is given"), (["C", "Xx"], "'Xx' is not known"), (["C", "C"], "given twice")],
)
def test_wrong_tables_are_told(names, said):
    with pytest.raises(UserError, match=said):
        AtomTable.of(names)

"""Symmetry of coloured graphs, against all permutations and against known graphs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gfncore.symmetry.graphs import (
    ColouredGraphs,
    analyse,
    canonical_graphs,
    pair_orbits,
)
from gfncore.symmetry.permutations_numba import equivalent_to_tried


def batch(graphs, n_room=0, m_room=0):
    """`ColouredGraphs` of (node colours, list of (u, v) or (u, v, colour))."""
    n_room = max([n_room, *(len(colours) for colours, _ in graphs)])
    m_room = max([m_room, *(len(edges) for _, edges in graphs)])
    colours = np.full((len(graphs), n_room), -1, np.int32)
    table = np.full((len(graphs), m_room, 3), -1, np.int32)
    for b, (row, edges) in enumerate(graphs):
        colours[b, : len(row)] = row
        for e, edge in enumerate(edges):
            table[b, e] = edge if len(edge) == 3 else (*edge, 0)
    return ColouredGraphs(
        colours,
        np.array([len(row) for row, _ in graphs], np.int32),
        table,
        np.array([len(edges) for _, edges in graphs], np.int32),
    )


def relabelled(graph, rng):
    """The graph renumbered, with its edges turned round and shuffled; and the numbering."""
    colours, edges = graph
    names = rng.permutation(len(colours))
    new = np.empty(len(colours), int)
    new[names] = colours
    turned = [
        (names[a], names[b], *rest) if rng.random() < 0.5 else (names[b], names[a], *rest)
        for a, b, *rest in edges
    ]
    return (list(new), [turned[i] for i in rng.permutation(len(turned))]), names


def random_graph(rng, n_nodes, density, n_colours, n_edge_colours):
    pairs = itertools.combinations(range(n_nodes), 2)
    edges = [(*p, int(rng.integers(n_edge_colours))) for p in pairs if rng.random() < density]
    return list(rng.integers(n_colours, size=n_nodes)), edges


def canonical(graphs):
    """Canonical forms as hashable objects, with the symmetry."""
    symmetry = analyse(graphs)
    forms = canonical_graphs(graphs, symmetry)
    return symmetry, [
        (
            tuple(forms.colours[b, : forms.n_nodes[b]]),
            tuple(map(tuple, forms.edges[b, : forms.n_edges[b]])),
        )
        for b in range(len(graphs))
    ]


def plain_automorphisms(graph):
    colours, edges = graph
    table = {frozenset(e[:2]): e[2] for e in edges}
    return [
        p
        for p in itertools.permutations(range(len(colours)))
        if all(colours[p[v]] == colours[v] for v in range(len(colours)))
        and all(table.get(frozenset((p[a], p[b]))) == c for a, b, c in edges)
    ]


def plain_form(graph):
    """Smallest form over all numberings: equal for isomorphic graphs alone."""
    colours, edges = graph
    best = None
    for p in itertools.permutations(range(len(colours))):
        row = [0] * len(colours)
        for v, place in enumerate(p):
            row[place] = int(colours[v])
        if best is not None and tuple(row) > best[0]:
            continue
        mapped = sorted((min(p[a], p[b]), max(p[a], p[b]), c) for a, b, c in edges)
        form = (tuple(row), tuple(mapped))
        best = form if best is None else min(best, form)
    return best


CYCLE_6 = [(i, (i + 1) % 6) for i in range(6)]
TRIANGLES = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]
PRISM = [*TRIANGLES, (0, 3), (1, 4), (2, 5)]
K33 = [(i, j) for i in range(3) for j in range(3, 6)]
PETERSEN = [
    (a, b)
    for a, b in itertools.combinations(range(10), 2)
    if not set(list(itertools.combinations(range(5), 2))[a])
    & set(list(itertools.combinations(range(5), 2))[b])
]


def cells_of(n, rule):
    """Graph on the cells of an n by n board, joined by a rule on their differences."""
    cells = list(itertools.product(range(n), range(n)))
    return [
        (a, b)
        for a, b in itertools.combinations(range(n * n), 2)
        if rule((cells[a][0] - cells[b][0]) % n, (cells[a][1] - cells[b][1]) % n)
    ]


ROOK = cells_of(4, lambda x, y: x == 0 or y == 0)
SHRIKHANDE = cells_of(4, lambda x, y: (x, y) in {(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)})


def generalised_petersen(n, step):
    return [
        edge
        for i in range(n)
        for edge in ((i, (i + 1) % n), (i, n + i), (n + i, n + (i + step) % n))
    ]


def from_lcf(jumps, repeats):
    n = len(jumps) * repeats
    edges = {frozenset((i, (i + 1) % n)) for i in range(n)}
    edges |= {frozenset((i, (i + jumps[i % len(jumps)]) % n)) for i in range(n)}
    return [tuple(sorted(edge)) for edge in edges]


def cfi(base, n_base, twist):
    """Cai-Fürer-Immerman graph over a base graph; twisting one base edge changes its class."""
    ends = {v: [e for e, pair in enumerate(base) if v in pair] for v in range(n_base)}
    names = {}
    edges = []
    for v in range(n_base):
        for chosen in itertools.product((0, 1), repeat=len(ends[v])):
            if sum(chosen) % 2 == 0:
                middle = names.setdefault((v, chosen), len(names))
                for e, side in zip(ends[v], chosen, strict=True):
                    edges.append((middle, names.setdefault((v, e, side), len(names))))
    for e, (a, b) in enumerate(base):
        for side in (0, 1):
            other = side ^ (twist and e == 0)
            edges.append((names[a, e, side], names[b, e, other]))
    return [0] * len(names), edges


def steiner_lines(n):
    """Incidence graph of points and lines of the projective plane over the integers modulo n."""
    points = [
        p for p in itertools.product(range(n), repeat=3) if any(p) and next(x for x in p if x) == 1
    ]
    return 2 * len(points), [
        (i, len(points) + j)
        for i, p in enumerate(points)
        for j, q in enumerate(points)
        if sum(x * y for x, y in zip(p, q, strict=True)) % n == 0
    ]


STORED_KEYS = np.array(
    [
        [11221442381593469136, 17953138718923079361],
        [6685503079849837688, 212477688832015099],
    ],
    np.uint64,
)
KNOWN = {
    "no nodes": (0, [], 1),
    "one node": (1, [], 1),
    "no edges, 60 nodes": (60, [], math.factorial(60)),
    "star": (60, [(0, i) for i in range(1, 60)], math.factorial(59)),
    "complete": (20, list(itertools.combinations(range(20), 2)), math.factorial(20)),
    "path": (60, [(i, i + 1) for i in range(59)], 2),
    "cycle": (60, [(i, (i + 1) % 60) for i in range(60)], 120),
    "20 triangles": (
        60,
        [(3 * i + a, 3 * i + b) for i in range(20) for a, b in ((0, 1), (1, 2), (0, 2))],
        math.factorial(20) * 6**20,
    ),
    "prism": (6, PRISM, 12),
    "K33": (6, K33, 72),
    "Petersen": (10, PETERSEN, 120),
    "rook": (16, ROOK, 1152),
    "Shrikhande": (16, SHRIKHANDE, 192),
    "dodecahedron": (20, generalised_petersen(10, 2), 120),
    "Desargues": (20, generalised_petersen(10, 3), 240),
    "Heawood": (14, from_lcf([5, -5], 7), 336),
    "Pappus": (18, from_lcf([5, 7, -7, 7, -7, -5], 3), 216),
    "McGee": (24, from_lcf([12, 7, -7], 8), 32),
    "Tutte 8-cage": (30, from_lcf([-13, -9, 7, -7, 9, 13], 5), 1440),
    "Frucht": (12, from_lcf([-5, -2, -4, 2, 5, -2, 2, 5, -2, -5, 4, 2], 1), 1),
    "Gray": (54, from_lcf([-25, 7, -7, 13, -13, 25], 9), 1296),
    "5-cube": (32, [(a, a ^ 1 << k) for a in range(32) for k in range(5) if not a >> k & 1], 3840),
    "projective plane of order 3": (*steiner_lines(3), 11232),
    "two prisms": (12, [*PRISM, *((a + 6, b + 6) for a, b in PRISM)], 288),
    "prism and K33": (12, [*PRISM, *((a + 6, b + 6) for a, b in K33)], 864),
    "five prisms and five K33": (
        60,
        [(a + 6 * i, b + 6 * i) for i in range(10) for a, b in (PRISM if i % 2 else K33)],
        math.factorial(5) ** 2 * 12**5 * 72**5,
    ),
    "rook and Shrikhande": (
        32,
        [*SHRIKHANDE, *((a + 16, b + 16) for a, b in ROOK)],
        1152 * 192,
    ),
}


@pytest.fixture(scope="module")
def small_graphs():
    rng = np.random.default_rng(1)
    return [
        random_graph(rng, n, density, n_colours, n_edge_colours)
        for n in range(7)
        for density in (0.2, 0.5, 0.8)
        for n_colours, n_edge_colours in ((1, 1), (1, 2), (2, 1), (2, 3))
        for _ in range(1 if n < 3 else 2)
    ] + [random_graph(rng, 7, 0.4, 1, 1), ([0] * 6, CYCLE_6), ([0] * 7, [(0, 6)])]


def test_small_graphs_against_all_permutations(small_graphs):
    small_graphs = [(c, [(*e, 0)[:3] for e in edges]) for c, edges in small_graphs]
    graphs = batch(small_graphs)
    symmetry = analyse(graphs)
    pairs = pair_orbits(graphs)
    width = graphs.colours.shape[1]
    for b, (colours, edges) in enumerate(small_graphs):
        n, m = len(colours), len(edges)
        group = plain_automorphisms((colours, edges))
        assert symmetry.automorphisms()[b] == len(group)
        rows = {frozenset(e[:2]): i for i, e in enumerate(edges)}
        np.testing.assert_array_equal(
            symmetry.node_orbits[b, :n], [min(p[v] for p in group) for v in range(n)]
        )
        np.testing.assert_array_equal(
            symmetry.edge_orbits[b, :m],
            [min(rows[frozenset((p[u], p[v]))] for p in group) for u, v, _ in edges],
        )
        expected = np.full((width, width), -1)
        for u, v in itertools.permutations(range(n), 2):
            images = [sorted((p[u], p[v])) for p in group]
            expected[u, v] = min(x * width + y for x, y in images)
        np.testing.assert_array_equal(pairs[b], expected)
        assert sorted(symmetry.position[b, :n]) == list(range(n))
        assert (symmetry.position[b, n:] == -1).all()
        assert (symmetry.node_orbits[b, n:] == -1).all()
        assert (symmetry.edge_orbits[b, m:] == -1).all()


def test_keys_and_forms_are_equal_for_isomorphic_graphs_alone():
    rng = np.random.default_rng(2)
    graphs = [
        random_graph(rng, n, density, 2, 2)
        for n in (3, 4, 5)
        for density in (0.3, 0.7)
        for _ in range(60)
    ]
    symmetry, forms = canonical(batch(graphs))
    plain = [plain_form(graph) for graph in graphs]
    classes = len(set(plain))
    assert 100 < classes < len(graphs)
    keys = [tuple(key) for key in symmetry.keys.tolist()]
    assert len(set(keys)) == len(set(forms)) == classes
    assert len(set(zip(plain, keys, forms, strict=True))) == classes


@pytest.mark.parametrize("name", KNOWN)
def test_known_graphs(name):
    n, edges, expected = KNOWN[name]
    rng = np.random.default_rng(3)
    graph = ([0] * n, edges)
    copies = [graph, *(relabelled(graph, rng)[0] for _ in range(6))]
    symmetry, forms = canonical(batch(copies))
    assert symmetry.automorphisms() == [expected] * 7
    np.testing.assert_allclose(symmetry.log_automorphisms(), math.log(expected), rtol=1e-12)
    assert len(set(forms)) == len(np.unique(symmetry.keys, axis=0)) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(([0] * 6, CYCLE_6), ([0] * 6, TRIANGLES), id="hexagon, triangles"),
        pytest.param(([0] * 6, PRISM), ([0] * 6, K33), id="prism, K33"),
        pytest.param(([0] * 16, ROOK), ([0] * 16, SHRIKHANDE), id="rook, Shrikhande"),
        pytest.param(
            ([0] * 20, generalised_petersen(10, 2)),
            ([0] * 20, generalised_petersen(10, 3)),
            id="dodecahedron, Desargues",
        ),
        pytest.param(
            cfi(list(itertools.combinations(range(4), 2)), 4, False),
            cfi(list(itertools.combinations(range(4), 2)), 4, True),
            id="Cai-Fürer-Immerman over K4",
        ),
        pytest.param(
            cfi(K33, 6, False), cfi(K33, 6, True), id="Cai-Fürer-Immerman over K33 (60 nodes)"
        ),
        pytest.param(([0, 1], [(0, 1)]), ([0, 2], [(0, 1)]), id="colours of nodes"),
        pytest.param(([0, 0], [(0, 1, 1)]), ([0, 0], [(0, 1, 2)]), id="colours of edges"),
        pytest.param(([], []), ([0], []), id="nothing, one node"),
    ],
)
def test_look_alikes_have_different_keys(left, right):
    rng = np.random.default_rng(4)
    copies = [relabelled(left, rng)[0] for _ in range(4)] + [
        relabelled(right, rng)[0] for _ in range(4)
    ]
    symmetry, forms = canonical(batch(copies))
    assert len(set(forms[:4])) == len(set(forms[4:])) == 1
    assert forms[0] != forms[4]
    assert len(np.unique(symmetry.keys, axis=0)) == 2


def test_numbering_turns_into_itself_and_orbits_with_it():
    rng = np.random.default_rng(5)
    graphs = [random_graph(rng, n, 2 / n, 2, 2) for n in range(2, 61, 2)]
    pairs = [relabelled(graph, rng) for graph in graphs]
    before, after = batch(graphs), batch([copy for copy, _ in pairs])
    symmetry, forms = canonical(before)
    other, other_forms = canonical(after)
    np.testing.assert_array_equal(symmetry.keys, other.keys)
    assert forms == other_forms
    assert symmetry.automorphisms() == other.automorphisms()
    for b, (_, names) in enumerate(pairs):
        n = len(names)
        same = symmetry.node_orbits[b, :n, None] == symmetry.node_orbits[b, :n]
        moved = other.node_orbits[b, names][:, None] == other.node_orbits[b, names]
        np.testing.assert_array_equal(same, moved)


def test_room_and_neighbours_in_the_batch_change_nothing():
    rng = np.random.default_rng(6)
    graphs = [random_graph(rng, n, 0.3, 2, 2) for n in (0, 9, 1, 30, 4)]
    together = analyse(batch(graphs, 64, 400))
    for b, graph in enumerate(graphs):
        n, m = len(graph[0]), len(graph[1])
        alone = analyse(batch([graph]))
        np.testing.assert_array_equal(alone.keys[0], together.keys[b])
        np.testing.assert_array_equal(alone.position[0], together.position[b, :n])
        np.testing.assert_array_equal(alone.edge_orbits[0], together.edge_orbits[b, :m])
        assert (together.factors[b, n:] == 1).all()
    empty = ColouredGraphs(*(np.zeros(s, np.int32) for s in ((0, 5), 0, (0, 4, 3), 0)))
    assert analyse(empty).keys.shape == (0, 2)
    assert pair_orbits(empty).shape == (0, 5, 5)


def test_keys_stay_what_they_were():
    """Keys may be stored: a change of the hash or of the canonical order must be meant."""
    symmetry = analyse(batch([([0] * 10, PETERSEN), ([3, 1], [(0, 1, 2)])]))
    np.testing.assert_array_equal(symmetry.keys, STORED_KEYS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # distance-transitive graphs: one orbit for each distance
        ("Petersen", 2),
        ("rook", 2),
        ("dodecahedron", 5),
        ("Desargues", 5),
        ("Heawood", 3),
        ("Pappus", 4),
        ("Tutte 8-cage", 4),
        ("5-cube", 5),
        ("complete", 1),
        ("cycle", 30),
        ("Shrikhande", 3),  # two kinds of nodes at distance 2
        ("20 triangles", 2),
        ("path", 900),
        ("five prisms and five K33", 3 + 2 + 1 + 1 + 1),
    ],
)
def test_orbits_of_pairs_of_known_graphs(name, expected):
    n, edges, _ = KNOWN[name]
    rng = np.random.default_rng(7)
    copies = [relabelled(([0] * n, edges), rng)[0] for _ in range(4)]
    for pairs in pair_orbits(batch(copies)):
        assert len(np.unique(pairs[np.triu_indices(n, 1)])) == expected
        np.testing.assert_array_equal(pairs, pairs.T)


def random_cubic(rng, n):
    """A simple cubic graph by pairing of half-edges."""
    while True:
        ends = rng.permutation(np.repeat(np.arange(n), 3)).reshape(-1, 2)
        edges = {tuple(sorted(pair)) for pair in ends.tolist() if pair[0] != pair[1]}
        if len(edges) == 3 * n // 2:
            return [0] * n, sorted(edges)


def test_regular_graphs_without_symmetry():
    """All nodes look alike to refinement, so the canonical leaf has to be searched for."""
    rng = np.random.default_rng(8)
    graphs = [random_cubic(rng, n) for n in (12, 20, 20, 20, 40, 60)]
    copies = [relabelled(graph, rng)[0] for graph in graphs for _ in range(5)]
    symmetry, forms = canonical(batch(copies))
    assert len(set(forms)) == len(np.unique(symmetry.keys, axis=0)) == len(graphs)
    assert min(symmetry.automorphisms()) == 1
    for first in range(0, len(copies), 5):
        assert len(set(forms[first : first + 5])) == 1


@pytest.mark.parametrize(
    ("colours", "edges", "message"),
    [
        ([0, -1], [], "graph 1 has a node without a colour"),
        ([0, 0], [(0, 2)], "an edge that ends outside the graph"),
        ([0, 0], [(-1, 0)], "an edge that ends outside the graph"),
        ([0, 0], [(1, 1)], "an edge from a node to itself"),
        ([0, 0], [(0, 1, -1)], "an edge without a colour"),
        ([0, 0], [(0, 1), (1, 0)], "two edges between the same nodes"),
        ([0] * 65, [], "a graph of 65 nodes: room for 65, at most 64"),
    ],
)
def test_wrong_graphs_are_refused(colours, edges, message):
    with pytest.raises(ValueError, match=message):
        analyse(batch([([0, 0], [(0, 1)]), (colours, edges)]))


def test_numbers_of_nodes_and_edges_beyond_the_arrays_are_refused():
    colours, edges = np.zeros((1, 2), np.int32), np.zeros((1, 1, 3), np.int32)
    one, three = np.array([1], np.int32), np.array([3], np.int32)
    with pytest.raises(ValueError, match="a graph of 3 nodes: room for 2"):
        analyse(ColouredGraphs(colours, three, edges, one))
    with pytest.raises(ValueError, match="a graph of 3 edges: room for 1"):
        analyse(ColouredGraphs(colours, one, edges, three))


def random_latin_square(rng, n):
    """Row after row, each a random one that differs from those above in every column."""
    while True:
        rows = [rng.permutation(n)]
        for _ in range(200 * n):
            row = rng.permutation(n)
            if all((row != above).all() for above in rows):
                rows.append(row)
                if len(rows) == n:
                    return np.array(rows)


def latin_square_forms(square):
    """For each row put first: the square with columns and rows sorted. All equal its symmetries."""
    forms = [square[:, np.argsort(row)] for row in square]
    return [tuple(map(tuple, form[np.argsort(form[:, 0])])) for form in forms]


def latin_square_as_colours(square):
    """Rows and columns as nodes, symbols as colours of edges."""
    n = len(square)
    return [0] * n + [1] * n, [(i, n + j, square[i, j]) for i, j in np.ndindex(n, n)]


def latin_square_as_nodes(square):
    """Every place of the square as a node of its symbol's colour, joined to its row and column."""
    n = len(square)
    edges = [(end, 2 * n + n * i + j, 0) for i, j in np.ndindex(n, n) for end in (i, n + j)]
    return [0] * n + [1] * n + [int(x) + 2 for x in square.ravel()], edges


@pytest.mark.parametrize("graph_of", [latin_square_as_colours, latin_square_as_nodes])
@pytest.mark.parametrize("n", [4, 5, 6])
def test_leaves_that_refinement_cannot_tell_apart(n, graph_of):
    """One row fixed makes everything single, whichever the square, before all edges are seen."""
    rng = np.random.default_rng(9)
    squares = [random_latin_square(rng, n) for _ in range(20)]
    squares.append((np.arange(n)[:, None] + np.arange(n)) % n)
    plain = [latin_square_forms(square) for square in squares]
    copies = [relabelled(graph_of(square), rng)[0] for square in squares for _ in range(3)]
    symmetry, forms = canonical(batch(copies))
    expected = [form.count(form[0]) for form in plain for _ in range(3)]
    assert symmetry.automorphisms() == expected
    assert symmetry.automorphisms()[-1] == n
    smallest = [min(form) for form in plain for _ in range(3)]
    keys = [tuple(key) for key in symmetry.keys.tolist()]
    assert len(set(smallest)) == len(set(keys)) == len(set(forms))
    assert len(set(zip(smallest, keys, forms, strict=True))) == len(set(smallest)) > 1


@pytest.mark.parametrize(("n", "expected"), [(3, 18), (5, 100)])
def test_automorphisms_keep_the_colours_of_edges(n, expected):
    """Points of an affine plane, edges coloured by direction: translations and scalings."""
    points = list(itertools.product(range(n), repeat=2))
    edges = []
    for (a, p), (b, q) in itertools.combinations(enumerate(points), 2):
        x, y = (q[0] - p[0]) % n, (q[1] - p[1]) % n
        edges.append((a, b, n if x == 0 else y * pow(x, -1, n) % n))
    rng = np.random.default_rng(10)
    copies = [relabelled(([0] * n * n, edges), rng)[0] for _ in range(8)]
    symmetry, forms = canonical(batch(copies))
    assert symmetry.automorphisms() == [expected] * 8
    assert len(set(forms)) == 1


def test_generators_that_move_the_path_do_not_prune():
    generators = np.tile(np.arange(8, dtype=np.int8), (2, 1))
    generators[0, :4] = 1, 0, 3, 2
    generators[1, 4:6] = 5, 4
    tried = np.uint64(1 << 2 | 1 << 4)
    for v, path, expected in (
        (3, [6], True),
        (3, [0], False),
        (3, [6, 1], False),
        (5, [0], True),
        (5, [4], False),
        (7, [], False),
    ):
        steps = np.array([*path, 3, 5], np.int64)  # what lies beyond the depth is not the path
        assert equivalent_to_tried(v, tried, generators, 2, steps, len(path)) == expected
    assert not equivalent_to_tried(5, tried, generators, 1, np.array([0]), 1)

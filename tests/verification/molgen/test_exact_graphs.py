"""Known numbers of connected graphs, by the benchmark's own space."""

import numpy as np
import pytest

from benchmarks.molgen.graph_space import clique_counts, graph_environment, graph_names
from molgen.runs.exact import enumerate_space

pytestmark = pytest.mark.verification


def space_of(nodes, types):
    environment = graph_environment(nodes, types)
    return enumerate_space(environment, lambda states: graph_names(environment, states))


def test_connected_graphs_of_one_type():
    terminals = space_of(6, 1).terminals
    assert np.bincount(terminals.n_nodes).tolist() == [0, 1, 1, 2, 6, 21, 112]
    full = terminals.n_edges == 15
    assert clique_counts(terminals)[full].tolist() == [15]


@pytest.mark.long
def test_connected_graphs_of_two_types():
    assert len(space_of(7, 2).molecules) == 72_296

"""Spaces of known size: graphs by Burnside's lemma, molecules by another enumeration."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gfncore.keys import unique_keys
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable, GraphStates
from molgen.settings import SampleSettings
from tests.molgen import independent_enumeration as independent

pytestmark = pytest.mark.verification


def flat(objects):
    return np.zeros(len(objects))


def finished_states(environment):
    level, found = environment.initial(1), []
    while len(level):
        actions = environment.forward_actions(level)
        one = actions.first_of_class
        children = environment.step(level.take(actions.state[one]), actions.action[one]).states
        distinct = children.take(unique_keys(environment.keys(children))[0])
        over = environment.is_terminal(distinct)
        found.append(distinct.take(np.flatnonzero(over)))
        level = distinct.take(np.flatnonzero(~over))
    return GraphStates.concat(found)


def test_connected_graphs_of_six_nodes():
    states = finished_states(AtomEnvironment(AtomTable.plain(1, 5), 6, score_states=flat))
    assert np.bincount(states.n_nodes).tolist() == [0, 1, 1, 2, 6, 21, 112]


def test_connected_graphs_of_seven_nodes_of_two_kinds():
    states = finished_states(AtomEnvironment(AtomTable.plain(2, 6), 7, score_states=flat))
    sizes = np.bincount(states.n_nodes)
    assert len(states) == 72_296
    assert sizes[1:].tolist() == [independent.count_coloured_graphs(n, 2) for n in range(1, 8)]


def test_molecules_of_six_atoms():
    environment = AtomEnvironment(AtomTable.of(["C", "N", "O"]), 6, flat)
    states = finished_states(environment)
    smiles = environment.smiles(states)
    count = Counter(smiles)
    assert len(count) == 35_484
    assert Counter(count.values()) == {1: 35_465, 2: 19}
    assert environment.multiplicity(states).tolist() == [count[name] for name in smiles]
    graphs = list(independent.labelled_graphs(6, (4, 3, 2)))
    six = [name for name, n in zip(smiles, states.n_nodes, strict=True) if n == 6]
    assert len(six) == len(graphs) == 31_362
    assert Counter(six) == Counter(independent.smiles("CNO", *graph) for graph in graphs)
    assert len(set(six)) == 31_343


@pytest.mark.parametrize(("strained", "count"), [(True, 8101), (False, 7976)])
def test_default_rules(strained, count):
    limits = SampleSettings.LIMITS["atoms"]
    names, rules = limits["elements"], {"ring_sizes": limits["ring_sizes"], "strained": strained}
    table = AtomTable.of(names)
    environment = AtomEnvironment(table, 5, flat, **rules)
    smiles = environment.smiles(finished_states(environment))
    expected = [
        independent.smiles(names, kinds, bonds)
        for n in range(1, 6)
        for kinds, bonds in independent.labelled_graphs(n, table.valences.tolist())
        if independent.keeps_rules(kinds, bonds, table.valences, **rules)
    ]
    assert Counter(smiles) == Counter(expected)
    assert len(smiles) == count


@pytest.mark.long
def test_rings_of_up_to_seven_atoms():
    table = AtomTable.of(["C", "O"])
    for strained, count in ((True, 5960), (False, 5073)):
        rules = {"ring_sizes": (5, 6), "strained": strained}
        environment = AtomEnvironment(table, 7, flat, **rules)
        smiles = environment.smiles(finished_states(environment))
        expected = [
            independent.smiles("CO", kinds, bonds)
            for n in range(1, 8)
            for kinds, bonds in independent.labelled_graphs(n, (4, 2))
            if independent.keeps_rules(kinds, bonds, (4, 2), **rules)
        ]
        assert Counter(smiles) == Counter(expected)
        assert len(smiles) == count

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem

from gfncore.errors import UserError
from gfncore.evaluation.contract import check_contract
from gfncore.keys import key_bytes, unique_keys
from gfncore.policies import Backbone, Policy
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import FINISHED, AtomTable, GraphStates, canonical_states, state_keys
from tests.molgen import independent_enumeration as independent

CNO = AtomTable.of(["C", "N", "O"])


def flat(objects):
    return np.zeros(len(objects))


def finished_states(environment):
    """Every finished state of a small space, once."""
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


def random_states(environment, n, steps, rng):
    """States after so many random actions other than stop, where those last."""
    states = environment.initial(n)
    for _ in range(steps):
        actions = environment.forward_actions(states)
        rows = np.flatnonzero(actions.action > 0)
        rows = rows[np.lexsort((rng.random(len(rows)), actions.state[rows]))]
        rows = rows[np.unique(actions.state[rows], return_index=True)[1]]
        states = environment.step(states.take(actions.state[rows]), actions.action[rows]).states
    return states


def skeleton(smiles):
    """A query for the core's atoms and bonds, whatever RDKit takes for aromatic."""
    core = Chem.MolFromSmiles(smiles.replace("[*]", "[H]"))
    settings = Chem.AdjustQueryParameters.NoAdjustments()
    settings.makeBondsGeneric = True
    return Chem.AdjustQueryProperties(core, settings)


CORES = ["c1ccccc1", "[*]c1ccccc1[*]", "[*]C([*])O", "CC=O", "C1CC1", "O", "[*]C1CC1"]


@pytest.mark.parametrize(
    ("names", "size", "settings"),
    [
        ("C N O", 4, {}),
        ("C", 6, {"ring_sizes": (5, 6)}),
        ("C", 6, {"ring_sizes": (3, 4), "max_rings": 2}),
        ("C O", 5, {"ring_sizes": ()}),
        ("C N", 5, {"strained": False}),
        ("C S4 O- N+", 3, {}),
        ("C O", 4, {"max_rings": 0}),
        ("C O", 5, {"core": "CC=O"}),
        ("C O", 4, {"core": "[*]C([*])O"}),
        ("C N", 8, {"core": "c1ccccc1", "strained": False, "ring_sizes": (6,)}),
        ("C N", 8, {"core": "[*]c1ccncc1[*]"}),
    ],
)
def test_contract(names, size, settings):
    environment = AtomEnvironment(AtomTable.of(names.split()), size, flat, **settings)
    assert check_contract(environment) > 5


def test_contract_of_plain_graphs():
    environment = AtomEnvironment(AtomTable.plain(2, 4), 5, score_states=flat)
    assert check_contract(environment) == sum(
        independent.count_coloured_graphs(n, 2) for n in range(1, 6)
    )


def test_molecules_of_five_atoms():
    states = finished_states(AtomEnvironment(CNO, 5, flat))
    assert np.bincount(states.n_nodes).tolist() == [0, 3, 15, 74, 479, 3570]


@pytest.mark.parametrize(
    ("names", "valences", "settings"),
    [
        (("C", "N", "O"), (4, 3, 2), {}),
        (("C", "N", "O"), (4, 3, 2), {"ring_sizes": (3,)}),
        (("C", "N", "O"), (4, 3, 2), {"ring_sizes": (4,), "strained": False}),
        (("C", "F", "S"), (4, 1, 2), {"max_rings": 1, "strained": False}),
    ],
)
def test_spaces_are_those_of_another_enumeration(names, valences, settings):
    environment = AtomEnvironment(AtomTable.of(names), 4, flat, **settings)
    expected = [
        independent.smiles(names, kinds, bonds)
        for n in range(1, 5)
        for kinds, bonds in independent.labelled_graphs(n, valences)
        if independent.keeps_rules(kinds, bonds, valences, **settings)
    ]
    states = finished_states(environment)
    assert len(states) == len(expected)
    assert Counter(environment.smiles(states)) == Counter(expected)


@pytest.mark.parametrize(
    ("names", "size", "settings"),
    [
        ("C N", 5, {}),
        *[("C O", 8 if core.count("c") > 4 else 5, {"core": core}) for core in CORES],
        ("C N", 6, {"core": "C1CC1", "ring_sizes": (5,)}),
        ("C O", 8, {"core": "c1ccccc1", "ring_sizes": (3, 4)}),
    ],
)
def test_multiplicities_count_the_states_of_a_molecule(names, size, settings):
    environment = AtomEnvironment(AtomTable.of(names.split()), size, flat, **settings)
    states = finished_states(environment)
    smiles = environment.smiles(states)
    count = Counter(smiles)
    assert environment.multiplicity(states).tolist() == [count[name] for name in smiles]
    rows: dict[str, set[bytes]] = {}
    for name, key in zip(smiles, key_bytes(environment.keys(states)), strict=True):
        rows.setdefault(name, set()).add(key)
    rng = np.random.default_rng(0)
    for name in rng.choice(list(count), min(40, len(count)), replace=False):
        found = environment.states_of_smiles(str(name))
        assert set(key_bytes(environment.keys(found))) == rows[name]
    if "core" in settings:
        core = skeleton(settings["core"])
        for name in count:
            assert Chem.MolFromSmiles(name).HasSubstructMatch(core), name


def test_kekule_forms_of_larger_molecules():
    environment = AtomEnvironment(AtomTable.of(["C", "N", "O", "Cl"]), 20, flat)
    expected = {
        "c1ccccc1": 1,
        "Cc1ccccc1": 1,
        "Cc1ccccc1C": 2,
        "Cc1cccc(C)c1": 1,
        "Cc1cccc(Cl)c1": 2,
        "c1ccc2ccccc2c1": 2,
        "Cc1cccc2ccccc12": 3,
        "Cc1ccccc1-c1ccccc1C": 3,
        "c1ccncc1": 1,
        "CC(=O)O": 1,
    }
    for smiles, count in expected.items():
        states = environment.states_of_smiles(smiles)
        assert len(states) == count, smiles
        assert set(environment.smiles(states)) == {Chem.CanonSmiles(smiles)}
        assert (environment.multiplicity(states) == count).all()
        assert environment.is_terminal(states).all()


def test_the_same_molecule_is_found_from_states():
    environment = AtomEnvironment(CNO, 8, flat)
    names = ["CO", "Cc1ccccc1C", "Cc1cccc(C)c1"]
    states = GraphStates.concat([environment.states_of_smiles(s).take([0]) for s in names])
    molecule, found = environment.same_molecule(states)
    assert molecule.tolist() == [0, 1, 1, 2]
    assert environment.smiles(found) == [names[i] for i in molecule]
    assert len(np.unique(state_keys(found), axis=0)) == 4
    molecule, found = environment.same_molecule(states.take(np.zeros(0, np.int64)))
    assert len(molecule) == len(found) == 0


def test_the_same_molecule_where_rdkit_reads_other_atoms():
    table = AtomTable.of(["C", "N", "O", "P5"])
    environment = AtomEnvironment(table, 11, flat)
    kinds = np.array([0, 0, 0, 0, 0, 0, 0, 3, 2, 1, 0], np.int16)  # CN=P(=O)c1ccccc1C
    ring = [(1, 2, 2), (2, 3, 1), (3, 4, 2), (4, 5, 1), (5, 6, 2), (1, 6, 1)]
    bonds = [(0, 1, 1), *ring, (6, 7, 1), (7, 8, 2), (7, 9, 2), (9, 10, 1)]
    padded = np.full((1, environment.initial(1).edges.shape[1], 3), -1, np.int16)
    padded[0, : len(bonds)] = bonds
    one = np.ones(1, np.int16)
    state, _ = canonical_states(
        kinds[None], 11 * one, padded, 11 * one, np.full(1, FINISHED, np.int8), -one
    )
    (smiles,) = environment.smiles(state)
    assert "[P+]" in smiles and len(environment.states_of_smiles(smiles)) == 0
    molecule, found = environment.same_molecule(state)
    assert molecule.tolist() == [0, 0] and environment.multiplicity(found).tolist() == [2, 2]
    keys = key_bytes(state_keys(found))
    assert len(set(keys)) == 2 and key_bytes(state_keys(state))[0] in keys


@pytest.mark.parametrize("smiles", ["CF", "CCCCCC", "C.C", "[CH3]", "C1CCC1", "C#N", "no", ""])
def test_what_cannot_be_built_has_no_states(smiles):
    table = AtomTable.of(["C", "N"], max_bond_order=2)
    environment = AtomEnvironment(table, 5, flat, ring_sizes=(3,))
    assert len(environment.states_of_smiles(smiles)) == 0
    assert len(environment.states_of_smiles("C1NC1=C")) == 1


def test_every_state_is_a_molecule_that_its_smiles_gives_back():
    table = AtomTable.of(["C", "N", "O", "S6", "N+", "O-", "Cl"])
    environment = AtomEnvironment(table, 14, flat)
    states = random_states(environment, 300, 15, np.random.default_rng(5))
    assert len(states) > 100
    for name in environment.smiles(states):
        assert Chem.CanonSmiles(name) == name


@pytest.mark.parametrize("core", [None, "[*]c1ccc([*])nc1"])
def test_large_molecules_keep_the_rules_and_can_go_back(core):
    table = AtomTable.of(["C", "N", "O", "F", "S"])
    rules = {"ring_sizes": (5, 6), "max_rings": 4, "strained": False}
    environment = AtomEnvironment(table, 20, flat, core=core, **rules)
    states = random_states(environment, 200, 22, np.random.default_rng(6))
    kinds = environment.rules.kind[states.colour]
    for i in range(0, len(states), 7):
        bonds = [tuple(row) for row in states.edges[i, : states.n_edges[i]].tolist()]
        own = kinds[i, : states.n_nodes[i]]
        assert independent.keeps_rules(own, bonds, table.valences, **rules)
    back = environment.backward_actions(states)
    assert (back.classes_per_state(len(states)) > 0).all()
    every = states.take(back.state)
    parents, redo, _ = environment.backstep(every, back.action)
    environment.forward_actions(parents).find(np.arange(len(parents)), redo)
    children, undo, _ = environment.step(parents, redo)
    assert np.array_equal(environment.keys(children), environment.keys(every))
    assert np.array_equal(
        environment.keys(environment.backstep(children, undo).states), environment.keys(parents)
    )


def test_sizes_of_classes_are_in_the_ratio_of_automorphisms():
    environment = AtomEnvironment(CNO, 4, flat)
    building = finished_states(environment)
    building = replace(building, stage=np.zeros_like(building.stage))
    actions = environment.forward_actions(building)
    parents = building.take(actions.state)
    children, undo, _ = environment.step(parents, actions.action)
    back = environment.backward_actions(children)
    forward_size = np.bincount(actions.class_of_action)[actions.class_of_action]
    row = back.class_of_action[back.find(np.arange(len(children)), undo)]
    backward_size = np.bincount(back.class_of_action)[row]
    assert np.allclose(np.log(forward_size / backward_size), parents.log_aut - children.log_aut)
    assert forward_size.max() >= 4


def test_regimes():
    def lengths(smiles):
        return np.array([float(len(name)) for name in smiles])

    merged = AtomEnvironment(CNO, 3, lengths)
    states = finished_states(merged)
    plain = merged.log_reward(states)
    raw = {name: merged.with_symmetry(name) for name in ("reward_scaling", "flow_scaling", "none")}
    assert np.allclose(raw["reward_scaling"].log_reward(states), plain + states.log_aut)
    assert np.array_equal(raw["none"].log_reward(states), plain)
    assert np.array_equal(raw["flow_scaling"].log_reward(states), plain)
    assert np.array_equal(raw["flow_scaling"].log_scale(states), states.log_aut)
    for name in ("merged", "reward_scaling", "none"):
        assert not merged.with_symmetry(name).log_scale(states).any()
    start = merged.initial(4)
    building = replace(states, stage=np.zeros_like(states.stage))
    for environment in raw.values():
        assert environment.forward_actions(building).action_class is None
        assert environment.backward_actions(building).action_class is None
        assert np.array_equal(
            environment.forward_actions(building).action, merged.forward_actions(building).action
        )
        assert environment.log_scale(start).tolist() == [0.0] * 4
    assert merged.energy(states) is None


def test_a_symmetric_core_does_not_shift_the_scales():
    environment = AtomEnvironment(CNO, 4, flat, core="C1CC1", symmetry="reward_scaling")
    states = finished_states(environment)
    start = np.log(6.0)
    assert environment.initial(1).log_aut[0] == pytest.approx(start)
    expected = states.log_aut - start - np.log(environment.multiplicity(states))
    assert np.allclose(environment.log_reward(states), expected)
    assert environment.with_symmetry("flow_scaling").log_scale(environment.initial(1)) == 0.0


def test_rewards_are_divided_among_the_states_of_a_molecule():
    asked: list[list[str]] = []

    def score(smiles):
        asked.append(smiles)
        return np.arange(len(smiles), dtype=float)

    environment = AtomEnvironment(CNO, 8, score)
    states = environment.states_of_smiles("Cc1ccccc1C")
    both = GraphStates.concat([states, environment.states_of_smiles("CO"), states])
    log_reward = environment.log_reward(both)
    assert asked == [["Cc1ccccc1C", "CO"]]
    half = -np.log(2.0)
    assert np.allclose(log_reward, [half, half, 1.0, half, half])


def test_a_network_can_tell_all_classes_apart():
    environment = AtomEnvironment(CNO, 4, flat)
    states = finished_states(environment)
    states = replace(states, stage=np.zeros_like(states.stage))
    actions, graph = environment.forward_actions(states), environment.graph(states)
    torch.manual_seed(0)
    backbone = Backbone(
        environment.node_features, environment.graph_types, environment.relations, 64, 3
    )
    policy = Policy(backbone, environment.heads)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight)
    with torch.no_grad():
        logits = policy(graph).logits.numpy()
    one = actions.first_of_class
    assert np.allclose(logits, logits[one][actions.class_of_action], atol=1e-3)
    order = np.lexsort((logits[one], actions.state[one]))
    gap = np.diff(logits[one][order])[np.diff(actions.state[one][order]) == 0]
    assert (gap > 1e-4).mean() > 0.999
    index, heads = graph.action_index.numpy(), graph.action_head.numpy()
    assert graph.node_features.shape[1] == environment.node_features
    assert graph.pairs is not None and index[heads == 2].max() < graph.pairs.shape[1]


def test_settings_that_cannot_be_are_told():
    with pytest.raises(UserError, match="symmetry: 'both'"):
        AtomEnvironment(CNO, 3, flat, symmetry="both")
    with pytest.raises(UserError, match="max_atoms: 65"):
        AtomEnvironment(CNO, 65, flat)
    with pytest.raises(UserError, match="ring_sizes"):
        AtomEnvironment(CNO, 5, flat, ring_sizes=(2, 5))
    with pytest.raises(UserError, match="core: it has 6 atoms"):
        AtomEnvironment(CNO, 5, flat, core="c1ccccc1")
    with pytest.raises(UserError, match="core: 'CF' has F"):
        AtomEnvironment(CNO, 5, flat, core="CF")
    with pytest.raises(TypeError):
        AtomEnvironment(AtomTable.plain(1, 3), 5, flat)
    with pytest.raises(TypeError):
        AtomEnvironment(CNO, 5)


def test_abstract_graphs_have_no_smiles():
    environment = AtomEnvironment(AtomTable.plain(1, 3), 3, score_states=flat)
    states = finished_states(environment)
    assert len(states) == 4 and environment.multiplicity(states).tolist() == [1] * 4
    with pytest.raises(TypeError):
        environment.smiles(states)
    with pytest.raises(TypeError):
        environment.states_of_smiles("C")
    assert len(np.unique(state_keys(states), axis=0)) == 4


def test_all_states_but_the_empty_one_can_stop():
    environment = AtomEnvironment(CNO, 4, flat)
    states = GraphStates.concat(
        [environment.initial(1), random_states(environment, 5, 2, np.random.default_rng(1))]
    )
    stop = environment.stop_actions(states)
    assert stop.tolist() == [-1, 0, 0, 0, 0, 0]
    finished = environment.step(states.take(np.arange(1, 6)), stop[1:]).states
    assert environment.stop_actions(finished).tolist() == [-1] * 5
    assert environment.smiles(finished) == environment.smiles(states.take(np.arange(1, 6)))

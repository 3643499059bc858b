"""The fragment environment, walked exhaustively on small vocabularies."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportOptionalMemberAccess=false

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import QED

from gfncore.errors import UserError
from gfncore.evaluation.contract import check_contract
from gfncore.keys import key_bytes, unique_keys
from gfncore.policies import Backbone, Policy
from gfncore.symmetry import graphs as symmetry
from gfncore.tempering import TemperedEnvironment
from gfncore.trajectories.scoring import (
    state_log_probabilities,
    state_log_probabilities_and_flows,
)
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.kernels.fragments_numba import piece_counts
from molgen.molecules.graph import GraphStates, state_keys
from molgen.policy import make_policy

# symmetric fragments, and molecules that fall into them in several ways (ethane: CC, or C and C)
SMALL = ["[*]c1ccc([*])cc1", "[*]C1CCCCC1", "[*]C([*])[*]", "[*]CC[*]", "[*]O[*]"]
CORE = "[*]c1ccc([*])nc1"


def log_length(smiles):
    return np.array([0.1 * len(s) for s in smiles])


def make(fragments=SMALL, **settings):
    defaults = {"max_fragments": 3, "max_atoms": 16}
    vocabulary = fragments if isinstance(fragments, Vocabulary) else Vocabulary.of(fragments)
    return FragmentEnvironment(vocabulary, log_length, **(defaults | settings))


def levels(environment):
    """All states level by level, each once."""
    level, out = environment.initial(1), []
    while len(level):
        out.append(level)
        actions = environment.forward_actions(level)
        children = environment.step(level.take(actions.state), actions.action).states
        level = children.take(unique_keys(environment.keys(children))[0])
    return out


def terminals(environment):
    states = GraphStates.concat(levels(environment))
    ends = states.take(np.flatnonzero(environment.is_terminal(states)))
    return ends.take(unique_keys(environment.keys(ends))[0])


def rollouts(environment, n, pieces, seed):
    """Finished molecules of about `pieces` fragments, by uniform choices of (raw) actions."""
    rng = np.random.default_rng(seed)
    states, done = environment.initial(n), []
    while len(states):
        actions = environment.forward_actions(states)
        first = np.searchsorted(actions.state, np.arange(len(states)))
        count = np.bincount(actions.state, minlength=len(states))
        can_stop = (states.stage == 0) & (states.n_nodes > 0)
        stop = can_stop & (piece_counts(states.n_nodes, states.edges, states.n_edges) >= pieces)
        can_stop &= actions.action[first] == 0
        stop &= can_stop
        stop |= count == 1
        skip = can_stop & ~stop
        chosen = skip + (rng.random(len(states)) * (count - skip)).astype(int)
        states = environment.step(states, actions.action[first + np.where(stop, 0, chosen)]).states
        finished = environment.is_terminal(states)
        done.append(states.take(np.flatnonzero(finished)))
        states = states.take(np.flatnonzero(~finished))
    return GraphStates.concat(done)


def plain_smiles(vocabulary, states, row):
    """Built atom by atom in RDKit, from the kinds; slow and plain."""
    mol = Chem.RWMol()
    left = [int(vocabulary.orbit_open[c]) for c in states.colour[row, : states.n_nodes[row]]]
    edges = states.edges[row, : states.n_edges[row]].tolist()
    for u, v, order in edges:
        if order >= 8:
            left[u] -= 1
            left[v] -= 1
    for u, orbit in enumerate(states.colour[row, : states.n_nodes[row]]):
        number, charge, aromatic = vocabulary.kinds[vocabulary.orbit_kind[orbit], :3].tolist()
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetIsAromatic(bool(aromatic))
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(int(vocabulary.orbit_hydrogens[orbit]) + left[u])
        mol.AddAtom(atom)
    kinds = [None, "SINGLE", "DOUBLE", "TRIPLE", "AROMATIC"]
    for u, v, order in edges:
        mol.AddBond(u, v, getattr(Chem.BondType, kinds[order % 8]))
    Chem.SanitizeMol(mol)
    return Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(mol)))


# sulfones, whose places may not stay open; the third piece closes one only by itself having one
SULFONES = ["[*]S(=O)(=O)[*]", "[*]S(=O)(=O)C", "[*]C", "[*]CC[*]", "[*]CS(C)=O", "[*]NC[*]"]


def sulfone_molecules(max_fragments, max_atoms, core=None):
    """All finished states with hydrogen wherever a place is left, less those with S-H."""
    vocabulary = Vocabulary.of(SULFONES)
    vocabulary = replace(
        vocabulary,
        orbit_hypervalent=np.zeros_like(vocabulary.orbit_hypervalent),
    )
    environment = make(vocabulary, max_fragments=max_fragments, max_atoms=max_atoms, core=core)
    return {s for s in environment.smiles(terminals(environment)) if "[SH" not in s}


@pytest.mark.parametrize(("max_fragments", "max_atoms"), [(3, 20), (4, 12), (4, 9), (2, 20)])
@pytest.mark.parametrize("core", [None, "[*]S(=O)(=O)N[*]"])
def test_places_of_sulfones_are_closed_and_nothing_else_is_lost(max_fragments, max_atoms, core):
    settings = {"max_fragments": max_fragments, "max_atoms": max_atoms, "core": core}
    environment = make(SULFONES, **settings)
    ends = terminals(environment)
    assert check_contract(environment) == len(ends)
    smiles = environment.smiles(ends)
    assert set(smiles) == sulfone_molecules(**settings)
    assert not any("[SH]" in s for s in smiles)
    count = Counter(smiles)
    assert environment.multiplicity(ends).tolist() == [count[name] for name in smiles]
    assert [Chem.CanonSmiles(s) for s in smiles] == smiles


@pytest.mark.parametrize(
    ("fragments", "settings"),
    [
        (SULFONES, {"core": "[*]S(=O)(=O)[*]", "max_fragments": 2}),
        (SULFONES, {"core": "[*]S(=O)(=O)[*]", "max_atoms": 4}),
        (["[*]S(=O)(=O)[*]", "[*]CCCCC"], {"max_atoms": 4}),
    ],
)
def test_limits_that_leave_places_of_sulfones_open(fragments, settings):
    with pytest.raises(UserError, match="must be joined"):
        make(fragments, **settings)


def test_places_that_nothing_can_close_get_hydrogen():
    environment = make(["[*]S(=O)(=O)[*]", "[*]S(C)(=O)=O"])
    assert set(environment.smiles(terminals(environment))) == {"O=[SH2]=O", "C[SH](=O)=O"}


@pytest.mark.parametrize("core", [None, CORE])
def test_contract(core):
    environment = make(core=core)
    assert check_contract(environment) == len(terminals(environment)) > 60


def raw_distribution(environment):
    """Probability of each terminal (by key) under a perfectly trained sampler.

    Every raw action has the flow of its child times P_B, uniform over the raw (merged: classes of)
    backward actions, times what log_scale adds; a state's flow is the sum over its raw actions.
    """
    layers, links = levels(environment), []
    for states in layers:
        actions = environment.forward_actions(states)
        use = actions.first_of_class
        children = environment.step(states.take(actions.state[use]), actions.action[use]).states
        back = environment.backward_actions(children).classes_per_state(len(children))
        log_pb = -np.log(back)
        log_pb += environment.log_scale(children)
        log_pb -= environment.log_scale(states)[actions.state[use]]
        links.append((actions.state[use], key_bytes(environment.keys(children)), log_pb))
    flow = {}
    for states, (origin, child, log_pb) in zip(layers[::-1], links[::-1], strict=True):
        names = key_bytes(environment.keys(states))
        ended = environment.is_terminal(states)
        total = np.zeros(len(states))
        if ended.any():
            rows = np.flatnonzero(ended)
            total[rows] = np.exp(environment.log_reward(states.take(rows)))
        parts = np.array([flow[c] for c in child]) * np.exp(log_pb) if child else np.zeros(0)
        np.add.at(total, origin, parts)
        flow.update(zip(names, total, strict=True))
    mass, result = {key_bytes(environment.keys(layers[0]))[0]: 1.0}, {}
    for states, (origin, child, log_pb) in zip(layers, links, strict=True):
        names = key_bytes(environment.keys(states))
        following = {}
        for o, c, log_b in zip(origin, child, log_pb, strict=True):
            p = mass[names[o]] * flow[c] * np.exp(log_b) / flow[names[o]]
            following[c] = following.get(c, 0.0) + p
        result.update(
            (name, mass[name])
            for name, ended in zip(names, environment.is_terminal(states), strict=True)
            if ended
        )
        mass = following
    return result, flow[key_bytes(environment.keys(layers[0]))[0]]


@pytest.mark.parametrize("core", [None, CORE])
@pytest.mark.parametrize("regime", ["merged", "reward_scaling", "flow_scaling", "none"])
def test_molecules_are_drawn_in_proportion_to_reward(regime, core):
    environment = make(core=core).with_symmetry(regime)
    assert environment.symmetry == regime
    ends = terminals(environment)
    found, total = raw_distribution(environment)
    smiles = environment.smiles(ends)
    drawn = Counter()
    for name, key in zip(smiles, key_bytes(environment.keys(ends)), strict=True):
        drawn[name] += found[key]
    weight = Counter()
    bias = np.ones(len(ends))
    if regime == "none":
        v = environment.vocabulary
        pieces = [set(v.orbit_fragment[c[c >= 0]]) for c in ends.colour]
        assert max(map(len, pieces)) > 1
        share = np.where(ends.colour >= 0, (v.log_aut / v.sizes)[v.orbit_fragment[ends.colour]], 0)
        bias = np.exp(share.sum(axis=1) - ends.log_aut)
    per_molecule = Counter(smiles)
    for name, b in zip(smiles, bias, strict=True):
        weight[name] += np.exp(0.1 * len(name)) / per_molecule[name] * b
    assert total == pytest.approx(sum(weight.values()))
    for name, w in weight.items():
        assert drawn[name] == pytest.approx(w / total)
    if regime == "none":  # the bias is no rounding error
        assert bias.max() / bias.min() >= 2.0


@pytest.mark.parametrize(
    ("fragments", "settings"),
    [
        (SMALL, {}),
        (SMALL, {"core": CORE}),
        (["[*]CC[*]", "[*]C[*]", "[*]C([*])C", "[*]O[*]"], {"max_fragments": 5, "max_atoms": 7}),
        # the places tell two ends apart which the molecule does not
        (["[*]c1ccccc1", "[*]c1ccc(C[*])cc1", "[*]C[*]"], {"max_fragments": 3}),
        (
            ["[*]C1CC1[*]", "[*]C1CC1", "[1*]C([1*])([1*])C"],
            {"core": "[*]C1CC1", "max_fragments": 4},
        ),
    ],
)
def test_multiplicity_is_the_number_of_states_of_a_molecule(fragments, settings):
    environment = make(fragments, **settings)
    ends = terminals(environment)
    smiles = environment.smiles(ends)
    count = Counter(smiles)
    assert environment.multiplicity(ends).tolist() == [count[name] for name in smiles]
    assert len(count) < len(ends)
    keys = key_bytes(environment.keys(ends))
    for name in list(count)[:40]:
        states = environment.states_of_smiles(name)
        expected = {k for k, s in zip(keys, smiles, strict=True) if s == name}
        assert sorted(key_bytes(environment.keys(states))) == sorted(expected)
        assert environment.is_terminal(states).all()


def test_the_same_molecule_is_found_from_states():
    environment = make()
    names = ["CCO", "Cc1ccc(-c2ccccc2)cc1", "CCCO"]
    expected = [environment.states_of_smiles(name) for name in names]
    assert max(map(len, expected)) > 1
    states = GraphStates.concat([own.take(np.zeros(1, np.int64)) for own in expected])
    molecule, found = environment.same_molecule(states)
    assert molecule.tolist() == [i for i, own in enumerate(expected) for _ in range(len(own))]
    for i, own in enumerate(expected):
        here = key_bytes(state_keys(found.take(np.flatnonzero(molecule == i))))
        assert sorted(here) == sorted(key_bytes(state_keys(own)))
    molecule, found = environment.same_molecule(states.take(np.zeros(0, np.int64)))
    assert len(molecule) == len(found) == 0


def test_states_of_what_cannot_be_built():
    environment = make()
    assert len(environment.states_of_smiles("Cc1ccc(-c2ccccc2)cc1")) == 1
    for smiles in ("CCl", "nonsense(", "", "C.C", "OO", "C" * 17, "Cc1ccccc1-c1ccccc1"):
        assert len(environment.states_of_smiles(smiles)) == 0, smiles


def test_reward_is_shared_by_the_states_of_a_molecule():
    environment = make()
    states = environment.states_of_smiles("CCO")
    assert len(states) == 2
    assert np.allclose(environment.log_reward(states), 0.3 - np.log(2))


def test_marked_states_have_the_automorphisms_that_keep_the_mark():
    environment = make(core=CORE)
    states = GraphStates.concat(levels(environment))
    marked = states.take(np.flatnonzero(states.stage == 1))
    colours = np.where(marked.colour >= 0, 2 * marked.colour.astype(np.int32), -1)
    colours[np.arange(len(marked)), marked.mark] += 1
    found = symmetry.analyse(
        symmetry.ColouredGraphs(
            colours.astype(np.int32),
            marked.n_nodes.astype(np.int32),
            marked.edges.astype(np.int32),
            marked.n_edges.astype(np.int32),
        )
    )
    assert np.allclose(found.log_automorphisms(), marked.log_aut)


@pytest.fixture(scope="module")
def default():
    return Vocabulary.default()


def test_smiles_are_those_of_the_arrays(default):
    environment = make(default, max_fragments=6, max_atoms=40)
    states = rollouts(environment, 150, 5, seed=3)
    smiles = environment.smiles(states)
    assert smiles == [plain_smiles(default, states, row) for row in range(len(states))]
    assert environment.smiles(environment.initial(1)) == [""]
    with ThreadPoolExecutor(2) as pool:
        assert make(default, max_fragments=6, max_atoms=40).smiles(states, pool) == smiles
    sizes = [Chem.MolFromSmiles(s).GetNumAtoms() for s in smiles]
    assert sizes == states.n_nodes.tolist() and max(sizes) <= 40
    pieces = piece_counts(states.n_nodes, states.edges, states.n_edges)
    assert pieces.max() <= 6


def test_every_fragment_alone_is_its_molecule(default):
    environment = make(default, max_fragments=1, max_atoms=40)
    ends = terminals(environment)
    # a sulfone alone would be HSO2H
    waiting = {default.smiles[f] for f in default.orbit_fragment[default.orbit_hypervalent]}
    assert len(ends) == len(default) - len(waiting) and len(waiting) == 3
    assert environment.smiles(ends) == [plain_smiles(default, ends, i) for i in range(len(ends))]


def test_default_vocabulary_cuts_a_molecule_in_one_way(default):
    """So that its correction costs nothing; chains and groups are where it could fail."""
    chosen = [
        i for i, size in enumerate(default.sizes) if size <= 5 or default.names[i] == "benzene"
    ]
    text = default.text().splitlines()
    lines = [line for line in text if line.startswith("#rule")]
    fragments = [line for line in text if not line.startswith("#rule")]
    vocabulary = Vocabulary.parse("\n".join(lines + [fragments[i] for i in chosen]))
    environment = make(vocabulary, max_fragments=8, max_atoms=40)
    states = rollouts(environment, 300, 7, seed=4)
    assert (environment.multiplicity(states) == 1).all()


def test_known_drugs_can_be_built(default):
    environment = make(default, max_fragments=12, max_atoms=45)
    for smiles in (
        "CC(=O)Nc1ccc(O)cc1",
        "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
        "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F",
        "COc1ccccc1OCCNCC(O)COc1cccc2[nH]c3ccccc3c12",
        "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    ):
        states = environment.states_of_smiles(smiles)
        assert len(states) == 1, smiles
        assert environment.smiles(states) == [Chem.CanonSmiles(smiles)]


def test_policy_reads_the_graphs():
    environment = make()
    states = GraphStates.concat(levels(environment))
    states = states.take(np.flatnonzero(~environment.is_terminal(states)))
    backbone = Backbone(
        environment.node_features, environment.graph_types, environment.relations, hidden=8
    )
    policy = Policy(backbone, environment.heads)
    actions = environment.forward_actions(states)
    log_p = state_log_probabilities(environment, policy, states, actions).detach().numpy()
    sums = np.bincount(actions.state_of_class, np.exp(log_p), minlength=len(states))
    assert np.allclose(sums, 1.0)
    # untrained: uniform over raw actions, so a class weighs as many as it has
    weight = (
        np.bincount(actions.class_of_action) / np.bincount(actions.state)[actions.state_of_class]
    )
    assert np.allclose(np.exp(log_p), weight)
    assert len(np.unique(weight)) > 5


def test_nodes_know_what_is_far_away():
    """Two ends of a molecule that differ beyond the reach of messages are told apart."""
    environment = make(max_fragments=6, max_atoms=30)
    states = environment.states_of_smiles("C1CCC(CC1)c1ccc(cc1)-c1ccc(cc1)-c1ccc(C)cc1")
    assert len(states) == 1
    features = environment.graph(
        environment.backstep(states, np.zeros(1, np.int64)).states
    ).node_features
    assert features.shape[1] == environment.node_features
    orbits = states.node_orbit[0, : states.n_nodes[0]]
    distinct = len(np.unique(np.round(features.numpy(), 4), axis=0))
    assert distinct == len(np.unique(orbits))


def test_sums_over_distances():
    environment = make(max_fragments=3)
    states = environment.states_of_smiles("CCO")
    state = environment.backstep(states.take(np.array([0])), np.zeros(1, np.int64)).states
    features = environment.graph(state).node_features.numpy()
    first = environment.node_features - 12
    n, m = state.n_nodes[0], state.n_edges[0]
    distance = np.full((n, n), 9)
    np.fill_diagonal(distance, 0)
    for u, v, _ in state.edges[0, :m]:
        distance[u, v] = distance[v, u] = 1
    distance = (distance[:, :, None] + distance[None]).min(axis=1)
    for column, decay in ((first, 0.6), (first + 6, 0.9)):
        expected = (1 - decay) * (decay**distance).sum(axis=1)
        assert np.allclose(features[:, column], expected)


def test_the_core_stays():
    environment = make(core=CORE)
    ends = terminals(environment)
    pattern = Chem.MolFromSmarts("c1cccnc1")
    mols = [Chem.MolFromSmiles(s) for s in environment.smiles(ends)]
    assert all(mol.HasSubstructMatch(pattern) for mol in mols)
    assert environment.smiles(environment.initial(1)) == ["c1ccncc1"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"symmetry": "some"}, "choose among merged"),
        ({"max_atoms": 0}, "choose 1 to"),
        ({"max_fragments": 0}, "1 or more"),
        ({"core": "c1ccccc1"}, "no attachment point"),
        ({"core": CORE, "max_atoms": 5}, "the core has 6 atoms"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(UserError, match=words):
        make(**settings)


def test_a_marked_state_is_not_embedded_again():
    environment = make()
    policy = make_policy(environment, hidden=16, rounds=2, seed=3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    embedded = []
    policy.backbone.register_forward_hook(lambda *_: embedded.append(1))
    states = environment.step(environment.initial(5), np.arange(5)).states

    def log_probabilities(of):
        actions = environment.forward_actions(of)
        with torch.no_grad():
            return state_log_probabilities(environment, policy, of, actions)

    log_probabilities(states)
    actions = environment.forward_actions(states)
    marks = np.flatnonzero(actions.action > 0)
    marked = environment.step(states.take(actions.state[marks]), actions.action[marks]).states
    found = log_probabilities(marked)
    assert len(embedded) == 1
    torch.testing.assert_close(found, log_probabilities(marked))  # the batch before had no such
    with torch.no_grad():
        policy.backbone.inputs.bias.add_(0.3)
    before = len(embedded)
    changed = log_probabilities(marked)
    assert len(embedded) == before + 1  # what was remembered is of other parameters
    assert not torch.allclose(found, changed)


def test_a_marked_state_has_a_flow_of_its_own():
    environment = make()
    policy = make_policy(environment, hidden=16, rounds=2, seed=3, flow=True)
    for head in (policy.flow, policy.flow_of_node):
        torch.nn.init.normal_(head.last.weight, generator=torch.Generator().manual_seed(1))
    states = environment.step(environment.initial(5), np.arange(5)).states
    actions = environment.forward_actions(states)
    marks = np.flatnonzero(actions.action > 0)
    marked = environment.step(states.take(actions.state[marks]), actions.action[marks]).states
    together = GraphStates.concat([environment.initial(1), states, marked])

    def log_flow(of):
        with torch.no_grad():
            actions = environment.forward_actions(of)
            return state_log_probabilities_and_flows(environment, policy, of, actions)[1].numpy()

    found = log_flow(together)
    alone = [log_flow(together.take(np.array([i])))[0] for i in range(len(together))]
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-5)
    # isomorphic states, marked at equivalent places, have one flow
    assert len(np.unique(found.round(4))) == len(unique_keys(environment.keys(together))[0]) > 6


def test_one_benzene():
    """Fragments of hydrogen, which made benzene twice, are refused; without them there is one."""
    environment = FragmentEnvironment(
        Vocabulary.of(["[*]c1ccc([*])cc1", "[*]C", "[*]O"]),
        lambda smiles: np.log([QED.qed(Chem.MolFromSmiles(s)) for s in smiles]),
        max_fragments=2,
    )
    ends = terminals(environment)
    smiles = environment.smiles(ends)
    assert smiles.count("c1ccccc1") == 1 and not any("[H]" in s for s in smiles)
    weights = np.exp(environment.log_reward(ends))
    assert np.log(weights.sum()) == pytest.approx(1.2390, abs=5e-5)
    dihydrogen = QED.qed(Chem.MolFromSmiles("[H][H]"))  # the one other molecule of that fragment
    assert np.log(weights.sum() + dihydrogen) == pytest.approx(1.335, abs=5e-4)


def test_the_start_is_the_same_in_all_spellings_of_a_core():
    plain = make(core="[*]c1ccc([*])nc1")
    expected = set(plain.smiles(terminals(plain)))
    for core in ("[1*]c1ccc([2*])nc1", "[*:1]c1ccc([*:2])nc1", "[*]c1c([2H])cc([*])nc1"):
        environment = make(core=core)
        assert set(environment.smiles(terminals(environment))) == expected
    assert make(core="N[C@@H](C)C(=O)[*]").notes == (
        "core N[C@@H](C)C(=O)[*]: its stereo marks are not used; molecules are built without them",
    )


def chains(n):
    """Fragments whose atoms are all different, of about 30 atoms."""
    return [f"[*]{'C' * (i // 50 + 1)}{'OS'[i % 2]}{'C' * (i // 2 % 25 + 8)}" for i in range(n)]


def table_bytes(environment):
    """Size of all arrays that are made before the first step."""
    owners = (environment, environment.vocabulary, environment._molecules.covers)
    return sum(a.nbytes for o in owners for a in vars(o).values() if isinstance(a, np.ndarray))


def test_tables_grow_linearly_with_the_fragments():
    sizes = [table_bytes(make(chains(n), max_atoms=60)) / n for n in (100, 200, 400)]
    assert max(sizes) < 1.5 * min(sizes)


def test_more_kinds_of_atom_than_16_bits_count():
    environment = make(chains(1250), core="[*]c1ccc([*])nc1", max_atoms=60)
    assert len(environment.vocabulary.orbit_open) > 2**15
    states = rollouts(environment, 30, 3, seed=5)
    assert states.colour.max() > 2**15 and states.colour[states.n_nodes > 0].max(axis=1).min() >= 0
    smiles = environment.smiles(states)
    assert smiles == [plain_smiles(environment.vocabulary, states, i) for i in range(len(states))]
    keys = key_bytes(environment.keys(states))
    for key, name in list(zip(keys, smiles, strict=True))[:5]:
        assert key in key_bytes(environment.keys(environment.states_of_smiles(name)))
    assert environment.multiplicity(states).min() >= 1


@pytest.mark.parametrize("fragments", [SMALL, SULFONES])
def test_more_fragments_than_atoms_change_nothing(fragments):
    few = make(fragments, max_fragments=6, max_atoms=6)
    many = make(fragments, max_fragments=10_000, max_atoms=6)
    assert many.max_fragments == 6
    assert sorted(few.smiles(terminals(few))) == sorted(many.smiles(terminals(many)))


@pytest.mark.parametrize("core", [None, "[*]S(=O)(=O)N[*]"])
@pytest.mark.parametrize("regime", ["merged", "reward_scaling", "flow_scaling"])
def test_sulfones_are_drawn_in_proportion_to_reward(regime, core):
    environment = make(SULFONES, core=core).with_symmetry(regime)
    ends = terminals(environment)
    found, total = raw_distribution(environment)
    smiles = environment.smiles(ends)
    drawn = Counter()
    for name, key in zip(smiles, key_bytes(environment.keys(ends)), strict=True):
        drawn[name] += found[key]
    weight = {name: np.exp(0.1 * len(name)) for name in drawn}
    assert total == pytest.approx(sum(weight.values()))
    for name, w in weight.items():
        assert drawn[name] == pytest.approx(w / total)


@pytest.mark.parametrize("regime", ["merged", "reward_scaling"])
def test_temperature_is_of_the_reward_and_not_of_counts(regime):
    """The states of a molecule sum to R^beta, with the scale of the regime in each."""
    environment = make().with_symmetry(regime)
    ends = terminals(environment)
    smiles = environment.smiles(ends)
    assert max(Counter(smiles).values()) > 1
    scale = make().with_symmetry("flow_scaling").log_scale(ends) if regime != "merged" else 0.0
    for beta in (0.5, 1.0, 4.0):
        tempered = TemperedEnvironment(environment, beta)
        weight = np.exp(tempered.log_reward(tempered.with_temperature(ends)) - scale)
        found: dict[str, float] = {}
        for name, one in zip(smiles, weight, strict=True):
            found[name] = found.get(name, 0.0) + one
        expected = np.exp(beta * log_length(list(found)))
        np.testing.assert_allclose(list(found.values()), expected)


def test_states_of_two_groups_share_no_graph():
    environment = make(fragments=SMALL)
    states = terminals(environment).take(np.repeat(np.arange(3), 2))
    building = replace(states, stage=np.zeros_like(states.stage))
    shared = environment.graph(building)
    apart = environment.graph_apart(building, np.array([0, 1] * 3))
    assert len(shared.graph_type) == 3 and len(apart.graph_type) == 6
    assert len(set(apart.state_graph.tolist())) == 6
    with torch.no_grad():
        policy = make_policy(environment, hidden=8, rounds=2)
        for head in policy.heads:
            torch.nn.init.normal_(head.last.weight)
        torch.testing.assert_close(policy(apart).logits, policy(shared).logits)
    # a policy that reads temperatures needs them
    policy = make_policy(environment, hidden=8, rounds=2, conditioning="input")
    torch.nn.init.normal_(policy.condition_embedding.last.weight)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight)
    condition = torch.tensor([-1.0, 1.0] * 3)
    with torch.no_grad():
        both = policy(replace(apart, condition=condition)).logits
        for value in (-1.0, 1.0):
            one = policy(replace(shared, condition=torch.full((6,), value))).logits
            own = condition[apart.action_state] == value
            torch.testing.assert_close(both[own], one[own])
    with pytest.raises(ValueError, match="6 states share 3 graphs"):
        policy(replace(shared, condition=condition))

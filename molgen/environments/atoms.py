"""The atom environment: molecules (or plain graphs) grow atom by atom and bond by bond.

An action adds an atom by a single bond, closes a ring by a single bond, raises the order of a
bond, or stops. Every state is a molecule, its free valences filled by hydrogen. Actions that an
automorphism of the state takes into each other lead to the same molecule; how that is put right is
the environment's `symmetry` (molecules are drawn in proportion to their reward in all but "none"):

* "merged": they are one class of actions, forward and backward.
* "reward_scaling": actions are counted one by one, and the reward is multiplied by the number of
  automorphisms.
* "flow_scaling": likewise, and the number of automorphisms scales each transition.
* "none": neither; molecules are drawn in proportion to reward / automorphisms. For comparison.

A molecule that several states stand for (its Kekulé forms, places of the core in it) has its
reward divided among them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from gfncore.environment import Actions, Stepped
from gfncore.errors import UserError
from gfncore.graph_batch import GraphBatch
from gfncore.keys import key_bytes
from gfncore.policies import HeadSpec
from gfncore.symmetry import graphs as symmetries
from molgen.environments.atom_rules import Rules
from molgen.environments.base import MoleculeEnvironment
from molgen.environments.molecule_forms import MoleculeForms
from molgen.fragments.cores import core_notes, core_numbers
from molgen.kernels import atoms_graph_numba as drawing
from molgen.kernels import atoms_numba as kernels
from molgen.molecules.graph import FINISHED, AtomTable, GraphStates, canonical_states, state_keys
from molgen.molecules.rdkit_bridge import core_of_smiles
from molgen.symmetry import check_symmetry

__all__ = ["AtomEnvironment"]

ANY_RINGS = 1_000_000

Five = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class AtomEnvironment(MoleculeEnvironment):
    """Builds molecules of up to `max_atoms` heavy atoms.

    Parameters
    ----------
    table : AtomTable
    max_atoms : int
        At most 64.
    score : callable, optional
        log R, nats, float64, of distinct canonical SMILES (a list). One of `score` and
        `score_states` is given.
    symmetry : {"merged", "reward_scaling", "flow_scaling", "none"}
    ring_sizes : sequence of int, optional
        Every bond that lies in a ring has its smallest ring of one of these sizes, in every state;
        bonds of the core are exempt. None: any; empty: no rings.
    max_rings : int, optional
        Most independent rings (bonds - atoms + 1). None: any number.
    strained : bool
        Whether an atom may have a triple bond or two double bonds within rings (atoms of more
        than four valences always may).
    core : str, optional
        SMILES that every molecule contains, and that all start from, in one Kekulé form. Its atoms
        and the bonds between them stay as they are. It grows where it has ``[*]``, by one bond for
        each; without any, wherever it has hydrogen.
    score_states : callable, optional
        log R of finished states themselves; every state then is an object of its own. Needed by
        tables of abstract nodes.

    Attributes
    ----------
    node_features, graph_types, relations : int
        Widths of what a policy reads; see `gfncore.policies.Backbone`.
    heads : tuple of HeadSpec
        Stop; an atom of each kind at a node; a ring by distance; a bond's order; the first atom.
    backward_heads : tuple of HeadSpec
        Back from stop; a leaf to remove; a bond to remove or lower, by its order.
    notes : tuple of Note
        What the user should know of the core as it was read.

    Raises
    ------
    UserError
        If a setting is out of range, or the core does not fit.
    """

    def __init__(
        self,
        table: AtomTable,
        max_atoms: int,
        score: Callable[[list[str]], np.ndarray] | None = None,
        *,
        symmetry: str = "merged",
        ring_sizes: Sequence[int] | None = None,
        max_rings: int | None = None,
        strained: bool = True,
        core: str | None = None,
        score_states: Callable[[GraphStates], np.ndarray] | None = None,
    ) -> None:
        if (score is None) == (score_states is None):
            raise TypeError("give one of score and score_states")
        if table.is_plain and (score_states is None or core is not None):
            raise TypeError("abstract nodes need score_states, and have no core")
        _check(symmetry, max_atoms, ring_sizes, max_rings)
        self.table, self.max_atoms, self.symmetry = table, max_atoms, symmetry
        self._score, self._score_states = score, score_states
        self.notes = ()
        graph, growth = None, np.zeros(0, np.int64)
        if core is not None:
            graph, growth, left_out = core_of_smiles(core, table)
            core_numbers(core)
            self.notes = core_notes(core, left_out)
            if len(graph[0]) > max_atoms:
                raise UserError(
                    f"core: it has {len(graph[0])} atoms, but max_atoms is {max_atoms}; raise that"
                )
            rings_of_core = len(graph[1]) - len(graph[0]) + 1
            if max_rings is not None and rings_of_core > max_rings:
                raise UserError(
                    f"core: it has {rings_of_core} rings, but max_rings is {max_rings}; raise that"
                )
        rings = ANY_RINGS if max_rings is None else max_rings
        rules = Rules.of(table, max_atoms, ring_sizes, rings, strained, graph, growth)
        self.rules = rules
        self._tables = rules.limits, rules.cap, rules.valence, rules.core, rules.allowed
        self._start = self._first_state()
        self._log_aut_of_start = float(self._start.log_aut[0])
        self._forms = None if table.is_plain else MoleculeForms(table, rules)
        self._known: dict[bytes, tuple[str, int]] = {}  # SMILES and multiplicity by state key

        self.node_features = drawing.N_FEATURES + len(table)
        self.graph_types = max_atoms + 1
        self.relations = table.max_bond_order
        self.heads = (
            HeadSpec("graph"),
            HeadSpec("node", len(table)),
            HeadSpec("pair", drawing.CLOSE_COLUMNS),
            HeadSpec("pair", drawing.RAISE_COLUMNS * max(1, table.max_bond_order - 1)),
            HeadSpec("graph", len(table)),
        )
        # stop; a leaf; a bond by its order
        self.backward_heads = (
            HeadSpec("graph"),
            HeadSpec("node"),
            HeadSpec("pair", table.max_bond_order),
        )

    def with_symmetry(self, symmetry: str) -> AtomEnvironment:
        """The same environment in another regime: same states, same graphs, shared caches."""
        _check(symmetry, self.max_atoms, None, None)
        other = copy.copy(self)
        other.symmetry = symmetry
        return other

    def _first_state(self) -> GraphStates:
        rules = self.rules
        states = rules.graphs([rules.start_colour], [rules.start_bonds], stage=0)
        return canonical_states(*states)[0]

    def initial(self, n: int) -> GraphStates:
        """The empty graph, or the core."""
        return self._start.take(np.zeros(n, np.int64))

    def is_terminal(self, states: GraphStates) -> np.ndarray:
        """Which states have stopped."""
        return states.stage == FINISHED

    def forward_actions(self, states: GraphStates) -> Actions:
        """Stop, atoms at every free valence, rings, raised bonds; see `atoms_numba` for codes."""
        state, code = self._forward_codes(states)
        return Actions(state, code, self._forward_classes(states, state, code))

    def _forward_codes(self, states: GraphStates) -> tuple[np.ndarray, np.ndarray]:
        return kernels.forward_codes(
            states.colour,
            states.n_nodes,
            states.edges,
            states.n_edges,
            states.stage,
            *self._tables,
        )

    def _forward_classes(
        self, states: GraphStates, state: np.ndarray, code: np.ndarray
    ) -> np.ndarray | None:
        """For each action the code of one of its orbit; None where actions count one by one."""
        if self.symmetry != "merged":
            return None
        kinds, width = len(self.table), self.max_atoms
        classes = code.copy()
        symmetric = states.log_aut > 0.0
        rows = np.flatnonzero(symmetric[state] & (code > 0))
        s, c = state[rows], code[rows] - 1
        bond = c >= width * kinds
        at = ~bond & (states.n_nodes[s] > 0)
        node, kind = c[at] // kinds, c[at] % kinds
        classes[rows[at]] = 1 + states.node_orbit[s[at], node].astype(np.int64) * kinds + kind
        owner, place = np.unique(s[bond], return_inverse=True)
        if len(owner):
            few = states.take(owner)
            pairs = symmetries.pair_orbits(
                symmetries.ColouredGraphs(
                    few.colour.astype(np.int32),
                    few.n_nodes.astype(np.int32),
                    few.edges.astype(np.int32),
                    few.n_edges.astype(np.int32),
                )
            )
            pair = c[bond] - width * kinds
            orbit = pairs[place, pair // width, pair % width].astype(np.int64)
            classes[rows[bond]] = 1 + width * kinds + orbit
        return classes

    def step(self, states: GraphStates, action: np.ndarray) -> Stepped:
        """Apply one action a state; the result is in canonical numbering."""
        arrays = _copied(states)
        kernels.moved_on(*arrays, self.rules.limits, action)
        # where each atom of the states is in the children; the new one is last
        children, position = self._canonical(states, arrays, action != 0)
        kinds, width, rows = len(self.table), self.max_atoms, np.arange(len(action))
        bond = action > width * kinds
        pair = np.where(bond, action - 1 - width * kinds, 0)
        newest = np.minimum(states.n_nodes, width - 1)
        u, v = position[rows, pair // width], position[rows, pair % width]
        low, high = np.minimum(u, v).astype(np.int64), np.maximum(u, v)
        code = np.where(bond, 1 + width + low * width + high, 1 + position[rows, newest])
        return Stepped(children, np.where(action == 0, 0, code))

    def backward_actions(self, states: GraphStates) -> Actions:
        """Back from stop, leaves to remove, ring bonds to remove, bonds to lower."""
        limits, _, _, core, allowed = self._tables
        state, code = kernels.backward_codes(
            states.colour,
            states.n_nodes,
            states.edges,
            states.n_edges,
            states.stage,
            limits,
            core,
            allowed,
        )
        if self.symmetry != "merged":
            return Actions(state, code)
        width = self.max_atoms
        classes = code.copy()
        rows = np.flatnonzero((states.log_aut > 0.0)[state] & (code > 0))
        leaf = rows[code[rows] <= width]
        classes[leaf] = 1 + states.node_orbit[state[leaf], code[leaf] - 1].astype(np.int64)
        bond = rows[code[rows] > width]
        edges = states.edges[state[bond], :, :2].astype(np.int64)
        names = edges[:, :, 0] * width + edges[:, :, 1]
        place = (names == code[bond, None] - 1 - width).argmax(axis=1)
        first = states.edge_orbit[state[bond], place]
        classes[bond] = 1 + width + names[np.arange(len(bond)), first]
        return Actions(state, code, classes)

    def backstep(self, states: GraphStates, action: np.ndarray) -> Stepped:
        """Apply one backward action a state; the result is in canonical numbering."""
        arrays: Five = _copied(states)
        redo = kernels.moved_back(*arrays, self.rules.limits, action)
        parents, position = self._canonical(states, arrays, action != 0)
        kinds, width, rows = len(self.table), self.max_atoms, np.arange(len(action))
        first = position[rows, redo[:, 0]].astype(np.int64)
        second = position[rows, np.where(action > width, redo[:, 1], 0)]
        lone = parents.n_nodes == 0
        atom = 1 + np.where(lone, 0, first) * kinds + redo[:, 1]
        low, high = np.minimum(first, second), np.maximum(first, second)
        code = np.where(action > width, 1 + width * kinds + low * width + high, atom)
        code[action == 0] = 0
        return Stepped(parents, code)

    def _canonical(
        self, states: GraphStates, arrays: Five, changed: np.ndarray
    ) -> tuple[GraphStates, np.ndarray]:
        """Canonical states of changed arrays; those that only stopped or went on are so already."""
        if changed.all():
            return canonical_states(*arrays, states.mark)
        stage = arrays[-1]
        position = np.tile(np.arange(self.max_atoms, dtype=np.int32), (len(states), 1))
        same, rows = np.flatnonzero(~changed), np.flatnonzero(changed)
        kept = states.take(same)
        kept = replace(kept, stage=stage[same])
        if len(rows) == 0:
            return kept, position
        colour, n_nodes, edges, n_edges, _ = (array[rows] for array in arrays)
        new, position[rows] = canonical_states(
            colour, n_nodes, edges, n_edges, stage[rows], states.mark[rows]
        )
        order = np.empty(len(states), np.int64)
        order[np.concatenate([same, rows])] = np.arange(len(states))
        return GraphStates.concat([kept, new]).take(order), position

    def graph(self, states: GraphStates) -> GraphBatch:
        """Atoms as nodes, bonds as edges by order; the empty state is one node of its own."""
        return self._drawn(states, *self._forward_codes(states))

    def _drawn(self, states: GraphStates, state: np.ndarray, code: np.ndarray) -> GraphBatch:
        limits, cap, _, core, _ = self._tables
        features, node_graph, edge_index, edge_type, index, head, column, pairs = (
            drawing.graph_arrays(
                states.colour,
                states.n_nodes,
                states.edges,
                states.n_edges,
                state,
                code,
                limits,
                cap,
                core,
                self.rules.kind,
                self.node_features,
            )
        )
        return GraphBatch(
            node_features=torch.from_numpy(features),
            node_graph=torch.from_numpy(node_graph),
            graph_type=torch.from_numpy(states.n_nodes.astype(np.int64)),
            edge_index=torch.from_numpy(edge_index),
            edge_type=torch.from_numpy(edge_type),
            action_state=torch.from_numpy(state),
            action_index=torch.from_numpy(index),
            action_head=torch.from_numpy(head),
            action_column=torch.from_numpy(column),
            pairs=torch.from_numpy(pairs),
        )

    def backward_graph(self, states: GraphStates) -> GraphBatch:
        """The graphs of `graph` with backward actions: leaves at their node, bonds by their ends.

        A finished state has the graph of the unfinished one, and a single action.
        """
        actions = self.backward_actions(states)
        state, code, width = actions.state, actions.action, self.max_atoms
        none = np.zeros(0, np.int64)
        base = self._drawn(states, none, none)
        sizes = np.maximum(states.n_nodes.astype(np.int64), 1)
        first = np.cumsum(sizes) - sizes
        head, index = (code > 0).astype(np.int64), state.copy()
        column, leaf, bond = (
            np.zeros(len(code), np.int64),
            (code > 0) & (code <= width),
            code > width,
        )
        index[leaf] = first[state[leaf]] + code[leaf] - 1
        ends, owner = code[bond] - 1 - width, state[bond]
        edges = states.edges[owner].astype(np.int64)
        place = (edges[:, :, 0] * width + edges[:, :, 1] == ends[:, None]).argmax(axis=1)
        head[bond], index[bond] = 2, np.arange(len(ends))
        column[bond] = edges[np.arange(len(ends)), place, 2] - 1
        pairs = first[owner] + np.stack([ends // width, ends % width])
        return replace(
            base,
            action_state=torch.from_numpy(state),
            action_index=torch.from_numpy(index),
            action_head=torch.from_numpy(head),
            action_column=torch.from_numpy(column),
            pairs=torch.from_numpy(pairs),
        )

    def _facts(self, states: GraphStates) -> list[tuple[str, int]]:
        """SMILES and multiplicity of each state; worked out once for each key."""
        if self._forms is None:
            raise TypeError("abstract graphs have no SMILES")
        # a building state is the same molecule as the finished one
        finished = replace(states, stage=np.full_like(states.stage, FINISHED))
        keys = key_bytes(state_keys(finished))
        first: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if key not in self._known:
                first.setdefault(key, row)
        new = states.take(np.array(list(first.values()), np.int64))
        self._known.update(zip(first, self._forms.describe(new), strict=True))
        return [self._known[key] for key in keys]

    def smiles(self, states: GraphStates) -> list[str]:
        """Canonical SMILES of building or finished states (none of them empty)."""
        return [smiles for smiles, _ in self._facts(states)]

    def multiplicity(self, states: GraphStates) -> np.ndarray:
        """Number of states that are the same molecule; int64 (B,)."""
        if self._forms is None or self._score_states is not None:
            return np.ones(len(states), np.int64)
        return np.array([count for _, count in self._facts(states)], np.int64)

    def states_of_smiles(self, smiles: str) -> GraphStates:
        """All finished states that are this molecule; none if it cannot be built."""
        if self._forms is None:
            raise TypeError("abstract graphs have no SMILES")
        return self._forms.states_of_smiles(smiles)

    def same_molecule(self, states: GraphStates) -> tuple[np.ndarray, GraphStates]:
        """Return all finished states of each state's molecule, as the base class says.

        They are found from the states, not from SMILES: what RDKit reads there need not be made of
        the same kinds of atoms (P(=O)=N is read as a salt within the molecule).
        """
        if self._forms is None:
            raise TypeError("abstract graphs are no molecules")
        found = self._forms.same_molecule(states)
        molecule = np.repeat(np.arange(len(states)), [len(own) for own in found])
        return molecule, GraphStates.concat([states.take(np.zeros(0, np.int64)), *found])

    def log_reward(self, states: GraphStates) -> np.ndarray:
        """log R of the molecule less log of its multiplicity, scaled as `symmetry` says."""
        if self._score_states is not None:
            log_reward = np.asarray(self._score_states(states), np.float64)
        else:
            assert self._score is not None
            facts = self._facts(states)
            names = list(dict.fromkeys(smiles for smiles, _ in facts))
            value = dict(zip(names, np.asarray(self._score(names), np.float64), strict=True))
            log_reward = np.array([value[s] for s, _ in facts], np.float64)
        return log_reward + self.log_count_correction(states)

    def log_count_correction(self, states: GraphStates) -> np.ndarray:
        """Return -log of the multiplicity, with log |Aut| under "reward_scaling"; float64 (B,)."""
        correction = -np.log(self.multiplicity(states))
        if self.symmetry == "reward_scaling":
            correction += states.log_aut - self._log_aut_of_start
        return correction

    def stop_actions(self, states: GraphStates) -> np.ndarray:
        """Return 0, by which all unfinished states stop but the empty one; -1: it cannot."""
        return np.where((states.stage != FINISHED) & (states.n_nodes > 0), 0, -1)

    def log_scale(self, states: GraphStates) -> np.ndarray:
        """log of the number of automorphisms beside the start's under "flow_scaling", else 0."""
        if self.symmetry != "flow_scaling":
            return np.zeros(len(states))
        return states.log_aut - self._log_aut_of_start

    def keys(self, states: GraphStates) -> np.ndarray:
        """Canonical keys; uint64 (B, 2)."""
        return state_keys(states)


def _copied(states: GraphStates) -> Five:
    """Arrays that may be changed: colour, n_nodes, edges, n_edges, stage."""
    return (
        states.colour.copy(),
        states.n_nodes.copy(),
        states.edges.copy(),
        states.n_edges.copy(),
        states.stage.copy(),
    )


def _check(
    symmetry: str, max_atoms: int, ring_sizes: Sequence[int] | None, max_rings: int | None
) -> None:
    check_symmetry(symmetry)
    if not 1 <= max_atoms <= symmetries.MAX_NODES:
        raise UserError(f"max_atoms: {max_atoms}; give 1 to {symmetries.MAX_NODES}")
    if ring_sizes and min(ring_sizes) < 3:
        raise UserError(f"ring_sizes: {list(ring_sizes)}; give sizes of 3 or more, e.g. 5 6")
    if max_rings is not None and max_rings < 0:
        raise UserError(f"max_rings: {max_rings}; give 0 or more")

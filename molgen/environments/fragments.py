"""The fragment environment: molecules grow by whole fragments, joined by single bonds.

From the empty state (or a core) a first fragment is chosen. Then, until "stop" is chosen, an atom
with a place left is marked, and a fragment is joined to it by one of its own places. The way back:
a stop or a mark is undone, an outer fragment is taken off, the last one too unless it is the core.

A marked state keeps the numbering and the orbits of the unmarked one, and its mark is the smallest
atom of the orbit: so equal arrays are isomorphic states here too, and no search is needed. Its
automorphisms are those that keep the mark: as many fewer as the orbit has atoms.

Places that are left get hydrogen, but not at hypervalent atoms (a sulfone would become HSO2R): a
state stops only when these are joined. An action is legal if all of them can be closed afterwards,
each by its smallest partner, within the limits. What is taken off on the way back leaves enough
room for that again, so that all molecules without such hydrogens are still reached.

Fragment graphs give each class of actions a class that undoes it, and two classes never lead to
isomorphic states. With x = s_n, summed over trajectories of a class,

    raw forward / raw backward actions = product over fragments |Aut(C_i)| / |Aut(x)|,

which is what the raw regimes put right, or, in the regime "none", leave wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
import torch

from gfncore.environment import Actions, Stepped
from gfncore.errors import UserError
from gfncore.graph_batch import GraphBatch
from gfncore.keys import unique_keys
from gfncore.policies import HeadSpec
from molgen.environments.base import MoleculeEnvironment
from molgen.environments.fragment_molecules import FragmentMolecules
from molgen.fragments.vocabulary import LARGEST, Vocabulary
from molgen.kernels import fragments_numba as kernels
from molgen.kernels.fragments_graph_numba import graph_arrays
from molgen.molecules.graph import (
    FINISHED,
    MARKED,
    GraphStates,
    canonical_states,
    state_keys,
    unmarked,
)
from molgen.symmetry import check_symmetry

__all__ = ["FragmentEnvironment"]

JOINED = 4  # the relation of a join in `kernels.graph_arrays`
SPREAD = 0.7548776662466927  # its multiples, and its square's, fill a square evenly (Roberts 2018)


class FragmentEnvironment(MoleculeEnvironment):
    """Builds molecules out of the fragments of a vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
    score : callable
        Distinct canonical SMILES -> log R, float64, nats.
    symmetry : {"merged", "reward_scaling", "flow_scaling", "none"}
        How actions are counted, see `MoleculeEnvironment`.
    max_fragments, max_atoms : int
        Limits of a molecule; hydrogens are not counted.
    core : str, optional
        A SMILES with places: every molecule starts from it and keeps it.

    Attributes
    ----------
    node_features, graph_types, relations, heads, backward_heads
        What a policy for this environment is made with.
    notes : tuple of Note
        What the user should know of the fragments and the core as they were read.

    Raises
    ------
    UserError
        A limit, the core or the regime is impossible.
    """

    relations = 2  # within a fragment, and across a join

    def __init__(
        self,
        vocabulary: Vocabulary,
        score: Callable[[list[str]], np.ndarray],
        *,
        symmetry: str = "merged",
        max_fragments: int = 8,
        max_atoms: int = 45,
        core: str | None = None,
    ) -> None:
        check_symmetry(symmetry)
        if not 1 <= max_atoms <= LARGEST:
            raise UserError(f"max_atoms is {max_atoms}; choose 1 to {LARGEST}")
        if max_fragments < 1:
            raise UserError(f"max_fragments is {max_fragments}; choose 1 or more")
        self.symmetry, self.score = symmetry, score
        # each fragment has an atom at least
        self.max_fragments, self.max_atoms = min(max_fragments, max_atoms), max_atoms
        self.vocabulary = vocabulary if core is None else vocabulary.with_core(core)
        self.core = core
        v = self.vocabulary
        self._offered = len(vocabulary)  # fragments that may be chosen: all but the core
        self.notes = v.notes
        smallest = v.sizes[-1] if core is not None else v.sizes.min()
        if smallest > max_atoms:
            what = "the core" if core is not None else "the smallest fragment"
            raise UserError(f"max_atoms is {max_atoms}, but {what} has {smallest} atoms")
        self._make_tables()
        self._molecules = FragmentMolecules(
            v, core is not None, self.max_fragments, self._must_join
        )
        self._make_first_states()
        self.node_features = len(v.kinds) + 6 + 2 * self._orbit_weight.shape[1]
        self.graph_types = self.max_fragments + 1
        self.heads = (
            HeadSpec("graph", 1),
            HeadSpec("node", 1),
            HeadSpec("node", self._n_columns),
            HeadSpec("graph", self._offered),
        )
        self.backward_heads = (HeadSpec("graph"), HeadSpec("node"))

    def with_symmetry(self, symmetry: str) -> FragmentEnvironment:
        """Return the same environment in another regime: same states, same graphs, same caches."""
        check_symmetry(symmetry)
        other = copy.copy(self)
        other.symmetry = symmetry
        return other

    def _make_tables(self) -> None:
        v = self.vocabulary
        n_orbits = len(v.orbit_open)
        offered = v.orbit_fragment < self._offered
        self._sites = v.site_atoms[offered[v.atom_orbit[v.site_atoms]]].astype(np.int64)
        site_orbit = v.atom_orbit[self._sites]
        columns = np.cumsum((v.orbit_open > 0) & offered) - 1
        self._n_columns = int(columns[-1]) + 1
        self._site_column = columns[site_orbit]
        self._first_site = np.searchsorted(site_orbit, np.arange(n_orbits))
        site_class = v.orbit_class[site_orbit]
        classes = np.arange(len(v.joins_allowed))
        partners = [np.flatnonzero(v.joins_allowed[c, site_class]) for c in classes]
        self._partners = np.concatenate(partners).astype(np.int32)
        self._partner_start = np.cumsum([0, *map(len, partners)])
        self._must_join, self._closing_size = self._points_to_join(site_orbit, partners)
        # of each fragment: points that must be joined, and the atoms that close them
        places = v.orbit_open * np.bincount(v.atom_orbit, minlength=n_orbits)
        waiting = np.bincount(v.orbit_fragment, places * self._must_join, minlength=len(v)).astype(
            np.int64
        )
        closing = np.bincount(
            v.orbit_fragment, places * self._closing_size, minlength=len(v)
        ).astype(np.int64)
        fragment = v.orbit_fragment[site_orbit]
        self._site_atoms = (v.sizes + closing)[fragment] - self._closing_size[site_orbit]
        self._site_pieces = (1 + waiting)[fragment] - self._must_join[site_orbit]
        self._smallest_fit = np.full((len(classes), self.max_fragments + 2), LARGEST + 1)
        for c, rows in enumerate(partners):
            for most in range(1, self.max_fragments + 2):
                fit = rows[self._site_pieces[rows] <= most]
                self._smallest_fit[c, most] = self._site_atoms[fit].min(initial=LARGEST + 1)
        self._first_size = np.where(
            1 + waiting <= self.max_fragments, v.sizes + closing, LARGEST + 1
        )[: self._offered]
        first = self._first_size if self.core is None else (v.sizes + closing)[-1:]
        if first.min() > self.max_atoms or (
            self.core is not None and 1 + waiting[-1] > self.max_fragments
        ):
            what = "the core leaves" if self.core is not None else "all fragments leave"
            raise UserError(
                f"{what} open attachment points at sulfur, phosphorus or halogen atoms that must "
                f"be joined, beyond the limits of {self.max_fragments} fragments and "
                f"{self.max_atoms} atoms; raise these"
            )
        self._atom_fragment = v.orbit_fragment[v.atom_orbit]
        self._orbit_is_core = ~offered
        self._orbit_log_aut = (v.log_aut / v.sizes)[v.orbit_fragment]  # of each atom, its share
        kind = v.kinds[v.orbit_kind]
        # summed over the molecule for each atom: atoms, heteroatoms, aromatic and ring atoms, and
        # two quantities that tell the orbits apart, spread evenly over -1 to 1
        spread = np.arange(n_orbits)[:, None] * (SPREAD, SPREAD**2) % 1.0
        self._orbit_weight = np.column_stack(
            [np.ones(n_orbits), kind[:, 0] != 6, kind[:, 2] > 0, kind[:, 3] > 0, 2 * spread - 1]
        )

    def _points_to_join(
        self, site_orbit: np.ndarray, partners: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Orbits whose attachment points may not stay open, and what closes each at the least.

        These are the hypervalent ones, as far as one fragment without such points closes each, and
        as no fragment with such points would do with fewer atoms: then the room that is kept for
        the smallest partner is always enough, and a state never lacks actions.

        Returns
        -------
        must_join : ndarray, shape (O,), int64
            1 or 0.
        closing_size : ndarray, shape (O,), int64
            Atoms of the smallest partner; 0 where `must_join` is.
        """
        v = self.vocabulary
        must_join = v.orbit_hypervalent.astype(np.int64)
        size = np.zeros(len(must_join), np.int64)
        fragment = v.orbit_fragment[site_orbit]
        places = v.orbit_open * np.bincount(v.atom_orbit, minlength=len(must_join))
        while True:
            waiting = np.bincount(v.orbit_fragment, places * must_join, minlength=len(v))
            size[:] = 0
            for orbit in np.flatnonzero(must_join):
                rows = fragment[partners[v.orbit_class[orbit]]]
                final = rows[waiting[rows] == 0]
                size[orbit] = v.sizes[final].min(initial=LARGEST + 1)
            closed = v.sizes + np.bincount(v.orbit_fragment, places * size, minlength=len(v))
            unfit = [
                orbit
                for orbit in np.flatnonzero(must_join)
                if size[orbit] > LARGEST
                or (closed[fragment[partners[v.orbit_class[orbit]]]] < size[orbit]).any()
            ]
            if not unfit:
                return must_join, size
            must_join[unfit] = 0

    def _make_first_states(self) -> None:
        """A table of the states of one fragment each, the empty one last."""
        v = self.vocabulary
        rings = np.diff(v.first_bond) - v.sizes + 1
        # of all molecules within the limits, the most bonds that there can be
        rings_an_atom = float((rings / v.sizes).max())
        room = int(min(self.max_fragments * rings.max(), rings_an_atom * self.max_atoms))
        width = self.max_atoms - 1 + room + 1
        n = len(v)
        colour = np.full((n + 1, self.max_atoms), -1, np.int32)
        edges = np.full((n + 1, width, 3), -1, np.int16)
        n_nodes, n_edges = np.zeros(n + 1, np.int16), np.zeros(n + 1, np.int16)
        for f in np.flatnonzero(v.sizes <= self.max_atoms):
            bonds = v.bonds[v.first_bond[f] : v.first_bond[f + 1]]
            n_nodes[f], n_edges[f] = v.sizes[f], len(bonds)
            colour[f, : n_nodes[f]] = v.atom_orbit[v.first_atom[f] : v.first_atom[f + 1]]
            edges[f, : n_edges[f]] = bonds
        stage, mark = np.zeros(n + 1, np.int8), np.full(n + 1, -1, np.int16)
        self._first_states = canonical_states(colour, n_nodes, edges, n_edges, stage, mark)[0]

    def initial(self, n: int) -> GraphStates:
        """The empty state, or the core."""
        return self._first_states.take(np.full(n, -1 if self.core is None else -2))

    def is_terminal(self, states: GraphStates) -> np.ndarray:
        """Which states are stopped."""
        return states.stage == FINISHED

    def _forward_lists(self, states: GraphStates) -> tuple[np.ndarray, ...]:
        return kernels.forward_lists(
            states.colour, states.n_nodes, states.edges, states.n_edges, states.stage, states.mark,
            states.node_orbit, self.vocabulary.orbit_open, self.vocabulary.orbit_class,
            self._must_join, self._closing_size, self._smallest_fit, self._partner_start,
            self._partners, self._site_atoms, self._site_pieces, self._site_column,
            self._first_size, self.max_atoms, self.max_fragments,
        )  # fmt: skip

    def forward_actions(self, states: GraphStates) -> Actions:
        """Empty: the fragments. Marked: the atoms with places. Else 0 stops, 1 + u marks u."""
        state, action, action_class = self._forward_lists(states)[:3]
        return Actions(state, action, action_class if self.symmetry == "merged" else None)

    def step(self, states: GraphStates, action: np.ndarray) -> Stepped:
        """Apply one action a state."""
        marked, empty = states.stage == MARKED, states.n_nodes == 0
        undo = np.zeros(len(states), np.int64)
        new = _copy(states)
        stopping = np.flatnonzero(~marked & ~empty & (action == 0))
        new.stage[stopping] = FINISHED
        rows = np.flatnonzero(~marked & ~empty & (action > 0))
        if len(rows):
            self._set_mark(new, rows, states.node_orbit[rows, action[rows] - 1])
        rows = np.flatnonzero(empty)
        if len(rows):
            _put(new, rows, self._first_states.take(action[rows]))
        rows = np.flatnonzero(marked)
        if len(rows):
            v, old = self.vocabulary, states.take(rows)
            *arrays, joined = kernels.attach(
                old.colour, old.n_nodes, old.edges, old.n_edges, old.mark,
                self._sites[action[rows]], self._atom_fragment, v.first_atom, v.atom_orbit,
                v.first_bond, v.bonds,
            )  # fmt: skip
            grown, position = self._unmarked(*arrays)
            _put(new, rows, grown)
            undo[rows] = 1 + position[np.arange(len(rows)), joined]
        return Stepped(new, undo)

    def _set_mark(self, states: GraphStates, rows: np.ndarray, mark: np.ndarray) -> None:
        """Mark atoms, each the smallest of its orbit, of building states in place."""
        size = (states.node_orbit[rows] == mark[:, None]).sum(axis=1)
        states.stage[rows], states.mark[rows] = MARKED, mark
        states.log_aut[rows] -= np.log(size)

    @staticmethod
    def _unmarked(
        colour: np.ndarray, n_nodes: np.ndarray, edges: np.ndarray, n_edges: np.ndarray
    ) -> tuple[GraphStates, np.ndarray]:
        stage, mark = np.zeros(len(n_nodes), np.int8), np.full(len(n_nodes), -1, np.int16)
        return canonical_states(colour, n_nodes, edges, n_edges, stage, mark)

    def backward_actions(self, states: GraphStates) -> Actions:
        """0 undoes a stop, a mark or the first fragment; 1 + a takes off the piece of atom a."""
        state, action, action_class = kernels.backward_lists(
            states.colour, states.n_nodes, states.edges, states.n_edges, states.stage,
            states.node_orbit, self._orbit_is_core,
        )  # fmt: skip
        return Actions(state, action, action_class if self.symmetry == "merged" else None)

    def backstep(self, states: GraphStates, action: np.ndarray) -> Stepped:
        """Undo one action a state; of several raw actions of a class, the first leads back."""
        redo = np.zeros(len(states), np.int64)
        new = _copy(states)
        new.stage[states.stage == FINISHED] = 0
        rows = np.flatnonzero(states.stage == MARKED)
        if len(rows):
            mark = states.mark[rows].astype(np.int64)
            redo[rows] = 1 + mark
            size = (states.node_orbit[rows] == mark[:, None]).sum(axis=1)
            new.stage[rows], new.mark[rows] = 0, -1
            new.log_aut[rows] += np.log(size)
        building = states.stage == 0
        rows = np.flatnonzero(building & (action == 0))
        if len(rows):
            redo[rows] = self.vocabulary.orbit_fragment[states.colour[rows, 0]]
            _put(new, rows, self._first_states.take(np.full(len(rows), -1)))
        rows = np.flatnonzero(building & (action > 0))
        if len(rows):
            old, atom = states.take(rows), action[rows] - 1
            *arrays, held = kernels.remove_pieces(
                old.colour, old.n_nodes, old.edges, old.n_edges, atom
            )
            shrunk, position = self._unmarked(*arrays)
            each = np.arange(len(rows))
            self._set_mark(shrunk, each, shrunk.node_orbit[each, position[each, held]])
            _put(new, rows, shrunk)
            redo[rows] = self._first_site[old.colour[each, atom]]
        return Stepped(new, redo)

    def graph(self, states: GraphStates) -> GraphBatch:
        """Atoms as nodes, see `graph_apart`; equal graphs are shared by all states."""
        return self.graph_apart(states, np.zeros(len(states), np.int64))

    def graph_apart(self, states: GraphStates, group: np.ndarray) -> GraphBatch:
        """Atoms as nodes, see `molgen.kernels.fragments_graph_numba`.

        Heads: stop (graph), mark (node), join (node, a column for each orbit with places, read at
        the marked atom), first fragment (graph).
        """
        base, graph, first_node = self._drawn(states, group)
        state, _, _, head, node, column = self._forward_lists(states)
        index = np.where(node >= 0, first_node[graph[state]] + node, graph[state])
        return replace(
            base,
            action_state=torch.from_numpy(state),
            action_index=torch.from_numpy(index),
            action_head=torch.from_numpy(head),
            action_column=torch.from_numpy(column),
        )

    def backward_graph(self, states: GraphStates) -> GraphBatch:
        """The graphs of `graph` with backward actions.

        Heads: what is undone without a choice (graph), an outer piece (node, read at the atom that
        holds it).
        """
        base, graph, first_node = self._drawn(states, np.zeros(len(states), np.int64))
        actions = self.backward_actions(states)
        state, piece = actions.state, actions.action > 0
        index = np.where(piece, first_node[graph[state]] + actions.action - 1, graph[state])
        return replace(
            base,
            action_state=torch.from_numpy(state),
            action_index=torch.from_numpy(index),
            action_head=torch.from_numpy(piece.astype(np.int64)),
        )

    def _drawn(
        self, states: GraphStates, group: np.ndarray
    ) -> tuple[GraphBatch, np.ndarray, np.ndarray]:
        """Graphs without actions, the graph of each state, and the first node of each graph."""
        v = self.vocabulary
        # a marked or finished state has the graph of the unmarked one, embedded once for all
        keys = state_keys(unmarked(states))
        shared = keys + np.stack([group, group], axis=1).astype(np.uint64)
        first, graph = unique_keys(shared)
        features, first_node, node_graph, graph_type, edge_index, edge_type = graph_arrays(
            states.colour[first], states.n_nodes[first], states.edges[first], states.n_edges[first],
            v.orbit_kind, v.orbit_open, v.orbit_hydrogens, self._orbit_is_core,
            self._orbit_weight, len(v.kinds), self.max_atoms, self.max_fragments,
        )  # fmt: skip
        marked = np.where(states.stage == MARKED, first_node[graph] + states.mark, -1)
        none = torch.zeros(0, dtype=torch.int64)
        drawn = GraphBatch(
            node_features=torch.from_numpy(features),
            node_graph=torch.from_numpy(node_graph),
            graph_type=torch.from_numpy(graph_type),
            edge_index=torch.from_numpy(edge_index),
            edge_type=torch.from_numpy((edge_type == JOINED).astype(np.int64)),
            action_state=none,
            action_index=none,
            graph_keys=torch.from_numpy(keys[first].view(np.int64)),
            state_graph=torch.from_numpy(graph),
            state_node=torch.from_numpy(marked),
        )
        return drawn, graph, first_node

    def keys(self, states: GraphStates) -> np.ndarray:
        """Hashes of the arrays, which are canonical; uint64 (B, 2)."""
        return state_keys(states)

    def log_scale(self, states: GraphStates) -> np.ndarray:
        """`_log_symmetry` under "flow_scaling", else 0; float64 (B,)."""
        if self.symmetry != "flow_scaling":
            return super().log_scale(states)
        return self._log_symmetry(states)

    def _log_symmetry(self, states: GraphStates) -> np.ndarray:
        """log |Aut(s)| less the sum of log |Aut(C_i)| over its fragments; float64 (B,)."""
        share = np.where(states.colour >= 0, self._orbit_log_aut[states.colour], 0.0)
        return states.log_aut - share.sum(axis=1)

    def log_reward(self, states: GraphStates) -> np.ndarray:
        """log R of the molecule, less log of its multiplicity; with the regime's scale."""
        smiles, _ = self._molecules.facts(states)
        names = list(dict.fromkeys(smiles))
        value = dict(zip(names, np.asarray(self.score(names), np.float64), strict=True))
        return np.array([value[name] for name in smiles]) + self.log_count_correction(states)

    def log_count_correction(self, states: GraphStates) -> np.ndarray:
        """Return -log of the multiplicity, with `_log_symmetry` under "reward_scaling"."""
        correction = -np.log(self.multiplicity(states))
        if self.symmetry == "reward_scaling":
            correction += self._log_symmetry(states)
        return correction

    def smiles(self, states: GraphStates, executor: Executor | None = None) -> list[str]:
        """Canonical SMILES, hydrogens where places are left; "" for the empty state."""
        return self._molecules.facts(states, executor)[0]

    def multiplicity(self, states: GraphStates) -> np.ndarray:
        """Number of fragment graphs within the limits that are the same molecule; int64 (B,)."""
        return self._molecules.facts(states)[1]

    def same_molecule(self, states: GraphStates) -> tuple[np.ndarray, GraphStates]:
        """Return all finished states of each state's molecule, as the base class says."""
        return self._molecules.same_molecule(states)

    def states_of_smiles(self, smiles: str) -> GraphStates:
        """All finished states of one molecule, stereo left out; none if it cannot be built."""
        return self._molecules.states_of_smiles(smiles, self._first_states)


def _copy(states: GraphStates) -> GraphStates:
    return states.take(np.arange(len(states)))


def _put(states: GraphStates, rows: np.ndarray, new: GraphStates) -> None:
    """Overwrite rows in place."""
    for name, values in vars(new).items():
        getattr(states, name)[rows] = values

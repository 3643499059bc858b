"""Which states of the atom environment are one molecule.

A molecule is several states where it has several Kekulé forms that no automorphism takes into each
other, or where the core can be placed in it in several ways. Two states are the same molecule
exactly when RDKit writes the same canonical SMILES for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfncore.keys import key_bytes
from molgen.environments.atom_rules import Rules, bond_orders
from molgen.kernels import atoms_numba as kernels
from molgen.molecules.graph import FINISHED, AtomTable, GraphStates, canonical_states, state_keys
from molgen.molecules.rdkit_bridge import (
    Graph,
    graph_of_smiles,
    kekule_forms,
    mol_of_graph,
    smiles_of_mol,
)

__all__ = ["MoleculeForms"]


class MoleculeForms:
    """SMILES of states, and states of SMILES.

    Parameters
    ----------
    table : AtomTable
    rules : Rules
    """

    def __init__(self, table: AtomTable, rules: Rules) -> None:
        self.table, self.rules = table, rules

    def describe(self, states: GraphStates) -> list[tuple[str, int]]:
        """Canonical SMILES and number of states that are the same molecule, of each state."""
        smiles, forms = self._forms_of_states(states)
        if not self.rules.core.any() and all(len(own) == 1 for own in forms):
            return [(name, 1) for name in smiles]
        if self.rules.core.any():
            counts = [len(own) for own in self._distinct_states(smiles, forms)]
        else:  # what builds one form builds all: they differ in orders within rings alone
            counts = [len(own) for own in self._same_molecules(smiles, forms)]
        return list(zip(smiles, counts, strict=True))

    def same_molecule(self, states: GraphStates) -> list[GraphStates]:
        """All finished states of the molecule of each state, that state's own among them."""
        return self._distinct_states(*self._forms_of_states(states))

    def states_of_smiles(self, smiles: str) -> GraphStates:
        """All finished states that are this molecule; none if it cannot be built."""
        nothing = canonical_states(*self.rules.graphs([], [], FINISHED))[0]
        try:
            kinds, bonds = graph_of_smiles(smiles, self.table)
        except ValueError:
            return nothing
        if len(kinds) > self.rules.max_atoms or len(bonds) > self.rules.max_edges:
            return nothing
        name, forms = self._forms(kinds, bonds)
        (own,) = self._distinct_states([name], [[(kinds, form) for form in forms]])
        return own

    def _forms_of_states(self, states: GraphStates) -> tuple[list[str], list[list[Graph]]]:
        """Canonical SMILES, and all Kekulé forms, of each state."""
        smiles, forms = [], []
        for i in range(len(states)):
            n, m = int(states.n_nodes[i]), int(states.n_edges[i])
            kinds = self.rules.kind[states.colour[i, :n]]
            name, own = self._forms(kinds, states.edges[i, :m])
            smiles.append(name)
            forms.append([(kinds, bonds) for bonds in own])
        return smiles, forms

    def _forms(self, kinds: np.ndarray, bonds: np.ndarray) -> tuple[str, list[np.ndarray]]:
        """Canonical SMILES, and the bonds of all Kekulé forms as matchings give them."""
        mol = mol_of_graph(kinds, bonds, self.table)
        orders = kekule_forms(mol, bonds)
        if len(orders) == 1:
            return smiles_of_mol(mol), [bonds]
        forms = np.repeat(bonds[None], len(orders), axis=0)
        forms[:, :, 2] = orders
        return smiles_of_mol(mol), list(forms)

    def _distinct_states(
        self, smiles: Sequence[str], forms: Sequence[Sequence[Graph]]
    ) -> list[GraphStates]:
        """The different states of each molecule that can be built, from its Kekulé forms."""
        kekule = self._same_molecules(smiles, forms)
        if self.rules.core.any():
            placed = [
                [graph for kinds, bonds in own for graph in self._placed(kinds, bonds)]
                for own in kekule
            ]
        else:
            placed = kekule
        built = [[graph for graph in own if self._can_be_built(*graph)] for own in placed]
        sizes = [len(own) for own in built]
        states = self._states([graph for own in built for graph in own])
        result, place = [], 0
        for size in sizes:
            rows = np.arange(place, place + size)
            own = states.take(rows)
            keys = dict(zip(key_bytes(state_keys(own)), range(size), strict=True))
            result.append(own.take(np.array(sorted(keys.values()), np.int64)))
            place += size
        return result

    def _states(self, graphs: Sequence[Graph]) -> GraphStates:
        """Canonical finished states."""
        arrays = self.rules.graphs([g[0] for g in graphs], [g[1] for g in graphs], FINISHED)
        return canonical_states(*arrays)[0]

    def _same_molecules(
        self, smiles: Sequence[str], forms: Sequence[Sequence[Graph]]
    ) -> list[list[Graph]]:
        """Of each molecule's forms, those that RDKit writes alike, each up to isomorphism once.

        RDKit wrote `smiles` for the first form of each.
        """
        several = [graph for own in forms if len(own) > 1 for graph in own]
        if not several:
            return [list(own) for own in forms]
        keys = iter(key_bytes(state_keys(self._states(several))))
        result = []
        for name, own in zip(smiles, forms, strict=True):
            different: dict[bytes, Graph] = {}
            if len(own) > 1:
                for graph in own:
                    different.setdefault(next(keys), graph)
            first, *others = different.values() or own
            alike = [
                graph for graph in others if smiles_of_mol(mol_of_graph(*graph, self.table)) == name
            ]
            result.append([first, *alike])
        return result

    def _placed(self, kinds: np.ndarray, bonds: np.ndarray) -> list[Graph]:
        """The graph with the core's colours, for all places where the core can be."""
        rules = self.rules
        own = bond_orders(len(kinds), bonds)
        wanted = bond_orders(len(rules.start_colour), rules.start_bonds)
        room = rules.cap[rules.start_colour]
        used = own.sum(axis=1)
        core_kinds = rules.kind[rules.start_colour]
        order = _connected_order(wanted)
        found: dict[bytes, np.ndarray] = {}
        taken: list[int] = []  # the atom for each core atom, in `order`

        def extend() -> None:
            if len(taken) == len(order):
                colour = kinds.astype(np.int16)
                colour[taken] = rules.start_colour[order]
                found[colour.tobytes()] = colour
                return
            c = order[len(taken)]
            for u in np.flatnonzero((kinds == core_kinds[c]) & (used <= room[c])).tolist():
                if u in taken or (own[u, taken] != wanted[c, order[: len(taken)]]).any():
                    continue
                taken.append(u)
                extend()
                taken.pop()

        extend()
        return [(colour, bonds) for colour in found.values()]

    def _can_be_built(self, colour: np.ndarray, bonds: np.ndarray) -> bool:
        """Whether the rules allow this graph, and a way to it."""
        rules = self.rules
        order = int(rules.limits[2])
        if len(bonds) - len(colour) + 1 > rules.limits[3] or (bonds[:, 2] > order).any():
            return False
        if rules.limits[4] and rules.allowed.size == 0:
            return True
        tables = rules.limits, rules.valence, rules.core, rules.allowed
        if not kernels.keeps_rules(colour, len(colour), bonds, len(bonds), *tables):
            return False
        if rules.allowed.size == 0:
            return True
        # a skeleton of single bonds: all that remains is to open its rings in some order
        skeleton = bonds.copy()
        skeleton[:, 2] = 1
        return self._opens(colour, skeleton, set())

    def _opens(self, colour: np.ndarray, bonds: np.ndarray, seen: set[bytes]) -> bool:
        """Whether ring bonds can be removed, within the rules, until the core's alone are left."""
        rules = self.rules
        name = np.sort(bonds[:, 0] * rules.max_atoms + bonds[:, 1]).tobytes()
        if name in seen:
            return False
        seen.add(name)
        opened = len(rules.start_bonds) - max(len(rules.start_colour), 1)
        if len(bonds) - len(colour) == opened:
            return True
        arrays = rules.graphs([colour], [bonds], 0)
        _, codes = kernels.backward_codes(*arrays[:5], rules.limits, rules.core, rules.allowed)
        width = rules.max_atoms
        for code in codes[codes > width].tolist():
            u, v = divmod(code - 1 - width, width)
            left = bonds[(bonds[:, 0] != u) | (bonds[:, 1] != v)]
            if self._opens(colour, left, seen):
                return True
        return False


def _connected_order(orders: np.ndarray) -> list[int]:
    """Nodes of a connected graph so that each but the first has a neighbour before it."""
    order = [0]
    while len(order) < len(orders):
        near = np.flatnonzero(orders[order].any(axis=0))
        order.extend(sorted(set(near.tolist()) - set(order)))
    return order

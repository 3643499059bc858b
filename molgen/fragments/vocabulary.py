"""The vocabulary of fragments that the fragment environment joins into molecules.

A fragment is a SMILES with attachment points (here: places), ``[*]``, where another fragment may be
joined by a single bond; open places are filled with hydrogen. The text form
(``data/fragments.smi``) has one fragment per line, followed by a name, and rules for joins in lines
that begin with ``#rule``; other lines that begin with ``#`` are comments.

The atoms of all fragments are concatenated. Atoms of a fragment that its automorphisms (preserving
places and labels) map to each other form an orbit; orbits are numbered over the whole vocabulary
and are the colours of states.

Glossary: V fragments, A atoms of all fragments, E bonds within them, O orbits, S orbits with
places, P atoms with places, K kinds of atoms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gfncore.errors import UserError
from gfncore.program.messages import Note
from gfncore.program.resources import data_file
from gfncore.symmetry import graphs as symmetry
from molgen.fragments.cores import core_notes, core_numbers
from molgen.fragments.reading import (
    KIND_FIELDS,
    Fragment,
    FragmentError,
    atom_token,
    element_numbers,
    read_fragment,
    read_molecule,
)

__all__ = ["DEFAULT_RULES", "Vocabulary"]

LARGEST = 60  # atoms of a fragment: a set of atoms is one 64-bit number
LOWEST_VALENCES = {15: 3, 16: 2, 17: 1, 34: 2, 35: 1, 52: 2, 53: 1}  # by atomic number
HALOGENS = (9, 17, 35, 53, 85)
SYMBOLS = element_numbers()
_LABEL = re.compile(r"[0-9]{1,9}")
WORDS = ("*", "hetero", "halogen", "aromatic", "aliphatic", "ring", "chain")
REPORT_EVERY = 50  # lines
DEFAULT_RULES = (("forbid", "hetero", "hetero"),)


@dataclass(frozen=True)
class Vocabulary:
    """Fragments, their atoms, and the allowed joins of places.

    Attributes
    ----------
    smiles, names : tuple of str, length V
        SMILES with places as ``[*]`` or ``[3*]``; names may be empty.
    rules : tuple of (str, str, str)
        "allow" or "forbid" and two sides; the last rule that matches a pair applies.
    first_atom : ndarray, shape (V + 1,), int32
        Index of the first atom of each fragment.
    atom_orbit : ndarray, shape (A,), int32
        Orbit of each atom, ascending: the atoms of a fragment are sorted by orbit.
    first_bond : ndarray, shape (V + 1,), int32
    bonds : ndarray, shape (E, 3), int16
        u < v, numbered within the fragment, and order 1..3, or 4 for aromatic.
    log_aut : ndarray, shape (V,), float64
        log |Aut(C)|.
    orbit_fragment, orbit_kind : ndarray, shape (O,), int32
        Fragment; kind of atom (row of `kinds`).
    orbit_open, orbit_hydrogens, orbit_degree, orbit_label : ndarray, shape (O,), int16
        Number of places; number of hydrogens not counting open places; neighbours within the
        fragment; label of the places.
    kinds : ndarray, shape (K, 8), int16
        Properties of atoms that joins do not change: atomic number, charge, aromatic, in a ring,
        neighbours including hydrogens (and places), double, triple and aromatic bonds.
    orbit_class : ndarray, shape (O,), int32
        Class of each orbit; orbits of a class have the same partners, and class 0 has no places.
    orbit_hypervalent : ndarray, shape (O,), bool
        Whether the places of an atom must not be filled with hydrogen: sulfur of valence above 2
        and similar atoms, as in a sulfone.
    joins_allowed : ndarray, shape (C, C), bool
        Whether atoms of two classes may be joined; symmetric.
    notes : tuple of Note
        Notes for the user about the fragments.
    """

    smiles: tuple[str, ...]
    names: tuple[str, ...]
    rules: tuple[tuple[str, str, str], ...]
    first_atom: np.ndarray
    atom_orbit: np.ndarray
    first_bond: np.ndarray
    bonds: np.ndarray
    log_aut: np.ndarray
    orbit_fragment: np.ndarray
    orbit_kind: np.ndarray
    orbit_open: np.ndarray
    orbit_hydrogens: np.ndarray
    orbit_degree: np.ndarray
    orbit_label: np.ndarray
    kinds: np.ndarray
    orbit_class: np.ndarray
    orbit_hypervalent: np.ndarray
    joins_allowed: np.ndarray
    fragments: tuple[Fragment, ...]
    notes: tuple[Note, ...] = ()

    def __len__(self) -> int:
        return len(self.smiles)

    @classmethod
    def default(cls) -> Vocabulary:
        """Return the default vocabulary, ``data/fragments.smi``."""
        return cls.read(data_file("fragments.smi"))

    @classmethod
    def read(cls, path: str | Path, report: Callable[[int, int], None] | None = None) -> Vocabulary:
        """Read a file of fragments.

        Parameters
        ----------
        path : path
        report : callable, optional
            Called with the number of lines read and of all lines, now and then.

        Raises
        ------
        UserError
            The file cannot be read, or a line is wrong; the message has the line's number.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UserError(f"{path}: the fragments cannot be read: {reason}") from None
        return cls.parse(text, str(path), report)

    @classmethod
    def parse(
        cls,
        text: str,
        source: str = "fragments",
        report: Callable[[int, int], None] | None = None,
    ) -> Vocabulary:
        """Read the text form; `source` is named in errors, `report` as in `read`.

        Raises
        ------
        UserError
        """
        fragments, names, rules, lines = [], [], [], {}
        left_out: dict[str, list[int]] = {}
        rows = re.split(r"\r\n|\r|\n", text)  # a name may contain other line ends of Unicode
        for number, line in enumerate(rows, 1):
            if report is not None and number % REPORT_EVERY == 0:
                report(number, len(rows))
            place = f"{source}, line {number}"
            if line.startswith("#rule"):
                rules.append(_rule(line, place))
                continue
            if not line.strip() or line.startswith("#"):
                continue
            smiles, _, name = line.strip().partition(" ")
            smiles, _, rest = smiles.partition("\t")
            try:
                fragment = read_fragment(smiles)
            except FragmentError as error:
                raise UserError(f"{place}: fragment '{smiles}': {error}") from None
            if len(fragment) > LARGEST:
                raise UserError(
                    f"{place}: fragment '{smiles}' has {len(fragment)} atoms; at most {LARGEST} do"
                )
            if fragment.smiles in lines:
                raise UserError(
                    f"{place}: fragment '{smiles}' is a duplicate of line "
                    f"{lines[fragment.smiles]}; give each once"
                )
            lines[fragment.smiles] = number
            for what in fragment.left_out:
                left_out.setdefault(what, []).append(number)
            fragments.append(fragment)
            names.append(" ".join((rest + " " + name).split()))
        if not fragments:
            raise UserError(
                f"{source}: no fragment is given; write one SMILES per line, such as [*]C[*]"
            )
        notes = tuple(
            Note(
                "unused-marks-of-fragments",
                f"{source}: {what} are not used ({len(numbers):,} fragments, the first in line "
                f"{numbers[0]}); molecules are built without them",
            )
            for what, numbers in left_out.items()
        )
        return _assemble(fragments, names, tuple(rules) or DEFAULT_RULES, notes)

    @classmethod
    def of(
        cls,
        smiles: Sequence[str],
        rules: Sequence[tuple[str, str, str]] = DEFAULT_RULES,
    ) -> Vocabulary:
        """Return a vocabulary from a list of SMILES with places, and rules."""
        lines = ["#rule " + " ".join(rule) for rule in rules]
        return cls.parse("\n".join([*lines, *smiles]))

    def text(self) -> str:
        """Return the text form, which `parse` reads."""
        lines = ["#rule " + " ".join(rule) for rule in self.rules]
        pairs = zip(self.smiles, self.names, strict=True)
        return "\n".join([*lines, *[f"{s} {name}".rstrip() for s, name in pairs], ""])

    def with_core(self, smiles: str) -> Vocabulary:
        """Return this vocabulary with one more fragment at its end, to start from.

        Its places have no labels, whatever numbers they have; see `molgen.fragments.cores`.

        Raises
        ------
        UserError
            `smiles` is not a fragment with places.
        """
        core_numbers(smiles)
        try:
            core = read_fragment(smiles, labels_are_numbers=True)
        except FragmentError as error:
            raise UserError(f"core '{smiles}': {error}") from None
        if len(core) > LARGEST:
            raise UserError(f"core '{smiles}' has {len(core)} atoms; at most {LARGEST} do")
        notes = (*self.notes, *core_notes(smiles, core.left_out))
        return _assemble([*self.fragments, core], [*self.names, "core"], self.rules, notes)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Atoms of each fragment; int16 (V,)."""
        return np.diff(self.first_atom).astype(np.int16)

    @cached_property
    def site_orbits(self) -> np.ndarray:
        """The orbits with places, ascending; int32 (S,)."""
        return np.flatnonzero(self.orbit_open > 0).astype(np.int32)

    def may_join(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return whether atoms of two orbits may be joined; bool, broadcast."""
        return self.joins_allowed[self.orbit_class[first], self.orbit_class[second]]

    @cached_property
    def site_atoms(self) -> np.ndarray:
        """The atoms with places, ascending, and so by orbit; int32 (P,)."""
        return np.flatnonzero(self.orbit_open[self.atom_orbit] > 0).astype(np.int32)

    @cached_property
    def tokens(self) -> np.ndarray:
        """How SMILES writes an atom of each orbit with k places left; uint8 (O, k_max + 1, L)."""
        most = int(self.orbit_open.max(initial=0))
        hydrogens = self.orbit_hydrogens[:, None] + np.arange(most + 1)
        pairs = np.stack(np.broadcast_arrays(self.orbit_kind[:, None], hydrogens), axis=-1)
        distinct, row = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
        words = [atom_token(self.kinds[kind], int(count)).encode() for kind, count in distinct]
        table = np.zeros((len(words), max(map(len, words))), np.uint8)
        for place, word in enumerate(words):
            table[place, : len(word)] = list(word)
        return table[row.reshape(-1)].reshape(*hydrogens.shape, -1)

    @cached_property
    def _number_of_kind(self) -> dict[tuple[int, ...], int]:
        return {tuple(kind): i for i, kind in enumerate(self.kinds.tolist())}

    def graph_of_smiles(self, smiles: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Return kinds (n,), int32, and bonds (m, 3), int16, of a molecule without stereo.

        None if the SMILES is not one connected molecule of kinds that the vocabulary has.
        """
        read = read_molecule(smiles)
        if read is None:
            return None
        kinds, bonds = read
        known = self._number_of_kind
        numbers = [known.get(tuple(kind), -1) for kind in kinds.tolist()]
        if -1 in numbers:
            return None
        return np.array(numbers, np.int32), bonds


def _rule(line: str, place: str) -> tuple[str, str, str]:
    words = line.split()[1:]
    if len(words) != 3 or words[0] not in ("allow", "forbid"):
        raise UserError(
            f"{place}: the rule '{line}' is not a valid rule; write '#rule forbid SIDE SIDE' or "
            "'#rule allow SIDE SIDE'"
        )
    for side in words[1:]:
        for term in side.split("+"):
            if term not in WORDS and term not in SYMBOLS and not _LABEL.fullmatch(term):
                raise UserError(
                    f"{place}: '{term}' in a rule is not known; use a label's number, an element "
                    "or one of " + ", ".join(WORDS)
                )
    return words[0], words[1], words[2]


def _side(side: str, atoms: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the orbits to which a side of a rule refers; bool (O,)."""
    number, aromatic, ring = atoms[:, 0], atoms[:, 2] > 0, atoms[:, 3] > 0
    fits = np.ones(len(atoms), bool)
    for term in side.split("+"):
        if _LABEL.fullmatch(term):
            fits &= labels == int(term)
        elif term in SYMBOLS:
            fits &= number == SYMBOLS[term]
        else:
            fits &= {
                "*": np.ones(len(atoms), bool),
                "hetero": number != 6,
                "halogen": np.isin(number, HALOGENS),
                "aromatic": aromatic,
                "aliphatic": ~aromatic,
                "ring": ring,
                "chain": ~ring,
            }[term]
    return fits


def _assemble(
    fragments: Sequence[Fragment],
    names: Sequence[str],
    rules: tuple[tuple[str, str, str], ...],
    notes: tuple[Note, ...] = (),
) -> Vocabulary:
    """Lay the fragments end to end, their atoms sorted by orbit."""
    found = symmetry.analyse(_coloured(fragments))
    sizes = [len(fragment) for fragment in fragments]
    orbits, orbit_rows, bonds = [], [], []
    count = 0
    for f, fragment in enumerate(fragments):
        smallest = found.node_orbits[f, : sizes[f]]
        order = np.argsort(smallest, kind="stable")
        representatives, of_atom = np.unique(smallest, return_inverse=True)
        orbits.append(of_atom.reshape(-1)[order] + count)
        count += len(representatives)
        degree = np.bincount(fragment.bonds[:, :2].ravel(), minlength=sizes[f])
        orbit_rows.extend(
            (f, *fragment.kinds[a], fragment.open[a], fragment.hydrogens[a], degree[a], label)
            for a, label in zip(representatives, fragment.labels[representatives], strict=True)
        )
        place = np.empty(sizes[f], np.int16)
        place[order] = np.arange(sizes[f])
        ends = np.sort(place[fragment.bonds[:, :2]], axis=1)
        bonds.append(np.column_stack([ends, fragment.bonds[:, 2]])[np.lexsort(ends.T[::-1])])
    table = np.array(orbit_rows, np.int32)
    kinds, kind = np.unique(table[:, 1 : 1 + KIND_FIELDS], axis=0, return_inverse=True)
    open_, hydrogens, degree, labels = table[:, 1 + KIND_FIELDS :].T
    hypervalent = _hypervalent(table[:, 1 : 1 + KIND_FIELDS]) & (open_ > 0)
    orbit_class, joins_allowed = _classes(table, hypervalent, rules)
    return Vocabulary(
        tuple(fragment.smiles for fragment in fragments),
        tuple(names),
        rules,
        np.cumsum([0, *sizes]).astype(np.int32),
        np.concatenate(orbits).astype(np.int32),
        np.cumsum([0, *[len(b) for b in bonds]]).astype(np.int32),
        np.concatenate(bonds).astype(np.int16),
        found.log_automorphisms(),
        table[:, 0].copy(),
        kind.reshape(-1).astype(np.int32),
        open_.astype(np.int16),
        hydrogens.astype(np.int16),
        degree.astype(np.int16),
        labels.astype(np.int16),
        kinds.astype(np.int16),
        orbit_class,
        hypervalent,
        joins_allowed,
        tuple(fragments),
        notes,
    )


def _hypervalent(kinds: np.ndarray) -> np.ndarray:
    """Return whether kinds are uncharged atoms above their lowest valence; bool (O,)."""
    number, charge, _, _, connections, double, triple, aromatic = kinds.T
    lowest = np.zeros(len(kinds), np.int64)
    for element, valence in LOWEST_VALENCES.items():
        lowest[number == element] = valence
    valence = connections + double + 2 * triple
    return (lowest > 0) & (valence > lowest) & (charge == 0) & (aromatic == 0)


def _classes(
    table: np.ndarray, hypervalent: np.ndarray, rules: Sequence[tuple[str, str, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each orbit, int32 (O,), and the allowed joins of classes, bool (C, C)."""
    atoms, open_, label = table[:, 1 : 1 + KIND_FIELDS], table[:, 1 + KIND_FIELDS], table[:, -1]
    # properties used by rules: element, aromatic, in a ring, label
    facts = np.column_stack([atoms[:, 0], atoms[:, 2], atoms[:, 3], label, hypervalent])
    facts[open_ == 0] = -1
    rows, orbit_class = np.unique(
        np.concatenate([np.full((1, facts.shape[1]), -1), facts]), axis=0, return_inverse=True
    )
    number, aromatic, ring, labels, must_join = rows.T
    kinds = np.column_stack([number, np.zeros_like(number), aromatic, ring])
    allowed = np.ones((len(rows), len(rows)), bool)
    for verb, left, right in rules:
        a, b = _side(left, kinds, labels), _side(right, kinds, labels)
        allowed[(a[:, None] & b) | (b[:, None] & a)] = verb == "allow"
    allowed[0] = allowed[:, 0] = False
    # each of two such atoms would have to wait for the other
    allowed[(must_join[:, None] > 0) & (must_join > 0)] = False
    return orbit_class.reshape(-1)[1:].astype(np.int32), allowed


def _coloured(fragments: Sequence[Fragment]) -> symmetry.ColouredGraphs:
    """Return the fragments as coloured graphs; colours encode kind, places and label."""
    rows = np.concatenate(
        [np.column_stack([f.kinds, f.open, f.labels, f.hydrogens]) for f in fragments]
    )
    numbers = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    nodes = np.array([len(f) for f in fragments], np.int32)
    n_bonds = np.array([len(f.bonds) for f in fragments], np.int32)
    colours = np.full((len(fragments), nodes.max()), -1, np.int32)
    colours[np.arange(nodes.max()) < nodes[:, None]] = numbers
    edges = np.full((len(fragments), max(1, n_bonds.max()), 3), -1, np.int32)
    edges[np.arange(edges.shape[1]) < n_bonds[:, None]] = np.concatenate(
        [f.bonds for f in fragments]
    )
    return symmetry.ColouredGraphs(colours, nodes, edges, n_bonds)

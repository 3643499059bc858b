"""Reference posteriors over topologies, and how far another distribution is from them.

A reference file is a table with the columns ``probability`` and ``newick``
(see `read_topologies`), and so is the ``topologies.tsv`` that
``phylogfn sample`` writes. A topology is identified by its set of non-trivial
splits; each split is the bit mask of the side that does not hold the first
taxon (bit *i* for taxon *i*), which makes the key independent of the place of
the root and of the order of children. The reader of Newick strings here is
the benchmarks' own, so that a fault in the program under test cannot hide
itself.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Reference",
    "Topology",
    "TreeDistance",
    "add_reference_options",
    "compare_to_reference",
    "newick_names",
    "read_reference",
    "read_topologies",
    "topology_key",
    "tree_kl",
]

Topology = frozenset[int]

# a quoted label, one of the structural characters, or a bare label
_TOKEN = re.compile(r"'(?:[^']|'')*'|[(),:;]|[^\s(),:;']+")
_COMMENT = re.compile(r"\[[^\]]*\]")


def _tokens(newick: str) -> list[str]:
    return _TOKEN.findall(_COMMENT.sub("", newick))


def _leaf_labels(tokens: Iterable[str]) -> Iterable[str]:
    """Labels of leaves only: a label after ``(`` or ``,``, not after ``)`` or ``:``."""
    previous = "("
    for token in tokens:
        if token not in {"(", ")", ",", ":", ";"} and previous in {"(", ","}:
            yield _unquote(token)
        previous = token


def _unquote(label: str) -> str:
    return label[1:-1].replace("''", "'") if label.startswith("'") else label


def newick_names(newick: str) -> list[str]:
    """Names of the leaves of a Newick string, in the order in which they stand."""
    return list(_leaf_labels(_tokens(newick)))


def topology_key(newick: str, taxon: Mapping[str, int]) -> Topology:
    """Set of the non-trivial splits of a Newick tree, rooted or not.

    Parameters
    ----------
    newick : str
        The tree; lengths, supports and comments are ignored.
    taxon : mapping of str to int
        Number of each leaf's name; taxon 0 decides which side is stored.

    Returns
    -------
    splits : frozenset of int
        Bit masks of the sides without taxon 0; n - 3 of them if resolved.

    Raises
    ------
    ValueError
        If a leaf has an unknown name, occurs twice or is missing.
    """
    n_taxa = len(taxon)
    everything = (1 << n_taxa) - 1
    masks: set[int] = set()
    open_clades: list[int] = []
    closed = 0  # the mask of the clade closed last, waiting for its parent
    seen = 0
    previous = "("
    for token in _tokens(newick):
        if token == "(":
            open_clades.append(0)
        elif token == ")":
            closed = open_clades.pop()
            masks.add(closed)
            if open_clades:
                open_clades[-1] |= closed
        elif token not in {",", ":", ";"} and previous in {"(", ","}:
            name = _unquote(token)
            if name not in taxon:
                raise ValueError(f"the tree names {name!r}, which is not a taxon of the alignment")
            bit = 1 << taxon[name]
            if seen & bit:
                raise ValueError(f"the tree holds {name!r} twice")
            seen |= bit
            open_clades[-1] |= bit
        previous = token
    if seen != everything:
        raise ValueError(f"the tree holds {seen.bit_count()} of {n_taxa} taxa")
    sides = (mask ^ everything if mask & 1 else mask for mask in masks)
    return frozenset(side for side in sides if 2 <= side.bit_count() <= n_taxa - 2)


def read_topologies(path: str | Path, taxon: Mapping[str, int]) -> dict[Topology, float]:
    """Read a table with the columns ``probability`` and ``newick``.

    Parameters
    ----------
    path : str or Path
        Tab-separated file, first line the names of the columns; further
        columns are ignored.
    taxon : mapping of str to int
        Number of each taxon.

    Returns
    -------
    probabilities : dict of frozenset to float
        As they stand in the file: they need not sum to one. Rows of the same
        topology are added.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    probabilities: dict[Topology, float] = {}
    with open(path, newline="") as lines:
        table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"probability", "newick"} - set(table.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: no column {', '.join(sorted(missing))}")
        for row in table:
            key = topology_key(row["newick"], taxon)
            probabilities[key] = probabilities.get(key, 0.0) + float(row["probability"])
    return probabilities


@dataclass(frozen=True)
class Reference:
    """A reference posterior over topologies.

    Attributes
    ----------
    taxon : dict of str to int
        Number of each taxon.
    probabilities : dict of frozenset to float
        Normalised to sum to one.
    """

    taxon: dict[str, int]
    probabilities: dict[Topology, float]


def read_reference(path: str | Path, taxon: Mapping[str, int] | None = None) -> Reference:
    """Read a reference posterior; without `taxon`, names are numbered in alphabetical order."""
    if taxon is None:
        with open(path, newline="") as lines:
            first = next(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        taxon = {name: i for i, name in enumerate(sorted(newick_names(first["newick"])))}
    probabilities = read_topologies(path, taxon)
    total = sum(probabilities.values())
    return Reference(dict(taxon), {key: value / total for key, value in probabilities.items()})


def add_reference_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--reference`` (default: the environment's PHYLOGFN_REFERENCE) and the evidence."""
    parser.add_argument(
        "--reference",
        type=Path,
        default=os.environ.get("PHYLOGFN_REFERENCE") or None,
        help="table with the columns probability and newick (default: $PHYLOGFN_REFERENCE)",
    )
    parser.add_argument("--reference-log-evidence", type=float, help="nats")


def tree_kl(reference: Mapping[Topology, float], log_q: Mapping[Topology, float]) -> float:
    """Kullback-Leibler divergence KL(reference || q), nats; infinite if q misses a topology."""
    total = 0.0
    for key, p in reference.items():
        if p > 0.0:
            total += p * (math.log(p) - log_q.get(key, -math.inf))
    return total


@dataclass(frozen=True)
class TreeDistance:
    """How far a listed distribution over topologies is from the reference.

    Attributes
    ----------
    kl : float
        KL(reference || q), nats, after unseen topologies were given mass.
    total_variation : float
        Half the sum of absolute differences, of the distribution as listed.
    covered : float
        Share of the reference's mass on topologies that are listed.
    n_unseen : int
        Number of the reference's topologies that are not listed.
    """

    kl: float
    total_variation: float
    covered: float
    n_unseen: int

    @property
    def unlisted(self) -> float:
        """Share of the reference's mass on topologies that are not listed."""
        return max(1.0 - self.covered, 0.0)


def compare_to_reference(
    reference: Mapping[Topology, float], listed: Mapping[Topology, float]
) -> TreeDistance:
    """Compare a finite list of topology probabilities with the reference posterior.

    A topology of the reference that is not listed would make the divergence
    infinite. Each such topology is given half of the smallest positive listed
    probability (of a list of frequencies: half a draw), and the whole is
    normalised again. The same rule serves every program that is compared.

    Parameters
    ----------
    reference, listed : mapping of frozenset to float
        Probabilities; `listed` is normalised here.
    """
    positive = {key: value for key, value in listed.items() if value > 0.0}
    if not positive:
        return TreeDistance(math.inf, 1.0, 0.0, len(reference))
    total = math.fsum(positive.values())
    unseen = [key for key in reference if key not in positive]
    floor = 0.5 * min(positive.values())
    log_norm = math.log(total + floor * len(unseen))
    log_q = {key: math.log(value) - log_norm for key, value in positive.items()}
    log_q |= dict.fromkeys(unseen, math.log(floor) - log_norm)
    everything = reference.keys() | positive.keys()
    variation = 0.5 * math.fsum(
        abs(reference.get(key, 0.0) - positive.get(key, 0.0) / total) for key in everything
    )
    covered = math.fsum(p for key, p in reference.items() if key in positive)
    return TreeDistance(tree_kl(reference, log_q), variation, covered, len(unseen))

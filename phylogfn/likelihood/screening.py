"""Models screened by their maximum likelihood on one tree, by Schwarz's criterion.

BIC = k log n - 2 log L, with n sites and k free parameters, branch lengths included (Schwarz 1978,
Ann Stat 6:461-464). Half of it approximates minus the log evidence, with an error of some nats that
does not vanish with n: it chooses what is worth an evidence. The candidates are those of
``--model auto``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.likelihood.model_fit import fit_model
from phylogfn.models import parse_model
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns

__all__ = [
    "ScreenedModel",
    "candidate_names",
    "contenders",
    "is_auto",
    "screen_models",
]

AUTO = "auto"
RATES = ("", "+G4", "+I+G4")
DNA = ("JC69", "K80", "HKY85", "GTR")
MORPHOLOGY_RATES = ("", "+G4")
PROTEIN = ("LG", "WAG", "JTT", "Q.pfam")
ITERATIONS = 60  # of the maximisation of each model
CLOSE = 12.0  # of BIC above the best one, up to which the evidence is to decide
MOST_CONTENDERS = 4


def is_auto(text: str) -> bool:
    """Return whether a text asks for the choice of a model."""
    return text.strip().lower() == AUTO


def candidate_names(alphabet: str, variable: bool = False) -> tuple[str, ...]:
    """Return the candidates for ``dna``, ``rna``, ``protein`` or ``standard``, simple ones first.

    Parameters
    ----------
    alphabet : str
    variable : bool
        Whether each site is certainly variable; it matters to standard data.

    Examples
    --------
    >>> candidate_names("dna")[:4]
    ('JC69', 'K80', 'HKY85', 'GTR')
    >>> candidate_names("standard", variable=True)
    ('MKV', 'MKV+G4')
    """
    if alphabet == "standard":
        return tuple(("MKV" if variable else "MK") + r for r in MORPHOLOGY_RATES)
    if alphabet == "protein":
        return tuple(f"{m}{f}{r}" for r, f, m in product(RATES, ("", "+F"), PROTEIN))
    return tuple(m + r for r, m in product(RATES, DNA))


@dataclass(frozen=True)
class ScreenedModel:
    """A model at its maximum on the tree of the screening.

    Attributes
    ----------
    name : str
    n_parameters : int
        Free parameters, without branch lengths; observed frequencies count.
    log_likelihood : float
        Nats.
    bic : float
    """

    name: str
    n_parameters: int
    log_likelihood: float
    bic: float


def screen_models(
    names: Sequence[str],
    alphabet: str,
    patterns: SitePatterns,
    tree: Tree,
    until: Callable[[], bool],
) -> list[ScreenedModel]:
    """Fit models in turn and return them, the best first.

    Parameters
    ----------
    names : sequence of str
        Simple ones first: the lengths of one are where the next starts.
    alphabet : str
    patterns : SitePatterns
    tree : Tree
        With branch lengths.
    until : callable
        Called before each model but the first, and during fits; the others are left out when it
        returns True.
    """
    found: list[ScreenedModel] = []
    n_sites = float(np.sum(patterns.weights))
    for name in names:
        if found and until():
            break
        spec = parse_model(name, alphabet)
        observed = spec.n_states - 1 if spec.empirical else 0
        spec = spec.resolve(patterns)
        fit = fit_model(
            spec, patterns, tree, theta=spec.start(patterns), max_iterations=ITERATIONS, until=until
        )
        tree = Tree(tree.parent, tree.children, fit.lengths)
        value = fit.log_likelihood
        k = spec.n_free + observed
        bic = (k + len(tree.parent) - 1) * np.log(n_sites) - 2.0 * value
        found.append(ScreenedModel(name, k, value, float(bic)))
    return sorted(found, key=lambda model: model.bic)


def contenders(screened: Sequence[ScreenedModel]) -> tuple[str, ...]:
    """Return the names of the models whose evidences are to be compared, the best first."""
    limit = screened[0].bic + CLOSE
    return tuple(model.name for model in screened[:MOST_CONTENDERS] if model.bic <= limit)

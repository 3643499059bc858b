"""Agreement of two independent searches: both may have missed what only one of them found.

Two criteria are used, because each is uninformative for some posteriors. If the posterior is
concentrated on few topologies, each search should have evaluated nearly all of its known mass. If
it is spread over more topologies than can be evaluated, the searches have hardly any topologies in
common, but their splits should have the same frequencies (ASDSF, Lakner et al., Syst. Biol. 57:86,
2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from gfncore.evaluation import draw_by_weight
from gfncore.program.messages import Note
from phylogfn.exploration.walks import N_SEARCHES
from phylogfn.trees.comparison import (
    ENOUGH_MASS,
    LARGEST_ASDSF,
    LARGEST_SPLIT_DIFFERENCE,
    asdsf,
    largest_split_difference,
)
from phylogfn.trees.tree import Tree, splits

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable

__all__ = ["SearchAgreement", "compare_searches"]

TREES = 400  # number of trees drawn by weight from each search for split frequencies


@dataclass(frozen=True)
class SearchAgreement:
    """Agreement of two independent searches.

    Attributes
    ----------
    first_share, second_share : float
        Share of the posterior mass of all known topologies that each search evaluated.
    log_mass_difference : float
        Absolute difference of the logs of these masses, nats.
    asdsf : float
        Average standard deviation of split frequencies, by mass of the topologies of each search.
    split_difference : float
        Largest difference of a split frequency.
    """

    first_share: float
    second_share: float
    log_mass_difference: float
    asdsf: float
    split_difference: float

    @property
    def agree(self) -> bool:
        """Whether nothing suggests that a search missed a part of the posterior."""
        alike = self.asdsf <= LARGEST_ASDSF and self.split_difference <= LARGEST_SPLIT_DIFFERENCE
        return min(self.first_share, self.second_share) >= ENOUGH_MASS or alike

    @property
    def warning(self) -> Note:
        """The warning for searches that do not agree."""
        return Note(
            "searches-disagree",
            "Two independent searches disagree: of the posterior mass of all topologies known, one "
            f"found {self.first_share:.1%}, the other {self.second_share:.1%} (each should find "
            f"{ENOUGH_MASS:.0%}), and the frequencies of their splits differ by up to "
            f"{self.split_difference:.2f} (average standard deviation {self.asdsf:.3f}, should be "
            f"below {LARGEST_ASDSF:g}). Groups of trees may be missing, which the standard errors "
            "do not cover. Run again with a larger --budget.",
        )

    def as_dict(self) -> dict[str, float | bool]:
        """Return the figures as the summary names them."""
        return {
            "searches_agree": self.agree,
            "search_share_1": self.first_share,
            "search_share_2": self.second_share,
            "search_log_mass_difference": self.log_mass_difference,
            "search_asdsf": self.asdsf,
            "search_split_difference": self.split_difference,
        }


def compare_searches(table: TopologyTable, rng: np.random.Generator) -> SearchAgreement:
    """Compare the topologies evaluated so far by the two searches of `phylogfn.exploration.walks`.

    Parameters
    ----------
    table : TopologyTable
    rng : numpy.random.Generator
        Generator for drawing the trees whose splits are compared.

    Returns
    -------
    agreement : SearchAgreement
    """
    log_masses, frequencies = [], []
    for search in range(N_SEARCHES):
        rows = np.flatnonzero(table.searches >> search & 1)
        log_mass = table.log_evidence[rows]
        log_masses.append(float(np.asarray(logsumexp(log_mass))))
        chosen, counts = draw_by_weight(log_mass, TREES, rng)
        frequencies.append(_split_frequencies(table.parents[rows[chosen]], counts))
    first, second = log_masses
    total = float(np.asarray(logsumexp(table.log_evidence)))
    largest = largest_split_difference(frequencies)
    return SearchAgreement(
        first_share=float(np.exp(first - total)),
        second_share=float(np.exp(second - total)),
        log_mass_difference=abs(first - second),
        asdsf=float(np.nan_to_num(asdsf(frequencies))),  # NaN: no split is frequent in either
        split_difference=0.0 if largest is None else largest.difference,
    )


def _split_frequencies(parents: np.ndarray, counts: np.ndarray) -> dict[int, float]:
    """Return split frequencies of topologies with ``counts`` trees each."""
    times: dict[int, float] = {}
    for parent, count in zip(parents, counts, strict=True):
        for split in splits(Tree.from_parents(parent)):
            times[split] = times.get(split, 0.0) + float(count)
    total = float(counts.sum())
    return {split: found / total for split, found in times.items()}

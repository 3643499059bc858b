"""Posterior predictive checks: could the model have produced data like these?

From draws of the posterior, alignments of the same size are simulated, the cells without a single
state copied from the data, and statistics T of data and simulations are compared (Bollback, Mol.
Biol. Evol. 19:1171, 2002). The p-value is the share of simulations with T(simulated) > T(data),
ties counted half. Of the parsimony score, T depends on the drawn tree, on which both are computed
(Gelman, Meng & Stern, Stat. Sin. 6:733, 1996). Under the true model p-values near 0 or 1 are even
rarer than those of a test, as the data are used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phylogfn.sequences.simulation import simulate_states
from phylogfn.sequences.statistics import (
    composition_chi_squared,
    multinomial_log_likelihood,
    parsimony_score,
    single_states,
    variable_sites,
)
from phylogfn.trees.tree import postorder

if TYPE_CHECKING:
    from phylogfn.models import SiteModel
    from phylogfn.trees.tree import Tree

__all__ = ["ENOUGH", "DataPart", "PredictiveCheck", "PredictiveChecks", "predictive_checks"]

EXTREME = 0.005  # p-value, or 1 minus it, below which data do not look like simulations
ENOUGH = 200  # simulations without which no p-value is as extreme
FEWEST = 20  # simulations, even if the time is up
NAMES = ("composition", "multinomial_log_likelihood", "variable_sites", "parsimony_score")


@dataclass(frozen=True, eq=False)
class DataPart:
    """Columns of an alignment that evolve by one model.

    Attributes
    ----------
    masks : ndarray, shape (n, n_sites), uint32
        Possible states of each cell.
    n_states : int
    """

    masks: NDArray[np.uint32]
    n_states: int


@dataclass(frozen=True)
class PredictiveCheck:
    """A statistic of the data beside its distribution in simulations.

    Attributes
    ----------
    name : str
    observed : float
        Of the data; its mean over draws where it depends on the tree.
    mean, lower, upper : float
        Mean of the simulations, and their 2.5 and 97.5 per cent quantiles.
    p_value : float
        Share of simulations with a larger value than the data, ties counted half.
    n_simulations : int
    """

    name: str
    observed: float
    mean: float
    lower: float
    upper: float
    p_value: float
    n_simulations: int

    @property
    def extreme(self) -> bool:
        """Whether the data do not look like simulations, the data counted as one of them."""
        beyond = min(self.p_value, 1.0 - self.p_value) * self.n_simulations
        return (beyond + 1.0) / (self.n_simulations + 1.0) < EXTREME


@dataclass(frozen=True)
class PredictiveChecks:
    """Results of posterior predictive checks.

    Attributes
    ----------
    checks : tuple of PredictiveCheck
    n_simulations : int
    """

    checks: tuple[PredictiveCheck, ...]
    n_simulations: int


def predictive_checks(
    parts: Sequence[DataPart],
    tree_of_draw: Callable[[int], Tree],
    models_of_draw: Callable[[int], Sequence[SiteModel]],
    n_draws: int,
    n_simulations: int,
    rng: np.random.Generator,
    until: Callable[[int], bool] = lambda done: False,
) -> PredictiveChecks:
    """Compare data with simulations from draws of the posterior.

    Parameters
    ----------
    parts : sequence of DataPart
    tree_of_draw, models_of_draw : callable
        Tree with branch lengths, and model of each part, of a draw by its number.
    n_draws : int
        Draws are used in turn, from number 0.
    n_simulations : int
    rng : numpy.random.Generator
    until : callable
        Called with the number of simulations so far; ends them when it returns True, but not before
        `FEWEST`.
    """
    data = [single_states(part.masks, part.n_states) for part in parts]
    missing = [states < 0 for states in data]
    fixed = _statistics(data, parts)
    observed, simulated = [], []
    for number in range(n_simulations):
        if number >= FEWEST and until(number):
            break
        draw = number % n_draws
        tree = tree_of_draw(draw)
        order = postorder(tree).tolist()
        made = []
        for states, lacking, model in zip(data, missing, models_of_draw(draw), strict=True):
            new = simulate_states(tree, model, states.shape[1], rng).astype(np.int8)
            new[lacking] = -1
            made.append(new)
        observed.append([*fixed, _score(data, tree, order)])
        simulated.append([*_statistics(made, parts), _score(made, tree, order)])
    of_data, of_simulations = np.array(observed), np.array(simulated)
    # sums of the same terms in another order are equal
    nearly = 1e-9 * np.maximum(np.abs(of_data), 1.0)
    larger = of_simulations > of_data + nearly
    equal = np.abs(of_simulations - of_data) <= nearly
    p_values = (larger + 0.5 * equal).mean(axis=0)
    lower, upper = np.quantile(of_simulations, [0.025, 0.975], axis=0)
    checks = tuple(
        PredictiveCheck(
            name,
            observed=float(of_data[:, i].mean()),
            mean=float(of_simulations[:, i].mean()),
            lower=float(lower[i]),
            upper=float(upper[i]),
            p_value=float(p_values[i]),
            n_simulations=len(of_data),
        )
        for i, name in enumerate(NAMES)
    )
    return PredictiveChecks(checks, len(of_data))


def _statistics(data: Sequence[NDArray[np.int8]], parts: Sequence[DataPart]) -> list[float]:
    """Return the statistics that need no tree, each the sum over the parts."""
    return [
        sum(composition_chi_squared(x, part.n_states) for x, part in zip(data, parts, strict=True)),
        sum(multinomial_log_likelihood(x) for x in data),
        float(sum(variable_sites(x) for x in data)),
    ]


def _score(data: Sequence[NDArray[np.int8]], tree: Tree, order: list[int]) -> float:
    return float(sum(parsimony_score(states, tree.children, order) for states in data))

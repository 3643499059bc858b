"""Measures of how good a trained policy and its weighted draws are."""

from gfncore.evaluation.contract import check_contract
from gfncore.evaluation.ess import effective_sample_size
from gfncore.evaluation.exact import ExactDistribution, exact_distribution
from gfncore.evaluation.goodness_of_fit import ChiSquared, chi_squared, total_variation
from gfncore.evaluation.known_divergence import known_divergence
from gfncore.evaluation.pareto import (
    front_numbers,
    hypervolume,
    igd_plus,
    non_dominated,
    r2_indicator,
    simplex_weights,
)
from gfncore.evaluation.pareto_k import generalised_pareto_fit, pareto_k
from gfncore.evaluation.partition_estimate import PartitionEstimate, WeightedDraws
from gfncore.evaluation.resampling import draw_by_weight, systematic_resample
from gfncore.evaluation.unseen_tail import unseen_tail_factor
from gfncore.evaluation.weighted_mean import WeightedMean, weighted_mean

__all__ = [
    "ChiSquared",
    "ExactDistribution",
    "PartitionEstimate",
    "WeightedDraws",
    "WeightedMean",
    "check_contract",
    "chi_squared",
    "draw_by_weight",
    "effective_sample_size",
    "exact_distribution",
    "front_numbers",
    "generalised_pareto_fit",
    "hypervolume",
    "igd_plus",
    "known_divergence",
    "non_dominated",
    "pareto_k",
    "r2_indicator",
    "simplex_weights",
    "systematic_resample",
    "total_variation",
    "unseen_tail_factor",
    "weighted_mean",
]

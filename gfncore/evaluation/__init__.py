"""Measures of how good a trained policy and its weighted draws are."""

from gfncore.evaluation.contract import check_contract
from gfncore.evaluation.ess import effective_sample_size
from gfncore.evaluation.exact import ExactDistribution, exact_distribution
from gfncore.evaluation.goodness_of_fit import ChiSquared, chi_squared, total_variation
from gfncore.evaluation.known_divergence import draw_by_weight, known_divergence
from gfncore.evaluation.log_partition import log_partition, log_partition_with_known
from gfncore.evaluation.pareto import (
    front_numbers,
    hypervolume,
    igd_plus,
    non_dominated,
    r2_indicator,
    simplex_weights,
)
from gfncore.evaluation.pareto_k import generalised_pareto_fit, pareto_k

__all__ = [
    "ChiSquared",
    "ExactDistribution",
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
    "log_partition",
    "log_partition_with_known",
    "non_dominated",
    "pareto_k",
    "r2_indicator",
    "simplex_weights",
    "total_variation",
]

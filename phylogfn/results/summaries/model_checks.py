"""Posterior predictive checks in words and as rows of the report."""

from __future__ import annotations

from typing import Any

from gfncore.program.messages import Note
from phylogfn.sequences.predictive import PredictiveCheck, PredictiveChecks

__all__ = ["predictive_figures", "predictive_rows", "predictive_warnings"]

# name in the report, what it measures, and what it means that data have more or less of it
_WORDS = {
    "composition": (
        "Composition of the sequences",
        "Chi-squared statistic of the frequencies of states in the taxa.",
        "the composition of the sequences differs between taxa more than the model allows",
        "the composition of the sequences differs between taxa less than the model expects",
    ),
    "multinomial_log_likelihood": (
        "Multinomial log likelihood",
        "Log likelihood without a tree, from the frequencies of site patterns: overall fit.",
        "site patterns are repeated more often than the model expects",
        "site patterns are repeated less often than the model expects",
    ),
    "variable_sites": (
        "Variable sites",
        "Number of sites with two states or more.",
        "more sites vary than the model expects",
        "fewer sites vary than the model expects, as with rates that differ between sites (+G, +R, "
        "+I)",
    ),
    "parsimony_score": (
        "Parsimony score",
        "Smallest number of changes on the drawn trees.",
        "the data need more changes on the trees than the model expects",
        "the data need fewer changes on the trees than the model expects",
    ),
}


def predictive_warnings(found: PredictiveChecks) -> list[Note]:
    """Return one sentence on all checks in which the data do not look like simulations."""
    reasons = [
        f"{_WORDS[check.name][2 if check.p_value < 0.5 else 3]} ({_value(check.observed)} in the "
        f"data, 95 % of simulations {_value(check.lower)} to {_value(check.upper)})"
        for check in found.checks
        if check.extreme
    ]
    if not reasons:
        return []
    return [
        Note(
            "model-misfit",
            "The model does not fit the data (posterior predictive checks, "
            f"{found.n_simulations:,} simulations): {'; '.join(reasons)}. Probabilities of trees "
            "assume the model: compare other models.",
        )
    ]


def predictive_figures(found: PredictiveChecks) -> dict[str, Any]:
    """Return the checks as the summary has them."""
    return {
        "simulations": found.n_simulations,
        **{
            check.name: {
                "observed": check.observed,
                "mean": check.mean,
                "lower_95": check.lower,
                "upper_95": check.upper,
                "p_value": check.p_value,
            }
            for check in found.checks
        },
    }


def predictive_rows(found: PredictiveChecks) -> list[dict[str, Any]]:
    """Return the rows of the table in the report."""
    return [
        {
            "good": not check.extreme,
            "name": _WORDS[check.name][0],
            "meaning": _WORDS[check.name][1],
            "observed": _value(check.observed),
            "simulated": f"{_value(check.mean)} ({_value(check.lower)} to {_value(check.upper)})",
            "p_value": _p_value(check, found.n_simulations),
        }
        for check in found.checks
    ]


def _value(value: float) -> str:
    """Format a statistic with four significant digits, or as a whole number."""
    if abs(value) >= 1000.0:
        return f"{value:,.0f}".replace("-", "\u2212")
    return f"{value:.4g}".replace("-", "\u2212")


def _p_value(check: PredictiveCheck, n: int) -> str:
    """Format a p-value, which simulations bound by 1 / n."""
    if check.p_value < 1.0 / n:
        return f"<\u00a0{1.0 / n:.2g}"
    if check.p_value > 1.0 - 1.0 / n:
        return f">\u00a0{1.0 - 1.0 / n:.4g}"
    return f"{check.p_value:.3f}"

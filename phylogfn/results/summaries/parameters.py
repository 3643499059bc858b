"""The posterior of the tree length and of the parameters of the model.

Names are those of MrBayes; ``TL`` is the tree length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.rounding import significant
from phylogfn.results.warnings import failure

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "ParameterPosterior",
    "parameter_frame",
    "parameter_posteriors",
    "parameter_summary",
    "parameters_text",
]


@dataclass(frozen=True)
class ParameterPosterior:
    """The posterior of one parameter; NaN for a failed run.

    Attributes
    ----------
    mean, sd, lower_95, median, upper_95 : float
        Of the draws; ``lower_95`` and ``upper_95`` are the quantiles 2.5 and 97.5 per cent.
    ess : float
        Effective number of draws.
    share : float
        Share of the draws whose model has the parameter, which the other figures are of. Below 1
        only where several models were averaged.
    """

    parameter: str
    mean: float
    sd: float
    lower_95: float
    median: float
    upper_95: float
    ess: float
    share: float


def parameter_posteriors(posterior: PosteriorData) -> list[ParameterPosterior]:
    """Return the posterior of the tree length and of each parameter."""
    values = posterior.tree_lengths()[:, None]
    if posterior.draw_parameters is not None:
        values = np.hstack([values, posterior.draw_parameters])
    failed = failure(posterior) is not None
    found = []
    for name, own in zip(["TL", *posterior.parameter_names], values.T, strict=True):
        has = own[~np.isnan(own)]
        share = len(has) / max(len(own), 1)
        if failed or len(has) < 2:
            unknown = math.nan
            found.append(
                ParameterPosterior(
                    name, unknown, unknown, unknown, unknown, unknown, unknown, share
                )
            )
            continue
        lower, median, upper = np.quantile(has, [0.025, 0.5, 0.975]).tolist()
        mean, sd, ess = float(has.mean()), float(has.std(ddof=1)), posterior.draw_ess() * share
        found.append(ParameterPosterior(name, mean, sd, lower, median, upper, ess, share))
    return found


def parameter_frame(posterior: PosteriorData) -> DataFrame:
    """Return `parameter_posteriors` as a table; its columns are those of ``parameters.tsv``."""
    import pandas

    return pandas.DataFrame([vars(found) for found in parameter_posteriors(posterior)])


def parameter_summary(posterior: PosteriorData) -> dict[str, dict[str, Any]]:
    """Return the entry ``parameters`` of ``summary.json``."""
    return {
        found.parameter: {
            name: significant(value, 4)
            for name, value in vars(found).items()
            if name != "parameter"
        }
        for found in parameter_posteriors(posterior)
    }


def parameters_text(posterior: PosteriorData) -> str:
    """Return ``parameters.tsv``."""
    names = list(ParameterPosterior.__annotations__)
    rows = ["\t".join(names)]
    for found in parameter_posteriors(posterior):
        values = [f"{getattr(found, name):.5g}" for name in names[1:]]
        rows.append("\t".join([found.parameter, *values]))
    return "\n".join(rows) + "\n"

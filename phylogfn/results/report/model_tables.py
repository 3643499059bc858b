"""The models that were compared and the parameters, as rows of the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gfncore.report.page import signed
from phylogfn.results.summaries.models import compared_models
from phylogfn.results.summaries.parameters import parameter_posteriors

if TYPE_CHECKING:
    from phylogfn.results.posterior_data import PosteriorData

__all__ = ["model_rows", "parameter_rows"]


def model_rows(posterior: PosteriorData) -> list[dict[str, str]]:
    """Return the models that were compared, best first; empty if the user has chosen the model."""
    models = compared_models(posterior)
    return [
        {
            "name": model.name,
            "probability": f"{100 * model.probability:.1f}\u00a0%",
            "log_evidence": signed(model.log_evidence, 2),
            "error": f"{model.standard_error:.3f}",
            "factor": signed(model.log_evidence - models[0].log_evidence, 2),
            "bic": f"{model.bic:.1f}",
        }
        for model in models
    ]


def parameter_rows(posterior: PosteriorData) -> list[dict[str, str]]:
    """Return the tree length and the parameters of the model."""
    return [
        {
            "name": "tree length" if found.parameter == "TL" else found.parameter,
            "mean": f"{found.mean:.4g}",
            "sd": f"{found.sd:.2g}",
            "interval": f"{found.lower_95:.4g} to {found.upper_95:.4g}",
        }
        for found in parameter_posteriors(posterior)
        if not math.isnan(found.mean)
    ]

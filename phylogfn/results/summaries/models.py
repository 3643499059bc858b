"""The models that were compared: evidences, Bayes factors and probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from phylogfn.results.rounding import decimals, significant

if TYPE_CHECKING:
    from pandas import DataFrame

    from phylogfn.results.facts import ModelEvidence
    from phylogfn.results.posterior_data import PosteriorData

__all__ = ["compared_models", "model_frame", "model_summary", "models_text"]

COLUMNS = (
    "model", "n_parameters", "log_likelihood", "bic", "log_evidence", "log_evidence_se",
    "log_bayes_factor", "log_bayes_factor_se", "probability",
)  # fmt: skip


def compared_models(posterior: PosteriorData) -> list[ModelEvidence]:
    """Return the models that were compared by their evidence, the best first."""
    compared = [model for model in posterior.models if not math.isnan(model.log_evidence)]
    return sorted(compared, key=lambda model: -model.log_evidence)


def _rows(posterior: PosteriorData) -> list[dict[str, Any]]:
    """Return a row for each model: those compared by evidence first, the best first."""
    compared = compared_models(posterior)
    others = [model for model in posterior.models if math.isnan(model.log_evidence)]
    return [_row(model, compared[0]) for model in [*compared, *others]]


def _row(model: ModelEvidence, best: ModelEvidence) -> dict[str, Any]:
    own = model.name != best.name
    factor_se = math.hypot(model.standard_error, best.standard_error) if own else 0.0
    values = (
        model.name,
        model.n_parameters,
        model.log_likelihood,
        model.bic,
        model.log_evidence,
        model.standard_error,
        model.log_evidence - best.log_evidence,
        factor_se,
        model.probability,
    )
    return dict(zip(COLUMNS, values, strict=True))


def model_frame(posterior: PosteriorData) -> DataFrame:
    """Return the models as a table; its columns are those of ``models.tsv``, with all digits."""
    import pandas

    return pandas.DataFrame(_rows(posterior), columns=list(COLUMNS))


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    out = dict(row)
    for name in ("log_evidence", "log_bayes_factor"):
        error = row[f"{name}_se"]
        if error > 0.0:
            out[name] = round(row[name], decimals(error) + 1)
            out[f"{name}_se"] = significant(error)
    for name in ("log_likelihood", "bic"):
        out[name] = round(row[name], 3)
    out["probability"] = significant(row["probability"])
    return out


def model_summary(posterior: PosteriorData) -> list[dict[str, Any]]:
    """Return the entry ``models`` of ``summary.json``; empty if the user has chosen the model."""
    return [
        {name: None if value != value else value for name, value in _rounded(row).items()}
        for row in _rows(posterior)
    ]


def models_text(posterior: PosteriorData) -> str:
    """Return ``models.tsv``."""
    rows = ["\t".join(COLUMNS)]
    for row in _rows(posterior):
        cells = ["" if value != value else str(value) for value in _rounded(row).values()]
        rows.append("\t".join(cells))
    return "\n".join(rows) + "\n"

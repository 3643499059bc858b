"""The part of the report on reward exponents: table, charts and checks where there are several."""

from __future__ import annotations

import math
from typing import Any

from gfncore.report.page import Chart, signed
from molgen.results.columns import LibraryColumns
from molgen.results.report.charts import draw_agreement

__all__ = [
    "agreement_charts",
    "conditioning_row",
    "exponent_checks",
    "exponent_rows",
    "exponent_text",
]

_FEWEST_EFFECTIVE_DRAWS = 100
_LARGEST_ERROR = 0.1
_CONDITIONING = {
    "input": "an input of the network",
    "scaling": "a factor on the logits",
    "both": "an input of the network and a factor on the logits",
}


def exponent_text(library: LibraryColumns, exponent: float) -> str:
    """Return the reward exponent, or all of them where there are several: "16, 32 and 64"."""
    if not library.samples:
        return f"{exponent:g}"
    *most, last = (f"{sample.exponent:g}" for sample in library.samples)
    return f"{', '.join(most)} and {last}"


def conditioning_row(conditioning: str | None) -> list[tuple[str, str]]:
    """Return the row on how the sampler depends on the exponent; none where it learned one."""
    return (
        [] if conditioning is None else [("Exponent in the sampler", _CONDITIONING[conditioning])]
    )


def agreement_charts(library: LibraryColumns, log_partition: float) -> list[tuple[str, Chart]]:
    """Return the charts of probability against reward, each with its caption."""
    charts = [("", draw_agreement(library, log_partition))]
    for sample in library.samples:
        caption = f"Reward exponent {sample.exponent:g}"
        charts.append((caption, draw_agreement(sample, sample.log_partition)))
    return [(caption, chart) for caption, chart in charts if chart]


def exponent_rows(library: LibraryColumns) -> list[dict[str, str]]:
    """Return the figures of each of several exponents as text."""
    rows = []
    for sample in library.samples:
        se = sample.log_partition_se
        error = f" \u00b1 {se:.3f}" if math.isfinite(se) else ""
        rows.append(
            {
                "exponent": f"{sample.exponent:g}",
                "molecules": f"{sample.n_unique:,}",
                "effective": f"{sample.effective_size:,.0f}",
                "mean": signed(sample.mean_score, 3),
                "best": signed(sample.top10_mean, 3),
                "diversity": signed(sample.internal_diversity, 2),
                "log_partition": f"{signed(sample.log_partition, 2)}{error}",
                "draws": f"{sample.ess:,.0f} of {sample.n_proposals:,}",
            }
        )
    return rows


def exponent_checks(library: LibraryColumns) -> list[dict[str, Any]]:
    """Return the checks of the draws at each of several exponents."""
    checks = []
    for sample in library.samples:
        at, se = f"at exponent {sample.exponent:g}", sample.log_partition_se
        checks += [
            {
                "good": sample.ess >= _FEWEST_EFFECTIVE_DRAWS,
                "name": f"Effective sample size {at}",
                "value": f"{sample.ess:,.0f} of {sample.n_proposals:,}",
                "meaning": "Number of independent draws from the target distribution that contain "
                "as much information as the weighted draws.",
            },
            {
                "good": se <= _LARGEST_ERROR,
                "name": f"Error of the ln partition function {at}",
                "value": f"{se:.3f}" if math.isfinite(se) else "unknown",
                "meaning": "Standard error of the logarithm of the summed reward of all molecules "
                "that can be built.",
            },
        ]
    return checks

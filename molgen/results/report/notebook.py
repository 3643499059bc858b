"""A library as a notebook shows it: warnings, figures, the best molecules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore.report.page import render_page, signed
from molgen.results.columns import LibraryColumns
from molgen.results.report.grid import diverse_rows

__all__ = ["render_view"]

_DRAWN = 12  # molecules


def render_view(library: LibraryColumns, summary: Mapping[str, Any]) -> str:
    """Return HTML that needs nothing else.

    Parameters
    ----------
    library : LibraryColumns
    summary : mapping
        Content of ``summary.json``.
    """
    figures = [
        (
            "Scores",
            f"mean of the ten best {signed(summary['top10_mean'], 3)}, "
            f"of all {signed(summary['mean_score'], 3)}",
        ),
        (
            "Diversity",
            f"{signed(summary['internal_diversity'], 2)}; {summary['n_scaffolds']:,} scaffolds, "
            f"{summary['n_modes']:,} modes",
        ),
        ("Molecules scored", f"{summary['oracle_calls']:,}"),
    ]
    for sample in library.samples:
        figures.append(
            (
                f"At reward exponent {sample.exponent:g}",
                f"{sample.n_unique:,} molecules, mean score {signed(sample.mean_score, 3)}; "
                f"effective size {sample.effective_size:,.0f}; {sample.ess:,.0f} of "
                f"{sample.n_proposals:,} draws",
            )
        )
    if math.isfinite(summary["ess"]):
        se = summary["log_partition_se"]
        error = f"{se:.3f}" if math.isfinite(se) else "unknown"
        figures += [
            (
                "Effective size",
                f"{summary['library_ess']:,.0f} of {summary['n_unique']:,} molecules; "
                f"{summary['ess']:,.0f} of {summary['n_proposals']:,} draws",
            ),
            ("ln partition function", f"{signed(summary['log_partition'], 2)} \u00b1 {error}"),
        ]
    values = {
        "molecules": f"{len(library):,}",
        "score": summary["score"],
        "warnings": summary["warnings"],
        "figures": figures,
        "grid": diverse_rows(library, _DRAWN),
    }
    return render_page(Path(__file__).with_name("notebook.html.jinja"), values)

"""Display of a posterior in a notebook: verdict, figures, best topologies, consensus tree."""

from __future__ import annotations

import math
from pathlib import Path

from markupsafe import Markup

from gfncore.report.page import render_page, signed
from phylogfn.results.phylogeny import Phylogeny
from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.posterior_files import numbered_newicks, rounded_probabilities, with_names
from phylogfn.results.report.tree_figure import draw_tree
from phylogfn.results.warnings import posterior_warnings, verdict

__all__ = ["render_view"]

_TOPOLOGIES_SHOWN = 5
_LARGEST_DRAWING = 60  # taxa
_WIDTH = 640


def render_view(posterior: PosteriorData, consensus: Phylogeny) -> str:
    """Return a self-contained HTML fragment.

    Parameters
    ----------
    posterior : PosteriorData
    consensus : Phylogeny
        Its consensus tree; drawn unless it has too many taxa.
    """
    rounded = rounded_probabilities(posterior)[:_TOPOLOGIES_SHOWN]
    best = posterior.topology_parents[:_TOPOLOGIES_SHOWN]
    newicks = numbered_newicks(best, outgroup=posterior.outgroup_numbers)
    drawn = posterior.n_taxa <= _LARGEST_DRAWING
    se = posterior.log_evidence_se
    values = {
        "taxa": posterior.n_taxa,
        "draws": f"{posterior.n_draws:,}",
        "verdict": verdict(posterior),
        "warnings": posterior_warnings(posterior),
        "figures": [
            (
                "Log evidence",
                f"{signed(posterior.log_evidence, 2)} \u00b1 "
                + (f"{se:.3f}" if math.isfinite(se) else "unknown"),
            ),
            (
                "Effective sample size",
                f"{posterior.ess:,.0f} of {posterior.n_proposals:,} weighted draws",
            ),
            ("Topologies", f"{posterior.n_topologies:,}"),
        ],
        "topologies": [
            (shown.probability, shown.error, with_names(newick, posterior.names))
            for shown, newick in zip(rounded, newicks, strict=True)
        ],
        "tree": Markup(
            draw_tree(consensus.tree, consensus.names, width=_WIDTH, rooted=consensus.rooted)
        )
        if drawn
        else "",
    }
    return render_page(Path(__file__).with_name("notebook.html.jinja"), values)

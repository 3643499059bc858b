"""The report of a run of ``phylogfn sample``: one self-contained HTML file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from gfncore.report.page import (
    citation_rows,
    curve_drawings,
    extra_rows,
    percentage,
    render_page,
    resource_rows,
    signed,
)
from phylogfn.citations import references
from phylogfn.results.facts import RunFacts
from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.results.repeats.agreement import MOST_ERRORS
from phylogfn.results.report.model_tables import model_rows, parameter_rows
from phylogfn.results.report.tree_figure import support_class, tree_in_both_sizes
from phylogfn.results.rounding import decimals
from phylogfn.results.summaries.ancestors import ancestral_rows
from phylogfn.results.summaries.model_checks import predictive_rows
from phylogfn.results.warnings import (
    FEWEST_EFFECTIVE_DRAWS,
    LARGEST_DIVERGENCE,
    LARGEST_STANDARD_ERROR,
    NEARLY_ALL,
    failure,
    weights_matter,
)
from phylogfn.sequences.ancestral import THRESHOLD
from phylogfn.trees.comparison import robinson_foulds_splits, split_names
from phylogfn.trees.consensus import consensus_newick, consensus_tree, without_supports
from phylogfn.trees.rooting import root_at_outgroup, rooted_tree
from phylogfn.trees.splits import SplitTable
from phylogfn.trees.tree import splits

__all__ = ["render_report"]

_TOPOLOGIES_SHOWN = 10
_CLADES_SHOWN = 10
_METHODS = {
    "": "",
    "independent": "",
    "joint": "Parameters and lengths were drawn together. ",
    "annealed": "Parameters and lengths were drawn together and moved to the posterior in {} steps "
    "(annealed importance sampling), because the weights of one step had a heavy tail. ",
}
_CURVES = {
    "log_evidence": "log evidence (nats)",
    "ess": "effective sample size (draws)",
    "kl_known_to_sampler": "KL, known topologies to sampler (nats)",
    "random_trees_correlation": "correlation over random trees",
    "kl_posterior_to_sampler": "KL, posterior to sampler of trees with lengths (nats)",
    "topologies": "topologies evaluated",
    "loss": "training loss, whole trees",
    "state_loss": "training loss, known topologies (nats)",
    "trajectories_per_second": "training trajectories per second",
    "steps_per_second": "training steps per second",
}


def render_report(
    posterior: PosteriorData,
    summary: dict[str, Any],
    facts: RunFacts,
    *,
    table: SplitTable | None = None,
    training: Path | None = None,
) -> str:
    """Render the report and return its HTML text.

    Parameters
    ----------
    posterior : PosteriorData
        Result of the run.
    summary : dict
        Content of ``summary.json``; its warnings are shown first.
    facts : RunFacts
        Further facts about the run.
    table : SplitTable, optional
        Supports and lengths of the splits, if already computed.
    training : Path, optional
        ``train.jsonl``; if it is missing the report has no curves.
    """
    table = split_table(posterior) if table is None else table
    root = consensus_tree(table)
    failed = failure(posterior) is not None
    if failed:
        root = without_supports(root)
    outgroup = posterior.outgroup_numbers
    if outgroup:
        root = root_at_outgroup(root, outgroup, nearest=True) or root
    description = (
        f"Majority-rule consensus tree of {posterior.n_taxa} taxa with clade probabilities"
    )
    values = {
        "program": "phylogfn",
        "s": summary,
        "name": Path(facts.alignment).name if facts.alignment != "-" else "standard input",
        "cards": _cards(posterior),
        "warnings": summary["warnings"],
        "remarks": [w for w in summary["warnings"] if w not in summary["verdict_reasons"]],
        "tree": tree_in_both_sizes(root, posterior.names, title=description, rooted=bool(outgroup)),
        "outgroup": "" if posterior.outgroup is None else posterior.outgroup.text,
        "topologies": _topologies(posterior),
        "credible": _credible_sets(posterior),
        "clades": [] if failed else _uncertain_clades(table),
        "models": model_rows(posterior),
        "parameters": [] if failed else parameter_rows(posterior),
        "draw_ess": f"{posterior.draw_ess():,.0f}",
        "failed": failed,
        "ancestral": ancestral_rows(posterior.ancestral, posterior.names)
        if posterior.ancestral
        else [],
        "threshold": THRESHOLD,
        "predictive": predictive_rows(posterior.predictive) if posterior.predictive else [],
        "simulations": posterior.predictive.n_simulations if posterior.predictive else 0,
        "checks": _checks(posterior, table),
        "curves": curve_drawings(training, _CURVES),
        "run": _run_rows(summary, facts),
        "extra": extra_rows(summary["extra"]),
        "citations": citation_rows(references(facts.methods).values()),
    }
    return render_page(Path(__file__).with_name("posterior.html.jinja"), values)


def _cards(posterior: PosteriorData) -> list[dict[str, str]]:
    best, error = math.nan, math.nan
    if posterior.n_topologies:
        best = float(posterior.topology_probabilities[0])
        error = _topology_errors(posterior)[0]
    sets = _credible_sets(posterior)
    k = posterior.pareto_k
    return [
        {
            "label": "Log evidence",
            "value": signed(posterior.log_evidence, 2),
            "note": f"\u00b1 {posterior.log_evidence_se:.3f} nats (standard error)"
            if math.isfinite(posterior.log_evidence_se)
            else "standard error unknown",
        },
        {
            "label": "Best topology",
            "value": f"{100 * best:.1f}\u00a0%",
            "note": (f"\u00b1 {_points(error)}\u00a0% " if math.isfinite(error) else "")
            + f"of the probability; 95\u00a0% credible set: {sets[1][1]}",
        },
        {
            "label": "Effective sample size",
            "value": f"{posterior.ess:,.0f}",
            "note": f"of {posterior.n_proposals:,} weighted draws",
        },
        {
            "label": "Pareto k\u0302",
            "value": f"{k:.2f}".replace("-", "\u2212") if math.isfinite(k) else "n/a",
            "note": f"reliable below {PARETO_K_LIMIT}",
        },
    ]


def _topology_errors(posterior: PosteriorData) -> list[float]:
    """Return standard errors of probabilities; NaN if unknown."""
    if posterior.topology_errors is None:
        return [math.nan] * posterior.n_topologies
    return posterior.topology_errors.tolist()


def _points(error: float) -> str:
    """Format a standard error in percentage points with two digits."""
    return f"{100 * error:.{min(decimals(100 * error), 4)}f}"


def _percentage(share: float, error: float) -> str:
    """Format a probability in per cent with the decimals that its error supports, at most two."""
    if not math.isfinite(error) or decimals(100 * error) >= 2 or share < 0.00005:
        return percentage(share)
    return f"{100 * share:.{decimals(100 * error)}f}\u00a0%"


def _topologies(posterior: PosteriorData) -> list[dict[str, Any]]:
    cumulative = np.cumsum(posterior.topology_probabilities)
    errors = _topology_errors(posterior)
    shown = range(min(_TOPOLOGIES_SHOWN, posterior.n_topologies))
    held = [splits(posterior.topology(index)) for index in shown]
    outgroup = posterior.outgroup_numbers
    return [
        {
            "rank": index + 1,
            "percent": 100 * float(posterior.topology_probabilities[index]),
            "shown": _percentage(float(posterior.topology_probabilities[index]), errors[index]),
            "error": f"{_points(errors[index])}\u00a0%" if math.isfinite(errors[index]) else "n/a",
            "cumulative": f"{100 * cumulative[index]:.1f}\u00a0%",
            "log_evidence": signed(float(posterior.topology_log_evidences[index]), 2),
            "distance": robinson_foulds_splits(held[0], held[index]),
            "newick": consensus_newick(
                rooted_tree(posterior.topology(index), outgroup), posterior.names
            ),
        }
        for index in shown
    ]


def _credible_sets(posterior: PosteriorData) -> list[tuple[str, str]]:
    """Return pairs of a probability and the size of its credible set, in words."""
    cumulative = np.cumsum(posterior.topology_probabilities)
    sets = []
    for share in (0.50, 0.95, 0.99):
        reached = np.flatnonzero(cumulative >= share - 1e-12)
        if len(reached) == 0:
            size = f"more than {posterior.n_topologies:,} topologies"
        elif reached[0] == 0:
            size = "1 topology"
        else:
            size = f"{reached[0] + 1:,} topologies"
        sets.append((f"{100 * share:.0f}\u00a0%", size))
    return sets


def _uncertain_clades(table: SplitTable) -> list[dict[str, str]]:
    """Return the most uncertain splits, the one closest to probability 0.5 first."""
    uncertain = sorted(
        ((split, support) for split, support in table.supports.items() if 0.05 < support < 0.945),
        key=lambda item: (abs(item[1] - 0.5), item[0]),
    )
    return [
        {
            "support": _percentage(support, table.errors.get(split, math.nan)),
            "error": f"{_points(table.errors[split])}\u00a0%" if split in table.errors else "n/a",
            "kind": support_class(support) if support > 0.5 else "s0",
            "names": split_names(split, table.names, limit=4),
        }
        for split, support in uncertain[:_CLADES_SHOWN]
    ]


def _largest_error(table: SplitTable) -> str:
    """Return a sentence on the largest standard error of a clade probability."""
    if not table.errors:
        return "The standard errors of clade probabilities are unknown."
    return (
        "The standard errors of clade probabilities are at most "
        f"{_points(max(table.errors.values()))}\u00a0%."
    )


def _checks(posterior: PosteriorData, table: SplitTable) -> list[dict[str, Any]]:
    share = posterior.ess / posterior.n_proposals if posterior.n_proposals else math.nan
    se = posterior.log_evidence_se
    k = posterior.topology_pareto_k
    known = posterior.known
    certain = known.summed_share > NEARLY_ALL
    checks = _check_of_runs(posterior)
    checks += [
        {
            "good": se <= LARGEST_STANDARD_ERROR,
            "name": "Error of the log evidence",
            "value": f"{se:.3f} nats" if math.isfinite(se) else "unknown",
            "meaning": "Two models can be distinguished if their log evidences differ by several "
            "times this error; a difference of 3 nats is strong evidence.",
        },
        {
            "good": posterior.ess >= FEWEST_EFFECTIVE_DRAWS or certain,
            "name": "Effective sample size",
            "value": f"{posterior.ess:,.0f} ({100 * share:.0f} % of draws)",
            "meaning": "Number of independent draws from the posterior that contain as much "
            "information as the weighted draws. "
            + (
                "Clade probabilities hardly depend on it: they are summed over topologies."
                if certain
                else _largest_error(table)
            ),
        },
        {
            "good": k <= PARETO_K_LIMIT
            or not weights_matter(posterior.ess, posterior.n_proposals, known.summed_share),
            "name": "Tail of the weights (Pareto k\u0302)",
            "value": f"{k:.2f}".replace("-", "\u2212") if math.isfinite(k) else "not defined",
            "meaning": "Below 0.7 the stated errors are reliable; above it, a few draws dominate "
            "and trees may have been missed, unless half of the draws are effective or nearly all "
            "of the evidence is summed.",
        },
    ]
    weights = posterior.branch_length_weights
    if weights is not None:
        of_lengths = weights.pareto_k
        checks.append(
            {
                "good": not of_lengths > PARETO_K_LIMIT,
                "name": "Tail of the weights of branch lengths (Pareto k\u0302)",
                "value": f"{of_lengths:.2f}".replace("-", "\u2212")
                if math.isfinite(of_lengths)
                else "not defined",
                "meaning": f"Tail for all {weights.n_draws:,} draws of branch lengths that correct "
                f"the closed form of the integral; effective sample size {weights.ess:,.0f}. "
                f"{_METHODS[weights.method].format(weights.annealing_steps)}Above "
                "0.7 the evidence is more likely too low than too high.",
            }
        )
    if known.summed and not math.isnan(known.divergence):
        checks.append(
            {
                "good": known.divergence <= LARGEST_DIVERGENCE or certain,
                "name": "Known topologies in the sampler",
                "value": f"{signed(known.divergence, 2)} nats",
                "meaning": "KL divergence of the sampler from the posterior over the topologies "
                "that the search found. These are included in the results in any case; if the "
                "value is large, similar topologies may be missing.",
            }
        )
    return checks


def _check_of_runs(posterior: PosteriorData) -> list[dict[str, Any]]:
    """Return the check that independent runs agree; none if there is one run."""
    runs = posterior.comparison
    if runs is None:
        return []
    asdsf = "" if math.isnan(runs.asdsf) else f", ASDSF {runs.asdsf:.3f}"
    return [
        {
            "good": runs.agree,
            "name": "Independent runs",
            "value": f"{runs.difference_in_errors:.1f} standard errors{asdsf}",
            "meaning": f"Difference of the log evidences of {len(posterior.runs)} runs from other "
            f"seeds (at most {MOST_ERRORS:g} standard errors) and average standard deviation of "
            f"their split frequencies (at most {runs.asdsf_limit:.3f}). Runs that found other "
            "groups of trees differ in one or the other.",
        }
    ]


def _run_rows(summary: dict[str, Any], facts: RunFacts) -> list[tuple[str, str]]:
    return [
        (
            "Alignment",
            f"{facts.alignment}: {summary['n_taxa']} taxa, {facts.n_sites:,} sites, "
            f"{facts.n_patterns:,} distinct site patterns",
        ),
        ("Model", f"{facts.model}, branch lengths {facts.branch_prior}"),
        *(() if facts.constraint is None else (("Constraint", facts.constraint.text),)),
        ("Posterior draws", f"{summary['n_samples']:,} trees"),
        *resource_rows(facts.use, facts.budget_seconds),
        ("Likelihood evaluations", f"{facts.likelihood_evaluations:,}"),
        ("Seed", str(facts.seed)),
        ("Program", f"phylogfn {summary['version']}"),
        ("Command", facts.command),
    ]

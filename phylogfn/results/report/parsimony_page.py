"""The report of a run of ``phylogfn parsimony``: one self-contained HTML file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from gfncore.report.histogram import draw_histogram
from gfncore.report.page import (
    Chart,
    citation_rows,
    curve_drawings,
    extra_rows,
    in_both_sizes,
    percentage,
    render_page,
    resource_rows,
    signed,
)
from phylogfn.citations import references
from phylogfn.results.facts import ParsimonyFacts
from phylogfn.results.parsimony import FEWEST_HITS, ParsimonyResult, TemperatureSample
from phylogfn.results.report.tree_figure import tree_in_both_sizes
from phylogfn.results.warnings import LARGEST_DIVERGENCE, NEARLY_ALL, weights_matter
from phylogfn.trees.comparison import robinson_foulds_splits
from phylogfn.trees.consensus import consensus_tree
from phylogfn.trees.rooting import root_at_outgroup
from phylogfn.trees.splits import SplitTable
from phylogfn.trees.tree import Tree, splits

__all__ = ["render_parsimony_report"]

_TREES_SHOWN = 20
_CURVES = {
    "log_partition": "log Z at the temperature of lowest ESS (nats)",
    "effective_share": "lowest sampling efficiency",
    "kl_known_to_sampler": "KL, known trees to sampler (nats)",
    "trees": "known trees",
    "loss": "training loss, whole trees",
    "state_loss": "training loss, known trees (nats)",
    "trajectories_per_second": "training trajectories per second",
    "steps_per_second": "training steps per second",
}


def render_parsimony_report(
    result: ParsimonyResult,
    summary: dict[str, Any],
    facts: ParsimonyFacts,
    *,
    newicks: Sequence[str],
    table: SplitTable,
    training: Path | None = None,
) -> str:
    """Render the report and return its HTML text.

    Parameters
    ----------
    result : ParsimonyResult
        Result of the run.
    summary : dict
        Content of ``summary.json``; its warnings are shown first.
    facts : ParsimonyFacts
        Further facts about the run.
    newicks : sequence of str
        The trees of the result in Newick format.
    table : SplitTable
        Shares of the best trees that contain each split.
    training : Path, optional
        ``train.jsonl``; if it is missing the report has no curves.
    """
    values = {
        "program": "phylogfn",
        "s": summary,
        "name": Path(facts.alignment).name if facts.alignment != "-" else "standard input",
        "cards": _cards(result, facts),
        "warnings": summary["warnings"],
        "consensus": _consensus(result, table),
        "outgroup": "" if result.outgroup is None else result.outgroup.text,
        "trees": _trees(result, newicks),
        "temperatures": [sample.temperature for sample in result.samples],
        "samples": [_sample_row(sample) for sample in result.samples],
        "histograms": [_histogram(result, sample) for sample in result.samples],
        "checks": _checks(result),
        "curves": curve_drawings(training, _CURVES),
        "run": _run_rows(result, facts, summary),
        "extra": extra_rows(summary["extra"]),
        "citations": citation_rows(references(facts.methods).values()),
    }
    return render_page(Path(__file__).with_name("parsimony.html.jinja"), values)


def _steps(value: float) -> str:
    return f"{value:,.10g}"


def _cards(result: ParsimonyResult, facts: ParsimonyFacts) -> list[dict[str, str]]:
    sample = result.samples[0]
    search = result.search
    return [
        {
            "label": "Best score",
            "value": _steps(result.best_score),
            "note": f"steps; {search.hits} of {search.runs} searches ended there",
        },
        {
            "label": "Best trees",
            "value": f"{result.n_best:,}",
            "note": "all that the search can reach" if search.all_best else "there may be more",
        },
        {
            "label": "Trees listed",
            "value": f"{len(result.scores):,}",
            "note": f"within {result.excess:g} steps of the best, or drawn",
        },
        {
            "label": f"Mean score at T = {sample.temperature:g}",
            "value": f"{sample.mean_score:,.2f}",
            "note": f"{100 * sample.optimal_share:.1f}\u00a0% have the best score",
        },
    ]


def _consensus(result: ParsimonyResult, table: SplitTable) -> list[dict[str, Any]]:
    """Return the consensus trees, or the best tree if there is only one."""
    if result.n_best == 1:
        return [_consensus_tree(result, table, "Most parsimonious tree", strict=True)]
    return [
        _consensus_tree(result, table, "Strict consensus", strict=True),
        _consensus_tree(result, table, "Majority-rule consensus", strict=False),
    ]


def _consensus_tree(
    result: ParsimonyResult, table: SplitTable, label: str, *, strict: bool
) -> dict[str, Any]:
    tree = consensus_tree(table, strict=strict)
    resolved = sum(support is not None for support in tree.supports)
    if outgroup := result.outgroup_numbers:
        tree = root_at_outgroup(tree, outgroup, nearest=True) or tree
    title = f"{label} of {result.n_taxa} taxa"
    if result.n_best > 1:
        title = f"{label} of {result.n_best} most parsimonious trees of {result.n_taxa} taxa"
    return {
        "label": label,
        "shares": not strict,
        "resolved": f"{resolved} of {max(result.n_taxa - 3, 0)} inner branches",
        **tree_in_both_sizes(
            tree,
            result.names,
            title=title,
            support="share of the best trees",
            scale_bar=False,
            rooted=bool(result.outgroup),
        ),
    }


def _trees(result: ParsimonyResult, newicks: Sequence[str]) -> list[dict[str, Any]]:
    shown = range(min(_TREES_SHOWN, len(result.scores)))
    held = [splits(Tree.from_parents(result.parents[row].astype(np.int32))) for row in shown]
    return [
        {
            "rank": row + 1,
            "score": _steps(float(result.scores[row])),
            "best": row < result.n_best,
            "distance": robinson_foulds_splits(held[0], held[row]),
            "probabilities": [
                percentage(float(sample.probabilities[row])) for sample in result.samples
            ],
            "newick": newicks[row],
        }
        for row in shown
    ]


def _sample_row(sample: TemperatureSample) -> dict[str, str]:
    error = f" \u00b1 {sample.standard_error:.3f}" if sample.trained else " or more"
    return {
        "temperature": f"{sample.temperature:g}",
        "mean": f"{sample.mean_score:,.2f}",
        "optimal": f"{100 * sample.optimal_share:.1f}\u00a0%",
        "distinct": f"{sample.n_distinct:,} of {sample.n_samples:,}",
        "log_z": signed(sample.log_partition, 3) + error,
        "ess": f"{sample.ess:,.0f} of {sample.n_proposals:,}" if sample.trained else "none",
    }


def _histogram(result: ParsimonyResult, sample: TemperatureSample) -> Chart:
    values = np.repeat(result.scores, sample.counts).tolist()
    whole = all(float(score).is_integer() for score in result.scores)

    def draw(width: int, height: int) -> str:
        return draw_histogram(
            values,
            x_label="steps",
            y_label=f"trees drawn at T = {sample.temperature:g}",
            unit=1.0 if whole else 0.5,
            width=width,
            height=height,
        )

    return in_both_sizes(draw)


def _checks(result: ParsimonyResult) -> list[dict[str, Any]]:
    search = result.search
    checks = [
        {
            "good": search.hits >= FEWEST_HITS and result.best_score >= search.best_score,
            "name": "Independent searches",
            "value": f"{search.hits} of {search.runs}",
            "meaning": "Number of searches from independent starting trees that ended at the best "
            "score. If there is only one, shorter trees may exist.",
        },
        {
            "good": search.all_best,
            "name": "Best trees complete",
            "value": "yes" if search.all_best else "no",
            "meaning": "Whether the list contains all trees of the best score that can be reached "
            "from those found by steps of cutting one branch and reconnecting the parts, through "
            "trees of the best score only. Trees are counted fully resolved: programs that "
            "collapse branches without character changes count fewer.",
        },
    ]
    for sample in result.samples:
        if sample.trained:
            checks += _sample_checks(sample)
    return checks


def _sample_checks(sample: TemperatureSample) -> list[dict[str, Any]]:
    share = sample.ess / sample.n_proposals
    certain = sample.known_share > NEARLY_ALL
    k = sample.pareto_k
    return [
        {
            "good": share >= 0.1 or certain,
            "name": f"Effective sample size at T = {sample.temperature:g}",
            "value": f"{sample.ess:,.0f} ({100 * share:.0f}\u00a0%)",
            "meaning": "Number of independent trees that contain as much information as the "
            "weighted draws of the sampler.",
        },
        {
            "good": k <= PARETO_K_LIMIT
            or not weights_matter(sample.ess, sample.n_proposals, sample.known_share),
            "name": f"Tail of the weights at T = {sample.temperature:g} (Pareto k\u0302)",
            "value": signed(k, 2) if math.isfinite(k) else "not defined",
            "meaning": "Below 0.7, or if half of the draws are effective, the error of log Z and "
            "the probabilities of trees are reliable.",
        },
        {
            "good": sample.divergence <= LARGEST_DIVERGENCE or certain,
            "name": f"Known trees in the sampler at T = {sample.temperature:g}",
            "value": f"{signed(sample.divergence, 2)} nats",
            "meaning": "KL divergence of the sampler from the target distribution over the known "
            "trees. These are included in the results in any case; if the value is large, similar "
            "trees may be missing.",
        },
    ]


def _run_rows(
    result: ParsimonyResult, facts: ParsimonyFacts, summary: dict[str, Any]
) -> list[tuple[str, str]]:
    characters = facts.characters
    details = [f"{characters.n_informative:,} informative"]
    if characters.n_ordered:
        details.append(f"{characters.n_ordered:,} ordered")
    if characters.n_excluded:
        details.append(f"{characters.n_excluded:,} excluded")
    return [
        (
            "Alignment",
            f"{facts.alignment}: {result.n_taxa} taxa, {characters.n_sites:,} characters "
            f"({facts.data_type}), {', '.join(details)}",
        ),
        ("Gaps", "missing data" if facts.gaps == "missing" else "an additional state"),
        ("Construction method", facts.environment),
        *resource_rows(facts.use, facts.budget_seconds),
        ("Scores computed", f"{facts.n_scores:,}"),
        ("Seed", str(facts.seed)),
        ("Program", f"phylogfn {summary['version']}"),
        ("Command", facts.command),
    ]

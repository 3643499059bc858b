"""The files that ``phylogfn parsimony`` writes.

Times, memory and the command line occur only in ``summary.json``, ``provenance.json`` and the
report: all other files are byte-identical for the same settings and seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.files import write_atomic
from gfncore.program.output import json_text, staged_output
from gfncore.program.provenance import Provenance, software_version
from phylogfn.results.facts import ParsimonyFacts
from phylogfn.results.parsimony import ParsimonyResult, TemperatureSample, parsimony_warnings
from phylogfn.results.posterior_files import numbered_newicks, with_names
from phylogfn.trees.consensus import consensus_newick, consensus_tree
from phylogfn.trees.rooting import root_at_outgroup
from phylogfn.trees.splits import SplitTable, split_supports

__all__ = [
    "best_splits",
    "summarise_parsimony",
    "trees_table",
    "write_parsimony",
]


def write_parsimony(
    output: Path,
    result: ParsimonyResult,
    facts: ParsimonyFacts,
    *,
    provenance: Provenance | None = None,
) -> dict[str, Any]:
    """Write all result files of a run to ``output``, ``summary.json`` last; return the summary.

    ``run.toml``, ``train.jsonl`` and ``checkpoint/`` are written during the run; the report shows
    ``train.jsonl`` if it exists.
    """
    from phylogfn.results.report.parsimony_page import render_parsimony_report

    summary = summarise_parsimony(result, facts)
    outgroup = result.outgroup_numbers
    numbered = numbered_newicks(result.parents.astype(np.int32), outgroup=outgroup)
    newicks = [with_names(newick, result.names) for newick in numbered]
    table = best_splits(result)
    majority, strict = consensus_tree(table), consensus_tree(table, strict=True)
    if outgroup:
        majority = root_at_outgroup(majority, outgroup, nearest=True) or majority
        strict = root_at_outgroup(strict, outgroup, nearest=True) or strict
    with staged_output(output, last="summary.json") as staging:
        files = {
            "best_trees.nwk": "".join(newick + "\n" for newick in newicks[: result.n_best]),
            "trees.tsv": trees_table(result, newicks),
            "consensus.nwk": consensus_newick(majority, result.names) + "\n",
            "consensus.strict.nwk": consensus_newick(strict, result.names) + "\n",
            "report.html": render_parsimony_report(
                result,
                summary,
                facts,
                newicks=newicks,
                table=table,
                training=output / "train.jsonl",
            ),
            "summary.json": json_text(summary),
        }
        if provenance is not None:
            files["provenance.json"] = json_text(provenance.as_dict())
        for name, text in files.items():
            write_atomic(staging / name, text)
    return summary


def best_splits(result: ParsimonyResult) -> SplitTable:
    """Return the supports of splits among the best trees."""
    supports = split_supports(result.parents[: result.n_best].astype(np.int32))
    return SplitTable(result.names, supports, {}, {})


def summarise_parsimony(result: ParsimonyResult, facts: ParsimonyFacts) -> dict[str, Any]:
    """Return the content of ``summary.json``."""
    characters, search = facts.characters, result.search
    warnings = parsimony_warnings(result)
    return {
        "software": "phylogfn",
        "version": software_version(),
        "command": facts.command,
        "seed": facts.seed,
        "alignment": facts.alignment,
        "data_type": facts.data_type,
        "n_taxa": result.n_taxa,
        "n_sites": characters.n_sites,
        "n_informative": characters.n_informative,
        "n_ordered": characters.n_ordered,
        "n_excluded": characters.n_excluded,
        "gaps": facts.gaps,
        "environment": facts.environment,
        "best_score": _number(result.best_score),
        "n_best_trees": result.n_best,
        "all_best_trees": search.all_best and result.best_score >= search.best_score,
        "excess": _number(result.excess),
        "n_trees": len(result.scores),
        "temperatures": [_summarise_sample(sample) for sample in result.samples],
        "scores_computed": facts.n_scores,
        "wall_seconds": round(facts.use.wall_seconds, 3),
        "compile_seconds": round(facts.use.compile_seconds, 3),
        "cpu_seconds": round(facts.use.cpu_seconds, 3),
        "peak_memory_bytes": int(facts.use.peak_memory_bytes),
        "warnings": list(warnings),
        "warning_codes": [warning.code for warning in warnings],
        "methods": list(facts.methods),
        "extra": {
            "search_runs": search.runs,
            "search_runs_at_best_score": search.hits,
            "trees_found_by_search": search.n_trees,
            **({} if result.training is None else result.training.as_dict()),
            **_outgroup_figures(result),
        },
    }


def _outgroup_figures(result: ParsimonyResult) -> dict[str, Any]:
    if result.outgroup is None:
        return {}
    return {
        "outgroup": result.outgroup.text,
        "outgroup_best_trees_without_clade": result.outgroup.n_without_clade,
    }


def _summarise_sample(sample: TemperatureSample) -> dict[str, Any]:
    return {
        "temperature": sample.temperature,
        "trained": sample.trained,
        "log_partition": sample.log_partition,
        "log_partition_se": sample.standard_error,
        "ess": sample.ess,
        "pareto_k": sample.pareto_k,
        "n_proposals": sample.n_proposals,
        "n_samples": sample.n_samples,
        "n_distinct": sample.n_distinct,
        "mean_score": sample.mean_score,
        "optimal_share": sample.optimal_share,
        "known_share": sample.known_share,
        "sampler_mean_score": sample.sampler_mean_score,
        "sampler_optimal_share": sample.sampler_optimal_share,
        "kl_known_to_sampler": sample.divergence,
    }


def trees_table(result: ParsimonyResult, newicks: Sequence[str]) -> str:
    """Return the trees as tab-separated text, best first.

    ``drawn_T1`` counts a tree in the sample at temperature 1, and ``probability_T1`` is its
    probability there.
    """
    head = ["score", "optimal"]
    for sample in result.samples:
        head += [f"drawn_T{sample.temperature:g}", f"probability_T{sample.temperature:g}"]
    lines = ["\t".join([*head, "newick"])]
    for row, newick in enumerate(newicks):
        cells = [f"{result.scores[row]:.12g}", "yes" if row < result.n_best else "no"]
        for sample in result.samples:
            cells += [str(int(sample.counts[row])), f"{sample.probabilities[row]:.6g}"]
        lines.append("\t".join([*cells, newick]))
    return "\n".join(lines) + "\n"


def _number(value: float) -> int | float:
    """Return whole numbers as int: scores are counts of steps unless weights are fractions."""
    return int(value) if value == int(value) else value

"""The files that ``phylogfn sample`` writes.

Times, memory and the command line occur only in ``summary.json``, ``provenance.json`` and the
report: all other files are byte-identical for the same settings and seed.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfncore.files import write_atomic
from gfncore.program.library_call import result_directory
from gfncore.program.output import json_text, staged_output
from gfncore.program.provenance import software_version
from phylogfn.output_names import OUTPUT_NAMES
from phylogfn.results.facts import RunFacts
from phylogfn.results.phylogeny import Phylogeny, newick_with_warning, nexus_with_warning
from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.results.report.posterior_page import render_report
from phylogfn.results.rounding import decimals, rounded, significant
from phylogfn.results.summaries.ancestors import (
    ancestral_fasta,
    ancestral_figures,
    ancestral_table,
)
from phylogfn.results.summaries.clades import clades_text
from phylogfn.results.summaries.model_checks import predictive_figures
from phylogfn.results.summaries.models import model_summary, models_text
from phylogfn.results.summaries.parameters import parameter_summary, parameters_text
from phylogfn.results.summaries.point_trees import map_tree, mcc_tree
from phylogfn.results.warnings import failure, posterior_warnings, verdict, verdict_reasons
from phylogfn.text.quoting import newick_labels, nexus_labels
from phylogfn.trees.consensus import (
    consensus_newick,
    consensus_tree,
    rounded_supports,
    without_supports,
)
from phylogfn.trees.rooting import rooted_tree
from phylogfn.trees.splits import SplitTable
from phylogfn.trees.tree import Tree, canonical_newick

__all__ = [
    "consensus_of",
    "mrbayes_parameters",
    "mrbayes_tree_probabilities",
    "mrbayes_trees",
    "numbered_newicks",
    "rounded_probabilities",
    "split_runs",
    "summarise",
    "topologies_table",
    "with_names",
    "write_directory",
    "write_results",
]

_NO_FACTS = "the posterior has no facts of a run, which its files state"
_TAXON_NUMBER = re.compile(r"(?<=[(,])[0-9]+")


def write_results(output: Path, posterior: PosteriorData) -> dict[str, Any]:
    """Write all result files of a run to ``output``, ``summary.json`` last.

    ``run.toml``, ``train.jsonl`` and ``checkpoint/`` are written during the run; the report shows
    ``train.jsonl`` if it exists.

    Parameters
    ----------
    output : Path
        The output directory.
    posterior : PosteriorData
        The posterior with its facts.

    Returns
    -------
    summary : dict
        Content of ``summary.json``.
    """
    facts = posterior.facts
    if facts is None:
        raise ValueError(_NO_FACTS)
    table = split_table(posterior)
    failed = failure(posterior)
    consensus = consensus_of(posterior, table)
    highest, credible = map_tree(posterior, table), mcc_tree(posterior, table)
    summary = summarise(posterior, facts)
    outgroup = posterior.outgroup_numbers
    draws = numbered_newicks(posterior.draw_parents, posterior.draw_lengths, outgroup)
    topologies = numbered_newicks(posterior.topology_parents, outgroup=outgroup)
    with staged_output(output, last="summary.json") as staging:
        files = {
            "trees.nwk": "".join(
                newick_with_warning(with_names(draw, posterior.names), failed) + "\n"
                for draw in draws
            ),
            "topologies.tsv": topologies_table(posterior, topologies),
            "clades.tsv": clades_text(posterior, table),
            "parameters.tsv": parameters_text(posterior),
            **({"models.tsv": models_text(posterior)} if posterior.models else {}),
            "consensus.nwk": consensus.newick() + "\n",
            "consensus.con.tre": consensus.nexus(),
            "map.nwk": highest.newick() + "\n",
            "map.tre": highest.nexus(),
            "mcc.nwk": credible.newick() + "\n",
            "mcc.tre": credible.nexus(),
            "posterior.trprobs": nexus_with_warning(
                mrbayes_tree_probabilities(posterior, topologies), failed
            ),
            "report.html": render_report(
                posterior, summary, facts, table=table, training=output / "train.jsonl"
            ),
            "summary.json": json_text(summary),
        }
        files |= _files_of_runs(posterior, draws, np.random.default_rng(facts.files_seed))
        if posterior.ancestral is not None:
            files["ancestral.tsv"] = ancestral_table(posterior.ancestral, posterior.names)
            files["ancestral.fasta"] = ancestral_fasta(posterior.ancestral)
        if facts.provenance is not None:
            files["provenance.json"] = json_text(facts.provenance.as_dict())
        for name, text in files.items():
            write_atomic(staging / name, text)
    return summary


def _files_of_runs(
    posterior: PosteriorData, draws: Sequence[str], rng: np.random.Generator
) -> dict[str, str]:
    """Return ``.run1.t`` and so on: the draws of each run, those of a single one dealt to two."""
    outgroup = posterior.outgroup_numbers
    parts: list[tuple[PosteriorData, Sequence[str], Sequence[int]]] = []
    for run in posterior.runs:
        newicks = numbered_newicks(run.draw_parents, run.draw_lengths, outgroup)
        parts.append((run, newicks, range(run.n_draws)))
    if not parts:
        halves = split_runs(posterior.n_draws, rng)
        parts = [(posterior, [draws[index] for index in half], half) for half in halves]
    files = {}
    for number, (run, newicks, rows) in enumerate(parts, 1):
        trees = mrbayes_trees(posterior.names, newicks, rooted=bool(outgroup))
        files[f"posterior.run{number}.t"] = nexus_with_warning(trees, failure(run))
        files[f"posterior.run{number}.p"] = mrbayes_parameters(run, rows)
    return files


def write_directory(directory: Path, posterior: PosteriorData, *, force: bool = False) -> None:
    """Write all files of a run, including those written during the run, except the checkpoint.

    Parameters
    ----------
    directory : Path
        Output directory, created if missing.
    posterior : PosteriorData
        The posterior with its facts.
    force : bool
        Replace the files of an earlier run in the directory.

    Raises
    ------
    UserError
        The directory is not empty, or cannot be written.
    """
    facts = posterior.facts
    if facts is None:
        raise ValueError(_NO_FACTS)
    files = {"run.toml": facts.run_toml, "train.jsonl": facts.train_jsonl}
    with result_directory(directory, files, OUTPUT_NAMES, force=force):
        write_results(directory, posterior)


def consensus_of(posterior: PosteriorData, table: SplitTable | None = None) -> Phylogeny:
    """Return the majority-rule consensus with the digits of supports that their errors allow.

    The tree of a failed run has no supports, and a warning.
    It is rooted if the run has an outgroup.

    Parameters
    ----------
    posterior : PosteriorData
    table : SplitTable, optional
        Supports and lengths of the splits, if they are there already.
    """
    tree = consensus_tree(split_table(posterior) if table is None else table)
    failed = failure(posterior)
    if failed is not None:
        tree = without_supports(tree)
    else:
        tree = rounded_supports(tree, lambda error: max(decimals(error), 2))
    consensus = Phylogeny(posterior.names, tree, warning=failed)
    if posterior.outgroup:
        return consensus.rooted_at(posterior.outgroup.names, nearest=True)
    return consensus


def summarise(posterior: PosteriorData, facts: RunFacts) -> dict[str, Any]:
    """Return the content of ``summary.json``; log evidence has one more digit than its error."""
    se = float(posterior.log_evidence_se)
    warnings = posterior_warnings(posterior)
    return {
        "software": "phylogfn",
        "version": software_version(),
        "command": facts.command,
        "seed": facts.seed,
        "alignment": facts.alignment,
        "n_taxa": posterior.n_taxa,
        "n_sites": facts.n_sites,
        "n_patterns": facts.n_patterns,
        "model": facts.model,
        "branch_prior": facts.branch_prior,
        "verdict": verdict(posterior),
        "verdict_reasons": list(verdict_reasons(posterior)),
        "runs": max(len(posterior.runs), 1),
        "log_evidence": round(posterior.log_evidence, decimals(se) + 1 if se > 0.0 else 12),
        "log_evidence_se": significant(se),
        "ess": float(posterior.ess),
        "pareto_k": float(posterior.pareto_k),
        "n_samples": posterior.n_draws,
        "n_proposals": int(posterior.n_proposals),
        "n_topologies": posterior.n_topologies,
        "likelihood_evaluations": int(facts.likelihood_evaluations),
        "wall_seconds": round(facts.use.wall_seconds, 3),
        "compile_seconds": round(facts.use.compile_seconds, 3),
        "cpu_seconds": round(facts.use.cpu_seconds, 3),
        "peak_memory_bytes": int(facts.use.peak_memory_bytes),
        "parameters": parameter_summary(posterior),
        "models": model_summary(posterior),
        "warnings": list(warnings),
        "warning_codes": [warning.code for warning in warnings],
        "comparison": _comparison(posterior),
        "extra": _further_figures(posterior)
        | ({} if facts.constraint is None else facts.constraint.as_dict()),
    }


def _further_figures(posterior: PosteriorData) -> dict[str, Any]:
    training, weights = posterior.training, posterior.branch_length_weights
    figures: dict[str, Any] = {}
    if training is not None:
        figures |= {
            "environment": training.environment,
            "branch_lengths": training.branch_lengths,
            "objective": training.objective,
            "backward_policy": training.backward_policy,
            "effective_share_of_draws": posterior.ess / posterior.n_proposals,
        }
    figures |= posterior.known.as_dict()
    if posterior.searches is not None:
        figures |= posterior.searches.as_dict()
    if training is not None:
        figures |= training.as_dict()
    if weights is not None:
        figures |= weights.as_dict()
        if weights.closed_form is not None:
            figures["listed_probability"] = float(posterior.topology_probabilities.sum())
    if posterior.ancestral is not None:
        figures["ancestral"] = ancestral_figures(posterior.ancestral)
    if posterior.predictive is not None:
        figures["predictive"] = predictive_figures(posterior.predictive)
    outgroup = posterior.outgroup
    if outgroup is not None:
        figures |= {
            "outgroup": outgroup.text,
            "outgroup_probability": outgroup.share,
            "outgroup_probability_se": outgroup.share_error,
            "outgroup_draws_without_clade": outgroup.n_without_clade,
        }
    if training is not None and training.random_trees_correlation is not None:
        figures["random_trees_correlation"] = training.random_trees_correlation
    return figures


def _comparison(posterior: PosteriorData) -> dict[str, Any] | None:
    """Return how far the runs agree, with the figures of each; None if there is one run."""
    if posterior.comparison is None:
        return None
    return posterior.comparison.as_dict(posterior.names) | {
        "ess": [float(run.ess) for run in posterior.runs],
        "pareto_k": [float(run.pareto_k) for run in posterior.runs],
    }


def numbered_newicks(
    parents: NDArray[np.int32],
    lengths: NDArray[np.float64] | None = None,
    outgroup: Sequence[int] = (),
) -> list[str]:
    """Return Newick of each tree, the same for equal trees, taxa called by their numbers from 1.

    Parameters
    ----------
    parents : ndarray, shape (S, 2n-2), int32
        The trees.
    lengths : ndarray, shape (S, 2n-2), float64, optional
        Their branch lengths.
    outgroup : sequence of int
        Taxa on whose branch the trees are rooted; empty: they are unrooted.
    """
    numbers = tuple(str(number) for number in range(1, parents.shape[1] // 2 + 2))
    rows = [None] * len(parents) if lengths is None else lengths
    trees = (Tree.from_parents(*pair) for pair in zip(parents, rows, strict=True))
    if outgroup:
        rooted = (rooted_tree(tree, outgroup) for tree in trees)
        return [consensus_newick(tree, numbers, exact=True) for tree in rooted]
    return [canonical_newick(tree, numbers) for tree in trees]


def with_names(newick: str, names: tuple[str, ...]) -> str:
    """Return a numbered Newick with the numbers of the taxa replaced by their names."""
    labels = newick_labels(names)
    return _TAXON_NUMBER.sub(lambda match: labels[int(match[0]) - 1], newick)


def topologies_table(posterior: PosteriorData, newicks: Sequence[str]) -> str:
    """Return the posterior over topologies as tab-separated text, best first.

    Numbers have the digits that their standard errors support. ``newicks`` are those of the
    topologies, numbered.
    """
    lines = ["rank\tprobability\tprobability_se\tcumulative\tlog_evidence\tnewick"]
    shown = rounded_probabilities(posterior)
    log_errors = _log_evidence_errors(posterior)
    for index, newick in enumerate(newicks):
        log_evidence = posterior.topology_log_evidences[index]
        lines.append(
            f"{index + 1}\t{shown[index].probability}\t{shown[index].error}"
            f"\t{shown[index].cumulative}\t{log_evidence:.{decimals(log_errors[index], 6)}f}"
            f"\t{with_names(newick, posterior.names)}"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class RoundedProbability:
    """A probability, its standard error and the probability so far, as text."""

    probability: str
    error: str
    cumulative: str


def rounded_probabilities(posterior: PosteriorData) -> list[RoundedProbability]:
    """Return the probabilities of the topologies with the digits that their errors support."""
    cumulative = np.cumsum(posterior.topology_probabilities).tolist()
    if posterior.topology_errors is None:
        return [
            RoundedProbability(f"{p:.10g}", "NA", f"{so_far:.10g}")
            for p, so_far in zip(posterior.topology_probabilities, cumulative, strict=True)
        ]
    shown = []
    largest = 0.0  # error so far: a sum is not known better than its terms
    for p, error, so_far in zip(
        posterior.topology_probabilities.tolist(),
        posterior.topology_errors.tolist(),
        cumulative,
        strict=True,
    ):
        largest = max(largest, error) if math.isfinite(error) else math.nan
        text = "NA" if not math.isfinite(error) else f"{error:.2g}"
        shown.append(RoundedProbability(rounded(p, error), text, rounded(so_far, largest)))
    return shown


def _log_evidence_errors(posterior: PosteriorData) -> NDArray[np.float64]:
    """Return standard errors of the log evidences of the topologies; 0 where they are not known."""
    if posterior.topology_errors is None:
        return np.zeros(posterior.n_topologies)
    p = posterior.topology_probabilities
    relative = np.divide(posterior.topology_errors, p, out=np.full(len(p), np.inf), where=p > 0.0)
    return np.hypot(relative, posterior.log_evidence_se)


def split_runs(n_draws: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Deal draws out at random to two runs of equal size; of an odd number one is left out."""
    order = rng.permutation(n_draws).tolist()
    half = n_draws // 2
    return order[:half], order[half : 2 * half]


def mrbayes_trees(names: tuple[str, ...], newicks: Sequence[str], *, rooted: bool = False) -> str:
    """Return numbered trees as MrBayes writes its ``.run1.t`` (NEXUS with a translate table)."""
    kind = "R" if rooted else "U"
    body = [f"   tree gen.{number} = [&{kind}] {newick}" for number, newick in enumerate(newicks)]
    head = ["#NEXUS", f"[ID: {_identifier(body)}]", "[Param: tree]", "begin trees;"]
    return "\n".join([*head, *_translate(names), *body, "end;"]) + "\n"


def mrbayes_parameters(posterior: PosteriorData, draws: Sequence[int]) -> str:
    """Return the parameters of draws as MrBayes writes its ``.run1.p``.

    LnL is the log likelihood, LnPr the log prior density, TL the sum of branch lengths; then come
    the parameters of the model; where several models were averaged, those that all of them have.
    """
    columns = [posterior.draw_log_likelihoods, posterior.draw_log_priors, posterior.tree_lengths()]
    names: list[str] = []
    if posterior.draw_parameters is not None:
        for name, own in zip(posterior.parameter_names, posterior.draw_parameters.T, strict=True):
            if not np.isnan(own).any():
                names.append(name)
                columns.append(own)
    values = np.stack(columns, axis=1)
    body = [
        "\t".join([str(generation), *(f"{value:.6e}" for value in values[draw])])
        for generation, draw in enumerate(draws)
    ]
    head = "\t".join(["Gen", "LnL", "LnPr", "TL", *names])
    return "\n".join([f"[ID: {_identifier(body)}]", head, *body]) + "\n"


def mrbayes_tree_probabilities(posterior: PosteriorData, newicks: Sequence[str]) -> str:
    """Return the posterior over topologies as MrBayes writes its ``.trprobs``.

    ``p`` is the probability of a tree and ``P`` that of all trees so far; ``newicks`` are those
    of the topologies, numbered. MrBayes marks no tree as unrooted there; rooted ones are marked.
    """
    mark = " [&R]" if posterior.outgroup else ""
    body = [
        f"   tree tree_{index + 1} [p = {shown.probability}, P = {shown.cumulative}]"
        f" = [&W {shown.probability}]{mark} {newicks[index]}"
        for index, shown in enumerate(rounded_probabilities(posterior))
    ]
    head = ["#NEXUS", "begin trees;"]
    return "\n".join([*head, *_translate(posterior.names), *body, "end;"]) + "\n"


def _translate(names: tuple[str, ...]) -> list[str]:
    labels = [f"      {number} {label}" for number, label in enumerate(nexus_labels(names), 1)]
    return ["   translate", *(f"{label}," for label in labels[:-1]), f"{labels[-1]};"]


def _identifier(lines: list[str]) -> str:
    """Return ten digits made from the content, where MrBayes writes a random identifier."""
    return f"{zlib.crc32(''.join(lines).encode()):010d}"

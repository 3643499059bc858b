"""The report of the comparison: one self-contained HTML file."""

import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import snakemake as engine
from markupsafe import Markup

from gfncore.program.progress import format_duration
from gfncore.program.provenance import software_version
from gfncore.report.page import citation_rows, render_page, signed
from phylogfn.citations import (
    ALWAYS_CITED,
    methods_of_branch_prior,
    methods_of_environment,
    methods_of_model,
    references,
)
from phylogfn.results import report
from phylogfn.results.report.tree_figure import draw_tree
from phylogfn.results.warnings import PARETO_K_LIMIT, weights_matter
from phylogfn.trees.consensus import ConsensusTree
from phylogfn.trees.newick import parse_newick

WIDTHS = (("wide", 940), ("narrow", 350))
MOST_TREE_BYTES = 2_000_000  # of drawings; limits the size of the page
LARGEST_RATIO = 3.0
LEAST_LISTED = 0.95
NAMES_SHOWN = 3
WORKFLOW_CITATION = (
    "the workflow",
    "M\u00f6lder, F., Jablonski, K. P., Letcher, B. et al. (2021). Sustainable data analysis with "
    "Snakemake. F1000Research 10:33.",
    "https://doi.org/10.12688/f1000research.29032",
)
FACTOR_CITATION = (
    "verbal scale of Bayes factors",
    "Kass, R. E. and Raftery, A. E. (1995). Bayes factors. Journal of the American Statistical "
    "Association 90:773\u2013795.",
    "https://doi.org/10.1080/01621459.1995.10476572",
)


def read_consensus(path: str) -> tuple[ConsensusTree, tuple[str, ...]]:
    """Read the tree in a file of ``phylogfn consensus`` and return it with its taxa."""
    (parsed,) = parse_newick(Path(path).read_text(encoding="utf-8"), path)
    taxon, supports, names = [], [], []
    for leaf, label in zip(parsed.is_leaf, parsed.labels, strict=True):
        taxon.append(len(names) if leaf else None)
        supports.append(None if leaf or not label else float(label))
        if leaf:
            names.append(str(label))
    unknown = (None,) * len(taxon)
    tree = ConsensusTree(
        tuple(parsed.parent), tuple(taxon), tuple(parsed.lengths), unknown, tuple(supports)
    )
    return tree, tuple(names)


def strength(log_factor: float) -> str:
    """Return the category of Kass and Raftery for a log Bayes factor against a model (nats)."""
    for limit, words in (
        (1.0, "not worth more than a bare mention"),
        (3.0, "positive"),
        (5.0, "strong"),
    ):
        if -log_factor <= limit:
            return words
    return "very strong"


def with_error(value: float, error: float) -> str:
    """Format a number with its standard error, to the second digit of the error."""
    if not math.isfinite(error):
        return signed(value, 2)
    decimals = min(max(1 - math.floor(math.log10(error)), 0), 4) if error > 0 else 2
    return f"{signed(value, decimals)} \u00b1 {error:.{decimals}f}"


def model_row(row: pd.Series) -> dict[str, Any]:
    """Return the formatted entries of a row of the table of evidence."""
    best = row["log_bayes_factor"] == 0.0
    failed = not math.isfinite(row["log_evidence"])  # every seed
    known = isinstance(row["agree"], bool)
    return {
        "model": row["model"],
        "best": best,
        "evidence": with_error(row["log_evidence"], row["log_evidence_se"]),
        "factor": "0" if best else with_error(row["log_bayes_factor"], row["log_bayes_factor_se"]),
        "against": "" if best or failed else strength(row["log_bayes_factor"]),
        "percent": 0.0 if failed else 100 * row["model_probability"],
        "asdsf": f"{row['asdsf']:.4f}" if math.isfinite(row["asdsf"]) else "n/a",
        "split": f"{row['largest_split_difference']:.3f}"
        if math.isfinite(row["largest_split_difference"])
        else "n/a",
        "agree": row["agree"] if known else None,
    }


def alignment_parts(
    runs: pd.DataFrame, evidence: pd.DataFrame, trees: dict[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """Return the part of the page for each alignment; trees are drawn up to a limit of size."""
    parts, drawn = [], 0
    for name, group in evidence.groupby("alignment", sort=False):
        best = group.iloc[0]
        path = trees[name, best["directory"]]
        tree, names = read_consensus(path)
        title = f"Majority-rule consensus tree of {name} under {best['model']}, {len(names)} taxa"
        drawings = [
            (kind, Markup(draw_tree(tree, names, width=width, title=title)))
            for kind, width in WIDTHS
        ]
        size = sum(len(svg) for _, svg in drawings)
        room = drawn + size <= MOST_TREE_BYTES
        drawn += size if room else 0
        facts = runs[runs["alignment"] == name].iloc[0]
        parts.append(
            {
                "name": name,
                "n_taxa": int(facts["n_taxa"]),
                "n_sites": int(facts["n_sites"]),
                "models": [model_row(row) for _, row in group.iterrows()],
                "trees": drawings if room else [],
                "tree_file": path,
            }
        )
    return parts


def run_names(rows: pd.DataFrame, total: int) -> str:
    """Return the names of the runs with a warning, or their number."""
    if len(rows) == total and total > 1:
        return f"all {total} runs"
    if len(rows) > NAMES_SHOWN:
        return f"{len(rows)} of {total} runs"
    names = (rows["alignment"] + " " + rows["directory"] + " seed ") + rows["seed"].astype(str)
    return f"run{'s' if len(names) > 1 else ''} {', '.join(names)}"


def page_warnings(runs: pd.DataFrame, evidence: pd.DataFrame, compare: dict) -> list[str]:
    """Return the warnings of the page, the most serious first."""
    said = []
    for _, row in evidence.iterrows():
        which = f"alignment {row['alignment']}, {row['model']}"
        if row["agree"] is False:
            said.append(
                f"{which}: the seeds do not agree on the trees (ASDSF {row['asdsf']:.4f}, "
                f"limit {compare['asdsf']:g}); give the runs a larger budget"
            )
        if row["birge_ratio"] > LARGEST_RATIO:
            said.append(
                f"{which}: the log evidences of the seeds differ by {row['birge_ratio']:.1f} times "
                "their standard errors; give the runs a larger budget"
            )
    if (evidence["seeds"] == 1).all():
        said.append("there is only one seed, so the agreement of runs cannot be assessed")
    few = runs[runs["listed_probability"] < LEAST_LISTED]
    if compare["trees"] == "topologies" and len(few):
        said.append(
            f"{run_names(few, len(runs))}: the listed topologies have less than "
            f"{100 * LEAST_LISTED:.0f} % of the probability; set compare: trees: draws"
        )
    texts = runs["warnings"].fillna("").str.split(" | ", regex=False)
    for text in dict.fromkeys(text for row in texts for text in row if text):
        which = runs[[text in row for row in texts]]
        said.append(f"{run_names(which, len(runs))}: {text}")
    return said


def cards(runs: pd.DataFrame, evidence: pd.DataFrame, limit: float) -> list[dict[str, str]]:
    """Return the key figures."""
    compared = evidence[[isinstance(agree, bool) for agree in evidence["agree"]]]
    worst = evidence["asdsf"].max()
    note = f"worst ASDSF {worst:.4f}, limit {limit:g}" if math.isfinite(worst) else "no split"
    return [
        {
            "label": "Alignments",
            "value": f"{evidence['alignment'].nunique():,}",
            "note": f"{len(evidence):,} combinations with models",
        },
        {
            "label": "Runs",
            "value": f"{len(runs):,}",
            "note": f"{format_duration(runs['wall_seconds'].sum())} in total",
        },
        {
            "label": "Seeds agree",
            "value": f"{int(compared['agree'].sum())} of {len(compared)}"
            if len(compared)
            else "n/a",
            "note": note if len(compared) else "one seed",
        },
        {
            "label": "Effective sample size",
            "value": f"{runs['ess'].min():,.0f}",
            "note": "smallest of all runs",
        },
    ]


def checks(runs: pd.DataFrame, evidence: pd.DataFrame, limit: float) -> list[dict[str, Any]]:
    """Return the checks over all runs, each for its worst case."""
    rows = []
    worst = evidence["asdsf"].max()
    if math.isfinite(worst):
        rows.append(
            {
                "name": "Seeds agree on the trees (ASDSF)",
                "value": f"{worst:.4f}",
                "good": worst <= limit,
                "meaning": "Largest average standard deviation of split frequencies between the "
                f"seeds of an alignment and model; the limit is {limit:g}.",
            }
        )
    ratio = evidence["birge_ratio"].max()
    if math.isfinite(ratio):
        rows.append(
            {
                "name": "Seeds agree on the evidence (Birge ratio)",
                "value": f"{ratio:.2f}",
                "good": ratio <= LARGEST_RATIO,
                "meaning": "Largest ratio of the observed spread of the log evidences of the seeds "
                "to the spread expected from their standard errors; about 1 if the errors are "
                "reliable. If it is above 1, the error of the mean is multiplied by it.",
            }
        )
    figures = zip(runs["ess"], runs["n_proposals"], runs["known_share"], strict=True)
    judged = [weights_matter(*row) for row in figures]
    of_topologies = runs.loc[judged, "topology_pareto_k"].astype(float).max()
    of_lengths = runs["branch_length_pareto_k"].astype(float).max()
    k = max((x for x in (of_topologies, of_lengths) if math.isfinite(x)), default=math.nan)
    rows.append(
        {
            "name": "Tail of the weights (Pareto k\u0302)",
            "value": f"{k:.2f}" if math.isfinite(k) else "not applicable",
            "good": not k > PARETO_K_LIMIT,
            "meaning": "Largest value for the draws of branch lengths of all runs, and for the "
            "draws of topologies of those runs in which less than half of the draws are effective "
            f"and the evidence is not almost entirely summed. Below {PARETO_K_LIMIT:g} the stated "
            "errors are reliable; above it, a few draws dominate and trees may have been missed.",
        }
    )
    return rows


def run_rows(runs: pd.DataFrame, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the settings of the runs as rows of text."""
    sample = settings["sample"]
    return [
        ("Models", ", ".join(settings["models"])),
        ("Seeds", ", ".join(map(str, settings["seeds"]))),
        ("Branch lengths", sample["branch_prior"]),
        ("Budget of a run", sample["budget"]),
        ("Posterior draws of a run", f"{sample['samples']:,}"),
        ("Construction method", sample["environment"]),
        ("Run time, all runs", format_duration(runs["wall_seconds"].sum())),
        ("Largest memory of a run", f"{runs['peak_memory_bytes'].max() / 2**20:,.0f} MiB"),
        ("Programs", f"phylogfn {software_version()}, Snakemake {engine.__version__}"),
    ]


def main(snakemake: Any) -> None:
    """Write the page."""
    names = {"alignment": str, "directory": str, "model": str}
    runs = pd.read_csv(snakemake.input.runs, sep="\t", dtype=names)
    evidence = pd.read_csv(snakemake.input.evidence, sep="\t", dtype=names)
    evidence["agree"] = [
        {"True": True, "False": False}.get(str(value)) for value in evidence["agree"]
    ]
    settings = snakemake.params.settings
    trees = {tuple(Path(path).parts[-3:-1]): path for path in snakemake.input.trees}
    models = dict.fromkeys(model.partition(" (")[0] for model in runs["model"])
    methods = (
        *ALWAYS_CITED,
        *methods_of_environment(settings["sample"]["environment"]),
        *(method for model in models for method in methods_of_model(model)),
        *methods_of_branch_prior(settings["sample"]["branch_prior"]),
    )
    limit = settings["compare"]["asdsf"]
    style = Path(report.__file__).parent / "tree.css"
    values = {
        "program": "phylogfn",
        "tree_style": Markup(style.read_text(encoding="utf-8")),
        "name": f"Comparison of {evidence['alignment'].nunique()} alignment"
        f"{'s' if evidence['alignment'].nunique() > 1 else ''}",
        "cards": cards(runs, evidence, limit),
        "warnings": page_warnings(runs, evidence, settings["compare"]),
        "alignments": alignment_parts(runs, evidence, trees),
        "n_seeds": runs["seed"].nunique(),
        "n_models": runs["directory"].nunique(),
        "limit": limit,
        "checks": checks(runs, evidence, limit),
        "table": [
            {
                **row,
                "evidence": with_error(row["log_evidence"], row["log_evidence_se"]),
                "k": f"{row['pareto_k']:.2f}" if math.isfinite(row["pareto_k"]) else "n/a",
                "time": format_duration(row["wall_seconds"]),
            }
            for row in runs.to_dict("records")
        ],
        "curves": [],
        "run": run_rows(runs, settings),
        "extra": [],
        "citations": [
            *citation_rows(references(dict.fromkeys(methods)).values()),
            FACTOR_CITATION,
            WORKFLOW_CITATION,
        ],
    }
    template = Path(snakemake.scriptdir) / "page.html.jinja"
    Path(snakemake.output[0]).write_text(render_page(template, values), encoding="utf-8")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])

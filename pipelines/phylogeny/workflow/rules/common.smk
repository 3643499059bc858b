# Shared by all rules: validated settings and table, file names, resources.

import re
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

validate(config, "../schemas/config.schema.yaml")


# With a storage provider, the inputs are remote and Snakemake checks them itself.
REMOTE = workflow.storage_settings.default_storage_provider is not None


def read_alignments(path):
    """Read the table of alignments and return its rows by name; errors give the row."""
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, comment="#", skip_blank_lines=True)
    except (OSError, ValueError) as problem:
        raise WorkflowError(f"{path}: {problem}")
    table = table.apply(lambda column: column.str.strip()).replace("", None)
    table = table.astype(object).where(table.notna(), None)
    for number, row in enumerate(table.to_dict("records"), 1):
        row = {key: value for key, value in row.items() if value is not None}
        try:
            validate(row, "../schemas/alignments.schema.yaml")
        except WorkflowError as problem:
            raise WorkflowError(f"{path}: row {number} of the table: {problem}")
        if not REMOTE and not Path(row["path"]).is_file():
            raise WorkflowError(
                f"{path}: row {number}, alignment {row['alignment']}: there is no file "
                f"{row['path']} (paths are relative to {Path.cwd()})"
            )
    if table.empty:
        raise WorkflowError(f"{path}: the table has no alignment")
    double = table["alignment"][table["alignment"].duplicated()]
    if len(double):
        raise WorkflowError(f"{path}: the name {double.iloc[0]} occurs twice")
    return table.set_index("alignment").to_dict("index")


def directory_of(model):
    """Return the directory name of a model: HKY85_2.1_+G4 for HKY85{2.1}+G4."""
    return re.sub(r"[^A-Za-z0-9.+-]", "_", model)


def models_of(alignment):
    """Return the models of an alignment by their directory names."""
    own = (ALIGNMENTS[alignment].get("models") or "").split()
    models = {directory_of(model): model for model in own or config["models"]}
    if len(models) < len(own or config["models"]):
        raise WorkflowError(f"models of {alignment}: two models are identical")
    return models


ALIGNMENTS = read_alignments(config["alignments"])
MODELS = {alignment: models_of(alignment) for alignment in ALIGNMENTS}
SEEDS = list(dict.fromkeys(config["seeds"]))
PAIRS = [(alignment, model) for alignment in ALIGNMENTS for model in MODELS[alignment]]
RUN = "results/{alignment}/{model}/seed{seed}"
# The Kubernetes executor treats any number of GPUs, even 0, as a request.
GPU = {"gpu": 1, "gpu_manufacturer": "nvidia"} if config["sample"]["device"] == "cuda" else {}
TREES = {"topologies": "topologies.tsv", "draws": "trees.nwk"}[config["compare"]["trees"]]


wildcard_constraints:
    alignment="|".join(map(re.escape, ALIGNMENTS)),
    model="|".join(sorted({re.escape(model) for _, model in PAIRS})),
    seed=r"\d+",


def runs(names):
    """Return paths of files for each alignment and model."""
    return [f"results/{alignment}/{model}/{name}" for alignment, model in PAIRS for name in names]


def seeds_of(name):
    """Return an input function for a file of each seed of an alignment and model."""
    return lambda wildcards: expand(f"{RUN}/{name}", seed=SEEDS, **wildcards)


def alignment_file(wildcards):
    """Return the alignment file (input function)."""
    return ALIGNMENTS[wildcards.alignment]["path"]


def sample_options(wildcards):
    """Return the options of a run that must not change when it is resumed."""
    settings, row = config["sample"], ALIGNMENTS[wildcards.alignment]
    options = {
        "--model": MODELS[wildcards.alignment][wildcards.model],
        "--seed": wildcards.seed,
        "--runs": settings["runs"],
        "--branch-prior": settings["branch_prior"],
        "--environment": settings["environment"],
        "--data-type": row.get("data_type"),
        "--format": row.get("format"),
    }
    return [word for name, value in options.items() if value for word in (name, str(value))]


def budget_of(wildcards):
    """Return the budget of a run from its row of the table or from the settings."""
    return ALIGNMENTS[wildcards.alignment].get("budget") or config["sample"]["budget"]


def minutes_of_run(wildcards, attempt):
    """Return the time to request in minutes: start and writing are not part of the budget."""
    seconds = sum(
        float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
        for number, unit in re.findall(r"([0-9.]+)([smhd])", budget_of(wildcards))
    )
    return int((1.5 * seconds / 60 + 15) * attempt)


def memory_of_run(wildcards, attempt):
    """Return the memory of a run in MB, which increases with each attempt."""
    return config["resources"]["mem_mb"] * attempt

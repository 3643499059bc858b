# Shared by all rules: validated settings and table, file names, resources.

import re
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

validate(config, "../schemas/config.schema.yaml")


# With a storage provider, the inputs are remote and Snakemake checks them itself.
REMOTE = workflow.storage_settings.default_storage_provider is not None


def files_of(row):
    """Return the scoring file of a row and the files listed in the row."""
    return [row["path"], *(row.get("files") or "").split()]


def read_scores(path):
    """Read the table of scoring files and return its rows by name; errors give the row."""
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, comment="#", skip_blank_lines=True)
    except (OSError, ValueError) as problem:
        raise WorkflowError(f"{path}: {problem}")
    table = table.apply(lambda column: column.str.strip()).replace("", None)
    table = table.astype(object).where(table.notna(), None)
    for number, row in enumerate(table.to_dict("records"), 1):
        row = {key: value for key, value in row.items() if value is not None}
        try:
            validate(row, "../schemas/scores.schema.yaml")
        except WorkflowError as problem:
            raise WorkflowError(f"{path}: row {number} of the table: {problem}")
        for name in () if REMOTE else files_of(row):
            if not Path(name).is_file():
                raise WorkflowError(
                    f"{path}: row {number}, score {row['score']}: there is no file {name} "
                    f"(paths are relative to {Path.cwd()})"
                )
    if table.empty:
        raise WorkflowError(f"{path}: the table has no scoring file")
    double = table["score"][table["score"].duplicated()]
    if len(double):
        raise WorkflowError(f"{path}: the name {double.iloc[0]} occurs twice")
    return table.set_index("score").to_dict("index")


SCORES = read_scores(config["scores"])
SEEDS = list(dict.fromkeys(config["seeds"]))
RUN = "results/{score}/seed{seed}"
SCREEN = config["library"].get("screen")
if SCREEN and not REMOTE and not Path(SCREEN).is_file():
    raise WorkflowError(f"library: screen: there is no file {SCREEN}")
# The Kubernetes executor treats any number of GPUs, even 0, as a request.
GPU = {"gpu": 1, "gpu_manufacturer": "nvidia"} if config["sample"]["device"] == "cuda" else {}


wildcard_constraints:
    score="|".join(map(re.escape, SCORES)),
    seed=r"\d+",


def of_scores(name):
    """Return the path of a file for each score."""
    return [f"results/{score}/{name}" for score in SCORES]


def seeds_of(name):
    """Return an input function for a file of each seed of a score."""
    return lambda wildcards: expand(f"{RUN}/{name}", seed=SEEDS, **wildcards)


def scoring_file(wildcards):
    """Return the scoring file (input function)."""
    return SCORES[wildcards.score]["path"]


def scoring_files(wildcards):
    """Return the files named in the scoring file (input function)."""
    return files_of(SCORES[wildcards.score])[1:]


def sample_options(wildcards):
    """Return the options of a run that must not change when it is resumed."""
    settings = config["sample"]
    options = {
        "--seed": wildcards.seed,
        "--environment": settings.get("environment"),
        "--reward-exponent": settings.get("reward_exponent"),
        "--oracle-calls": settings.get("oracle_calls"),
    }
    return [word for name, value in options.items() if value for word in (name, str(value))]


def budget_of(wildcards):
    """Return the budget of a run from its row of the table or from the settings."""
    return SCORES[wildcards.score].get("budget") or config["sample"]["budget"]


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

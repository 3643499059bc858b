# What all rules share: settings and table, checked; names of files; resources.

import re
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

validate(config, "../schemas/config.schema.yaml")


# With a storage provider inputs lie there, and Snakemake looks for them itself.
REMOTE = workflow.storage_settings.default_storage_provider is not None


def files_of(row):
    """The scoring file of a row and the files that it names, as far as the row says."""
    return [row["path"], *(row.get("files") or "").split()]


def read_scores(path):
    """The table of scoring files, by name; what is wrong in it is said with its row."""
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
        raise WorkflowError(f"{path}: holds no scoring file")
    double = table["score"][table["score"].duplicated()]
    if len(double):
        raise WorkflowError(f"{path}: the name {double.iloc[0]} stands there twice")
    return table.set_index("score").to_dict("index")


SCORES = read_scores(config["scores"])
SEEDS = list(dict.fromkeys(config["seeds"]))
RUN = "results/{score}/seed{seed}"
SCREEN = config["library"].get("screen")
if SCREEN and not REMOTE and not Path(SCREEN).is_file():
    raise WorkflowError(f"library: screen: there is no file {SCREEN}")
# The Kubernetes executor takes any number of GPUs, 0 too, for a demand.
GPU = {"gpu": 1, "gpu_manufacturer": "nvidia"} if config["sample"]["device"] == "cuda" else {}


wildcard_constraints:
    score="|".join(map(re.escape, SCORES)),
    seed=r"\d+",


def of_scores(name):
    """A file of each score."""
    return [f"results/{score}/{name}" for score in SCORES]


def seeds_of(name):
    """Input function: a file of each seed of a score."""
    return lambda wildcards: expand(f"{RUN}/{name}", seed=SEEDS, **wildcards)


def scoring_file(wildcards):
    """Input function: the scoring file."""
    return SCORES[wildcards.score]["path"]


def scoring_files(wildcards):
    """Input function: what the scoring file names."""
    return files_of(SCORES[wildcards.score])[1:]


def sample_options(wildcards):
    """Options of a run that cannot change while it is resumed."""
    settings = config["sample"]
    options = {
        "--seed": wildcards.seed,
        "--environment": settings.get("environment"),
        "--reward-exponent": settings.get("reward_exponent"),
        "--oracle-calls": settings.get("oracle_calls"),
    }
    return [word for name, value in options.items() if value for word in (name, str(value))]


def budget_of(wildcards):
    """Wall-clock time of a run, as its row of the table or the settings have it."""
    return SCORES[wildcards.score].get("budget") or config["sample"]["budget"]


def minutes_of_run(wildcards, attempt):
    """Time to ask a cluster for: start, final draws and writing come on top of the budget."""
    seconds = sum(
        float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
        for number, unit in re.findall(r"([0-9.]+)([smhd])", budget_of(wildcards))
    )
    return int((1.5 * seconds / 60 + 15) * attempt)


def memory_of_run(wildcards, attempt):
    """Memory of a run in MB, more with each attempt."""
    return config["resources"]["mem_mb"] * attempt

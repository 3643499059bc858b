"""Snakemake workflows that come with the programs, and copies of them to change and to run."""

from __future__ import annotations

import shutil
from pathlib import Path

from gfncore.errors import UserError
from gfncore.program.output import staged_output
from gfncore.program.resources import resource_directory

__all__ = ["copy_workflow", "workflow_files"]

_MADE_BY_RUNS = frozenset({".snakemake", "__pycache__", "benchmarks", "logs", "results"})


def workflow_files(name: str, packages: Path | None = None) -> dict[str, Path]:
    """Return the files of a workflow by their relative paths.

    Files of runs in the checkout (results, logs, ``.snakemake``) are excluded.

    Parameters
    ----------
    name : str
        The workflow, a directory of ``pipelines``.
    packages : Path, optional
        See :func:`gfncore.program.resources.resource_directory`.

    Raises
    ------
    UserError
        The installation is incomplete.
    """
    root = resource_directory("pipelines", packages) / name
    files = {
        path.relative_to(root).as_posix(): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _MADE_BY_RUNS.intersection(path.relative_to(root).parts)
    }
    if "workflow/Snakefile" not in files:
        raise UserError(f"the workflow '{name}' is missing in {root}; install the program again")
    return files


def copy_workflow(name: str, directory: Path, packages: Path | None = None) -> None:
    """Copy a workflow to a directory that is new or empty.

    Parameters
    ----------
    name : str
        The workflow.
    directory : Path
        Where to.
    packages : Path, optional
        See :func:`gfncore.program.resources.resource_directory`.

    Raises
    ------
    UserError
        The directory is a file or not empty, or cannot be written.
    """
    files = workflow_files(name, packages)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file; give a directory that is new or empty")
    found = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    if found:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise UserError(
            f"{directory} is not empty (it holds {shown}); give a directory that is new or empty"
        )
    try:
        with staged_output(directory) as staging:
            for relative, source in files.items():
                target = staging / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    except OSError as problem:
        raise UserError(f"{directory} cannot be written: {problem.strerror}") from None

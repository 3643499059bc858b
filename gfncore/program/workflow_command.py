"""The subcommand ``workflow`` of both programs: a Snakemake workflow to copy and to run."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App

__all__ = ["workflow_app"]


def workflow_app(program: str, workflow: str, description: str) -> App:
    """Return the application ``workflow`` of a program.

    Parameters
    ----------
    program : str
        Its name.
    workflow : str
        The name of its workflow, a directory of ``pipelines``.
    description : str
        Its description in one line.
    """
    app = App(name="workflow", help="List or copy the Snakemake workflow for many inputs.")

    @app.command(name="list")
    def list_workflows() -> None:
        """List the workflows."""
        print(f"{workflow}  {description}")

    def init_workflow(directory: Path, /) -> None:
        from gfncore.program.workflows import copy_workflow

        copy_workflow(workflow, directory)
        print(directory)
        print(
            f"next: cd {directory} && snakemake --cores 2   "
            "(your inputs and settings: config/README.md)",
            file=sys.stderr,
        )

    init_workflow.__doc__ = f"""Copy the workflow, with a working example, to a directory.

    **Example**

    ```
    {program} workflow init {workflow}
    ```

    Parameters
    ----------
    directory
        Target directory; created if it does not exist, refused if it is not empty.
    """
    app.command(init_workflow, name="init")
    return app

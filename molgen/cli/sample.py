"""``molgen sample``: the main job."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from gfncore.program.command_line import Flag
from molgen.cli import options
from molgen.cli.options import RUN, SPACE
from molgen.symmetry import Symmetry

__all__ = ["sample"]


def sample(
    *,
    output: options.Output,
    reward: options.Reward = None,
    config: options.Config = None,
    reward_exponent: Annotated[
        float | None, Parameter(group=options.SCORE, show_default="64")
    ] = None,
    environment: Annotated[
        Literal["fragments", "atoms"] | None, Parameter(group=SPACE, show_default="fragments")
    ] = None,
    core: options.Core = None,
    max_atoms: Annotated[int | None, Parameter(group=SPACE, show_default="45 or 30")] = None,
    max_fragments: Annotated[int | None, Parameter(group=SPACE, show_default="8")] = None,
    fragments: options.FragmentFile = None,
    elements: options.Elements = None,
    ring_sizes: options.RingSizes = None,
    max_rings: Annotated[str | None, Parameter(group=SPACE, show_default="6")] = None,
    strained: Annotated[bool | None, Parameter(group=SPACE, show_default="no")] = None,
    samples: Annotated[int | None, Parameter(group=RUN, show_default="1000")] = None,
    max_per_scaffold: Annotated[int | None, Parameter(group=RUN, show_default="any")] = None,
    oracle_calls: Annotated[int | None, Parameter(group=RUN, show_default="100000")] = None,
    budget: Annotated[str | None, Parameter(group=RUN, show_default="5m")] = None,
    symmetry: Annotated[Symmetry | None, Parameter(group=RUN, show_default="merged")] = None,
    objective: options.Objective = None,
    order_temperature: Annotated[float | None, Parameter(group=RUN, show_default="1")] = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    device: options.Device = None,
    tensorboard: Annotated[
        bool | None, Parameter(group=RUN, negative="", show_default=False)
    ] = None,
    resume: Flag = False,
    force: Flag = False,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
    """Sample molecules in proportion to a score, with the probability of each.

    Writes to the output directory: `report.html` (look here first), `library.csv`, `library.smi`,
    `library.sdf`, `scored.csv` (all molecules that were scored), `summary.json`; with several
    objectives `pareto.csv`.

    **Examples**

    ```
    molgen sample -o out
    molgen sample -o out --config my-score.toml --budget 10m --seed 7
    molgen sample -o out --core "c1ccc([*])cc1[*]" --reward qed
    molgen sample -o out --environment atoms --elements C,N,O --max-atoms 12
    molgen sample -o out --resume --budget 20m
    molgen sample --config out/run.toml -o again
    ```

    Parameters
    ----------
    output
        Output directory; created if missing, refused if not empty.
    reward
        A score by its name; `molgen rewards` lists them.
    config
        TOML file of settings, of the score, or of both; command-line options override the file.
    reward_exponent
        Molecules are drawn in proportion to the score raised to this power: the higher, the
        better and the less diverse the molecules are. With 1 most of them are mediocre, as most
        molecules that can be built are.
    environment
        Build molecules from fragments or atom by atom.
    core
        SMILES that every molecule grows from, [*] where it may grow.
    max_atoms
        Maximum number of heavy atoms per molecule.
    max_fragments
        Maximum number of fragments per molecule.
    fragments
        File of fragments; `molgen fragments` makes one from molecules.
    elements
        Kinds of atom when building from atoms, such as C,N,O,F,S,Cl.
    ring_sizes
        Sizes of rings when building from atoms, such as 5,6; or any, or none.
    max_rings
        Maximum number of rings per molecule when building from atoms, or any.
    strained
        Whether rings may have triple or cumulated double bonds when building from atoms.
    samples
        Number of molecules in the library.
    max_per_scaffold
        Maximum number of library molecules per Murcko scaffold; the first drawn are kept.
    oracle_calls
        Maximum number of molecules to score.
    budget
        Wall-clock time for training: 30s, 5m, 1h. The run ends earlier when it is accurate enough.
    symmetry
        Correction of the sampling probabilities of symmetric molecules.
    order_temperature
        (order_preserving only) Temperature; lower values concentrate on the best molecules later.
    seed
        The same seed gives the same files.
    threads
        Threads to use.
    device
        Device of the network.
    tensorboard
        Write the figures of training for TensorBoard as well, into `tensorboard/` in the output
        directory.
    resume
        Resume the interrupted run in the output directory.
    force
        Replace the run in the output directory.
    quiet
        Print only warnings and errors.
    """
    given = dict(locals())  # the options by their names, before anything else is one
    import io

    from gfncore.program.interruption import resumable
    from gfncore.program.progress import Progress
    from gfncore.training.distributed import process_rank

    leads = process_rank() == 0  # of those that torchrun started, one speaks and writes
    stream = None if leads else io.StringIO()
    with (
        resumable("molgen sample", output),
        Progress("molgen", quiet=quiet, stream=stream) as progress,
    ):
        # The first words come before anything heavy is imported.
        progress.phase(f"starting in {output}")
        from gfncore.program.output import check_output
        from molgen.settings import resolve_sample

        if leads:
            check_output(output, force=force, resume=resume)
        settings = resolve_sample(options.said(given), config)
        progress.budget_seconds = settings.budget_seconds
        if settings.tensorboard:
            from gfncore.program.tensorboard import require_tensorboard

            require_tensorboard()
        from molgen.molecules.smiles import silence_rdkit
        from molgen.runs.sample.main import run_sample
        from molgen.warm_up import warm_up

        silence_rdkit()
        warm_up(settings, settings.symmetry)
        run_sample(settings, progress)

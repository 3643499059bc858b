"""``molgen exact``: train where the truth can be enumerated, and compare."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from gfncore.program.command_line import Flag
from molgen.cli import options
from molgen.cli.options import RUN, SPACE

__all__ = ["exact"]


def exact(
    *,
    output: options.Output,
    reward: options.Reward = None,
    config: options.Config = None,
    environment: Annotated[
        Literal["atoms", "fragments"] | None, Parameter(group=SPACE, show_default="atoms")
    ] = None,
    elements: Annotated[str | None, Parameter(group=SPACE, show_default="C,N,O")] = None,
    max_atoms: Annotated[int | None, Parameter(group=SPACE, show_default="5")] = None,
    ring_sizes: Annotated[str | None, Parameter(group=SPACE, show_default="any")] = None,
    max_rings: Annotated[str | None, Parameter(group=SPACE, show_default="any")] = None,
    strained: Annotated[bool | None, Parameter(group=SPACE, show_default="yes")] = None,
    fragments: options.FragmentFile = None,
    max_fragments: Annotated[int | None, Parameter(group=SPACE, show_default="3")] = None,
    core: options.Core = None,
    symmetry: Annotated[str | None, Parameter(group=RUN, show_default="all")] = None,
    draws: Annotated[int | None, Parameter(group=RUN, show_default="100000")] = None,
    budget: Annotated[str | None, Parameter(group=RUN, show_default="5m")] = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    device: options.Device = None,
    force: Flag = False,
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False,
) -> None:
    """Train on a space that can be enumerated, and compare what is sampled with the truth.

    For each way of correcting for symmetry, `exact.json` in the output directory tells the total
    variation and the Jensen-Shannon divergence between the molecules' probabilities and the
    truth, the log partition function, and a test of draws; the way `none` shows the bias.

    **Examples**

    ```
    molgen exact -o check
    molgen exact -o check --elements C,N,O --max-atoms 6 --symmetry merged,none
    molgen exact -o check --environment fragments --fragments few.smi --max-fragments 3
    ```

    Parameters
    ----------
    output
        Output directory; created if missing, refused if not empty.
    reward
        A score by its name; `molgen rewards` lists them.
    config
        TOML file of settings, of the score, or of both; command-line options override the file.
    environment
        Build molecules from fragments or atom by atom.
    elements
        Kinds of atom when building from atoms.
    max_atoms
        Maximum number of heavy atoms per molecule; with fragments, 45 unless given.
    ring_sizes
        Sizes of rings when building from atoms, such as 5,6; or any, or none.
    max_rings
        Maximum number of rings per molecule when building from atoms, or any.
    strained
        Whether rings may have triple or cumulated double bonds when building from atoms.
    fragments
        File of fragments.
    max_fragments
        Maximum number of fragments per molecule.
    core
        SMILES that every molecule grows from.
    symmetry
        The corrections to compare: merged, reward_scaling, flow_scaling, none, several of them
        with commas between, or all.
    draws
        Molecules drawn for the test of goodness of fit.
    budget
        Wall-clock time for the training of each.
    seed
        The same seed gives the same files.
    threads
        Threads to use.
    device
        Device of the network.
    force
        Replace what is in the output directory.
    quiet
        Print only warnings and errors.
    """
    given = dict(locals())  # the options by their names, before anything else is one
    from gfncore.program.progress import Progress

    with Progress("molgen", quiet=quiet) as progress:
        progress.phase(f"starting in {output}")
        from gfncore.program.output import check_output
        from gfncore.training.distributed import refuse_several
        from molgen.settings import resolve_exact

        refuse_several("molgen exact")
        check_output(output, force=force)
        settings = resolve_exact(options.said(given), config)
        from molgen.molecules.smiles import silence_rdkit
        from molgen.runs.exact import run_exact
        from molgen.warm_up import warm_up

        silence_rdkit()
        for symmetry in settings.symmetry:
            warm_up(settings, symmetry)
        run_exact(settings, progress)

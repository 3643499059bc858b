"""Checks that several commands of phylogfn make on their options before a run."""

from __future__ import annotations

import os

from phylogfn.settings import ParsimonySettings, SampleSettings

__all__ = ["check_alignment"]


def check_alignment(settings: SampleSettings | ParsimonySettings) -> None:
    """Read the alignment of a run for errors in it and in the names of taxa in the settings.

    Nothing heavy is imported before.

    A pipe can be read once, so it is left to the run.

    Raises
    ------
    UserError
        The alignment cannot be used, or a taxon is not in it.
    """
    path = settings.alignment  # os.path takes a name that is too long for one that does not exist
    pipe = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    if path != "-" and not pipe:
        from phylogfn.alignments.alignment import read_alignment
        from phylogfn.trees.rooting import outgroup_names

        alignment = read_alignment(
            settings.alignment, data_type=settings.data_type, file_format=settings.format
        )
        outgroup_names(settings.outgroup, alignment.names)
        clades = getattr(settings, "ancestral", None)
        if clades is not None and os.path.isfile(clades):
            from phylogfn.sequences.named_clades import chosen_clades

            chosen_clades(clades, alignment.names)
        if isinstance(settings, SampleSettings) and settings.constraint is not None:
            from phylogfn.trees.constraints.reading import read_constraints

            read_constraints(settings.constraint, alignment.names)

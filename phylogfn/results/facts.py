"""Facts of a run for its files, in addition to the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gfncore.program.provenance import Provenance, ResourceUse
from phylogfn.alignments.characters import Characters

__all__ = ["ParsimonyFacts", "RunFacts"]


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run of ``phylogfn sample``, in addition to its posterior.

    Parameters
    ----------
    command : str
        The command line.
    seed : int
        Seed of all random numbers.
    alignment : str
        Name of the alignment as given by the user.
    n_sites, n_patterns : int
        Number of columns of the alignment, and of distinct columns.
    model : str
        Substitution model, with given or estimated values of its parameters.
    branch_prior : str
        Prior on branch lengths.
    likelihood_evaluations : int
        Number of full likelihoods computed.
    use : ResourceUse
        Time and memory used.
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for the methods of the run.
    budget_seconds : float, optional
        Maximum time of the run.
    files_seed : tuple of int
        Seed of the generator that distributes the draws between the two runs of the MrBayes files.
    provenance : Provenance, optional
        Content of ``provenance.json``; if None, the file is not written.
    run_toml, train_jsonl : str
        Content of these files, which the run itself writes to its output directory.
    extra : dict
        Further entries of the summary.
    """

    command: str
    seed: int
    alignment: str
    n_sites: int
    n_patterns: int
    model: str
    branch_prior: str
    likelihood_evaluations: int
    use: ResourceUse
    methods: tuple[str, ...] = ()
    budget_seconds: float | None = None
    files_seed: tuple[int, ...] = (1,)
    provenance: Provenance | None = None
    run_toml: str = ""
    train_jsonl: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ParsimonyFacts:
    """Facts of a run of ``phylogfn parsimony``, in addition to its result.

    Attributes
    ----------
    command : str
        The command line.
    seed : int
    alignment : str
        Its name as given by the user.
    data_type : str
        Kind of data, in words.
    gaps, environment : str
        As in the settings.
    characters : Characters
    n_scores : int
        Number of trees, and of positions of subtrees, scored.
    use : ResourceUse
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for the methods of the run.
    budget_seconds : float
    """

    command: str
    seed: int
    alignment: str
    data_type: str
    gaps: str
    environment: str
    characters: Characters
    n_scores: int
    use: ResourceUse
    methods: tuple[str, ...]
    budget_seconds: float

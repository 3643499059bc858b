"""Facts of a run that its files state beside the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gfncore.program.provenance import Provenance, ResourceUse
from phylogfn.alignments.characters import Characters

__all__ = ["ParsimonyFacts", "RunFacts"]


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run of ``phylogfn sample`` beside its posterior.

    Parameters
    ----------
    command : str
        The command line.
    seed : int
        Seed of all random numbers.
    alignment : str
        Name of the alignment as the user gave it.
    n_sites, n_patterns : int
        Columns of the alignment, and distinct columns among them.
    model : str
        Substitution model, with values of its parameters where they were set or estimated.
    branch_prior : str
        Prior on branch lengths.
    likelihood_evaluations : int
        How often a full likelihood was computed.
    use : ResourceUse
        Time and memory used.
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for what the run used.
    budget_seconds : float, optional
        The time that was allowed.
    files_seed : tuple of int
        Seed of the generator that deals the draws out to the two runs of the MrBayes files.
    provenance : Provenance, optional
        Content of ``provenance.json``; None: the file is not written.
    run_toml, train_jsonl : str
        Content of these files, which the run itself writes to its output directory.
    extra : dict
        More entries for the summary.
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
    """Facts of a run of ``phylogfn parsimony`` beside its result.

    Attributes
    ----------
    command : str
        The command line.
    seed : int
    alignment : str
        Its name as the user gave it.
    data_type : str
        Kind of data, in words.
    gaps, environment : str
        As in the settings.
    characters : Characters
    n_scores : int
        Trees, and places for a subtree, scored.
    use : ResourceUse
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for what the run used.
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

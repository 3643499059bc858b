"""The columns of a library: distinct molecules with their scores and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.DataStructs import ExplicitBitVect
from rdkit.rdBase import BlockLogs
from scipy.special import softmax

from gfncore.evaluation.pareto import non_dominated
from molgen.molecules.diversity import morgan_fingerprints, murcko_scaffold
from molgen.results.exponents import ExponentSample

__all__ = [
    "LEAST_EFFECTIVE_SHARE",
    "LibraryColumns",
    "Scores",
    "count_draws",
    "front_rows",
    "share_valid",
]


LEAST_EFFECTIVE_SHARE = 0.1
"""Effective share of a library below which the user is warned."""


class Scores(Protocol):
    """The columns that a library takes from a table of scores (``molgen.scoring.ScoreTable``)."""

    @property
    def total(self) -> NDArray[np.float64]:
        """The score of each molecule, shape(n,)."""
        ...

    @property
    def components(self) -> Mapping[str, NDArray[np.float64]]:
        """The values that the score is made of, shape(n,) each."""
        ...

    @property
    def objectives(self) -> NDArray[np.float64]:
        """The objectives to maximise, shape (n, K)."""
        ...


@dataclass(frozen=True)
class LibraryColumns:
    """Distinct molecules in order of score, as columns of equal length.

    Parameters
    ----------
    smiles : tuple of str
        Canonical SMILES, all distinct.
    reward : ndarray, shape (n,), float64
        Score of each, nan if it could not be computed.
    log_reward : ndarray, shape (n,), float64
        Log of the target to which the probability is proportional.
    components : mapping of str to ndarray, shape(n,)
        Values of the components of the score.
    objectives : ndarray, shape (n, K), float64
        Objectives to maximise; K = 1 except for Pareto fronts.
    objective_names : tuple of str
        Names of the columns of ``objectives``.
    log_probability : ndarray, shape (n,), float64
        Log of the sampling probability of the molecule, nan if unknown.
    log_probability_se : ndarray, shape (n,), float64
        Its standard error, nan if unknown.
    scaffold : tuple of str
        SMILES of the Murcko scaffold; empty for a molecule without rings.
    count : ndarray, shape (n,), int64
        Number of times that it was drawn.
    weight : ndarray, shape (n,), float64
        Share of the target distribution that the molecule stands for: with these weights, which
        sum to 1, means over the library estimate means over the target. nan if unknown.
    labels : mapping of str to sequence of str
        Further columns of text: substituents at the numbered attachment points of the core (R1, R2,
        ...), the docked stereoisomer.
    samples : tuple of ExponentSample
        What was drawn at each reward exponent where there are several: the columns that depend on
        the exponent are there, and nan here.
    """

    smiles: tuple[str, ...]
    reward: NDArray[np.float64]
    log_reward: NDArray[np.float64]
    components: Mapping[str, NDArray[np.float64]]
    objectives: NDArray[np.float64]
    objective_names: tuple[str, ...]
    log_probability: NDArray[np.float64]
    log_probability_se: NDArray[np.float64]
    scaffold: tuple[str, ...]
    count: NDArray[np.int64]
    weight: NDArray[np.float64]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    samples: tuple[ExponentSample, ...] = ()
    _molecules: tuple[Chem.Mol | None, ...] = field(repr=False, compare=False, default=())

    def __len__(self) -> int:
        """Return the number of molecules."""
        return len(self.smiles)

    @staticmethod
    def build(
        smiles: Sequence[str],
        scores: Scores,
        *,
        log_reward: NDArray[np.float64] | None = None,
        objective_names: Sequence[str] = (),
        log_probability: NDArray[np.float64] | None = None,
        log_probability_se: NDArray[np.float64] | None = None,
        count: Sequence[int] | NDArray[np.int64] | None = None,
        log_weight: NDArray[np.float64] | None = None,
    ) -> LibraryColumns:
        """Return the columns of some molecules, best score first, then in the order of SMILES.

        Parameters
        ----------
        smiles : sequence of str
            Distinct canonical SMILES.
        scores : Scores
            Their scores, in the same order, as :class:`molgen.scoring.ScoreTable` has them.
        log_reward : ndarray, shape (n,), optional
            Default: log of the score.
        objective_names : sequence of str, optional
            Default: ``objective_1`` and so on.
        log_probability, log_probability_se : ndarray, shape (n,), optional
            Default: nan.
        count : sequence of int, optional
            Default: once each.
        log_weight : ndarray, shape (n,), optional
            Log of `weight`, up to a constant. Default: unknown.

        Raises
        ------
        ValueError
            A SMILES comes twice, or lengths differ.
        """
        n = len(smiles)
        if len(set(smiles)) < n:
            raise ValueError("a SMILES occurs twice; count draws first")
        total = np.asarray(scores.total, np.float64)
        objectives = np.asarray(scores.objectives, np.float64)
        unknown = np.full(n, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_total = np.log(total)
        columns = {
            "reward": total,
            "log_reward": log_total if log_reward is None else np.asarray(log_reward, np.float64),
            "objectives": objectives,
            "log_probability": unknown if log_probability is None else log_probability,
            "log_probability_se": unknown if log_probability_se is None else log_probability_se,
            "count": np.ones(n, np.int64) if count is None else np.asarray(count, np.int64),
            "weight": unknown if log_weight is None else np.asarray(softmax(log_weight)),
        }
        components = {key: np.asarray(v, np.float64) for key, v in scores.components.items()}
        for name, column in {**columns, **components}.items():
            if len(column) != n:
                raise ValueError(f"{name} has {len(column)} entries for {n} molecules")
        names = tuple(objective_names) or tuple(
            f"objective_{number + 1}" for number in range(objectives.shape[1])
        )
        if len(names) != objectives.shape[1]:
            raise ValueError(f"{len(names)} names for {objectives.shape[1]} objectives")
        # equal scores in the order of SMILES, scores that failed last
        order = np.lexsort((np.array(smiles, dtype=object).astype(str), -total))
        molecules = [Chem.MolFromSmiles(smiles[int(row)]) for row in order]
        return LibraryColumns(
            smiles=tuple(smiles[int(row)] for row in order),
            components={key: column[order] for key, column in components.items()},
            objective_names=names,
            scaffold=tuple("" if m is None else murcko_scaffold(m) for m in molecules),
            _molecules=tuple(molecules),
            reward=columns["reward"][order],
            log_reward=columns["log_reward"][order],
            objectives=objectives[order],
            log_probability=np.asarray(columns["log_probability"])[order],
            log_probability_se=np.asarray(columns["log_probability_se"])[order],
            count=columns["count"][order],
            weight=np.asarray(columns["weight"])[order],
        )

    @cached_property
    def molecules(self) -> tuple[Chem.Mol | None, ...]:
        """The molecules as RDKit has them; None for a SMILES that it does not read."""
        return self._molecules or tuple(Chem.MolFromSmiles(text) for text in self.smiles)

    @cached_property
    def fingerprints(self) -> list[ExplicitBitVect]:
        """Morgan fingerprints, 2048 bits; no bit set where RDKit does not read the SMILES."""
        empty = Chem.Mol()
        return morgan_fingerprints([empty if m is None else m for m in self.molecules])

    @property
    def n_objectives(self) -> int:
        """Number of objectives."""
        return self.objectives.shape[1]

    @property
    def effective_size(self) -> float:
        """Number of equal weights that would be as uneven as these: 1 / sum of squares, or nan."""
        return float(1.0 / (self.weight**2).sum()) if len(self) else float("nan")

    @property
    def effective_share(self) -> float:
        """`effective_size` over the number of molecules; nan if unknown."""
        return self.effective_size / len(self) if len(self) else float("nan")

    def top_mean(self, n: int) -> float:
        """Return the mean score of the best ``n`` molecules, or of all if there are fewer."""
        known = self.reward[np.isfinite(self.reward)][:n]
        return float(known.mean()) if len(known) else float("nan")

    def scaffold_counts(self) -> dict[str, int]:
        """Return the number of molecules of each scaffold, the commonest first, then the best."""
        counts: dict[str, int] = {}
        for scaffold in self.scaffold:
            if scaffold:
                counts[scaffold] = counts.get(scaffold, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def share_valid(smiles: Sequence[str], count: NDArray[np.int64]) -> float:
    """Return the share of draws that RDKit reads and sanitises; nan without any.

    Parameters
    ----------
    smiles : sequence of str
        Of all draws, distinct, those without a score included.
    count : ndarray, shape (n,), int64
        How often each was drawn.
    """
    with BlockLogs():
        good = np.array([Chem.MolFromSmiles(text) is not None for text in smiles], bool)
    total = int(count.sum())
    return float(count[good].sum() / total) if total else float("nan")


def count_draws(draws: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return distinct SMILES in the order in which they first came, and how often each did.

    Returns
    -------
    smiles : list of str
        Distinct SMILES.
    count : ndarray, shape (n,), int64
        How often each was drawn.
    first : ndarray, shape (n,), int64
        The draw in which each came first.
    """
    position: dict[str, int] = {}
    counts: list[int] = []
    first: list[int] = []
    for draw, smiles in enumerate(draws):
        row = position.setdefault(smiles, len(counts))
        if row == len(counts):
            counts.append(0)
            first.append(draw)
        counts[row] += 1
    return list(position), np.array(counts, np.int64), np.array(first, np.int64)


def front_rows(library: LibraryColumns) -> np.ndarray:
    """Return the rows of the molecules that no other surpasses, shape(m,), best score first."""
    known = np.flatnonzero(np.isfinite(library.objectives).all(axis=1))
    if len(known) == 0:
        return known
    return known[non_dominated(library.objectives[known])]

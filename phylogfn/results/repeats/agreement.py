"""Agreement of repeated runs in figures and in words.

A run cannot show what it has missed; another run from other seeds can. Two figures are compared:

* the log evidences, in units of the combined standard error. Where the weights of the draws have
  an unseen tail or a group of trees is missing, they differ by more than the errors allow, and the
  lower one is the more suspect: estimates by importance sampling are more often too low than too
  high;
* the frequencies of splits, by their average standard deviation (ASDSF, Lakner et al., Syst. Biol.
  57:86, 2008) and by the largest difference. Two runs that each found another group of trees of
  the same mass have equal evidences and different splits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gfncore.program.messages import Note
from phylogfn.trees.comparison import SplitDifference, split_names

__all__ = ["MOST_ERRORS", "NEGLIGIBLE", "RunComparison"]

MOST_ERRORS = 3.0
"""Largest difference of two log evidences, in combined standard errors, of runs that agree."""
NEGLIGIBLE = 1e-3
"""Difference of log evidences, nats, below which errors are not compared: the optimisation of
branch lengths ends at such differences."""


@dataclass(frozen=True)
class RunComparison:
    """Figures by which repeated runs are compared.

    Attributes
    ----------
    log_evidences, standard_errors : tuple of float, length R
        Of each run, nats; the error of a failed run is infinite.
    failed : tuple of bool, length R
        Whether a run had hardly any effective draws; it is not compared further.
    asdsf : float
        Average standard deviation of split frequencies; NaN if no split has frequency 0.1.
    asdsf_limit : float
        Largest value of runs that agree.
    split : SplitDifference, optional
        The split whose frequency differs most.
    split_limit : float
        Largest difference of runs that agree.
    divergence : float
        Jensen-Shannon divergence of the runs' posteriors over topologies, nats: 0 to log R.
    unshared : tuple of float, length R
        Probability, in each run, of the listed topologies that no other run lists.

    Examples
    --------
    >>> runs = RunComparison((-7.0, -7.5), (0.3, 0.4), (False, False), 0.004, 0.01, None, 0.05,
    ...     0.02, (0.0, 0.01))
    >>> runs.difference_in_errors, runs.agree
    (1.0, True)
    """

    log_evidences: tuple[float, ...]
    standard_errors: tuple[float, ...]
    failed: tuple[bool, ...]
    asdsf: float
    asdsf_limit: float
    split: SplitDifference | None
    split_limit: float
    divergence: float
    unshared: tuple[float, ...]

    @property
    def furthest(self) -> tuple[int, int]:
        """The two runs whose evidences differ by most errors, the lower evidence first.

        Runs are counted from 0. If fewer than two did not fail, both are the same.
        """
        compared = [i for i, failed in enumerate(self.failed) if not failed] or [0]
        pairs = [
            (low, high)
            for low in compared
            for high in compared
            if low != high and self.log_evidences[low] <= self.log_evidences[high]
        ]
        return max(pairs, key=lambda pair: self._errors(*pair), default=(compared[0], compared[0]))

    @property
    def difference(self) -> float:
        """The difference of these two log evidences, nats."""
        low, high = self.furthest
        return self.log_evidences[high] - self.log_evidences[low]

    @property
    def difference_in_errors(self) -> float:
        """The same in combined standard errors."""
        return self._errors(*self.furthest)

    def _errors(self, low: int, high: int) -> float:
        difference = abs(self.log_evidences[high] - self.log_evidences[low])
        if difference <= NEGLIGIBLE:
            return 0.0
        error = math.hypot(self.standard_errors[low], self.standard_errors[high])
        return difference / error if error > 0.0 else math.inf

    @property
    def better(self) -> int:
        """The run that deserves more trust, counted from 0.

        Of evidences that differ by more than their errors the higher, else that of least error.
        """
        if not self.evidences_agree:
            return self.furthest[1]
        runs = range(len(self.log_evidences))
        return min(runs, key=lambda i: (self.failed[i], self.standard_errors[i]))

    @property
    def evidences_agree(self) -> bool:
        """Whether the log evidences differ by no more than their errors allow."""
        return self.difference_in_errors <= MOST_ERRORS

    @property
    def splits_agree(self) -> bool:
        """Whether the frequencies of splits differ by no more than their errors allow."""
        largest = 0.0 if self.split is None else self.split.difference
        return not self.asdsf > self.asdsf_limit and largest <= self.split_limit

    @property
    def agree(self) -> bool:
        """Whether all runs succeeded and agree."""
        return not any(self.failed) and self.evidences_agree and self.splits_agree

    @property
    def confirmation(self) -> str:
        """What runs that agree say."""
        splits = f", and their split frequencies by {self.asdsf:.4f} on average (ASDSF)"
        if math.isnan(self.asdsf):
            splits = ""
        return (
            f"{len(self.log_evidences)} independent runs agree: their log evidences differ by "
            f"{self.difference:.3f} nats ({self.difference_in_errors:.1f} standard errors)"
            f"{splits}."
        )

    def doubts(self, names: Sequence[str]) -> tuple[Note, ...]:
        """Return in plain words what the runs disagree on; empty if they agree.

        Parameters
        ----------
        names : sequence of str
            The taxa, to name a clade.
        """
        found = [
            Note(
                "run-failed",
                f"Run {number} failed: it has hardly any effective draws. The results are those "
                "of the other runs, and fewer runs confirm them.",
            )
            for number, failed in enumerate(self.failed, 1)
            if failed
        ]
        if not self.evidences_agree:
            found.append(self._evidence_doubt())
        if not self.splits_agree:
            found.append(self._split_doubt(names))
        return tuple(found)

    def _evidence_doubt(self) -> Note:
        low, high = self.furthest
        lacking = self.unshared[high]
        missed = (
            f"run {low + 1} has missed trees that have {lacking:.0%} of the probability in run "
            f"{high + 1}"
            if not self.splits_agree and 0.01 <= lacking <= 0.99
            else f"run {low + 1} has probably missed a part of the posterior"
        )
        return Note(
            "evidences-differ",
            f"The log evidences of the runs differ by {self.difference:.2f} nats, "
            f"{self.difference_in_errors:.1f} standard errors (should be at most {MOST_ERRORS:g}): "
            f"{missed}. The standard error stated covers the difference. Run again with a larger "
            "--budget.",
        )

    def _split_doubt(self, names: Sequence[str]) -> Note:
        largest = self.split
        clade = ""
        if largest is not None:
            clade = (
                f", and the frequency of {split_names(largest.split, names, limit=4)} is "
                f"{largest.lowest:.2f} in one and {largest.highest:.2f} in another"
            )
        return Note(
            "clades-differ",
            f"The runs found different clades: their split frequencies differ by {self.asdsf:.3f} "
            f"on average (ASDSF, should be below {self.asdsf_limit:.3f}){clade}. Clade "
            "probabilities are uncertain by that much. Run again with a larger --budget.",
        )

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the figures as the summary names them; runs are counted from 1."""
        largest = self.split
        return {
            "agree": self.agree,
            "log_evidences": list(self.log_evidences),
            "log_evidence_errors": list(self.standard_errors),
            "log_evidence_difference": self.difference,
            "difference_in_standard_errors": self.difference_in_errors,
            "asdsf": self.asdsf,
            "asdsf_limit": self.asdsf_limit,
            "split_difference": 0.0 if largest is None else largest.difference,
            "split_difference_limit": self.split_limit,
            "split": None if largest is None else split_names(largest.split, names),
            "divergence": self.divergence,
            "unshared_probability": list(self.unshared),
            "better_run": self.better + 1,
        }

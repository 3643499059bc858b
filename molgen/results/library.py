"""The answer of a run as an object: tables, files, and a view for notebooks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfncore.files import write_atomic
from gfncore.program.library_call import result_directory
from gfncore.program.messages import Note
from molgen.output_names import OUTPUT_NAMES
from molgen.results.columns import LibraryColumns
from molgen.results.facts import RunFacts
from molgen.results.files import library_sdf, run_warnings, summarise, table_columns, write_results
from molgen.results.report.notebook import render_view
from molgen.results.scored import ScoredMolecules

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Library"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Library(LibraryColumns):
    """Distinct molecules in order of score, with probabilities and the facts of their run.

    Parameters
    ----------
    facts : RunFacts
        Facts of the run for the files.
    scored : ScoredMolecules
        All scored molecules, in the library or not.
    """

    facts: RunFacts
    scored: ScoredMolecules

    @classmethod
    def from_columns(
        cls, columns: LibraryColumns, facts: RunFacts, scored: ScoredMolecules
    ) -> Library:
        """Return the library of some columns and of the run that they come from."""
        values = {field.name: getattr(columns, field.name) for field in fields(LibraryColumns)}
        return cls(**values, facts=facts, scored=scored)

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Warnings about unreliable results, sentences with a `code` each."""
        return run_warnings(self.facts)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Content of ``summary.json``: the figures of the library and of its run."""
        return summarise(self, self.facts)

    def to_pandas(self) -> DataFrame:
        """Return the columns of ``library.csv`` with all digits, a row per molecule.

        These are ``smiles``, ``reward``, one per component of the score, ``log_probability``,
        ``log_probability_se`` (both NaN where unknown), ``scaffold``, ``count``, ``weight``
        (NaN where unknown) and the labels. With several reward exponents, ``log_probability_E16``
        and so on are those at exponent 16, NaN for molecules that were not taken at it.
        """
        import pandas

        return pandas.DataFrame(table_columns(self))

    def exponent_table(self) -> DataFrame:
        """Return the figures of each reward exponent, a row per exponent; empty if there is one.

        These are ``reward_exponent``, ``log_partition``, ``log_partition_se``, ``ess``,
        ``n_proposals``, ``pareto_k``, ``n_samples``, ``n_unique``, ``library_ess``, ``mean_score``,
        ``top10_mean`` and ``internal_diversity``.
        """
        import pandas

        return pandas.DataFrame([sample.as_dict() for sample in self.samples])

    def to_sdf(self, path: str | Path) -> None:
        """Write an SD file with flat coordinates, and the columns as properties.

        Parameters
        ----------
        path : str or Path
            The file; it is replaced if it exists.
        """
        write_atomic(Path(path), library_sdf(self))

    def write(self, directory: str | Path, force: bool = False) -> None:
        """Write the result files that ``molgen sample`` writes, all but the checkpoint.

        Parameters
        ----------
        directory : str or Path
            Made if it does not exist.
        force : bool
            Replace the files of an earlier run in the directory.

        Raises
        ------
        UserError
            The directory is not empty, or cannot be written.
        """
        directory = Path(directory)
        files = {"run.toml": self.facts.run_toml, "train.jsonl": self.facts.train_jsonl}
        with result_directory(directory, files, OUTPUT_NAMES, force=force):
            write_results(directory, self, self.facts, scored=self.scored)

    def __repr__(self) -> str:
        mean, best = self.top_mean(len(self)), self.top_mean(1)
        score = f"{self.facts.score}: mean {mean:.3f}, best {best:.3f}"
        return f"Library({len(self):,} molecules, {score})"

    def _repr_html_(self) -> str:
        return render_view(self, self.summary)

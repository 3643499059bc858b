"""A library: the answer of ``molgen sample``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from gfncore.files import write_atomic
from gfncore.program.output import check_output, locked_output
from molgen.results.columns import LibraryColumns
from molgen.results.facts import RunFacts
from molgen.results.files import run_warnings, write_results
from molgen.results.scored import ScoredMolecules

__all__ = ["Library"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Library(LibraryColumns):
    """Distinct molecules, best first, with scores and probabilities, and the facts of their run.

    Parameters
    ----------
    facts : RunFacts
        What the files say of the run.
    scored : ScoredMolecules
        All molecules that were scored, in the library or not.
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
    def warnings(self) -> tuple[str, ...]:
        """What to know before trusting the result."""
        return run_warnings(self.facts)

    def write(self, directory: str | Path) -> None:
        """Write the result files that ``molgen sample`` writes, all but the checkpoint.

        Parameters
        ----------
        directory : str or Path
            Made if it does not exist.

        Raises
        ------
        UserError
            The directory is not empty, or cannot be written.
        """
        directory = Path(directory)
        check_output(directory)
        with locked_output(directory):
            write_atomic(directory / "run.toml", self.facts.run_toml)
            write_atomic(directory / "train.jsonl", self.facts.train_jsonl)
            write_results(directory, self, self.facts, scored=self.scored)

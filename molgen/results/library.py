"""A library: the answer of ``molgen sample``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from gfncore.files import write_atomic
from gfncore.program.output import check_output, clear_output, locked_output
from molgen.output_names import OUTPUT_NAMES
from molgen.results.columns import LibraryColumns
from molgen.results.facts import RunFacts
from molgen.results.files import write_results
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

    def write(self, directory: Path | str, *, force: bool = False) -> None:
        """Write the result files that ``molgen sample`` writes.

        Parameters
        ----------
        directory : Path or str
            Created if missing, refused if not empty.
        force : bool
            Replace the run in the directory.

        Raises
        ------
        UserError
            The directory cannot be used.
        """
        directory = Path(directory)
        check_output(directory, force=force)
        with locked_output(directory, "run.toml"):
            clear_output(directory, OUTPUT_NAMES)
            write_atomic(directory / "run.toml", self.facts.run_toml)
            write_atomic(directory / "train.jsonl", self.facts.train_jsonl)
            write_results(directory, self, self.facts, scored=self.scored)

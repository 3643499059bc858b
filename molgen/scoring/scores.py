"""Scoring of molecules: each distinct molecule once, in parallel, robust against failures."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.errors import UserError
from gfncore.program.messages import Note, say
from gfncore.program.resources import data_file
from gfncore.text.hints import did_you_mean
from molgen.scoring.aggregation import combine
from molgen.scoring.catalogue import kinds
from molgen.scoring.configuration import Component, ScoringPlan, make_plan, read_scoring_file
from molgen.scoring.parallel.batch import BatchScores, Failure, batch_scores
from molgen.scoring.parallel.pool import ChunkRunner, OpenExecutor
from molgen.scoring.parallel.worker import (
    PASS,
    MoleculeScore,
    canonical_chunk,
    score_batch,
    score_chunk,
)
from molgen.scoring.table import ScoreTable

__all__ = ["PRESET_FILES", "Scoring"]

PRESET_FILES = {"druglike": "QED x SA score x molecular weight of 200 to 500"}
_ROUNDING = 1e-9  # tolerance for scores outside 0..1 due to rounding


def _to_stderr(warning: Note) -> None:
    say(f"molgen: warning: {warning}")


class Scoring:
    """A scoring function: each distinct molecule once, in parallel, robust against failures.

    Use `from_config`, `from_toml` or `preset`. It is a context manager; `close` ends workers and
    programs.

    Parameters
    ----------
    plan : ScoringPlan
    workers : int
        Number of processes for components that only need RDKit; 1 means this process.
    executor : concurrent.futures.Executor or callable, optional
        Runs all components, including users' functions and programs, instead of own processes; for
        instance ``client.get_executor(pure=False)`` of a Dask client. A callable opens an executor,
        and another one if it is broken. Default: as in the scoring file.
    warn : callable, optional
        Called with one-line warnings; by default they are printed on stderr.
    """

    def __init__(
        self,
        plan: ScoringPlan,
        *,
        workers: int = 1,
        executor: Executor | OpenExecutor | None = None,
        warn: Callable[[Note], None] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; at least one is needed")
        self.aggregation = plan.aggregation
        self.components: tuple[Component, ...] = plan.components
        self._warn = warn or _to_stderr
        self._runner = ChunkRunner(
            workers, executor or plan.open_executor, self._warn, plan.chunk_size
        )
        columns = range(len(self.components))
        # filters first, so that rejected molecules cause no further cost
        order = sorted(columns, key=lambda c: not self.components[c].filter)
        self._of_molecules = [c for c in order if not self.components[c].kind.batch]
        self._of_batches = [c for c in order if self.components[c].kind.batch]
        self._plan = json.dumps([self.components[c].described() for c in self._of_molecules])
        self._scored = [c for c in columns if not self.components[c].filter]
        self._weights = np.array([self.components[c].weight for c in self._scored])
        self._canonical: dict[str, str] = {}
        self._rows: dict[str, int] = {}
        self._raw: list[list[float]] = []
        self._failures: dict[int, dict[int, Failure]] = {}
        self._unread: set[int] = set()
        self._given_up: set[str] = set()

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        *,
        source: str = "scoring",
        directory: Path | None = None,
        **options: Any,
    ) -> Scoring:
        """Return the scoring that a ``[scoring]`` table describes; ``options`` as in the class.

        Raises
        ------
        UserError
            Something in it is wrong (see `molgen.scoring.configuration.make_plan`).
        """
        return cls(make_plan(config, source, directory), **options)

    @classmethod
    def from_toml(cls, path: Path | str, **options: Any) -> Scoring:
        """Return the scoring that a TOML file describes; it names files relative to itself."""
        path = Path(path)
        return cls(make_plan(read_scoring_file(path), str(path), path.resolve().parent), **options)

    @classmethod
    def preset(cls, name: str, **options: Any) -> Scoring:
        """Return the scoring with the given name, such as ``"qed"`` or ``"druglike"``.

        Raises
        ------
        UserError
            There is no such reward, or it needs parameters.

        Examples
        --------
        >>> with Scoring.preset("druglike") as scoring:
        ...     table = scoring.evaluate(["CC(=O)Oc1ccccc1C(=O)O", "C1CCCCC1"])
        >>> table.total.round(2).tolist(), list(table.components)
        ([0.41, 0.02], ['qed', 'sa_score', 'weight_window'])
        """
        if name in PRESET_FILES:
            return cls.from_toml(data_file(f"scoring/{name}.toml"), **options)
        known = [*PRESET_FILES, *(kind.name for kind in kinds().values() if kind.preset)]
        if name in known:
            return cls.from_config({"component": [{"type": name}]}, source="--reward", **options)
        hint = did_you_mean(name, known) or f" (there are: {', '.join(known)})"
        if name in kinds():
            hint = "; it needs a scoring file, as it has parameters or a transform"
        raise UserError(f"there is no reward '{name}'{hint}")

    @property
    def names(self) -> list[str]:
        """Names of the components, filters included, in the order of the file."""
        return [component.name for component in self.components]

    def isomers(self, smiles: Sequence[str]) -> dict[str, list[str]]:
        """Return the stereoisomers that were scored, for each component that chooses one."""
        return {
            component.name: [component.kind.isomer(text) for text in smiles]
            for component in self.components
            if component.kind.isomer is not None
        }

    @property
    def objective_names(self) -> list[str]:
        """Names of the columns of `ScoreTable.objectives`."""
        if self.aggregation == "pareto":
            return [self.components[c].name for c in self._scored]
        return ["total"]

    @property
    def n_objectives(self) -> int:
        """Columns of `ScoreTable.objectives`."""
        return len(self.objective_names)

    @property
    def calls(self) -> int:
        """How many distinct molecules were scored, failures included; SMILES that cannot be read
        are none."""
        return len(self._rows) - len(self._unread)

    @property
    def retried(self) -> int:
        """How many times a molecule was scored again because the worker that had it died."""
        return self._runner.retried

    @property
    def failed(self) -> dict[str, int]:
        """How many distinct molecules have no score, by reason."""
        reasons = Counter(self._reason(row) for row in self._failures)
        return dict(reasons.most_common())

    @property
    def failure_examples(self) -> dict[str, str]:
        """One molecule without a score for each reason, and all that is known of its failure."""
        keys, found = list(self._rows), {}
        for row in self._failures:
            reason = self._reason(row)
            if reason not in found:
                detail = self._reason(row, True).removeprefix(reason).removeprefix(": ")
                found[reason] = f"{keys[row]}: {detail}" if detail else keys[row]
        return found

    @property
    def filtered(self) -> dict[str, int]:
        """How many distinct molecules did not pass, by filter."""
        if not self._raw:
            return {}
        found = self._table(list(self._rows), list(self._rows.values())).filtered
        return dict(Counter(found.values()).most_common())

    def is_known(self, smiles: str) -> bool:
        """Return whether a molecule, by its canonical SMILES, has been scored."""
        return smiles in self._rows

    def best(self, n: int) -> tuple[list[str], np.ndarray]:
        """Return at most `n` molecules with positive scores, in order of score."""
        table = self._table(list(self._rows), list(self._rows.values()))
        order = np.argsort(-np.nan_to_num(table.total), kind="stable")[:n]
        order = order[table.total[order] > 0.0]
        return [table.smiles[row] for row in order], table.total[order]

    def ranked(self, chunk: int = 1000) -> Iterator[tuple[ScoreTable, list[int]]]:
        """Yield all molecules scored with the number of their oracle call, from 1, in tables.

        Best first, then by SMILES; those without a score come last.
        """
        keys = [key for key, row in self._rows.items() if row not in self._unread]
        rows = [self._rows[key] for key in keys]
        totals = [
            self._table(keys[at : at + chunk], rows[at : at + chunk]).total
            for at in range(0, len(keys), chunk)
        ]
        total = np.nan_to_num(np.concatenate([np.zeros(0), *totals]), nan=-1.0).tolist()
        # no array of strings: each entry would be as wide as the longest
        order = sorted(range(len(keys)), key=lambda i: (-total[i], keys[i]))
        for at in range(0, len(order), chunk):
            here = order[at : at + chunk]
            table = self._table([keys[i] for i in here], [rows[i] for i in here])
            yield table, [rows[i] + 1 for i in here]

    def evaluate(self, smiles: Sequence[str], *, canonical: bool = False) -> ScoreTable:
        """Return the scores of molecules; those scored before are remembered.

        Parameters
        ----------
        smiles : sequence of str
        canonical : bool
            The SMILES are RDKit's canonical ones already, which saves reading them twice.
        """
        texts = list(smiles)
        keys = texts if canonical else self._canonical_of(texts)
        new = [key for key in dict.fromkeys(keys) if key not in self._rows]
        if new:
            self._score(new)
        return self._table(keys, [self._rows[key] for key in keys])

    def _canonical_of(self, texts: list[str]) -> list[str]:
        new = [text for text in dict.fromkeys(texts) if text not in self._canonical]
        found = self._runner.run(canonical_chunk, (), new, lambda _: None)
        # an unreadable SMILES is kept as it is and fails when it is scored
        self._canonical.update(
            (text, text if key is None else key) for text, key in zip(new, found, strict=True)
        )
        return [self._canonical[text] for text in texts]

    def _score(self, new: list[str]) -> None:
        """Score molecules that are not known yet and remember them."""
        n = len(new)
        values = np.full((n, len(self.components)), np.nan)
        failures: dict[int, dict[int, Failure]] = {}

        dead = MoleculeScore([math.nan] * len(self._of_molecules), {0: Failure("worker died")})
        # without RDKit components, molecules are still read here to detect invalid ones
        found = self._runner.run(score_chunk, (self._plan,), new, lambda _: dead)
        for row, score in enumerate(found):
            values[row, self._of_molecules] = score.values
            for place, failure in score.failures.items():
                column = self._of_molecules[place] if self._of_molecules else 0
                failures.setdefault(row, {})[column] = failure
        unread = {
            r for r, f in failures.items() if any(e.reason == "invalid SMILES" for e in f.values())
        }

        for column in self._of_batches:
            passed = self._passed(values)
            rows = [row for row in range(n) if passed[row] and row not in failures]
            if not rows:
                continue
            result = self._batch_scores(self.components[column], [new[row] for row in rows])
            values[rows, column] = result.values
            for place, failure in result.failures.items():
                failures.setdefault(rows[place], {})[column] = failure
            self._tell_given_up(column)

        self._check_range(values, failures)
        first = len(self._raw)
        for row, key in enumerate(new):
            self._rows[key] = first + row
            self._raw.append(values[row].tolist())
        self._failures.update((first + row, entry) for row, entry in failures.items())
        self._unread.update(first + row for row in unread)

    def _batch_scores(self, component: Component, smiles: list[str]) -> BatchScores:
        """Return raw values of a list component, computed by the executor if there is one."""
        if not self._runner.elsewhere:
            return component.scorer.score(smiles)
        task = (component.kind.name, component.parameters)
        size = component.parameters.get("batch_size")
        died = Failure("worker died", of_program=True)
        return batch_scores(self._runner.run(score_batch, task, smiles, lambda _: died, size))

    def _passed(self, values: np.ndarray) -> np.ndarray:
        """Return whether rows pass all filters evaluated so far."""
        passed = np.ones(len(values), dtype=bool)
        for column, component in enumerate(self.components):
            if component.filter:
                passed &= ~(self._transformed(values, column) < PASS)
        return passed

    def _transformed(self, values: np.ndarray, column: int) -> np.ndarray:
        transform = self.components[column].transform
        if transform is not None:
            with np.errstate(
                all="ignore"
            ):  # values that are not numbers are failures (`_check_range`)
                return transform(values[:, column])
        return np.clip(values[:, column], 0.0, 1.0)

    def _check_range(self, values: np.ndarray, failures: dict[int, dict[int, Failure]]) -> None:
        """Treat values outside 0 to 1 without a transform as failures.

        The same applies to transformed values that are not numbers, which extreme parameters may
        cause.
        """
        for column, component in enumerate(self.components):
            lost = np.isfinite(values[:, column]) & ~np.isfinite(self._transformed(values, column))
            for row in np.flatnonzero(lost):
                failure = Failure("not finite", "after the transform")
                failures.setdefault(int(row), {})[column] = failure
            if component.transform is None:
                off = np.abs(values[:, column] - 0.5) > 0.5 + _ROUNDING
                for row in np.flatnonzero(off):
                    told = f"{values[row, column]:.6g} without a transform"
                    failure = Failure("outside 0 to 1", told)
                    failures.setdefault(int(row), {})[column] = failure

    def _tell_given_up(self, column: int) -> None:
        component = self.components[column]
        reason = getattr(component.scorer, "given_up", "")
        if reason and component.name not in self._given_up:
            self._given_up.add(component.name)
            self._warn(
                Note(
                    "abandoned-component",
                    f"component '{component.name}' was abandoned and gives no further scores: "
                    f"{reason}",
                )
            )

    def _reason(self, row: int, detail: bool = False) -> str:
        """Return the first failure of a row, in the order of the components."""
        column, failure = min(self._failures[row].items(), key=lambda item: item[0])
        if row in self._unread:
            return failure.reason
        words = " ".join(str(failure).split()) if detail else failure.reason
        return f"{self.components[column].name}: {words}"

    def _table(self, keys: list[str], rows: list[int]) -> ScoreTable:
        values = np.array([self._raw[row] for row in rows], dtype=float)
        values = values.reshape(len(rows), len(self.components))
        failed = np.array([row in self._failures for row in rows], dtype=bool)
        scores = np.column_stack(
            [self._transformed(values, column) for column in range(len(self.components))]
        )
        for place in np.flatnonzero(failed):
            for column in self._failures[rows[place]]:
                scores[place, column] = np.nan
        filtered: dict[int, str] = {}
        for column, component in enumerate(self.components):
            if component.filter:
                for place in np.flatnonzero((scores[:, column] < PASS) & ~failed):
                    filtered.setdefault(int(place), component.name)
        total = combine(scores[:, self._scored], self._weights, self.aggregation)
        objectives = scores[:, self._scored] if self.aggregation == "pareto" else total[:, None]
        objectives = objectives.copy()
        out = np.array(sorted(filtered), dtype=int)
        total[out], objectives[out] = 0.0, 0.0
        total[failed], objectives[failed] = np.nan, np.nan
        return ScoreTable(
            list(keys),
            total,
            {c.name: values[:, i].copy() for i, c in enumerate(self.components)},
            {c.name: scores[:, i].copy() for i, c in enumerate(self.components)},
            objectives,
            {int(place): self._reason(rows[place], True) for place in np.flatnonzero(failed)},
            filtered,
        )

    def fingerprint(self) -> str:
        """Return a hash of the determinants of the raw values, without weights and aggregation."""
        described = [[c.name, c.described()] for c in self.components]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()

    def cache_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the stored scores for a checkpoint, as arrays and JSON.

        Returns
        -------
        arrays : dict
            ``smiles`` (uint8, canonical SMILES by lines), ``values`` (float64, n x components).
        extra : dict
            Fingerprint, hashes of users' files by component, failures, `retried`.
        """
        values = np.array(self._raw, dtype=float).reshape(len(self._raw), len(self.components))
        text = "\n".join(self._rows).encode()
        extra = {
            "fingerprint": self.fingerprint(),
            "files": {component.name: component.files for component in self.components},
            "failures": [
                [row, column, *failure]
                for row, entries in self._failures.items()
                for column, failure in entries.items()
            ],
            "unread": sorted(self._unread),
            "retried": self.retried,
        }
        return {"smiles": np.frombuffer(text, dtype=np.uint8).copy(), "values": values}, extra

    def restore(self, arrays: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        """Restore the result of `cache_state`; its molecules are not scored again.

        Molecules without a score because a program or worker failed are omitted, with a warning, so
        that they are scored again.

        Raises
        ------
        UserError
            It belongs to other components, or a user's file on which they depend has changed.
        """
        if extra["fingerprint"] != self.fingerprint():
            raise UserError(
                "the saved scores come from other components than those given now; "
                "use the same scoring file, or start a new run"
            )
        self._check_files(extra.get("files"))
        values = np.asarray(arrays["values"], dtype=float)
        text = np.asarray(arrays["smiles"], dtype=np.uint8).tobytes().decode()
        keys = text.split("\n") if len(values) else []
        failures: dict[int, dict[int, Failure]] = {}
        for row, column, *failure in extra["failures"]:
            failures.setdefault(row, {})[column] = Failure(*failure)
        again = {r for r, found in failures.items() if any(f.of_program for f in found.values())}
        places = {row: n for n, row in enumerate(r for r in range(len(keys)) if r not in again)}
        self._rows = {keys[row]: place for row, place in places.items()}
        self._raw = values[list(places)].tolist()
        self._failures = {places[row]: f for row, f in failures.items() if row in places}
        self._unread = {places[row] for row in extra["unread"]}
        self._runner.retried = extra.get("retried", 0)  # absent in checkpoints of version 0.1.0
        if again:
            noun = "molecule that has" if len(again) == 1 else "molecules that have"
            self._warn(
                Note(
                    "scores-repeated",
                    f"{len(again):,} {noun} no score because a program or worker failed may be "
                    "scored again",
                )
            )

    def _check_files(self, saved: Mapping[str, Mapping[str, str]] | None) -> None:
        """Refuse the scores if a user's file has changed since they were computed."""
        for component in self.components:
            now = component.files
            before = now if saved is None else saved[component.name]
            if saved is None and now:  # a checkpoint of version 0.1.0
                self._warn(
                    Note(
                        "unknown-changes",
                        f"whether {', '.join(now)} changed since the scores were saved is not "
                        "known",
                    )
                )
            for name in {**before, **now}:
                if before.get(name) != now.get(name):
                    raise UserError(
                        f"the saved scores come from another '{name}' (component "
                        f"'{component.name}') than there is now; bring it back, or start a new run"
                    )

    def close(self) -> None:
        """End workers and programs."""
        self._runner.close()
        for component in self.components:
            if component.kind.batch:
                component.scorer.close()

    def __enter__(self) -> Scoring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

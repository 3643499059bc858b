"""``molgen sample`` as a function."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Never

import numpy as np
from rdkit.rdBase import BlockLogs

from gfncore.backward.registry import BackwardName
from gfncore.errors import UserError
from gfncore.program.callback_progress import CallbackProgress, ProgressReport
from gfncore.program.library_call import call_text, check_keywords, temporary_run
from gfncore.training.distributed import refuse_several
from molgen.results.library import Library
from molgen.runs.sample.answer import answer
from molgen.runs.sample.main import trained_run
from molgen.settings import resolve_sample
from molgen.symmetry import Symmetry
from molgen.warm_up import warm_up

__all__ = ["sample"]

Score = str | Path | Mapping[str, Any] | Callable[[list[str]], Sequence[float]]
"""A score: its name, a scoring file, the tables of one, or a function."""


def sample(
    reward: Score = "qed",
    *,
    reward_exponent: float | Sequence[float] | None = None,
    environment: Literal["fragments", "atoms"] | None = None,
    core: str | None = None,
    max_atoms: int | None = None,
    max_fragments: int | None = None,
    fragments: str | Path | None = None,
    elements: str | Sequence[str] | None = None,
    ring_sizes: str | Sequence[int] | None = None,
    max_rings: int | Literal["any"] | None = None,
    strained: bool | None = None,
    samples: int | None = None,
    max_per_scaffold: int | None = None,
    oracle_calls: int | None = None,
    budget: str | float | None = None,
    symmetry: Symmetry | None = None,
    objective: str | None = None,
    conditioning: Literal["input", "scaling", "both"] | None = None,
    order_temperature: float | None = None,
    sub_trajectory_lambda: float | None = None,
    backward_policy: BackwardName | None = None,
    seed: int | None = None,
    threads: int | None = None,
    device: Literal["auto", "cpu", "cuda"] | None = None,
    progress: Callable[[ProgressReport], object] | None = None,
    **unknown: Never,
) -> Library:
    """Sample molecules in proportion to a score; return the library of them.

    The settings are those of ``molgen sample``, and so are the results of a seed. Nothing is
    printed and no file is left: `Library.write` writes the files. Messages go to the logger
    ``molgen`` of `logging`, warnings among them, which ``library.warnings`` holds too.

    Parameters
    ----------
    reward : str, Path, mapping or callable
        The score, 0 to 1: its name (``molgen rewards`` lists them); the path of a scoring file or
        of a ``run.toml``, whose settings are taken as well; the ``[scoring]`` table of such a file;
        or a function that takes a list of canonical SMILES and returns a score for each (None or
        nan: no score), in this process.
    reward_exponent : float or sequence of float
        Molecules are drawn in proportion to the score raised to this power. With several, one
        sampler is trained for all of them, and molecules are drawn at each; see
        `Library.exponent_table`. Default: 96.
    environment : str
        Build molecules from ``"fragments"`` (default) or ``"atoms"``.
    core : str
        SMILES that every molecule grows from, ``[*]`` where it may grow.
    max_atoms, max_fragments, max_rings : int
        Maximum size of a molecule.
    fragments : str or Path
        File of fragments. Default: the fragments of molgen.
    elements, ring_sizes : str or sequence
        (atoms only) Kinds of atom and ring sizes that are allowed.
    strained : bool
        (atoms only) Whether rings may have triple or cumulated double bonds.
    samples : int
        Number of molecules in the library. Default: 1000.
    max_per_scaffold : int
        Maximum number of library molecules per Murcko scaffold. Default: any number.
    oracle_calls : int
        Maximum number of molecules to score. Default: 100000.
    budget : str or float
        Wall-clock time, such as ``"5m"`` (default), or in seconds.
    symmetry : str
        Correction of the sampling probabilities of symmetric molecules. Default: ``"merged"``.
    objective : str
        Training objective (loss). Default: ``"log_variance"``.
    conditioning : str
        (several exponents only) How the sampler depends on the exponent: ``"input"`` (default),
        ``"scaling"`` or ``"both"``.
    order_temperature : float
        (objectives of an order only) Temperature.
    sub_trajectory_lambda : float
        (``"sub_trajectory_balance"`` only) Weight of a part of k steps, to the power k.
    backward_policy : str
        How the reward of a molecule is divided among the ways to build it: ``"uniform"`` (default),
        ``"learned"``, ``"maximum_entropy"``, ``"trajectory_likelihood"`` or ``"pessimistic"``.
    seed : int
        The same seed gives the same library. Default: 1.
    threads : int
        Number of threads. Default: all cores.
    device : str
        Device of the network: ``"auto"`` (default), ``"cpu"`` or ``"cuda"``.
    progress : callable
        Called with a `ProgressReport` several times a second, in the thread that called this
        function. An exception that it raises ends the run.

    Raises
    ------
    UserError
        The score or a setting cannot be used, or no molecule with a score above zero was found;
        the message is that of the command line.

    Examples
    --------
    >>> import molgen
    >>> library = molgen.sample(
    ...     "qed", environment="atoms", max_atoms=4, samples=5, oracle_calls=200, threads=1
    ... )
    >>> len(library), library.facts.oracle_calls <= 200
    (5, True)
    >>> list(library.to_pandas())[:4]
    ['smiles', 'reward', 'qed', 'log_probability']
    """
    given = dict(locals())  # the settings by their names, before anything else is one
    check_keywords(sample, given.pop("unknown"))
    refuse_several("molgen.sample")
    del given["reward"], given["progress"]
    given = {name: _plain(value) for name, value in given.items()}
    score, config = _settings_of(reward)
    command = call_text("molgen.sample", _Shown(reward), **given)
    with (
        CallbackProgress("molgen", progress) as shown,
        temporary_run("molgen") as output,
        BlockLogs(),  # RDKit's own messages name neither file nor line
    ):
        shown.phase("starting")
        settings = resolve_sample({**given, **score, "output": output}, config)
        shown.budget_seconds = settings.budget_seconds
        warm_up(settings, settings.symmetry)
        with trained_run(settings, shown, command) as run:
            assert run is not None  # it is the only process
            return answer(run)


def _plain(value: Any) -> Any:
    """Return a path as text, and a number of NumPy as one of Python."""
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


class _Shown:
    """An argument as the text of a call shows it: functions by their names."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        return getattr(self._value, "__qualname__", None) or repr(self._value)


def _settings_of(reward: Score) -> tuple[dict[str, Any], Path | None]:
    """Return the settings that a score stands for, and the configuration file if it is one."""
    if isinstance(reward, Path):
        return {}, reward
    if isinstance(reward, str):
        is_file = reward.endswith(".toml") or os.sep in reward
        return ({}, Path(reward)) if is_file else ({"reward": reward}, None)
    if isinstance(reward, Mapping):
        return {"scoring": dict(reward)}, None
    if not callable(reward):
        raise UserError(
            f"reward: {type(reward).__name__} is not a score; give a name such as 'qed', the path "
            "of a scoring file, or a function of a list of SMILES"
        )
    name = getattr(reward, "__name__", type(reward).__name__).strip("<>")
    component = {"type": "function", "name": name, "params": {"function": _named(reward)}}
    return {"scoring": {"component": [component]}}, None


def _named(function: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    """Return the function, with a name if it is an object without one."""
    if hasattr(function, "__qualname__"):
        return function

    def call(smiles: list[str]) -> Any:
        return function(smiles)

    call.__module__, call.__qualname__ = type(function).__module__, type(function).__qualname__
    return call

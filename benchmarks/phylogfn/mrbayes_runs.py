"""Running Debian's ``mb``: two processes side by side, MCMC or stepping-stone sampling.

The model is JC69 with independent exponential branch lengths and a uniform
prior on topologies. Each process is one independent run with its own seed.
``mb`` knows no wall-clock budget: `generations_for` turns seconds into
generations by short calibration runs of the same sampler.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from Bio import SeqIO

from benchmarks.phylogfn.reference import Topology, topology_key

__all__ = [
    "BURN_IN",
    "ChainSettings",
    "McmcResult",
    "generations_for",
    "run_mcmc",
    "run_stepping_stone",
    "write_alignment",
]

N_PROCESSES = 2
CALIBRATION_SECONDS = 6.0
LEAST_THINNING = 20
BURN_IN = 0.25


@dataclass(frozen=True)
class ChainSettings:
    """What each process of ``mb`` is told beside its length.

    Attributes
    ----------
    branch_rate : float
        Rate of the exponential prior on branch lengths.
    n_chains : int
        Coupled chains a run (``nchains``).
    n_steps : int
        Steps of stepping-stone sampling (``nsteps``).
    seed : int
        Seed of the first process; the next one has the next.
    """

    branch_rate: float = 10.0
    n_chains: int = 4
    n_steps: int = 50
    seed: int = 1


@dataclass(frozen=True)
class McmcResult:
    """What two runs of MCMC gave.

    Attributes
    ----------
    chains : list of list of frozenset
        Topologies after burn-in, one list a run, in the order of sampling.
    generations : int
        Generations of each run.
    wall_seconds : float
        Time from start to end of both processes.
    """

    chains: list[list[Topology]]
    generations: int
    wall_seconds: float


def write_alignment(fasta: Path, nexus: Path) -> list[str]:
    """Write a FASTA alignment for ``mb``, taxa renamed t1, t2, ...; returns the names."""
    with open(fasta) as lines:
        records = list(SeqIO.parse(lines, "fasta"))
    if not records:
        raise SystemExit(f"{fasta}: no FASTA record found; give the alignment as FASTA")
    rows = "\n".join(f"t{i + 1} {record.seq}" for i, record in enumerate(records))
    nexus.write_text(
        "#NEXUS\nbegin data;\n"
        f"dimensions ntax={len(records)} nchar={len(records[0])};\n"
        f"format datatype=dna missing=? gap=-;\nmatrix\n{rows}\n;\nend;\n"
    )
    return [str(record.id) for record in records]


def commands(settings: ChainSettings, seed: int, sampler: str, name: str) -> str:
    """The NEXUS block that one process of ``mb`` executes."""
    return (
        "#NEXUS\nbegin mrbayes;\n"
        f"set autoclose=yes nowarn=yes quitonerror=yes seed={seed} swapseed={seed + 1000};\n"
        "execute alignment.nex;\n"
        "lset nst=1 rates=equal;\n"
        "prset statefreqpr=fixed(equal) topologypr=uniform "
        f"brlenspr=unconstrained:exponential({settings.branch_rate:g});\n"
        f"{sampler} nruns=1 nchains={settings.n_chains} printfreq=1000000000 "
        f"diagnfreq=1000000000 filename={name};\nend;\n"
    )


def run_processes(folder: Path, settings: ChainSettings, sampler: str, name: str) -> float:
    """Run the processes side by side to their end; returns the wall-clock seconds."""
    scripts = []
    for process in range(N_PROCESSES):
        script = folder / f"{name}{process}.nex"
        script.write_text(commands(settings, settings.seed + process, sampler, script.stem))
        scripts.append(script)
    began = time.perf_counter()
    running = []
    for script in scripts:
        with open(folder / f"{script.stem}.log", "w") as log:
            running.append(
                subprocess.Popen(["mb", script.name], cwd=folder, stdout=log, stderr=log)
            )
    codes = [process.wait() for process in running]
    wall_seconds = time.perf_counter() - began
    if any(codes):
        log = (folder / f"{scripts[0].stem}.log").read_text()
        raise SystemExit(f"mb ended with codes {codes}; the end of its log:\n{log[-2000:]}")
    return wall_seconds


def mcmc_command(generations: int) -> str:
    """MCMC that keeps about 10,000 trees; writing a tree costs more than a generation."""
    return f"mcmc ngen={generations} samplefreq={max(generations // 10_000, LEAST_THINNING)}"


def stepping_stone_command(generations: int, settings: ChainSettings) -> str:
    """Stepping-stone sampling that keeps about 1,000 values a step."""
    every = max(generations // (settings.n_steps * 1000), 10)
    return f"ss ngen={generations} nsteps={settings.n_steps} samplefreq={every}"


def generations_for(
    folder: Path, settings: ChainSettings, seconds: float, *, stepping_stone: bool
) -> int:
    """Number of generations that take about `seconds`, by short runs of growing length."""

    def took(generations: int) -> float:
        sampler = (
            stepping_stone_command(generations, settings)
            if stepping_stone
            else mcmc_command(generations)
        )
        return run_processes(folder, settings, sampler, "calibration")

    few = 20 * (settings.n_steps + 1)
    start = took(few)
    generations = 3 * few
    while True:
        extra = took(generations) - start
        if extra >= min(CALIBRATION_SECONDS, seconds):
            rate = (generations - few) / extra
            return max(int(rate * (seconds - start)) + few, few)
        generations *= 3


def run_mcmc(
    folder: Path, settings: ChainSettings, generations: int, taxon: Mapping[str, int]
) -> McmcResult:
    """Two runs of coupled MCMC.

    Parameters
    ----------
    folder : Path
        Holds ``alignment.nex``; receives the files of ``mb``.
    settings : ChainSettings
        Prior, chains and seed.
    generations : int
        Length of each run; about 10,000 topologies of each are sampled.
    taxon : mapping of str to int
        Number of each taxon by the number (``"1"``, ...) under which ``mb`` writes it.
    """
    wall_seconds = run_processes(folder, settings, mcmc_command(generations), "mcmc")
    chains = []
    for process in range(N_PROCESSES):
        lines = (folder / f"mcmc{process}.t").read_text().splitlines()
        newicks = [line.partition("]")[2] for line in lines if line.startswith("   tree ")]
        kept = newicks[int(BURN_IN * len(newicks)) :]
        chains.append([topology_key(newick, taxon) for newick in kept])
    return McmcResult(chains, generations, wall_seconds)


def run_stepping_stone(
    folder: Path, settings: ChainSettings, generations: int
) -> tuple[list[float], float]:
    """Two runs of stepping-stone sampling.

    Returns
    -------
    log_evidences : list of float
        Log evidence of each run, nats.
    wall_seconds : float
        Time from start to end of both processes.
    """
    sampler = stepping_stone_command(generations, settings)
    wall_seconds = run_processes(folder, settings, sampler, "ss")
    log_evidences = []
    for process in range(N_PROCESSES):
        lines = (folder / f"ss{process}.ss").read_text().splitlines()
        steps = [line.split("\t") for line in lines if line[:3].strip().isdigit()]
        log_evidences.append(math.fsum(float(step[2]) for step in steps))
    return log_evidences, wall_seconds

"""Provenance of a result: program, command, parameters, machine, inputs, resources.

It follows tskit's provenance schema: each output records how it was made and how to repeat it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = [
    "Provenance",
    "ResourceUse",
    "command_line",
    "file_sha256",
    "git_commit",
    "package_versions",
    "record_provenance",
    "software_version",
]

_KEY_PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "torch",
    "torch-geometric",
    "biopython",
    "pandas",
    "rdkit",
)


@dataclass(frozen=True)
class ResourceUse:
    """Resources used by a run so far, in all of its sessions."""

    wall_seconds: float
    """From the start of the process on."""
    cpu_seconds: float
    """User and system time of this process and of the children it has waited for."""
    peak_memory_bytes: int
    """Largest resident set of this process."""
    compile_seconds: float = 0.0
    """Part of the wall-clock time in which kernels were compiled; not charged to a budget."""


@dataclass(frozen=True)
class Provenance:
    """A record of one run, written to ``provenance.json``."""

    software: str
    version: str
    command: str
    parameters: dict[str, Any]
    seed: int
    threads: int
    device: str
    started: str
    """UTC, ISO 8601."""
    platform: dict[str, str]
    packages: dict[str, str]
    inputs: tuple[dict[str, Any], ...] = ()
    git_commit: str | None = None
    resources: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values for JSON."""
        return asdict(self)


def record_provenance(
    software: str,
    *,
    parameters: dict[str, Any],
    seed: int,
    threads: int,
    device: str = "cpu",
    inputs: tuple[Path | str, ...] = (),
    command: str | None = None,
    use: ResourceUse | None = None,
    started: datetime | None = None,
) -> Provenance:
    """Record a run.

    Parameters
    ----------
    software : str
        Name of the distribution's program, such as ``"phylogfn"``.
    parameters : dict
        The resolved settings.
    inputs : tuple of Path or str
        Files that were read; ``"-"`` is standard input, which has no checksum.
    command : str, optional
        Default: the command line of this process.
    use : ResourceUse, optional
        Resources used.
    started : datetime, optional
        Default: now.
    """
    started = started or datetime.now(UTC)
    return Provenance(
        software=software,
        version=software_version(),
        command=command if command is not None else command_line(),
        parameters=parameters,
        seed=seed,
        threads=threads,
        device=device,
        started=started.isoformat(timespec="seconds"),
        platform={
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
        packages=package_versions(),
        inputs=tuple(_input_record(path) for path in inputs),
        git_commit=git_commit(),
        resources=asdict(use) if use is not None else {},
    )


def command_line(arguments: list[str] | None = None) -> str:
    """Return the command as one would type it, without the directory of the program."""
    words = list(sys.argv if arguments is None else arguments)
    if words:
        program = Path(words[0])
        # `python -m molgen` runs molgen/__main__.py
        words[0] = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join(words)


def software_version(distribution: str = "phylogfn") -> str:
    """Return the version of an installed distribution, or of the checkout that runs."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return _checkout_version()


def package_versions(names: tuple[str, ...] = _KEY_PACKAGES) -> dict[str, str]:
    """Return the versions of the packages that results may depend on; missing ones left out."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def git_commit(checkout: Path | None = None) -> str | None:
    """Return the commit of the checkout, ``-dirty`` appended when files differ from it.

    Returns
    -------
    commit : str or None
        ``None`` when the program does not run from a checkout, or git is not there.
    """
    root = Path(__file__).resolve().parents[2] if checkout is None else checkout
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty"],
            capture_output=True,
            text=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # a look must not write to the index
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _input_record(path: Path | str) -> dict[str, Any]:
    if str(path) == "-" or not Path(path).is_file():
        return {"path": str(path), "sha256": None}
    return {
        "path": str(path),
        "sha256": file_sha256(Path(path)),
        "bytes": Path(path).stat().st_size,
    }


def _checkout_version() -> str:
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not pyproject.is_file():
        return "unknown"
    import tomllib

    return tomllib.loads(pyproject.read_text()).get("project", {}).get("version", "unknown")

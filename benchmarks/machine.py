"""What a figure was measured on: processor, cores, commit, and Markdown tables.

Every benchmark prints the lines of `measured_on` above its table, so that a
printed block says by itself where, on which commit and by which command it
was made.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["commit", "markdown_table", "measured_on", "processor"]

CHECKOUT = Path(__file__).resolve().parent.parent


def processor() -> str:
    """Name of the processor and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return f"{name}, {cores} cores"


def commit() -> str:
    """Short hash of the checkout's commit, with `+changes` if files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short", "HEAD")
    if not head:
        return "unknown"
    return head + ("+changes" if git("status", "--porcelain") else "")


def measured_on(command: Sequence[str]) -> str:
    """Lines that name the machine, the commit and the command of a block."""
    return (
        f"Machine: {processor()}; Python {platform.python_version()}; commit {commit()}\n"
        f"Command: `{shlex.join(command)}`\n"
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of `rows` below `header`."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)

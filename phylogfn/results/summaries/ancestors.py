"""Ancestral sequences as text: a table of probabilities, FASTA, and rows of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from phylogfn.sequences.ancestral import THRESHOLD, AncestralSequence, AncestralSequences
from phylogfn.text.quoting import newick_labels

__all__ = ["ancestral_fasta", "ancestral_figures", "ancestral_rows", "ancestral_table"]


def ancestral_table(found: AncestralSequences, names: tuple[str, ...]) -> str:
    """Return the probabilities of the states as tab-separated text.

    The columns are ``clade``, ``site`` (its number in the file), ``state`` (the most probable one)
    and ``p_S`` for each state S; of data with several alphabets, ``NA`` for states that a site does
    not have. Lines before the head, which begin with ``#``, give the taxa of each clade and the
    share of the draws that contain it.
    """
    labels = newick_labels(names)
    lines = []
    for one in found.sequences:
        taxa = ",".join(labels[taxon] for taxon in one.clade.taxa)
        lines.append(
            f"# {one.clade.name}: in {one.n_draws} of {found.n_used} draws "
            f"({one.n_draws / found.n_used:.4g}); taxa: {taxa}"
        )
    states = "".join(dict.fromkeys("".join(part.states for part in found.parts)))
    lines.append("\t".join(["clade", "site", "state", *(f"p_{state}" for state in states)]))
    for one in found.sequences:
        rows: list[tuple[int, str]] = []
        for part, p in zip(found.parts, one.probabilities, strict=False):
            places = [part.states.find(state) for state in states]
            best = p.argmax(axis=1).tolist()
            for number, top, row in zip(part.numbers.tolist(), best, p.tolist(), strict=True):
                cells = ["NA" if at < 0 else f"{row[at]:.5f}" for at in places]
                head = f"{one.clade.name}\t{number}\t{part.states[top]}"
                rows.append((number, "\t".join([head, *cells])))
        lines += [row for _, row in sorted(rows, key=lambda item: item[0])]
    return "\n".join(lines) + "\n"


def ancestral_fasta(found: AncestralSequences) -> str:
    """Return the most probable states as FASTA; see `AncestralSequences.text`.

    Clades that no draw contains have no sequence.
    """
    return "".join(
        f">{one.clade.name}\n{found.text(one)}\n" for one in found.sequences if one.n_draws
    )


def ancestral_figures(found: AncestralSequences) -> dict[str, Any]:
    """Return what the summary says of the reconstruction."""
    return {
        "draws": found.n_used,
        "threshold": THRESHOLD,
        "draws_with_clade": {one.clade.name: one.n_draws for one in found.sequences},
    }


def ancestral_rows(found: AncestralSequences, names: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of the table in the report."""
    return [
        {
            "name": one.clade.name,
            "taxa": _shortened([names[taxon] for taxon in one.clade.taxa]),
            "share": f"{100.0 * one.n_draws / found.n_used:.1f}\u00a0%",
            "known": f"{100.0 * _known(one):.1f}\u00a0%" if one.n_draws else "n/a",
        }
        for one in found.sequences
    ]


def _known(one: AncestralSequence) -> float:
    """Return the share of the sites whose most probable state reaches the threshold."""
    best = np.concatenate([p.max(axis=1) for p in one.probabilities])
    return float((best >= THRESHOLD).mean())


def _shortened(names: list[str], limit: int = 4) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")

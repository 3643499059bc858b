"""The clades of a posterior with their probabilities and branch lengths, as rows and as text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.results.rounding import rounded
from phylogfn.results.warnings import failure
from phylogfn.text.quoting import newick_labels
from phylogfn.trees.splits import SplitTable

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["CladeRow", "clade_frame", "clade_rows", "clades_text"]

LOWEST = 0.001  # probability of the clades in the file
COLUMNS = ("taxa", "n_taxa", "probability", "probability_se", "mean_length", "sd_length")


@dataclass(frozen=True)
class CladeRow:
    """A clade: the smaller side of a split, or the side without taxon 0 where both are equal.

    Attributes
    ----------
    taxa : tuple of int
        Their numbers, ascending.
    probability, error : float
        Posterior probability and its standard error; NaN where unknown.
    mean_length, sd_length : float
        Of its branch, in expected substitutions per site; NaN where no draw has it.
    """

    taxa: tuple[int, ...]
    probability: float
    error: float
    mean_length: float
    sd_length: float


def clade_rows(
    posterior: PosteriorData, table: SplitTable | None = None, lowest: float = 0.0
) -> list[CladeRow]:
    """Return the clades, the most probable first; in a failed run their probabilities are NaN.

    Parameters
    ----------
    posterior : PosteriorData
    table : SplitTable, optional
        Supports and lengths of the splits, if already computed.
    lowest : float
        Minimum probability.
    """
    table = split_table(posterior) if table is None else table
    everything = (1 << table.n_taxa) - 1
    failed = failure(posterior) is not None
    rows = []
    for split, support in table.supports.items():
        if support < lowest:
            continue
        side = everything ^ split if 2 * split.bit_count() > table.n_taxa else split
        rows.append(
            CladeRow(
                tuple(i for i in range(table.n_taxa) if side >> i & 1),
                support,
                table.errors.get(split, math.nan),
                table.mean_lengths.get(split, math.nan),
                table.sd_lengths.get(split, math.nan),
            )
        )
    names = table.names
    rows.sort(key=lambda r: (-r.probability, len(r.taxa), tuple(names[i] for i in r.taxa)))
    if not failed:
        return rows
    return [CladeRow(r.taxa, math.nan, math.nan, r.mean_length, r.sd_length) for r in rows]


def clade_frame(posterior: PosteriorData) -> DataFrame:
    """Return the clades of the posterior, the most probable first.

    Trees are unrooted, so a clade is the smaller side of a split; the side without the first taxon
    where both are equal. The columns are ``taxa`` (a tuple of names), ``n_taxa``, ``probability``
    (NaN for a failed run), ``probability_se`` (its standard error; NaN where unknown),
    ``mean_length`` and ``sd_length`` (of its branch, in expected substitutions per site; NaN where
    no draw has it).
    """
    import pandas

    names = posterior.names
    rows = [
        (
            tuple(names[i] for i in row.taxa),
            len(row.taxa),
            row.probability,
            row.error,
            row.mean_length,
            row.sd_length,
        )
        for row in clade_rows(posterior)
    ]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def clades_text(posterior: PosteriorData, table: SplitTable | None = None) -> str:
    """Return ``clades.tsv``: the clades of probability `LOWEST` or more, the most probable first.

    Taxa are separated by commas and quoted as in Newick. Numbers have the digits that their
    standard errors support, lengths four significant ones; ``NA`` stands for unknown numbers.

    Parameters
    ----------
    posterior : PosteriorData
    table : SplitTable, optional
        Supports and lengths of the splits, if already computed.
    """
    labels = newick_labels(posterior.names)
    lines = ["\t".join(COLUMNS)]
    for row in clade_rows(posterior, table, LOWEST):
        lines.append(
            "\t".join(
                (
                    ",".join(labels[i] for i in row.taxa),
                    str(len(row.taxa)),
                    _probability(row),
                    _text(row.error, 2),
                    _text(row.mean_length, 4),
                    _text(row.sd_length, 4),
                )
            )
        )
    return "\n".join(lines) + "\n"


def _probability(row: CladeRow) -> str:
    if not math.isfinite(row.probability):
        return "NA"
    if not math.isfinite(row.error):
        return f"{row.probability:.10g}"
    return rounded(row.probability, row.error)


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}g}" if math.isfinite(value) else "NA"

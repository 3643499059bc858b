"""Tables of a posterior as pandas DataFrames: its topologies and its clades."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.results.posterior_data import PosteriorData, split_table
from phylogfn.results.posterior_files import numbered_newicks, with_names
from phylogfn.results.warnings import failure

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["clade_frame", "topology_frame"]


def topology_frame(posterior: PosteriorData) -> DataFrame:
    """Return the posterior over topologies, best first.

    The columns are those of ``topologies.tsv``, with all digits: ``rank``, ``probability``,
    ``probability_se`` (NaN where unknown), ``cumulative``, ``log_evidence`` and ``newick``.
    """
    import pandas

    unknown = np.full(posterior.n_topologies, math.nan)
    errors = posterior.topology_errors
    return pandas.DataFrame(
        {
            "rank": np.arange(1, posterior.n_topologies + 1),
            "probability": posterior.topology_probabilities,
            "probability_se": unknown if errors is None else errors,
            "cumulative": np.cumsum(posterior.topology_probabilities),
            "log_evidence": posterior.topology_log_evidences,
            "newick": [
                with_names(newick, posterior.names)
                for newick in numbered_newicks(posterior.topology_parents)
            ],
        }
    )


def clade_frame(posterior: PosteriorData) -> DataFrame:
    """Return the clades of the posterior, the best supported first.

    Trees are unrooted, so a clade is the smaller side of a split; the side without the first taxon
    where both are equal. The columns are ``taxa`` (a tuple of names), ``n_taxa``, ``probability``
    (NaN for a failed run), ``mean_length`` and ``sd_length`` (of its branch, in expected
    substitutions per site; NaN where no draw has it).
    """
    import pandas

    table = split_table(posterior)
    everything = (1 << table.n_taxa) - 1
    rows = []
    for split, support in table.supports.items():
        side = everything ^ split if 2 * split.bit_count() > table.n_taxa else split
        taxa = tuple(name for i, name in enumerate(table.names) if side >> i & 1)
        lengths = (
            table.mean_lengths.get(split, math.nan),
            table.sd_lengths.get(split, math.nan),
        )
        rows.append((taxa, len(taxa), support, *lengths))
    rows.sort(key=lambda row: (-row[2], row[1], row[0]))
    columns = ["taxa", "n_taxa", "probability", "mean_length", "sd_length"]
    frame = pandas.DataFrame(rows, columns=columns)
    if failure(posterior) is not None:
        frame["probability"] = math.nan
    return frame

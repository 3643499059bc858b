"""The topologies of a posterior as a pandas DataFrame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.posterior_files import numbered_newicks, with_names

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["topology_frame"]


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
                for newick in numbered_newicks(
                    posterior.topology_parents, outgroup=posterior.outgroup_numbers
                )
            ],
        }
    )

"""Keys of topologies."""

from __future__ import annotations

import numpy as np

from phylogfn.trees.keys import taxon_codes


def test_codes_are_the_same_for_the_first_taxa_of_any_run():
    assert np.array_equal(taxon_codes(12), taxon_codes(12))
    assert len(np.unique(taxon_codes(200))) == 400

"""Site patterns of an alignment."""

from __future__ import annotations

from collections import Counter

import numpy as np

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import compress


def test_site_patterns(tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        f"t{i}": "".join(rng.choice(list("ACGTN-"), 300, p=[0.5, 0.4, 0.04, 0.02, 0.02, 0.02]))
        for i in range(5)
    }
    path = tmp_path / "a.fasta"
    path.write_text("".join(f">{name}\n{row}\n" for name, row in rows.items()))
    alignment = read_alignment(path)
    patterns = compress(alignment)
    assert patterns.masks.dtype == np.uint32 and patterns.weights.dtype == np.float64
    assert patterns.site_to_pattern.dtype == np.int32 and patterns.n_states == 4
    np.testing.assert_array_equal(patterns.masks[:, patterns.site_to_pattern], alignment.masks)
    counts = Counter(map(tuple, alignment.masks.T.tolist()))
    assert list(map(tuple, patterns.masks.T.tolist())) == list(counts)  # in order of first use
    assert patterns.weights.tolist() == list(counts.values())
    assert (patterns.n_taxa, patterns.n_patterns) == (5, len(counts))
    partials = patterns.tip_partials()
    assert partials.shape == (5, 4, len(counts)) and partials.dtype == np.float64
    for state in range(4):
        np.testing.assert_array_equal(partials[:, state] == 1, patterns.masks >> state & 1 == 1)
    assert set(np.unique(partials)) == {0.0, 1.0}

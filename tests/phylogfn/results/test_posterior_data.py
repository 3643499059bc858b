"""Posteriors and the splits of their trees."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.results.posterior_data import split_table
from phylogfn.trees.splits import split_supports


def test_shapes_are_checked(make_posterior):
    with pytest.raises(ValueError, match="draw_log_priors has shape"):
        make_posterior(draw_log_priors=np.zeros(3))


def test_counts_and_trees(make_posterior):
    posterior = make_posterior(n_draws=10, n_topologies=3)
    assert (posterior.n_taxa, posterior.n_draws, posterior.n_topologies) == (8, 10, 3)
    assert posterior.draw(2).lengths is not None
    assert posterior.topology(0).lengths is None
    np.testing.assert_allclose(posterior.tree_lengths()[2], posterior.draw_lengths[2, 1:].sum())


def test_table_has_mean_lengths_of_the_draws(make_posterior):
    posterior = make_posterior()
    table = split_table(posterior)
    leaf = posterior.draw_lengths[:, 3]
    assert table.mean_lengths[1 << 3] == pytest.approx(leaf.mean())
    assert table.sd_lengths[1 << 3] == pytest.approx(leaf.std())
    assert table.supports == pytest.approx(
        split_supports(posterior.topology_parents, posterior.topology_probabilities)
    )


def test_table_without_topologies_counts_the_draws(make_posterior):
    empty = np.zeros((0, 14), np.int32)
    posterior = make_posterior(
        topology_parents=empty,
        topology_probabilities=np.zeros(0),
        topology_log_evidences=np.zeros(0),
    )
    table = split_table(posterior)
    assert table.supports == pytest.approx(split_supports(posterior.draw_parents))


def test_topologies_that_are_not_listed_have_the_supports_of_their_draws(make_posterior):
    whole = make_posterior(n_draws=400, n_topologies=6)
    p, parents = whole.topology_probabilities, whole.topology_parents
    part = make_posterior(
        n_draws=400,
        n_topologies=6,
        topology_parents=parents[:2],
        topology_probabilities=p[:2],
        topology_log_evidences=whole.topology_log_evidences[:2],
    )
    listed = {row.tobytes() for row in parents[:2]}
    unlisted = [i for i, row in enumerate(part.draw_parents) if row.tobytes() not in listed]
    mixture = np.concatenate([p[:2], np.full(len(unlisted), p[2:].sum() / len(unlisted))])
    rows = np.concatenate([parents[:2], part.draw_parents[unlisted]])
    assert 0.1 < p[2:].sum() < 0.9 and len(unlisted) > 10
    found = split_table(part).supports
    assert found == pytest.approx(split_supports(rows, mixture))
    # and not those of the two listed alone
    assert found != pytest.approx(split_supports(parents[:2], p[:2]), abs=0.05)

"""KL from a reference posterior over topologies to a run's own log-probabilities.

    python -m benchmarks.phylogfn.tree_kl OUT --reference DS1.topologies.tsv

Reads a finished run of ``phylogfn sample`` (its checkpoint) and asks it for the log-probability of
every topology of the reference, in two ways:

* ``sampler``: log q of the trained policy, the density that its draws have (merging: averaged over
  histories, so that the KL comes out a little too large);
* ``posterior``: log R(topology) - log Z, what the run states as the posterior probability: its
  collapsed reward (closed form) over its own evidence. Defined for topologies that were never
  drawn, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp

from benchmarks.phylogfn.reference import add_reference_options, read_reference
from benchmarks.phylogfn.topology_arrays import parents_of_key
from gfncore.evaluation.object_probability import log_object_probabilities
from gfncore.program.progress import Progress
from phylogfn.alignments.alignment import read_alignment
from phylogfn.runs.sample.main import open_run

__all__ = ["main", "tree_kl_of_run"]

BATCH = 200
PATHS = 32  # histories of a topology, where it has many


def tree_kl_of_run(output: Path, reference: Path) -> dict[str, float]:
    """KL(reference || q) in nats for both ways, over all topologies of the reference."""
    torch.set_num_threads(1)
    with Progress("tree_kl", quiet=True) as progress:
        reward, environment, state = open_run(output, progress)
    import json

    summary = json.loads((output / "summary.json").read_text())
    names = read_alignment(summary["alignment"]).names
    found = read_reference(reference, {name: i for i, name in enumerate(names)})
    p = np.array(list(found.probabilities.values()))
    parents = np.stack([parents_of_key(key, len(names)) for key in found.probabilities])
    parents = parents.astype(np.int16)
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    log_q = []
    for start in range(0, len(parents), BATCH):
        terminals = environment.terminals(parents[start : start + BATCH])
        rng = np.random.default_rng(0)
        log_q.append(log_object_probabilities(environment, policy, terminals, PATHS, rng))
    rows = state.table.look_up(reward, parents)  # may enlarge the table
    log_r = state.table.log_evidence[rows] + reward.log_topology_prior
    log_z = max(summary["extra"]["log_evidence_closed_form"], float(np.asarray(logsumexp(log_r))))
    known = float(np.exp(logsumexp(log_r) - summary["extra"]["log_evidence_closed_form"]))
    return {
        "sampler": float(np.sum(p * (np.log(p) - np.concatenate(log_q)))),
        "posterior": float(np.sum(p * (np.log(p) - (log_r - log_z)))),
        "mass_of_reference_topologies": known,
    }


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, nargs="+")
    add_reference_options(parser)
    options = parser.parse_args()
    for output in options.output:
        print(output, tree_kl_of_run(output, Path(options.reference)))


if __name__ == "__main__":
    main()

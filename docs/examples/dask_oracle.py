"""A costly score on a Dask cluster.

``molgen sample --config dask_oracle.toml -o out`` reads the file beside this one, which names both
functions. From Python::

    from molgen.scoring import Scoring

    with Scoring.from_toml("dask_oracle.toml") as scoring:
        print(scoring.evaluate(["CCO", "c1ccccc1"]).total)

The cluster is that of the environment variable DASK_SCHEDULER_ADDRESS, such as
``tcp://head-node:8786``; without it, two processes of this machine. Its workers need molgen
installed, and this file where the main process finds it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import dask
from distributed import Client
from distributed.cfexecutor import ClientExecutor
from rdkit import Chem
from rdkit.Chem import AllChem


class ClusterExecutor(ClientExecutor):
    """Dask's executor; its shutdown closes the connection and ends its own processes."""

    def __init__(self, client: Client) -> None:
        # pure=False: a call that is sent again after the death of a worker must run again
        super().__init__(client, pure=False)
        self.client = client

    def shutdown(self, wait: bool = True) -> None:
        """Close the connection; molgen calls this after the last score."""
        super().shutdown(wait)
        self.client.close()


def open_executor() -> ClusterExecutor:
    """Connect to the cluster; molgen calls this once, when it has molecules to score."""
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address:
        client = Client(address)
    else:
        # without retries by Dask, molgen repeats and counts the calls of a dead worker
        dask.config.set({"distributed.scheduler.allowed-failures": 0})
        client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    return ClusterExecutor(client)


def strain(smiles: Sequence[str]) -> list[float | None]:
    """How far one embedding of each molecule relaxes, kcal/mol a heavy atom: some costly number."""
    return [_strain(text) for text in smiles]


def _strain(smiles: str) -> float | None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(molecule, randomSeed=1) != 0:
        return None
    properties = AllChem.MMFFGetMoleculeProperties(molecule)
    if properties is None:
        return None
    field = AllChem.MMFFGetMoleculeForceField(molecule, properties)
    before = field.CalcEnergy()
    field.Minimize(maxIts=500)
    return (before - field.CalcEnergy()) / Chem.RemoveHs(molecule).GetNumHeavyAtoms()

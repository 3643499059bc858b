from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from rdkit import Chem, RDConfig

from molgen.scoring import Scoring
from molgen.scoring.parallel.pool import ChunkRunner

CONFIG = {
    "component": [
        {"type": "qed"},
        {"type": "sa_score"},
        {"type": "logp", "transform": {"type": "sigmoid", "low": 0, "high": 4}},
    ],
    "filter": [{"type": "limits", "params": {"max_heavy_atoms": 30}}],
}


@pytest.fixture(scope="module")
def smiles():
    with open(os.path.join(RDConfig.RDDataDir, "NCI", "first_5K.smi")) as file:
        lines = file.read().splitlines()[:600:4]
    found = [line.split()[0] for line in lines]
    return [*found, "not a molecule", *found[:7]]


@pytest.fixture(scope="module")
def alone(smiles):
    with Scoring.from_config(CONFIG) as scoring:
        return scoring.evaluate(smiles)


def assert_same(found, expected):
    assert found.smiles == expected.smiles
    assert np.array_equal(found.total, expected.total, equal_nan=True)
    for name, values in expected.components.items():
        assert np.array_equal(found.components[name], values, equal_nan=True)
    assert found.failures == expected.failures
    assert found.filtered == expected.filtered


def test_workers_change_nothing_and_may_die(smiles, alone):
    """Two workers give what one process gives, the second time after one of them was killed."""
    assert len(alone.failures) >= 1
    assert len(alone.filtered) >= 1
    warnings = []
    with Scoring.from_config(CONFIG, workers=2, warn=warnings.append) as scoring:
        assert_same(scoring.evaluate(smiles[:40]), _rows(alone, 40))
        assert warnings == []
        pool = scoring._runner._pool
        assert pool is not None
        os.kill(next(iter(pool._processes)), signal.SIGKILL)
        time.sleep(0.2)
        found = scoring.evaluate(smiles)
        assert_same(found, alone)
        n = scoring.retried
        assert 0 < n <= len(smiles)
        again = f"{n} molecules are scored again"
        assert warnings == [f"a scoring worker died (BrokenProcessPool); {again}"]
        assert scoring.calls == len(
            {s for i, s in enumerate(found.smiles) if i not in found.failures}
        )
    assert scoring._runner._pool is None


def _rows(table, n):
    from dataclasses import replace

    return replace(
        table,
        smiles=table.smiles[:n],
        total=table.total[:n],
        components={k: v[:n] for k, v in table.components.items()},
        failures={k: v for k, v in table.failures.items() if k < n},
        filtered={k: v for k, v in table.filtered.items() if k < n},
    )


def test_any_executor_will_do(smiles, alone):
    with ThreadPoolExecutor(2) as executor:
        with Scoring.from_config(CONFIG, executor=executor) as scoring:
            assert_same(scoring.evaluate(smiles), alone)
        assert executor.submit(len, "abc").result() == 3  # it is not closed


class Fragile(ThreadPoolExecutor):
    """Breaks whenever it meets the molecule that kills workers, or always."""

    def __init__(self, deadly):
        super().__init__(1)
        self.deadly = deadly

    def submit(self, function, /, *args):
        def run(*values):
            if self.deadly == "always" or self.deadly in values[-1]:
                raise BrokenExecutor("dead")
            return function(*values)

        return super().submit(run, *args)


def double(items):
    return [2 * item for item in items]


def test_a_molecule_that_kills_workers_is_found():
    warnings = []
    with Fragile(7) as executor:
        runner = ChunkRunner(4, executor, warnings.append)
        found = runner.run(double, (), list(range(40)), lambda item: f"lost {item}")
    assert found == [2 * n if n != 7 else "lost 7" for n in range(40)]
    assert len(warnings) == 1


def test_without_any_workers_it_goes_on_in_the_main_process():
    warnings = []
    with Fragile("always") as executor:
        runner = ChunkRunner(1, executor, warnings.append)
        assert runner.run(double, (), [1, 2, 3], str) == [2, 4, 6]
        assert "continues in the main process" in warnings[-1]
        assert len(warnings) == 2
        assert runner.run(double, (), [4], str) == [8]
    assert len(warnings) == 2


def test_an_exception_in_one_molecule_is_its_failure(monkeypatch):
    from molgen.scoring import catalogue, registry
    from molgen.scoring.parallel import worker

    def fragile(mol):
        if mol.GetNumAtoms() == 2:
            raise RuntimeError("two\natoms")
        return 0.5 if mol.GetNumAtoms() < 4 else float("nan")

    catalogue.kinds()
    kind = registry.Kind("fragile", "Test", "fails", lambda _: fragile)
    monkeypatch.setitem(registry.KINDS, "fragile", kind)
    worker._functions.cache_clear()
    with Scoring.from_config({"component": [{"type": "fragile"}]}) as scoring:
        table = scoring.evaluate(["C", "CC", "CCC", "CCCC"])
    assert table.total[[0, 2]].tolist() == [0.5, 0.5]
    assert table.failures == {
        1: "fragile: raised RuntimeError: two atoms",
        3: "fragile: not finite",
    }


def test_each_molecule_is_read_once_for_all_components(monkeypatch):
    from molgen.scoring.parallel import worker

    read = []

    def parse(text):
        read.append(text)
        return Chem.MolFromSmiles(text)

    monkeypatch.setattr(worker, "parse", parse)
    with Scoring.from_config(CONFIG) as scoring:
        scoring.evaluate(["CC", "CCO", "CC"], canonical=True)
    assert read == ["CC", "CCO"]


OWNER = """
import os, time
from molgen.scoring import Scoring
if __name__ == "__main__":
    scoring = Scoring.preset("qed", workers=2)
    scoring.evaluate(["C" * n for n in range(1, 200)])
    print(*scoring._runner._pool._processes, flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_main_process_that_is_killed(tmp_path):
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    owner = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    workers = [int(text) for text in owner.stdout.readline().split()]
    owner.stdout.close()
    owner.kill()
    owner.wait()
    assert workers
    end = time.monotonic() + 20
    while any(is_alive(pid) for pid in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_workers_execute_no_file_of_the_current_directory(tmp_path):
    for name in ("queue", "socket", "runpy", "pickle", "struct", "numpy", "signal"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'a').write(__name__)\n")
    code = (
        "from molgen.scoring import Scoring\n"
        "with Scoring.preset('qed', workers=2) as scoring:\n"
        "    print(len(scoring.evaluate(['C' * n for n in range(1, 40)]).failures))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "0\n" and done.stderr == ""
    assert not (tmp_path / "executed").exists()

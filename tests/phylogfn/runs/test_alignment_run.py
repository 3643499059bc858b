"""Limits that hold for all runs on an alignment."""

import pytest

from phylogfn.cli.main import main
from phylogfn.runs.alignment_run import MOST_TAXA


@pytest.mark.parametrize("command", ["sample", "parsimony"])
def test_more_taxa_than_trees_can_number_are_refused_at_once(tmp_path, capsys, command):
    path = tmp_path / "many.fasta"
    bases = "ACGT"
    path.write_text(
        "".join(
            f">t{i}\n{bases[i % 4]}{bases[i // 4 % 4]}{bases[i // 16 % 4]}A\n"
            for i in range(MOST_TAXA + 1)
        )
    )
    assert main([command, str(path), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "16,384 taxa are too many; the maximum is 16,383" in told

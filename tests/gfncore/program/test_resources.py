"""Where the data lie: the checkout first, then the installed copy."""

from __future__ import annotations

import pytest

from gfncore.errors import UserError
from gfncore.program.resources import data_file, data_files, resource_directory


@pytest.fixture
def installed(tmp_path):
    data = tmp_path / "gfncore_share" / "data"
    (data / "more").mkdir(parents=True)
    for name in ("primates.fasta", "more/x.nex", "more/primates.nex", "README.md", ".hidden"):
        (data / name).write_text("")
    return tmp_path


def test_installed_copy(installed):
    assert resource_directory("data", installed) == installed / "gfncore_share" / "data"
    assert list(data_files(installed)) == ["more/primates.nex", "more/x.nex", "primates.fasta"]


def test_checkout_goes_first(installed):
    (installed / "data").mkdir()
    assert resource_directory("data", installed).parent.name == "gfncore_share"
    (installed / "pyproject.toml").write_text("")
    assert resource_directory("data", installed) == installed / "data"


def test_names_may_be_shortened_while_they_are_clear(installed):
    assert data_file("primates.fasta", installed).name == "primates.fasta"
    assert data_file("x", installed).name == "x.nex"
    with pytest.raises(UserError, match="several data files: more/primates.nex, primates.fasta"):
        data_file("primates", installed)


def test_unknown_names_get_a_neighbour(installed):
    with pytest.raises(UserError, match="no data file 'primate'; did you mean"):
        data_file("primate", installed)


def test_missing_installation(tmp_path):
    with pytest.raises(UserError, match="install the program again"):
        resource_directory("data", tmp_path)


def test_the_data_that_we_ship_are_there():
    assert "primates.fasta" in data_files()

"""Names that are too long for a file are refused like those of files that do not exist."""

from pathlib import Path

import pytest

import molgen
import phylogfn
from gfncore.errors import UserError

LONG = "x" * 400
TABLES = [
    {"type": "function", "params": {"function": f"{LONG}.py:score"}},
    {"type": "function", "params": {"function": f"{LONG}:score"}},
    {"type": "external", "params": {"command": LONG}},
]


def test_inputs_of_functions():
    with pytest.raises(UserError, match="File name too long"):
        phylogfn.sample(LONG)
    with pytest.raises(UserError, match="there is no such file"):
        molgen.sample("qed", fragments=LONG)
    with pytest.raises(UserError, match="File name too long"):
        molgen.sample(Path(LONG))


@pytest.mark.parametrize("table", TABLES)
def test_files_that_a_scoring_file_names(table):
    with pytest.raises(UserError, match="no file|not found|cannot be imported"):
        molgen.sample({"component": [table]})

"""Runs inside of another program leave no files and change no setting."""

from __future__ import annotations

import pytest
import torch

from gfncore.errors import UserError
from gfncore.program.library_call import call_text, check_keywords, temporary_run


@pytest.mark.parametrize("end", [None, UserError, KeyboardInterrupt])
def test_nothing_is_left(end, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        with temporary_run("phylogfn") as output:
            assert not output.exists() and output.parent.parent == tmp_path
            output.mkdir()
            (output / "run.toml").write_text("")
            torch.set_num_threads(threads + 1)
            torch.manual_seed(7)
            if end is not None:
                raise end
    except (UserError, KeyboardInterrupt) as raised:
        assert type(raised) is end
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def sample(alignment, *, model=None, budget=None, **unknown):
    check_keywords(sample, unknown)


def test_unknown_keywords():
    sample("x", model="JC69")
    with pytest.raises(UserError, match="^sample.*unknown keyword 'modle'; did you mean 'model'"):
        sample("x", modle="JC69")
    with pytest.raises(UserError, match=r"unknown keyword 'colour' \(there are: model, budget\)$"):
        sample("x", colour="red")


def test_text_of_a_call():
    text = call_text("phylogfn.sample", "a.fasta", model="JC69", seed=None, samples=3)
    assert text == "phylogfn.sample('a.fasta', model='JC69', samples=3)"

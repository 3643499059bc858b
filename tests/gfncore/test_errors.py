"""Messages to users: one line, whatever text of theirs is in them."""

from __future__ import annotations

import pickle

import pytest

from gfncore.errors import UserError, one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x.nwk: '\u00e9' \u2026", "x.nwk: '\u00e9' \u2026"),
        ("a\r\nb\u2028c\x0bd", "a b c d"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("half \ud800, mark \ufeff, turn \u202e", r"half \ud800, mark \ufeff, turn \u202e"),
    ],
)
def test_messages_are_one_printable_line(text, line):
    assert str(UserError(text)) == one_line(text) == line
    line.encode()


def test_long_messages_keep_both_ends():
    text = str(UserError("file.txt: '" + "x" * 100_000 + "' is too long; cut it"))
    assert len(text) < 1000 and len(str(UserError("\0" * 1000))) < 1000
    assert text.startswith("file.txt: 'xxx") and text.endswith("xxx' is too long; cut it")
    assert "characters) ..." in text


def test_messages_survive_the_way_between_processes():
    problem = pickle.loads(pickle.dumps(UserError("a\nb")))
    assert isinstance(problem, UserError) and str(problem) == "a b"

"""What a run says while it works."""

from __future__ import annotations

import io

import pytest

from gfncore.progress import Progress, format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (8.9, "8s"), (125, "2m05s"), (3725, "1h02m"), (-1, "0s")],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


def test_plain_lines():
    stream = io.StringIO()
    with Progress("phylogfn", stream=stream, interval=0.0, budget_seconds=300) as progress:
        progress.phase("training")
        progress.update(log_evidence=-7108.4123, se=0.0312, ess=1234.5, detail="batch 3")
        progress.update(trees=17, share=0.25)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "phylogfn  0s/5m00s  training"
    assert "training  log evidence -7108.412 ± 0.031  ESS 1,234  batch 3" in lines[1]
    assert "trees 17  share 0.25  batch 3" in lines[2]


def test_lines_come_no_more_often_than_the_interval():
    stream = io.StringIO()
    progress = Progress("phylogfn", stream=stream, interval=60.0)
    progress.phase("searching")
    for _ in range(100):
        progress.update(ess=1.0)
    assert len(stream.getvalue().splitlines()) == 1


def test_an_error_that_is_not_finite_is_left_out():
    stream = io.StringIO()
    Progress("p", stream=stream, interval=0.0).update(log_evidence=-1.0, se=float("inf"))
    assert stream.getvalue().rstrip().endswith("log evidence -1.000")


def test_a_warning_comes_once_even_when_quiet():
    stream = io.StringIO()
    progress = Progress("phylogfn", stream=stream, quiet=True)
    progress.phase("searching")
    progress.update(ess=3.0)
    progress.note("hello")
    progress.warn("take care")
    progress.warn("take care")
    assert stream.getvalue() == "phylogfn: warning: take care\n"
    assert progress.warnings == ["take care"]


def test_live_display_ends_with_the_last_figures():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    with Progress("phylogfn", stream=stream) as progress:
        progress.phase("training")
        progress.update(log_evidence=-10.0, se=0.5, ess=77)
        progress.warn("take care")
    text = stream.getvalue()
    assert "training" in text and "ESS 77" in text and "take care" in text


def test_a_stream_that_knows_ascii_alone():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Progress("p", stream=stream, interval=0.0).update(log_evidence=-1.0, se=0.1)
    assert b"-1.000 ? 0.100" in raw.getvalue()

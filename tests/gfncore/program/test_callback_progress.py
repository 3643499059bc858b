"""Progress inside of another program: what is logged and reported, and that none is printed."""

from __future__ import annotations

import logging

import pytest

from gfncore.program.callback_progress import CallbackProgress


def test_reports_have_the_figures(caplog):
    caplog.set_level(logging.INFO, logger="phylogfn")
    reports = []
    with CallbackProgress("phylogfn", reports.append, interval=0.0) as progress:
        progress.phase("training")
        progress.update(log_evidence=-7.5, se=0.5, ess=12.0, detail="cycle 1", topologies=3)
        progress.update(done=0.5)
        progress.phase("drawing")
    assert [report.phase for report in reports] == ["training", "training", "training", "drawing"]
    middle = reports[2]
    assert (middle.log_evidence, middle.se, middle.ess) == (-7.5, 0.5, 12.0)
    assert (middle.detail, middle.done, middle.figures) == ("cycle 1", 0.5, {"topologies": 3})
    assert reports[3].detail == "" and reports[3].done is None
    assert [r.seconds for r in reports] == sorted(r.seconds for r in reports)
    assert caplog.messages == ["training", "drawing"]


def test_reports_come_no_more_often_than_the_interval_but_at_the_end():
    reports = []
    progress = CallbackProgress("phylogfn", reports.append, interval=60.0)
    progress.phase("searching")
    for share in (0.1, 0.2, 0.9, 1.0):
        progress.update(done=share)
    assert [report.done for report in reports] == [None, 1.0]


def test_messages_are_logged_once_and_not_printed(caplog, capfd):
    caplog.set_level(logging.INFO, logger="molgen")
    progress = CallbackProgress("molgen")
    for _ in range(2):
        progress.warn("few\nmolecules")
    progress.note("a note")
    progress.phase("training")
    progress.compiling(True)
    progress.compiling(False)
    progress.compiling(True)
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [
        ("molgen", "WARNING", "few molecules"),
        ("molgen", "INFO", "a note"),
        ("molgen", "INFO", "training"),
        ("molgen", "INFO", "compiling kernels (first run only)"),
    ]
    assert progress.warnings == ["few\nmolecules"]
    assert capfd.readouterr() == ("", "")


def test_an_exception_of_the_callback_ends_the_run():
    def stop(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CallbackProgress("phylogfn", stop).phase("training")

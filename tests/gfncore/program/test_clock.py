"""The clock of a run: from the start of the process, without compilation, over all sessions."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from gfncore.compiled_code import COMPILING, _Compilation, compilation_told
from gfncore.program import clock as clocks
from gfncore.program.clock import RunClock, command_of_process, process_start

WAITED = """
import time
time.sleep(0.5)  # as imports do
from gfncore.program.clock import RunClock, command_of_process
with command_of_process():
    print(RunClock().wall_seconds())
print(RunClock().wall_seconds())
"""


def test_a_command_begins_with_its_process_and_a_call_with_itself():
    shown = subprocess.run([sys.executable, "-c", WAITED], capture_output=True, check=True).stdout
    of_process, of_call = map(float, shown.split())
    assert 0.5 <= of_process < 30.0 or sys.platform != "linux"
    assert of_call < 0.5


def test_a_start_that_cannot_be_is_replaced_by_the_import(monkeypatch):
    assert process_start() <= clocks._IMPORTED
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", time.CLOCK_REALTIME, raising=False)
    assert process_start() == clocks._IMPORTED


def test_the_clock_goes_on_from_earlier_sessions(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = RunClock()
    now[0] += 7.0
    assert clock.seconds() == clock.wall_seconds() == 7.0
    saved = clock.spent()
    later = RunClock()
    later.resume(saved | {"compile": 2.0, "cpu": 30.0})
    now[0] += 1.0
    assert (later.wall_seconds(), later.seconds(), later.compile_seconds()) == (8.0, 6.0, 2.0)
    use = later.usage()
    assert use.wall_seconds == 8.0 and use.compile_seconds == 2.0 and use.cpu_seconds >= 30.0


def test_compilation_is_not_charged(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    compilation = _Compilation()
    monkeypatch.setattr("gfncore.compiled_code._compilation", compilation)
    clock = RunClock()
    now[0] += 1.0
    compilation.began()
    now[0] += 2.0
    compilation.began()  # what the first one needs
    assert clock.compile_seconds() == 2.0
    compilation.ended()
    now[0] += 3.0
    compilation.ended()
    now[0] += 4.0
    assert (clock.seconds(), clock.compile_seconds(), clock.wall_seconds()) == (5.0, 5.0, 10.0)


@pytest.mark.parametrize(("seconds", "told"), [(0.0, []), (0.3, [True, False])])
def test_compilation_is_told_when_it_takes_long(monkeypatch, seconds, told):
    compilation = _Compilation()
    monkeypatch.setattr("gfncore.compiled_code._compilation", compilation)
    monkeypatch.setattr("gfncore.compiled_code.TOLD_AFTER", 0.1)
    heard = []
    with compilation_told(heard.append):
        compilation.began()
        time.sleep(seconds)
        compilation.ended()
    assert heard == told


def test_commands_without_a_display_tell_of_compilation_once(capsys):
    from gfncore import compiled_code
    from gfncore.program.command_line import build_app, run_app

    def work() -> None:
        """Work."""
        tell = compiled_code._compilation.tell
        assert tell is not None
        for begins in (True, False, True, False):
            tell(begins)

    assert run_app("name", build_app("name", "", [work]), ["work"]) == 0
    assert capsys.readouterr().err == f"name: {COMPILING}\n"
    assert compiled_code._compilation.tell is None


def test_the_command_of_a_process_ends():
    with command_of_process():
        assert clocks._command_start is not None
    assert clocks._command_start is None


def test_clocks_of_parts_of_a_run(monkeypatch):
    """The parts are timed apart; a copy does not move the clock that it was made from."""
    with command_of_process():
        whole = RunClock()
        first, second = whole.copy(), RunClock.from_now()
    assert first.wall_seconds() == pytest.approx(whole.wall_seconds(), abs=0.1)
    assert second.wall_seconds() < 0.1 < whole.wall_seconds()
    first.resume({"wall": 100.0, "cpu": 1.0, "compile": 0.0})
    assert first.wall_seconds() > whole.wall_seconds() + 99.0
    assert second.spent()["cpu"] < whole.spent()["cpu"]

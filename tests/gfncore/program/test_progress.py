"""What a run says while it works."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gfncore.program.progress import Progress, format_duration


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


@pytest.fixture
def clock(monkeypatch):
    """Return a list of one time, which the clock of progress shows."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_that_of_the_budget(clock):
    stream = io.StringIO()
    progress = Progress("p", stream=stream, interval=0.0, budget_seconds=60)
    assert progress.seconds_left() == 60
    clock[0] += 22.0
    progress.update(detail="batch 3")
    assert stream.getvalue().splitlines()[-1] == "p  22s/1m00s  batch 3  up to 38s left"
    clock[0] += 40.0
    assert progress.seconds_left() is None
    progress.update(detail="batch 4")
    assert stream.getvalue().splitlines()[-1] == "p  1m02s/1m00s  batch 4"


def test_time_left_of_a_resumed_run_counts_what_was_spent_before(clock):
    progress = Progress("p", stream=io.StringIO(), budget_seconds=60)
    progress.clock.resume({"wall": 57.0, "compile": 12.0})
    clock[0] += 5.0
    assert (progress.elapsed(), progress.seconds_left()) == (50.0, 10.0)


def test_time_left_follows_the_speed_of_a_phase_that_something_else_limits(clock):
    progress = Progress("p", stream=io.StringIO(), budget_seconds=1000)
    progress.phase("drawing")
    progress.update(done=0.4)  # a resumed phase: what was done before took no time
    assert progress.seconds_left() == 1000
    clock[0] += 10.0
    progress.update(done=0.6)
    assert progress.seconds_left() == pytest.approx(20.0)
    clock[0] += 985.0
    assert progress.seconds_left() == pytest.approx(5.0)  # the budget ends before the phase
    clock[0] += 5.0
    assert progress.seconds_left() == pytest.approx(2000.0)  # no budget any more
    progress.update(done=1.0)
    assert progress.seconds_left() is None
    progress.phase("the next")
    assert progress.seconds_left() is None


WORK = """
import signal, sys, time
from pathlib import Path
from gfncore.program.command_line import build_app, run_app
from gfncore.program.interruption import resumable
from gfncore.program.progress import Progress

# the shell ignores Ctrl-C on behalf of what it runs in the background, tests among others
signal.signal(signal.SIGINT, signal.default_int_handler)

def work(output: Path):
    with resumable("p work", output), Progress("p", budget_seconds=90, interval=0.0) as progress:
        progress.phase("training")
        progress.update(ess=77, detail="batch 3")
        progress.warn("take care")
        time.sleep(0.7)
        print("ready", flush=True)
        # in small parts: Python handles a signal that comes just before a sleep only after it
        for _ in range(int(10 * float(sys.argv[3]))):
            time.sleep(0.1)

sys.exit(run_app("p", build_app("p", "", [work]), sys.argv[1:3]))
"""


def at_work(output, seconds, **options):
    arguments = [sys.executable, "-c", WORK, "work", str(output), str(seconds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, **options)


def on_terminal(output, **environment):
    """What a process writes to standard error when that is a terminal."""
    ours, theirs = pty.openpty()
    process = at_work(output, 0, stderr=theirs, env=os.environ | {"COLUMNS": "100", **environment})
    process.communicate(timeout=60)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert process.returncode == 0
    return text.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*(3|9)[0-7]m")


def test_on_a_terminal_one_line_is_redrawn_with_the_time_left(tmp_path):
    text = on_terminal(tmp_path, TERM="xterm", NO_COLOR="")
    assert "\x1b[2K" in text and COLOUR.search(text)
    assert "ESS 77" in text and "warning: take care" in text
    assert re.search(r"up to 1m2[0-9]s left", text)
    assert len(set(re.findall("[\u2800-\u28ff]", text))) > 1  # it turns while nothing is said
    last = re.findall(r"ESS 77  batch 3[^\r\n]*", text)[-1]
    assert "left" not in last  # when all is over


def test_on_a_terminal_without_colours(tmp_path):
    text = on_terminal(tmp_path, TERM="xterm", NO_COLOR="1")
    assert "ESS 77" in text and not COLOUR.search(text)


def test_on_a_terminal_that_cannot_redraw_there_are_plain_lines(tmp_path):
    text = on_terminal(tmp_path, TERM="dumb")
    assert "\x1b" not in text
    assert text.replace("\r\n", "\n").splitlines()[-1] == "p: warning: take care"


def test_elsewhere_there_are_plain_lines_even_if_colours_are_forced(tmp_path):
    environment = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm"}
    process = at_work(tmp_path, 0, stderr=subprocess.PIPE, env=environment)
    _, text = process.communicate(timeout=60)
    assert "\x1b" not in text and "\r" not in text
    assert text.splitlines()[0] == "p  0s/1m30s  training"
    assert text.splitlines()[-1] == "p: warning: take care"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("started", [True, False])
@pytest.mark.usefixtures("hangups_end_children")
def test_an_interrupted_run_ends_cleanly_and_says_how_to_go_on(tmp_path, number, code, started):
    output = tmp_path / "my run"
    if started:
        output.mkdir()
        (output / "run.toml").touch()
    with at_work(output, 60, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, text = process.communicate(timeout=120)
    assert process.returncode == code
    how = f"; to go on: p work -o '{output}' --resume" if started else ""
    assert text.splitlines()[-1] == f"p: interrupted{how}"
    assert "Traceback" not in text


@pytest.mark.usefixtures("hangups_end_children")
def test_a_run_ends_with_its_terminal(tmp_path):
    """The terminal is closed: the kernel sends SIGHUP, and what is written to it fails."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", WORK, "work", str(tmp_path), "60"])
    seen = b""
    while b"ready" not in seen:
        seen += os.read(master, 1000)
    os.close(master)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 129


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    """As SIGHUP is under nohup."""
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-c", WORK]
    with subprocess.Popen(
        [*command, "work", str(tmp_path), "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=120)
    assert process.returncode == 143 and "Traceback" not in text


PARENT = """
import subprocess, sys, time
child = [sys.executable, "-c", "from gfncore.parent_process import end_with_parent as e;"
         "e(); import time; print('ready', flush=True); time.sleep(100)"]
process = subprocess.Popen(child)
print(process.pid, flush=True)
time.sleep(100)
"""


def test_a_process_that_watches_its_parent_ends_when_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        lines = [parent.stdout.readline(), parent.stdout.readline()]
        assert b"ready\n" in lines  # it watches
        (child,) = (int(line) for line in lines if line.strip().isdigit())
        parent.kill()
    for _ in range(300):
        try:
            os.kill(child, 0)
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            break
        if state == "Z":  # ended, and not yet waited for
            break
        time.sleep(0.1)
    else:
        raise AssertionError(f"process {child} lives on")


def test_a_stream_that_knows_ascii_alone():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Progress("p", stream=stream, interval=0.0).update(log_evidence=-1.0, se=0.1)
    assert b"-1.000 ? 0.100" in raw.getvalue()


def test_compilation_is_shown_in_place_of_the_phase(clock):
    stream = io.StringIO()
    with Progress("p", stream=stream, interval=0.0) as progress:
        progress.phase("walking")
        progress.compiling(True)
        progress.update(detail="block 1")
        progress.compiling(False)
        progress.compiling(True)  # the next kernel: not told again
        progress.compiling(False)
        progress.update(detail="block 2")
    lines = stream.getvalue().splitlines()
    assert lines[1] == lines[2] == "p  0s  compiling kernels (first run only)"
    assert lines[3] == "p  0s  walking  block 2"

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from gfncore.errors import UserError
from molgen.scoring import Scoring
from molgen.scoring.components.external import ExternalScorer

# A program with one bad habit, which shows at the molecule CCC.
PROGRAM = """
import json, os, sys, time
habit = sys.argv[1]
print("ready", file=sys.stderr, flush=True)
for line in sys.stdin:
    request = json.loads(line)
    scores = [len(text) / 10 for text in request["smiles"]]
    answer = {"id": request["id"], "scores": scores}
    if "CCC" in request["smiles"]:
        if habit == "crash":
            print("out of luck", file=sys.stderr, flush=True)
            sys.exit(3)
        if habit == "kill":
            os.kill(os.getpid(), 9)
        if habit == "hang":
            time.sleep(60)
        if habit == "rubbish":
            print("Segmentation fault?", flush=True)
        if habit == "flood":
            while True:
                print("x" * 1000)
        if habit == "count":
            answer["scores"] = scores + [1.0]
        if habit == "nan":
            answer["scores"] = [float("nan") if t == "CCC" else s
                                for t, s in zip(request["smiles"], scores)]
        if habit == "null":
            answer["scores"] = [None if t == "CCC" else s
                                for t, s in zip(request["smiles"], scores)]
        if habit == "error":
            answer = {"id": request["id"], "error": "no such molecule"}
        if habit == "late":
            answer["id"] -= 1
        if habit == "other":
            answer = {"result": 1}
        if habit == "list":
            answer = scores
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    opened = []

    def make(habit, **params):
        params = {"command": [sys.executable, str(path), habit], "time_limit": 10.0} | params
        config = {"component": [{"type": "external", "name": "dock", "params": params}]}
        scoring = Scoring.from_config(config, warn=warnings.append)
        opened.append(scoring)
        return scoring

    warnings = make.warnings = []
    yield make
    for scoring in opened:
        scoring.close()


ALKANES = ["C", "CC", "CCC", "CCCC"]


def test_a_program_that_works_is_started_once(program):
    scoring = program("none", batch_size=2)
    assert scoring.evaluate(ALKANES).total == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert scoring.evaluate(["CCCCC", "C"]).total == pytest.approx([0.5, 0.1])
    assert scoring.components[0].scorer.starts == 1
    assert scoring.failed == {}


@pytest.mark.parametrize(
    ("habit", "reason", "detail"),
    [
        ("crash", "program ended with exit code 3", "stderr: ready | out of luck"),
        ("kill", "program was killed by signal 9", "stderr: ready"),
        ("rubbish", "answer is not a JSON object", "'Segmentation fault?'"),
        ("flood", "answer is not a JSON object", "'xxxx"),
        ("list", "answer is not a JSON object", "'[0.3]'"),
        ("other", "answer has no 'scores'", '{"result": 1}'),
        ("late", "answer has another id", "3, not 4"),
        ("count", "wrong number of scores", "2 for 1 molecules"),
        ("nan", "not a number", ""),
        ("null", "not a number", ""),
        ("error", "program reported an error", "no such molecule"),
    ],
)
def test_a_bad_habit_costs_the_guilty_molecule_alone_its_score(program, habit, reason, detail):
    scoring = program(habit)
    table = scoring.evaluate(ALKANES)
    assert table.total[[0, 1, 3]] == pytest.approx([0.1, 0.2, 0.4])
    assert list(table.failures) == [2]
    assert table.failures[2].startswith(f"dock: {reason}")
    assert detail in table.failures[2]
    assert "\n" not in table.failures[2]
    assert scoring.failed == {f"dock: {reason}": 1}
    assert scoring.calls == 4
    assert scoring.evaluate(["CCCCC"]).total == pytest.approx([0.5])  # it goes on


def test_a_program_that_hangs_is_stopped_in_time(program):
    scoring = program("hang", time_limit=1.0)
    begun = time.monotonic()
    table = scoring.evaluate(ALKANES)
    assert time.monotonic() - begun < 8  # two limits, three starts
    assert table.failures == {2: "dock: timed out after 1 s: stderr: ready"}
    assert table.total[[0, 1, 3]] == pytest.approx([0.1, 0.2, 0.4])


def test_a_program_that_never_answers_is_given_up_and_the_run_goes_on(program):
    scoring = program("none", command=[sys.executable, "-c", "raise SystemExit('no licence')"])
    scoring.components[0].scorer._copies[0]._restarts = 2
    table = scoring.evaluate(ALKANES)
    assert len(table.failures) == 4
    assert scoring.components[0].scorer.starts == 3
    assert "no licence" in table.failures[0]
    assert len(program.warnings) == 1
    assert (
        "'dock' was abandoned and gives no further scores: no answer from 3 starts in a row"
        in program.warnings[0]
    )
    assert "no licence" in program.warnings[0]
    table = scoring.evaluate(["CCCCC"])
    assert table.failures[0].startswith("dock: program given up")
    assert scoring.components[0].scorer.starts == 3
    assert len(program.warnings) == 1


@pytest.mark.parametrize(
    ("first", "limit", "words"),
    [
        ('{"ready": true}', 10.0, ""),
        ("hello", 10.0, "answer is not a JSON object: 'hello'"),
        ('{"ready": 1}', 10.0, "first line is not"),
        (None, 0.5, "timed out after 0.5 s"),
    ],
)
def test_a_program_that_says_when_it_is_ready(tmp_path, first, limit, words):
    script = tmp_path / "late.py"
    script.write_text(
        "import sys\n"
        + ("import time; time.sleep(60)\n" if first is None else f"print({first!r}, flush=True)\n")
        + "for line in sys.stdin:\n"
        "    print('{\"scores\": [0.5]}', flush=True)\n"
    )
    scorer = ExternalScorer([sys.executable, str(script)], 1, 10.0, 0, start_limit=limit)
    result = scorer.score(["C"])
    scorer.close()
    assert words in str(result.failures.get(0, ""))
    assert (result.values.tolist() == [0.5]) == (words == "")


def test_a_program_that_does_not_read_is_stopped_too():
    """A request larger than the pipe holds: writing it must not hang either."""
    scorer = ExternalScorer([sys.executable, "-c", "import time; time.sleep(60)"], 9, 0.5, 0)
    result = scorer.score(["C" * 300_000])
    scorer.close()
    assert str(result.failures[0]) == "timed out after 0.5 s"


def test_what_the_program_started_ends_with_it(tmp_path):
    mark = tmp_path / "child.pid"
    script = f"sleep 60 & echo $! > {mark}; sleep 60"
    scorer = ExternalScorer(["sh", "-c", script], 9, 1.0, 0)
    assert "timed out" in str(scorer.score(["C"]).failures[0])
    child = int(mark.read_text())
    for _ in range(50):
        if not _runs(child):
            break
        time.sleep(0.1)
    assert not _runs(child)
    scorer.close()


@pytest.mark.parametrize("pipe", ["stdin", "stdout", "stderr"])
def test_what_the_program_started_elsewhere_holds_up_nothing(tmp_path, pipe):
    """A process in a session of its own outlives the program and keeps a pipe open."""
    script = tmp_path / "starts.py"
    pipes = dict.fromkeys(["stdin", "stdout", "stderr"], "subprocess.DEVNULL")
    pipes[pipe] = f"sys.{pipe}"
    script.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '30'], start_new_session=True, "
        + ", ".join(f"{name}={where}" for name, where in pipes.items())
        + ")\n"
        "print(child.pid, file=open('child.pid', 'w'))\n"
        "time.sleep(60)\n"
    )
    scorer = ExternalScorer([sys.executable, str(script)], 9, 1.0, 0, directory=tmp_path)
    begun = time.monotonic()
    result = scorer.score(["C" * 300_000])  # more than a pipe holds
    scorer.close()
    took = time.monotonic() - begun
    child = int((tmp_path / "child.pid").read_text())
    assert _runs(child)
    os.kill(child, signal.SIGKILL)
    assert str(result.failures[0]) == "timed out after 1 s"
    assert took < 8


@pytest.mark.parametrize(
    ("lines", "start_limit"),
    [
        ("", 60.0),
        ("print('{\"ready\": true}', flush=True)\n", 60.0),
        ("", None),
        # what outlives the program keeps the end of its output from coming
        ("import subprocess; subprocess.Popen(['sleep', '5'], start_new_session=True)\n", None),
    ],
)
def test_closing_does_not_wait_for_a_program_at_work(tmp_path, lines, start_limit):
    script = tmp_path / "hangs.py"
    script.write_text("import os, time\n" + lines + "open('begun', 'w').close()\ntime.sleep(60)\n")
    scorer = ExternalScorer(
        [sys.executable, str(script)], 9, 60.0, directory=tmp_path, start_limit=start_limit
    )
    results = []
    asking = threading.Thread(target=lambda: results.append(scorer.score(["C", "CC", "CCC"])))
    asking.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    begun = time.monotonic()
    scorer.close()
    asking.join()
    assert time.monotonic() - begun < 4
    assert {str(failure) for failure in results[0].failures.values()} == {"scoring was ended"}
    assert len(results[0].failures) == 3
    assert scorer.starts == 1  # the molecules were not tried one by one


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
    except OSError:
        os.kill(pid, 0)
        return True


def test_several_copies_run_at_once(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import json, sys, time\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    time.sleep(0.3)\n"
        "    scores = [len(s) / 10 for s in request['smiles']]\n"
        "    print(json.dumps({'scores': scores}), flush=True)\n"
    )
    scorer = ExternalScorer([sys.executable, str(script)], 1, 20.0, 0, processes=4)
    scorer.score(["C"] * 4)  # all are started
    begun = time.monotonic()
    result = scorer.score(["C", "CC", "CCC", "CCCC", "C", "CC", "CCC", "CCCC"])
    took = time.monotonic() - begun
    scorer.close()
    assert result.values == pytest.approx([0.1, 0.2, 0.3, 0.4] * 2)
    assert scorer.starts <= 4
    assert took < 8 * 0.3


def test_a_copy_that_is_given_up_leaves_the_work_to_the_others(tmp_path):
    """Only the copy that gets the one licence works."""
    script = tmp_path / "licence.py"
    script.write_text(
        "import json, sys\n"
        "try:\n"
        "    open('licence', 'x').close()\n"
        "except FileExistsError:\n"
        "    sys.exit('no licence')\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        "    if 'CCC' in request['smiles']:\n"
        "        sys.exit('licence has expired')\n"
        "    print(json.dumps({'scores': [0.5] * len(request['smiles'])}), flush=True)\n"
    )
    command = [sys.executable, str(script)]
    scorer = ExternalScorer(command, 2, 20.0, 0, processes=2, directory=tmp_path)
    assert scorer.score(["C"] * 40).failures == {}
    assert scorer.starts == 2
    assert scorer.given_up == ""
    scorer.score(["CCC"])
    assert "licence has expired" in scorer.given_up
    result = scorer.score(["C"] * 6)
    scorer.close()
    assert {failure.reason for failure in result.failures.values()} == {"program given up"}
    assert len(result.failures) == 6
    assert scorer.starts == 3  # the copy that had worked was started once more


def test_a_command_as_one_text_and_beside_the_scoring_file(tmp_path):
    script = tmp_path / "score.sh"
    script.write_text("#!/bin/sh\nwhile read line; do echo '{\"scores\": [0.25]}'; done\n")
    script.chmod(0o755)
    path = tmp_path / "own.toml"
    path.write_text(
        '[[scoring.component]]\ntype = "external"\nparams = { command = "score.sh --fast" }\n'
    )
    with Scoring.from_toml(path) as scoring:
        assert scoring.evaluate(["C"]).total.tolist() == [0.25]
    path.write_text('[[scoring.component]]\ntype = "external"\nparams = { command = "" }\n')
    with pytest.raises(UserError, match="'command' is empty"):
        Scoring.from_toml(path)


EACH = """
import json, sys
request = json.loads(sys.stdin.readline())
print("\\n  \\r")
print(json.dumps({"scores": [len(t) / 10 for t in request["smiles"]]}), flush=True)
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_program_that_ends_after_each_answer_blames_no_molecule(tmp_path, code):
    script = tmp_path / "each.py"
    script.write_text(EACH + f"sys.exit({code})\n")
    scorer = ExternalScorer([sys.executable, "-S", str(script)], 2, 20.0, 1, directory=tmp_path)
    found = scorer.score(ALKANES + ["CCCCC"])
    scorer.close()
    assert found.failures == {}
    assert found.values.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert scorer.starts == 3


@pytest.mark.parametrize(
    "answer",
    [
        "'[' * 100_000",
        "'{\"scores\": ' + '[' * 100_000",
        "'{\"scores\": [' + '9' * 5000 + ']}'",
        "'{\"scores\": [1e999]}'",
        "json.dumps({'scores': [10 ** 400]})",
        "json.dumps({'scores': [[[1]]]})",
        "json.dumps({'scores': {'CC': 1}})",
        "json.dumps({'scores': 'a'})",
        "json.dumps({'scores': ['0x']})",
        "'\\x00'",
    ],
)
def test_no_answer_ends_the_run(tmp_path, answer):
    script = tmp_path / "odd.py"
    script.write_text(
        "import json, sys\nsys.set_int_max_str_digits(0)\n"
        f"for line in sys.stdin:\n    print({answer}, flush=True)\n"
    )
    scorer = ExternalScorer([sys.executable, "-S", str(script)], 2, 20.0, 1, directory=tmp_path)
    found = scorer.score(["CC"])
    scorer.close()
    assert list(found.failures) == [0]
    assert len(str(found.failures[0])) < 400


def test_blank_lines_without_end_do_not_outlast_the_limit(tmp_path):
    script = tmp_path / "blank.py"
    script.write_text("import sys\nsys.stdin.readline()\nwhile True:\n    print(flush=True)\n")
    scorer = ExternalScorer([sys.executable, "-S", str(script)], 2, 0.5, 0, directory=tmp_path)
    begun = time.monotonic()
    assert str(scorer.score(["CC"]).failures[0]).startswith("timed out after 0.5 s")
    scorer.close()
    assert time.monotonic() - begun < 10


OWNER = """
import os, sys
from pathlib import Path
from molgen.scoring.components.external import ExternalScorer
print(os.getpid(), flush=True)
scorer = ExternalScorer([sys.executable, "-S", sys.argv[1]], 2, 60.0, 1)
scorer.score(["CC"])
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
@pytest.mark.usefixtures("hangups_end_children")
def test_a_program_at_work_ends_with_a_parent_that_is_killed(tmp_path, sign):
    script, pid_file = tmp_path / "works.py", tmp_path / "pids"
    script.write_text(
        "import os, subprocess, sys, time\n"
        "sys.stdin.readline()\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid_file)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pid_file)!r} + '.new', {str(pid_file)!r})\n"
        "time.sleep(60)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(script)], stdout=subprocess.PIPE)
    wait_for(pid_file.exists)
    owner.send_signal(sign)
    owner.wait(timeout=10)
    assert owner.stdout is not None
    owner.stdout.close()
    pids = [int(text) for text in pid_file.read_text().split()]
    wait_for(lambda: not any(runs(pid) for pid in pids))


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def runs(pid):
    """Whether a process exists and is no zombie that nobody waits for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"processes": 1_000_000_000}, "'processes' is 1000000000; it must be at most 1,024"),
        ({"time_limit": 1e300}, "'time_limit' is 1e+300; it must be at most 10,000,000"),
    ],
)
def test_limits_are_told(params, words):
    config = {"component": [{"type": "external", "params": {"command": "true", **params}}]}
    with pytest.raises(UserError, match=re.escape(words)):
        Scoring.from_config(config)

"""A small share of the fuzzing in every run of the tests, and the harness itself."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfncore.errors import UserError
from tests.fuzzing import __main__ as command
from tests.fuzzing.cases import Outcome, case_input, run_case, run_reader
from tests.fuzzing.mutations import mutate
from tests.fuzzing.readers import READERS, Reader

NAMES = [reader.name for reader in READERS]


@pytest.mark.parametrize("reader", READERS, ids=NAMES)
def test_valid_inputs_are_read(reader, tmp_path):
    for data in reader.seeds():
        assert run_reader(reader, data, tmp_path) == Outcome(reader.name, "read")


@pytest.mark.parametrize("reader", READERS, ids=NAMES)
@given(random=st.randoms(use_true_random=False))
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_damaged_inputs_are_read_or_refused_in_one_line(reader, random):
    data = mutate(random, reader.seeds(), reader.words)
    outcome = run_reader(reader, data)
    assert outcome.kind in ("read", "refused"), (outcome, data)


def test_a_case_depends_on_seed_and_number_alone(tmp_path):
    reader, data = case_input(3, 41)
    assert case_input(3, 41) == (reader, data)
    assert reader is READERS[41 % len(READERS)]
    assert len({case_input(seed, 41)[1] for seed in range(20)}) > 10
    assert run_case(3, 41, tmp_path) == run_case(3, 41, tmp_path)


def _reader(read, file=""):
    return Reader("example", lambda: (b"x",), read, (), file)


def test_what_counts_as_a_failure():
    def refuse(message):
        def read(path):
            raise UserError(message)

        return read

    def warn(path):
        import warnings

        warnings.warn("odd", stacklevel=1)

    assert run_reader(_reader(lambda path: None), b"x").kind == "read"
    assert run_reader(_reader(refuse("x.t: line 1: odd"), "x.t"), b"x").kind == "refused"
    for read, place in (
        (lambda path: 1 // 0, "ZeroDivisionError at test_fuzzing.py"),
        (lambda path: b"\xff".decode(), "UnicodeDecodeError at"),
        (warn, "UserWarning at"),
        (refuse(""), "a refusal without a message"),
        (refuse("line 1: odd"), "a message that does not name the file"),
    ):
        outcome = run_reader(_reader(read, "x.t"), b"x")
        assert outcome.kind == "failed" and outcome.place.startswith(place)


def test_a_campaign_finds_failures_crashes_and_hangs(monkeypatch):
    def read(path):
        case = int(path.read_bytes())
        if case == 5:
            raise ValueError("five")
        if case == 12:
            os._exit(9)
        if case == 20:
            time.sleep(60)

    reader = _reader(read)
    monkeypatch.setattr("tests.fuzzing.cases.case_input", lambda seed, n: (reader, b"%d" % n))
    monkeypatch.setattr(command, "READERS", (reader,))
    monkeypatch.setattr(command, "_SILENCE", 1.0)
    counts, failures = command.campaign(40, seed=1, processes=2)
    found = sorted((number, outcome.detail) for number, outcome, _ in failures.values())
    assert [number for number, _ in found] == [5, 12, 20]
    assert found[0][1].endswith(": five")
    assert (
        found[1][1] == "the process ended with exit code 9" and found[2][1] == "the process hangs"
    )
    assert 20 <= counts["example", "read"] <= 37  # what a process had not reported is lost


def test_the_command_repeats_a_case(capfd):
    assert command.main(["--seed", "2", "--case", "1", "--input"]) == 0
    assert capfd.readouterr().out.encode(errors="surrogateescape")[:20] == case_input(2, 1)[1][:20]

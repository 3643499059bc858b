"""The options of the command line and the arguments of the function are the same."""

from __future__ import annotations

import inspect
import re
from typing import get_type_hints

import phylogfn
from phylogfn.options import SampleOptions

CHOICES = re.compile(r"Literal\[([^]]*)\]")


def test_the_function_takes_the_options_that_are_not_of_files():
    of_files = {"output", "config", "tensorboard", "resume", "force", "quiet"}
    of_calls = {"progress", "unknown"}
    arguments = inspect.signature(phylogfn.sample).parameters
    options = get_type_hints(SampleOptions, include_extras=True)
    assert set(arguments) - of_calls == {
        name for name in options if name.islower() and name not in of_files
    }
    for name, argument in arguments.items():
        if "Literal" in str(argument.annotation):
            assert CHOICES.findall(str(argument.annotation)) == CHOICES.findall(str(options[name]))

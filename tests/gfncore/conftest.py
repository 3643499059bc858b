"""The hypergrid as a fixture: test directories are not packages."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def hypergrid():
    spec = importlib.util.spec_from_file_location(
        "gfncore_hypergrid", Path(__file__).with_name("hypergrid.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_policy():
    import torch

    from gfncore.policies import Backbone, Policy

    def make(environment, seed=0, random=False, **settings):
        torch.manual_seed(seed)
        policy = Policy(Backbone(environment.features, relations=2, **settings))
        if random:  # the last layers start at zero
            for head in policy.heads:
                torch.nn.init.normal_(head.last.weight)
        return policy

    return make

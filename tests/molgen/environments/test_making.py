"""The environment that settings describe, and what is said of settings that will not do."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.errors import UserError
from molgen.environments.atoms import AtomEnvironment
from molgen.environments.fragments import FragmentEnvironment
from molgen.environments.making import make_environment
from molgen.runs.exact import enumerate_space
from molgen.settings import ExactSettings, SampleSettings


def flat(smiles):
    return np.zeros(len(smiles))


def environment_of(tmp_path, **given):
    return make_environment(SampleSettings(output=tmp_path / "out", **given), flat)


def test_defaults_are_fragments_of_the_vocabulary_that_comes_along(tmp_path):
    environment = environment_of(tmp_path)
    assert isinstance(environment, FragmentEnvironment)
    assert environment.max_fragments == 8
    assert environment.max_atoms == 45


def test_atoms_of_two_elements(tmp_path):
    settings = ExactSettings(output=tmp_path, environment="atoms", elements="C,O", max_atoms=2)
    environment = make_environment(settings, flat)
    assert isinstance(environment, AtomEnvironment)
    expected = {"C", "O", "CC", "CO", "OO", "C=C", "C=O", "O=O", "C#C"}
    assert set(enumerate_space(environment).molecules) == expected


def test_ring_sizes_reach_the_environment(tmp_path):
    found = {}
    for rings in ("any", "none", "4"):
        environment = environment_of(
            tmp_path, environment="atoms", elements="C", max_atoms=4, ring_sizes=rings
        )
        found[rings] = set(enumerate_space(environment).molecules)
    assert {"C1CC1", "C1CCC1"} <= found["any"]
    assert not any("1" in smiles for smiles in found["none"])
    assert "C1CCC1" in found["4"] and "C1CC1" not in found["4"]


def test_number_and_strain_of_rings_reach_the_environment(tmp_path):
    given = {"environment": "atoms", "elements": "C", "max_atoms": 5, "ring_sizes": "any"}
    one = environment_of(tmp_path, **given, max_rings=1, strained=False)
    found = set(enumerate_space(one).molecules)
    free = environment_of(tmp_path, **given, max_rings="any", strained=True)
    more = set(enumerate_space(free).molecules) - found
    assert "C1CCCC1" in found and {"C1CC2CC12", "C1#CCCC1"} <= more
    assert isinstance(one, AtomEnvironment) and not one.has_objectives


@pytest.mark.parametrize("symmetry", ["merged", "reward_scaling", "flow_scaling", "none"])
def test_the_correction_is_the_one_asked_for(tmp_path, symmetry):
    settings = SampleSettings(
        output=tmp_path, environment="atoms", elements="C,O", max_atoms=3, symmetry=symmetry
    )
    assert make_environment(settings, flat, settings.symmetry).symmetry == symmetry


def test_a_file_of_fragments_and_a_core(tmp_path):
    file = tmp_path / "few.smi"
    file.write_text("[*]C\n[*]O\n[*]c1ccc([*])cc1\n")
    environment = environment_of(
        tmp_path, fragments=str(file), core="[*]c1ccncc1", max_fragments=3, max_atoms=20
    )
    molecules = set(enumerate_space(environment).molecules)
    assert "Cc1ccncc1" in molecules and "Oc1ccncc1" in molecules
    assert all("n" in smiles for smiles in molecules)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"environment": "atoms", "elements": "C,Xx"}, "Xx"),
        ({"environment": "atoms", "core": "C1CC"}, "C1CC"),
        ({"environment": "atoms", "core": "CCCC", "max_atoms": 3}, "atoms"),
        ({"environment": "atoms", "core": "C1CC2CC12", "max_rings": 1}, "max_rings"),
        ({"fragments": "nothing.smi"}, "nothing.smi"),
        ({"core": "c1ccccc1"}, "c1ccccc1"),
    ],
)
def test_what_will_not_do_is_told_in_one_line(tmp_path, given, words):
    with pytest.raises(UserError) as told:
        environment_of(tmp_path, **given)
    assert words in str(told.value)
    assert "\n" not in str(told.value)

"""Vocabularies of fragments: reading, orbits, rules, the default one."""

import hashlib
from itertools import permutations

import numpy as np
import pytest
from rdkit import Chem

from gfncore.errors import UserError
from gfncore.program.resources import data_file
from molgen.fragments.reading import atom_token
from molgen.fragments.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def default():
    return Vocabulary.default()


def plain_automorphisms(vocabulary, fragment):
    """All of a small fragment, by trying every permutation; its orbits."""
    begin, end = vocabulary.first_atom[fragment : fragment + 2]
    size = end - begin
    bonds = vocabulary.bonds[vocabulary.first_bond[fragment] : vocabulary.first_bond[fragment + 1]]
    orders = {frozenset((u, v)): order for u, v, order in bonds.tolist()}
    orbit = vocabulary.atom_orbit[begin:end]
    colour = [
        (vocabulary.orbit_kind[o], vocabulary.orbit_open[o], vocabulary.orbit_label[o])
        for o in orbit
    ]
    found = []
    for image in permutations(range(size)):
        if all(colour[u] == colour[v] for u, v in enumerate(image)) and all(
            orders.get(frozenset(image[u] for u in pair)) == order for pair, order in orders.items()
        ):
            found.append(image)
    orbits = [min(image[u] for image in found) for u in range(size)]
    return len(found), orbits


def test_orbits_and_automorphisms(default):
    small = np.flatnonzero(default.sizes <= 7)
    assert len(small) > 60
    for f in small:
        count, orbits = plain_automorphisms(default, f)
        assert np.exp(default.log_aut[f]) == pytest.approx(count), default.smiles[f]
        numbered = default.atom_orbit[default.first_atom[f] : default.first_atom[f + 1]].tolist()
        assert len(set(zip(orbits, numbered, strict=True))) == len(set(numbered))
        assert len(set(orbits)) == len(set(numbered))
    assert (np.diff(default.atom_orbit) >= 0).all()


def test_places_take_part_in_the_symmetry():
    sizes = Vocabulary.of(["[*]c1ccc([*])cc1", "[*]c1ccccc1", "[*]c1ccc([2*])cc1", "[1*]C[1*]"])
    assert np.exp(sizes.log_aut).round().astype(int).tolist() == [4, 2, 2, 1]
    assert sizes.orbit_open[sizes.site_orbits].tolist() == [1, 1, 1, 1, 2]
    assert sizes.orbit_label[sizes.site_orbits].tolist() == [0, 0, 0, 2, 1]


def test_default_has_every_skeleton_once_with_places_that_follow_its_symmetry(default):
    assert 160 <= len(default) <= 200 and len(set(default.names)) == len(default)
    skeletons = []
    for smiles in default.smiles:
        mol = Chem.ReplaceSubstructs(
            Chem.MolFromSmiles(smiles), Chem.MolFromSmarts("[#0]"), Chem.MolFromSmiles("[H]"), True
        )[0]
        for atom in mol.GetAtoms():
            atom.SetIsotope(0)
        plain = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
        assert plain is not None, smiles
        skeletons.append(Chem.MolToSmiles(plain))
        # equivalent atoms of the skeleton are equivalent with places too
        matches = plain.GetSubstructMatches(plain, uniquify=False, maxMatches=10**6)
        f = len(skeletons) - 1
        assert np.exp(default.log_aut[f]) == pytest.approx(len(matches)) or "[nH]" in skeletons[f]
    assert len(set(skeletons)) == len(default)


def test_default_rules(default):
    def fits(a, b):
        left, right = (default.orbit_fragment == default.names.index(name) for name in (a, b))
        return bool(compatible[np.ix_(left, right)].any())

    orbits = np.arange(len(default.orbit_open))
    compatible = default.may_join(orbits[:, None], orbits)
    assert (compatible == compatible.T).all()
    assert fits("benzene", "benzene") and fits("benzene", "chlorine") and fits("ether", "methane")
    assert fits("formaldehyde", "piperidine") and fits("sulfone", "piperidine")
    assert fits("benzene", "nitro") and not fits("cyclohexane", "nitro")
    for a, b in (
        ("ether", "ether"), ("ether", "amine"), ("chlorine", "fluorine"), ("methane", "ethane"),
        ("formaldehyde", "amine"), ("formaldehyde", "chlorine"), ("methane", "bromine"),
        ("ethene", "ether"), ("sulfone", "amine"), ("formaldehyde", "formamide"),
    ):  # fmt: skip
        assert not fits(a, b), (a, b)
    sites = default.orbit_open > 0
    assert compatible[sites].any(axis=1).all()
    assert not compatible[~sites].any()


@pytest.mark.parametrize("label", ["9" * 4301, "\u00b2", "\u0661"])
def test_a_label_of_a_rule_is_a_number_of_a_few_digits(label):
    with pytest.raises(UserError, match="in a rule is not known"):
        Vocabulary.parse(f"#rule forbid {label} *\n[*]C\n")


def test_the_last_rule_that_fits_counts():
    vocabulary = Vocabulary.parse(
        "#rule forbid * *\n#rule allow aromatic+C chain\n#rule forbid aromatic Cl\n"
        "[*]c1ccccc1\n[*]Cl\n[*]F x\n[3*]C\n#rule forbid 3 3\n"
    )
    assert vocabulary.names == ("", "", "x", "")
    sites = vocabulary.site_orbits
    order = [vocabulary.smiles[vocabulary.orbit_fragment[o]] for o in sites]
    assert order == ["[*]c1ccccc1", "[*]Cl", "[*]F", "[3*]C"]
    expected = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]], bool)
    assert np.array_equal(vocabulary.may_join(sites[:, None], sites), expected)


def test_text_is_read_back_the_same(default):
    again = Vocabulary.parse(default.text())
    for name, values in vars(default).items():
        if isinstance(values, np.ndarray) and name in Vocabulary.__dataclass_fields__:
            assert np.array_equal(values, getattr(again, name)), name
    assert again.text() == default.text()


def test_core_comes_last(default):
    with_core = default.with_core("[*]c1ccccc1")
    assert len(with_core) == len(default) + 1
    n = len(default.orbit_kind)
    assert np.array_equal(with_core.orbit_open[:n], default.orbit_open)
    assert np.array_equal(with_core.atom_orbit[: len(default.atom_orbit)], default.atom_orbit)
    assert with_core.sizes[-1] == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[*]C\nc1ccccc", "line 2: .*not a valid SMILES"),
        ("CC", "line 1: .*no attachment point"),
        ("[*]C\n# note\n\nC[*]", "line 4: .*duplicate of line 1"),
        ("[*]=C", "exactly one bond, a single bond"),
        ("[*][*]", "no atom other than its attachment points"),
        ("[1*]C[2*]", "different labels"),
        ("[*]C.C", "not connected"),
        ("[*][H]", "line 1: .*hydrogen only"),
        ("[2H][*]", "hydrogen only"),
        ("[*]C\n[*][13CH3]", "line 2: .*duplicate of line 1"),
        ("[*]C\n[*:1]C([2H])[H]", "line 2: .*duplicate of line 1"),
        ("[*-]C", "charge or hydrogens"),
        ("[*H]C", "charge or hydrogens"),
        ("[1*:2]C", "two numbers"),
        ("[CH99999]", "hydrogen count is above 9"),
        ("[32768*]C", "label is above 999"),
        ("[*]C[C+200]", "charge is above 9"),
        ("[*]Cé", "the character"),
        ("[*]" + "C" * 10_000, "maximum is 10,000"),
        ("[*][CH2]", "unpaired electron"),
        ("[*]" + "C" * 61, "at most 60"),
        ("#rule forbid C\n[*]C", "line 1: the rule"),
        ("#rule forbid C ketone\n[*]C", "'ketone' in a rule"),
        ("# nothing\n", "no fragment is given"),
    ],
)
def test_wrong_text(text, words):
    with pytest.raises(UserError, match=words):
        Vocabulary.parse(text, "my.smi")


def test_wrong_files(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        Vocabulary.read(tmp_path / "none.smi")
    (tmp_path / "bytes.smi").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        Vocabulary.read(tmp_path / "bytes.smi")
    with pytest.raises(UserError, match="core 'CC'"):
        Vocabulary.of(["[*]C"]).with_core("CC")


def test_atoms_as_smiles_writes_them():
    for smiles in (
        "C",
        "[nH]1cccc1",
        "C[N+](C)(C)C",
        "CS(C)(=O)=O",
        "[O-]C",
        "Cl",
        "c1ccsc1",
        "[SiH4]",
    ):
        mol = Chem.MolFromSmiles(smiles)
        for atom in mol.GetAtoms():
            orders = [bond.GetBondTypeAsDouble() for bond in atom.GetBonds()]
            kind = np.array(
                [
                    atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetIsAromatic(),
                    atom.IsInRing(), atom.GetTotalDegree(), orders.count(2), orders.count(3),
                    orders.count(1.5),
                ]
            )  # fmt: skip
            token = atom_token(kind, atom.GetTotalNumHs())
            assert token.replace("[", "").replace("]", "")[0].lower() == atom.GetSymbol()[0].lower()
            assert (token in smiles) or token == atom.GetSymbol(), (token, smiles)


def test_data_file_is_the_one_described():
    path = data_file("fragments.smi")
    readme = path.with_name("README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in readme


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("[*:1]c1ccc([*:2])cc1", "[*]c1ccc([*])cc1"),
        ("C([*:1])[*:2]", "[*]C[*]"),
        ("CC(N[*:0])C", "[*]NC(C)C"),
        ("[2H]c1ccc([*])cc1", "[*]c1ccccc1"),
        ("[H]C([H])([*])[H]", "[*]C"),
        ("[13CH3][*]", "[*]C"),
        ("[CH3:7][*:1]", "[*]C"),
        ("N[C@@H](C)C(=O)[*]", "[*]C(=O)C(C)N"),
        ("F/C=C/[*]", "[*]C=CF"),
        ("[*]C([2H])([2H])[2H]", "[*]C"),
        ("*O", "[*]O"),
        ("[3*]C[3*]", "[3*]C[3*]"),
    ],
)
def test_every_spelling_of_a_fragment_is_one_fragment(written, plain):
    found = Vocabulary.of([written])
    assert found.smiles == (plain,)
    expected = Vocabulary.of([plain])
    for name, values in vars(expected).items():
        if isinstance(values, np.ndarray):
            assert np.array_equal(values, getattr(found, name)), name


def test_what_is_left_out_of_fragments_is_told_once():
    text = "[*]C\n[*][C@H](F)N\n[*]/C=C/F\n[*]c1ccc([2H])cc1\n[*:1]C[*:2]\n[CH3:1]O[*]\n"
    notes = Vocabulary.parse(text, "my.smi").notes
    assert [note.split(": ")[1].split(";")[0] for note in notes] == [
        "stereo marks are not used (2 fragments, the first in line 2)",
        "isotopes are not used (1 fragments, the first in line 4)",
        "numbers of attachment points are not used (1 fragments, the first in line 5)",
        "atom maps are not used (1 fragments, the first in line 6)",
    ]
    assert Vocabulary.of(["[*]C", "[2*]O"]).notes == ()


def test_numbers_of_a_core_are_not_labels(default):
    rules = [("forbid", "2", "hetero")]
    vocabulary = Vocabulary.of(["[*]C", "[*]O"], rules)
    plain = vocabulary.with_core("[*]c1ccc([*])nc1")
    for core in ("[1*]c1ccc([2*])nc1", "[*:1]c1ccc([*:2])nc1", "[*:1]c1ccc([2*])nc1"):
        numbered = vocabulary.with_core(core)
        assert numbered.smiles == plain.smiles
        assert (numbered.orbit_label == 0).all()
        sites = numbered.site_orbits
        assert numbered.may_join(sites[:, None], sites).all()
    labelled = Vocabulary.of(["[*]C", "[*]O", "[2*]N"], rules)
    sites = labelled.site_orbits
    assert not labelled.may_join(sites[2], sites[1])


@pytest.mark.parametrize(
    ("core", "words"),
    [
        ("[*:1]C[*:1]", "number 1 is given to several"),
        ("[1*]C[*:1]", "number 1 is given to several"),
        ("[1*:2]C", "two numbers"),
        ("[*]C.[*]O", "2 parts"),
        ("[*][H]", "hydrogen only"),
        ("[*-]C", "charge"),
        ("[*]C [*]O", "a blank inside"),
        ("", "has no atom"),
        ("[*]" + "C" * 61, "at most 60"),
    ],
)
def test_wrong_cores(core, words):
    with pytest.raises(UserError, match=words):
        Vocabulary.of(["[*]C"]).with_core(core)


def test_kinds_of_atom_beyond_16_bits():
    """More orbits than 16 bits count: chains whose atoms all differ."""
    chains = [f"[*]{'C' * (i // 25 + 1)}{x}{'C' * (i % 25 + 8)}" for i in range(625) for x in "OS"]
    vocabulary = Vocabulary.of(chains)
    assert len(vocabulary.orbit_kind) > 2**15
    again = vocabulary.with_core("[*]N")
    assert again.orbit_kind.dtype == np.int32 and (np.diff(again.atom_orbit) >= 0).all()


def test_hypervalent_atoms():
    smiles = ["[*]S(=O)(=O)[*]", "[*]S[*]", "[*]S(C)=O", "[*]P(=O)(O)O", "[*]P", "[*][S+](C)C"]
    smiles += ["[*]NS(C)(=O)=O", "[*]c1sccc1", "[*]Cl"]
    vocabulary = Vocabulary.of(smiles)
    found = [
        bool(vocabulary.orbit_hypervalent[vocabulary.orbit_fragment == f].any())
        for f in range(len(smiles))
    ]
    assert found == [True, False, True, True, False, False, False, False, False]
    sites = vocabulary.site_orbits
    both = vocabulary.orbit_hypervalent[sites]
    assert not vocabulary.may_join(sites[:, None], sites)[np.ix_(both, both)].any()

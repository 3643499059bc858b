"""Models of variable sites alone, and alignments with sites that may be constant."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.alignment import likelihood_notes, read_alignment
from phylogfn.alignments.ascertainment import check_ascertainment, conditioned_sites
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.models import parse_model, partitioned_spec

MIXED = """#NEXUS
begin data;
dimensions ntax=4 nchar=9;
format datatype=mixed(standard:1-4,dna:5-9) missing=? gap=-;
matrix
A 0000ACGTA
B 0?11ACGTC
C 1122ACTTA
D 1-2?ACTAC
;
end;
"""


def read(folder, text, name="a.fasta", **options):
    path = folder / name
    path.write_text(text)
    return read_alignment(path, **options)


def test_sites_that_may_be_constant_are_refused(tmp_path):
    # constant; constant if R is A; no data; variable; variable whatever R is
    alignment = read(tmp_path, ">a\nAA?AR\n>b\nAA-CC\n>c\nARNAT\n>d\nA-?CA\n")
    check_ascertainment(parse_model("JC69", "dna"), alignment)
    with pytest.raises(UserError) as caught:
        check_ascertainment(parse_model("JC69+G4+ASC", "dna"), alignment)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("model 'JC69+G4+ASC': ")
    assert "3 columns are constant or may be (1, 2, 3)" in message
    assert "exclude them (in NEXUS: exclude constant), or use the model without +ASC" in message


def test_exclude_constant_leaves_out_what_is_refused(tmp_path):
    text = MIXED + "begin paup; exclude constant; end;"
    alignment = read(tmp_path, text, "a.nex", data_type="dna", choice=PartitionChoice())
    check_ascertainment(parse_model("JC69+ASC", "dna"), alignment)
    assert [alignment.column_number(i) for i in range(alignment.n_sites)] == [7, 8, 9]


def test_morphology_is_referred_to_mk(tmp_path):
    rows = "".join(f">t{i}\n{'0' * 14}{i % 2}\n" for i in range(5))
    alignment = read(tmp_path, rows, data_type="standard")
    with pytest.raises(UserError, match="14 columns.*10 and 4 more.*use MK, which allows"):
        check_ascertainment(parse_model("MKV", "standard"), alignment)


def test_only_the_sites_of_parts_with_such_a_model_count(tmp_path):
    alignment = read(tmp_path, MIXED, "a.nex", choice=PartitionChoice())

    def spec(*models):
        kinds = zip(alignment.parts, models, strict=True)
        return partitioned_spec(
            [(part.name, parse_model(m, part.alphabet), len(part.columns)) for part, m in kinds]
        )

    assert conditioned_sites(spec("MKV", "JC69"), alignment).tolist() == [True] * 4 + [False] * 5
    assert not conditioned_sites(spec("MK", "JC69"), alignment).any()
    check_ascertainment(spec("MKV", "JC69"), alignment)
    with pytest.raises(UserError, match=r"'JC69\+ASC' of part 'dna': .* 2 col.*\(5, 6\)"):
        check_ascertainment(spec("MKV", "JC69+ASC"), alignment)


@pytest.mark.parametrize(
    ("kind", "letters", "words"),
    [("dna", "ACGT", ("SNP data", "+ASC")), ("standard", "0123", ("no constant character", "MKV"))],
)
def test_no_constant_site_is_told_unless_the_model_knows(tmp_path, kind, letters, words):
    rng = np.random.default_rng(0)
    cells = rng.choice(list(letters), (6, 400))
    columns = cells[:, [len(set(column)) > 1 for column in cells.T]][:, :40]
    rows = "".join(f">t{i}\n{''.join(row)}\n" for i, row in enumerate(columns))
    alignment = read(tmp_path, rows, data_type=kind)
    (note,) = likelihood_notes(alignment)
    assert note.code == "no-constant-sites" and all(word in note for word in words)
    model = parse_model("MKV" if kind == "standard" else "JC69+ASC", kind)
    assert likelihood_notes(alignment, conditioned_sites(model, alignment)) == []

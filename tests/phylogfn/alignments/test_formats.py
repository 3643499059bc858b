"""Every format gives the same alignment, and the one that Biopython and DendroPy read."""

from __future__ import annotations

import gzip
import io
import sys
import time

import dendropy
import numpy as np
import pytest
from Bio import AlignIO
from Bio.Align import MultipleSeqAlignment
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from phylogfn.alignments.alignment import AlignmentError, read_alignment
from phylogfn.alignments.formats import FORMATS, detect_format, parse_alignment
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import canonical_newick

NAMES = ("Homo_sap.1", "Pan-trog|2", "Gorilla", "Pongo", "H")
ROWS = (
    "ACGTRYN-ACGTTGCA",
    "ACGTRYN-ACGATGCA",
    "AAGTRCN-ACGTTGAA",
    "-CTTACG?ACGTTGCA",
    "ACGTacgtACGTTGCN",
)


def masks_of(rows, states="ACGT"):
    codes = {"R": "AG", "Y": "CT", "N": "ACGT", "-": "ACGT", "?": "ACGT"}
    return np.array(
        [[sum(1 << states.index(s) for s in codes.get(c, c)) for c in row.upper()] for row in rows]
    )


def check(tmp_path, text, names=NAMES, rows=ROWS, **options):
    path = tmp_path / "alignment"
    path.write_text(text)
    alignment = read_alignment(path, **options)
    assert alignment.names == tuple(names)
    assert alignment.masks.dtype == np.uint32
    np.testing.assert_array_equal(alignment.masks, masks_of(rows))
    return alignment


def biopython_text(file_format):
    records = [SeqRecord(Seq(r), id=n, description="") for n, r in zip(NAMES, ROWS, strict=True)]
    for record in records:
        record.annotations["molecule_type"] = "DNA"
    handle = io.StringIO()
    AlignIO.write(MultipleSeqAlignment(records), handle, file_format)
    return handle.getvalue()


@pytest.mark.parametrize(
    "file_format",
    ["fasta", "clustal", "stockholm", "phylip-relaxed", "phylip-sequential", "phylip"],
)
def test_what_biopython_writes(tmp_path, file_format):
    # Biopython's PHYLIP writer cuts names at ten characters and changes some of theirs.
    text = biopython_text(file_format)
    names = [record.id for record in AlignIO.read(io.StringIO(text), file_format)]
    check(tmp_path, text, names)
    assert detect_format(text, "") == file_format.split("-")[0]


def test_what_dendropy_writes(tmp_path):
    rows = [row.upper() for row in ROWS]  # it takes '?' and '-' apart; so do its writers
    matrix = dendropy.DnaCharacterMatrix.from_dict(dict(zip(NAMES, rows, strict=True)))
    for schema, options in (
        ("nexus", {}),
        ("phylip", {}),
        ("fasta", {}),
        ("phylip", {"strict": True}),
    ):
        check(tmp_path, matrix.as_string(schema, **options), rows=rows)


LAYOUTS = {
    "fasta wrapped": ">Homo_sap.1 first\nACGTRYN-\n\nACGTTGCA\n>Pan-trog|2\nACGTRYN-ACG ATGCA\n"
    ">Gorilla\r\nAAGTRCN-ACGTTGAA\r\n>Pongo\n-CTTACG?ACGTTGCA\n>H\nACGTacgtACGTTGCN",
    "phylip strict sequential": " 5  16\nHomo_sap.1ACGTRYN- ACGTTGCA\nPan-trog|2ACGTRYN- ACGATGCA\n"
    "Gorilla   AAGTRCN- ACGTTGAA\nPongo     -CTTACG? ACGTTGCA\nH         ACGTacgt ACGTTGCN\n",
    "phylip strict interleaved": "5 16 I\nHomo_sap.1ACGTRYN-\nPan-trog|2ACGTRYN-\n"
    "Gorilla   AAGTRCN-\nPongo     -CTTACG?\nH         ACGTacgt\n\n"
    "          ACGTTGCA\n          ACGATGCA\n          ACGTTGAA\n          ACGTTGCA\n"
    "          ACGTTGCN\n",
    "phylip relaxed sequential, several lines": "5 16\nHomo_sap.1 ACGTRYN-\nACGTTGCA\n"
    "Pan-trog|2 ACGTRYN-\nACGATGCA\nGorilla\tAAGTRCN-\nACGTTGAA\nPongo\n-CTTACG?\nACGTTGCA\n"
    "H ACGTacgt\nACGTTGCN\n",
    "phylip relaxed interleaved": "5 16\nHomo_sap.1 ACGTRYN-\nPan-trog|2 ACGTRYN-\n"
    "Gorilla AAGTRCN-\nPongo -CTTACG?\nH ACGTacgt\n\nACGTTGCA\nACGATGCA\nACGTTGAA\n"
    "ACGTTGCA\nACGTTGCN\n",
    "phylip interleaved, names repeated": "5 16\nHomo_sap.1 ACGTRYN-\nPan-trog|2 ACGTRYN-\n"
    "Gorilla AAGTRCN-\nPongo -CTTACG?\nH ACGTacgt\n\nHomo_sap.1 ACGTTGCA\nPan-trog|2 ACGATGCA\n"
    "Gorilla ACGTTGAA\nPongo ACGTTGCA\nH ACGTTGCN\n",
    "phylip with dots": "5 16\nHomo_sap.1 ACGTRYN-ACGTTGCA\nPan-trog|2 ...........A....\n"
    "Gorilla .A...C........A.\nPongo -.T.ACG?........\nH ....acgt.......N\n",
    "clustal": "CLUSTAL O(1.2.4) multiple sequence alignment\n\n\nHomo_sap.1      ACGTRYN-\t8\n"
    "Pan-trog|2      ACGTRYN-\t8\nGorilla         AAGTRCN-\t8\nPongo           -CTTACG?\t7\n"
    "H               ACGTacgt\t8\n                   * :  .\n\nHomo_sap.1      ACGTTGCA\t16\n"
    "Pan-trog|2      ACGATGCA\t16\nGorilla         ACGTTGAA\t16\nPongo           ACGTTGCA\t15\n"
    "H               ACGTTGCN\t16\n                *** ** \n",
    "stockholm": "# STOCKHOLM 1.0\n#=GF ID x\nHomo_sap.1 ACGTRYN.\nPan-trog|2 ACGTRYN~\n"
    "#=GR Pongo SS xxxx\nGorilla AAGTRCN-\nPongo .CTTACG?\nH ACGTacgt\n#=GC SS_cons ....\n\n"
    "Homo_sap.1 ACGTTGCA\nPan-trog|2 ACGATGCA\nGorilla ACGTTGAA\nPongo ACGTTGCA\nH ACGTTGCN\n//\n",
    "nexus": "#NEXUS\n[a ; comment [nested]]\nBegin data;\n Dimensions ntax=5 nchar=16;\n"
    " Format datatype=DNA gap=- missing=?;\n Matrix\nHomo_sap.1 ACGTRYN- ACGTTGCA\n"
    "'Pan-trog|2' ACGT[here]RYN-ACGATGCA\n\"Gorilla\" AAGTRCN-ACGTTGAA\nPongo -CTTACG?ACGTTGCA\n"
    "H ACGTacgtACGTTGCN\n;\nEnd;\nbegin mrbayes; mcmc ngen=1; end;\n",
    "nexus interleaved, other symbols": "#nexus\nbegin taxa; dimensions ntax=5; taxlabels a; end;\n"
    "BEGIN CHARACTERS;\nDIMENSIONS NCHAR=16;\nFORMAT INTERLEAVE=yes MISSING=X GAP=* MATCHCHAR=.\n"
    "DATATYPE=NUCLEOTIDE;\nMATRIX\nHomo_sap.1 ACGTRYN*\nPan-trog|2 ........\nGorilla .A...C..\n"
    "Pongo *.T.ACGx\nH ....acgt\n\nHomo_sap.1 ACGTTGCA\nPan-trog|2 ...A....\nGorilla ......A.\n"
    "Pongo ........\nH .......N\n;\nEND;\n",
    "nexus, names on lines of their own": "#NEXUS\nbegin data;\ndimensions ntax=5 nchar=16;\n"
    "format datatype=dna;\nmatrix\nHomo_sap.1\nACGTRYN-\nACGTTGCA\nPan-trog|2\nACGTRYN-\nACGATGCA\n"
    "Gorilla\nAAGTRCN-ACGTTGAA\nPongo -CTTACG?\nACGTTGCA\nH\nACGTacgtACGTTGCN;\nend;\n",
    "phylip, numbered": "5 16\nHomo_sap.1 1 ACGTRYN- 9 ACGTTGCA\nPan-trog|2 1 ACGTRYN- 9 ACGATGCA\n"
    "Gorilla 1 AAGTRCN- 9 ACGTTGAA\nPongo 1 -CTTACG? 9 ACGTTGCA\nH 1 ACGTacgt 9 ACGTTGCN\n",
    "phylip strict interleaved, numbered": "5 16\nHomo_sap.1  1 ACGTRYN-\nPan-trog|2  1 ACGTRYN-\n"
    "Gorilla     1 AAGTRCN-\nPongo       1 -CTTACG?\nH           1 ACGTacgt\n\n"
    "            9 ACGTTGCA\n            9 ACGATGCA\n            9 ACGTTGAA\n"
    "            9 ACGTTGCA\n            9 ACGTTGCN\n",
    "nexus on one line": "#NEXUS begin data; dimensions ntax=5 nchar=16; format datatype=dna; "
    "matrix Homo_sap.1 ACGTRYN-ACGTTGCA 'Pan-trog|2' ACGTRYN- ACGATGCA Gorilla AAGTRCN-ACGTTGAA "
    "Pongo -CTTACG?ACGTTGCA H ACGTacgtACGTTGCN; end;",
    "nexus with text before its block": "# a comment\n#NEXUS\n# source: Dan's\nbegin data;\n"
    "dimensions ntax=5 nchar=16;\nformat datatype=dna transpose=no tokens = no labels=left "
    "interleave=no nolabels=no;\nmatrix\nHomo_sap.1 ACGTRYN-ACGTTGCA\nPan-trog|2\nACGTRYN-\n"
    "ACGATGCA\nGorilla AAGTRCN-ACGTTGAA\nPongo -CTTACG?ACGTTGCA\nH ACGTacgtACGTTGCN\n;\nend;\n"
    "begin trees; tree a = (1,2",
    "nexus, one taxon in two spellings": "#NEXUS\nbegin data; dimensions ntax=5 nchar=16; format "
    "interleave;\nmatrix\nHomo_sap.1 ACGTRYN-\nPan-trog|2 ACGTRYN-\nGorilla AAGTRCN-\n"
    "Pongo -CTTACG?\nH ACGTacgt\n\n'Homo sap.1' ACGTTGCA\n'Pan-trog|2' ACGATGCA\n"
    '"Gorilla" ACGTTGAA\nPongo ACGTTGCA\nH ACGTTGCN\n;\nend;\n',
    "nexus mixed": "#NEXUS\nbegin data; dimensions ntax=5 nchar=19;\n"
    'format datatype=mixed(Standard:1-2,DNA:3-10 12 - 19, restriction:11) symbols="01";\nmatrix\n'
    "Homo_sap.1 00ACGTRYN-1ACGTTGCA\nPan-trog|2 01ACGTRYN-0ACGATGCA\n"
    "Gorilla 11AAGTRCN-0ACGTTGAA\nPongo ?0-CTTACG?1ACGTTGCA\nH 1?ACGTacgt1ACGTTGCN;\nend;\n",
    "nexus with sets": "#NEXUS\nbegin data;\ndimensions ntax=5 nchar=16;\n"
    'format datatype=dna equate="5=A Z=(CT)";\nmatrix\nHomo_sap.1 ACGT{A G}{CT}N-ACGTTGCA\n'
    "Pan-trog|2 5CGT(AG)ZN-ACGATGCA\nGorilla AAGTR CN-ACGTTGAA\nPongo -CTTACG?ACGTTGCA\n"
    "H ACGTacgtACGTTGC{ACGT};\nend;\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    check(tmp_path, LAYOUTS[layout])
    file_format = detect_format(LAYOUTS[layout], "")
    assert layout.startswith(file_format) and file_format in FORMATS
    check(tmp_path, LAYOUTS[layout], file_format=file_format)


def test_plain_gzipped_and_standard_input(tmp_path, monkeypatch):
    text = LAYOUTS["fasta wrapped"].encode()
    path = tmp_path / "no-ending-needed"
    path.write_bytes(gzip.compress(text))
    zipped = read_alignment(path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    piped = read_alignment("-")
    assert zipped.names == piped.names == NAMES
    assert piped.source == "standard input" and zipped.source == str(path)
    np.testing.assert_array_equal(zipped.masks, piped.masks)
    for encoded in (
        b"\xef\xbb\xbf" + text,
        text.replace(b"\n", b"\r\n"),
        text.decode().encode("utf-16"),
    ):
        path.write_bytes(encoded)
        np.testing.assert_array_equal(read_alignment(path).masks, zipped.masks)


@pytest.mark.parametrize(
    ("options", "told"), [("", False), ("I", False), ("S", False), ("WC", True)]
)
def test_options_of_phylip_that_are_not_used_are_told(options, told):
    text = f"4 2 {options}\nA AC\nB AC\nC AC\nD AC\n"
    notes = parse_alignment(text, "x").notes
    assert notes == ((f"options on the first line were ignored: {options}",) if told else ())


def test_first_words_of_headers_are_told_and_whole_headers_match_trees(tmp_path):
    rows = dict(
        zip(["A one", "B", "C two words", "D"], ["ACGT", "ACGA", "ACGC", "AAGT"], strict=True)
    )
    text = "".join(f">{name}\n{row}\n" for name, row in rows.items())
    alignment = check(tmp_path, text, "ABCD", rows.values())
    assert alignment.headers == tuple(rows)
    assert "first words of the headers: 'A' of 'A one'" in alignment.notes[0]
    trees = tmp_path / "t.nwk"
    aliases = {header: taxon for taxon, header in enumerate(alignment.headers)}
    for newick in (
        "(A,B,(C,D));",
        "('A one',B,('C two words',D));",
        "(A_one,B,(C_two_words,D));",
        "(A,B,('C two words',D));",
    ):
        trees.write_text(newick)
        found = read_trees(trees, alignment.names, aliases=aliases)
        assert canonical_newick(found.trees[0], alignment.names) == "(A,B,(C,D));"


def test_both_unicode_spellings_of_a_name_are_one(tmp_path):
    composed, decomposed = "\u00e9", "e\u0301"
    text = "".join(f">{name}\nACG{c}\n" for name, c in zip([composed, *"BCD"], "ACGT", strict=True))
    alignment = check(tmp_path, text, [composed, *"BCD"], ["ACGA", "ACGC", "ACGG", "ACGT"])
    trees = tmp_path / "t.nwk"
    trees.write_text(f"({decomposed},B,(C,D));")
    assert len(read_trees(trees, alignment.names)) == 1
    blocks = [f"{name} AC\n" for name in (composed, *"BCD", decomposed, *"BCD")]
    blocks[-1] = "D GT\n"
    interleaved = f"#NEXUS\nbegin data;\nmatrix\n{''.join(blocks)};\nend;\n"
    check(tmp_path, interleaved, [composed, *"BCD"], ["ACAC"] * 3 + ["ACGT"])
    with pytest.raises(AlignmentError, match="two Unicode spellings"):
        check(tmp_path, text.replace(">B", f">{decomposed}"))


def test_mixed_data_name_the_way_out(tmp_path):
    path = tmp_path / "a.nex"
    path.write_text(LAYOUTS["nexus mixed"])
    alignment = read_alignment(path)
    assert alignment.columns.tolist() == [*range(2, 10), *range(11, 19)]
    notes = [note for note in alignment.notes if "datatype=mixed" in note]
    assert len(notes) == 1 and "3 standard characters are not read" in notes[0]
    assert "--data-type standard reads them" in notes[0]
    other = read_alignment(path, data_type="standard")
    assert other.columns.tolist() == [0, 1, 10] and other.alphabet.name == "standard"
    assert other.masks.T.tolist() == [[1, 1, 2, 3, 2], [1, 2, 2, 1, 3], [2, 1, 1, 2, 2]]
    assert "16 dna characters are not read" in " ".join(other.notes)
    path.write_text(LAYOUTS["nexus mixed"] + "begin mrbayes; ctype ordered: all; end;")
    assert read_alignment(path).assumptions is None  # bases have no order
    assert read_alignment(path, data_type="standard").assumptions.ordered.all()
    with pytest.raises(AlignmentError, match="has no protein characters; choose --data-type"):
        read_alignment(path, data_type="protein")


def test_large_files_are_read_in_linear_time(tmp_path):
    """A sequence in very many lines, everything on one line, very many commands on one line."""
    head = "#NEXUS begin data; dimensions ntax=4 nchar={}; format datatype=dna; matrix "
    names, piece, n = "ABCD", "ACGTACGTACGT", 15_000
    lines = "".join(f"{name}\n" + f"{piece}\n" * n for name in names)
    many = 10_000
    taxa = "".join(f" t{i} ACGTAC" for i in range(many))
    texts = {
        "sequential": head.format(len(piece) * n) + "\n" + lines + ";\nend;\n",
        "one line": head.format(len(piece) * n)
        + " ".join(f"{name} " + piece * n for name in names) + "; end;",
        "many taxa": head.format(6).replace("ntax=4 ", "") + taxa + "; end;",
        "many commands": head.format(4) + "\nA ACGT\nB ACGT\nC ACGT\nD ACGA\n; end; begin paup;"
        + " exclude 1; include 1;" * 50_000 + " end;",
        "phylip": f"4 {len(piece) * n}\n" + lines,
    }  # fmt: skip
    for name, text in texts.items():
        path = tmp_path / "large"
        path.write_text(text)
        start = time.process_time()
        alignment = read_alignment(path)
        assert time.process_time() - start < 20, name  # seconds; the quadratic ones took minutes
        assert alignment.n_taxa == (many if name == "many taxa" else 4)


@pytest.mark.parametrize(
    "unit", ["#", "[", "{", "(", "'", '"', "a=(", "x='", "{A", "A B ", "1,", "-"]
)
def test_repeated_marks_take_linear_time(tmp_path, unit):
    """Patterns with a choice of where to end could try all of them."""
    path = tmp_path / "marks"
    many = unit * 100_000
    for text in (
        many,
        f"#NEXUS\nbegin data; dimensions nchar=9; format {many}; matrix\nA AC\nB AC;end;",
        f'#NEXUS\nbegin data; format equate="{many}"; matrix\nA AC\nB AC\nC AC\nD AC;end;',
        f"#NEXUS\nbegin data; format datatype=dna; matrix\nA {many}\nB AC\nC AC\nD AC;end;",
        f"#NEXUS\nbegin data; dimensions nchar=9; matrix\nA {many}\nB AC;end;",
        f"#NEXUS\nbegin data; matrix\nA AC\nB AC\nC AC\nD AC;end;begin paup;exclude {many};end;",
        f"#NEXUS\nbegin data; matrix\nA AC\nB AC\nC AC\nD AC;end;begin paup;ctype {many};end;",
        f"#NEXUS\nbegin data; charstatelabels {many}; matrix\nA AC\nB AC\nC AC\nD AC;end;",
    ):
        path.write_text(text)
        start = time.process_time()
        try:
            read_alignment(path)
        except AlignmentError as problem:
            assert "\n" not in str(problem) and len(str(problem)) < 1000
        assert time.process_time() - start < 5, text[:80]


def test_what_unpacks_to_very_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b">A\n" + b"A" * (300 * 2**20), compresslevel=1))
    assert path.stat().st_size < 2e6
    with pytest.raises(AlignmentError, match="expands to more than 256 MiB; unpack it first"):
        read_alignment(path)


def test_damaged_gzip_is_one_line(tmp_path):
    whole = gzip.compress(LAYOUTS["clustal"].encode(), mtime=0)
    path = tmp_path / "a.gz"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            read_alignment(path)
        except AlignmentError as problem:
            assert "\n" not in str(problem)


def test_control_characters_and_other_encodings(tmp_path):
    path = tmp_path / "a.nex"
    text = LAYOUTS["nexus"]
    for raw, words in (
        (text.replace("[a ;", "[a \x07;").encode(), "1 control characters (the first is byte 11)"),
        (text.replace("[a ;", "[a \x00;").encode(), "1 control characters"),
        (text.replace("[a ;", "[\u00e4 ;").encode("latin-1"), "not UTF-8 (byte 9), so it was read"),
    ):
        path.write_bytes(raw)
        alignment = read_alignment(path)
        assert words in alignment.notes[0] and alignment.names == NAMES
        np.testing.assert_array_equal(alignment.masks, masks_of(ROWS))
    path.write_bytes(text.encode() + b"\x1a")
    assert read_alignment(path).notes == check(tmp_path, text).notes
    path.write_bytes(text.replace("Gorilla", "Gor\x07illa").encode())
    assert read_alignment(path).names[2] == "Gor\ufffdilla"
    path.write_bytes(text.replace("AAGTRCN-", "AAG\x07RCN-").encode())
    with pytest.raises(AlignmentError, match="column 4: '\ufffd' is not a DNA character"):
        read_alignment(path)
    path.write_bytes(text.encode("utf-16")[:-1])
    with pytest.raises(AlignmentError, match="UTF-16 text, but is damaged at byte"):
        read_alignment(path)
    path.write_bytes(text.encode("utf-16-le"))
    with pytest.raises(AlignmentError, match="if it is UTF-16 without a byte order"):
        read_alignment(path)


def test_names_are_kept_exactly(tmp_path):
    names = ["a b", "it's", "C:(d)", "x_y", "[z];", "é"]
    rows = ["ACGT", "ACGA", "ACGC", "AAGT", "ACTT", "ACTT"]
    whole = "".join(f">same {name}\n{row}\n" for name, row in zip(names, rows, strict=True))
    alignment = check(tmp_path, whole, [f"same {name}" for name in names], rows)
    assert any("whole headers" in note for note in alignment.notes)
    tabs = "".join(f">same\t{name}\n{row}\n" for name, row in zip(names, rows, strict=True))
    alignment = check(tmp_path, tabs, [f"same {name}" for name in names], rows)
    assert any("tabs in names" in note for note in alignment.notes)
    words = "".join(f">{n.replace(' ', '_')} rest\n{r}\n" for n, r in zip(names, rows, strict=True))
    check(tmp_path, words, [name.replace(" ", "_") for name in names], rows)
    quoted = [n if n == "x_y" else "'" + n.replace("'", "''") + "'" for n in names]
    nexus = "#NEXUS\nbegin data;\ndimensions ntax=6 nchar=4;\nformat datatype=dna;\nmatrix\n"
    nexus += "".join(f"{n} {r}\n" for n, r in zip(quoted, rows, strict=True)) + ";\nend;\n"
    check(tmp_path, nexus, names, rows)
    strict = "6 4\n" + "".join(f"{n:10.10}{r}\n" for n, r in zip(names, rows, strict=True))
    check(tmp_path, strict, names, rows)


def test_nexus_agrees_with_dendropy_and_biopython(tmp_path):
    text = LAYOUTS["nexus interleaved, other symbols"].replace("taxlabels a;", "")
    text = text.replace("NUCLEOTIDE", "DNA").replace("x\n", "X\n").replace("*", "-")
    theirs = dendropy.DnaCharacterMatrix.get(data=text, schema="nexus", preserve_underscores=True)
    rows = [str(theirs[taxon].symbols_as_string()) for taxon in theirs.taxon_namespace]
    assert [taxon.label for taxon in theirs.taxon_namespace] == list(NAMES)
    np.testing.assert_array_equal(masks_of(rows), masks_of(ROWS))
    biopython = AlignIO.read(io.StringIO(LAYOUTS["nexus"].replace("[here]", "")), "nexus")
    np.testing.assert_array_equal(masks_of([str(r.seq) for r in biopython]), masks_of(ROWS))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            "3 4\nA ACGT\nB ACGT\nC ACG\n",
            "line 4: taxon 'C' has 3 characters, but the header says 4",
        ),
        ("0 5\nA ACGTA\n", "line 1: the header says 0 sequences of 5 sites"),
        ("4 0\nA\nB\nC\nD\n", "line 1: the header says 4 sequences of 0 sites"),
        ("3 4\nA ACGT\nB ACGT\n", "the header says 3 sequences, but only 2 lines follow"),
        (
            "2 4\nA ACGT\nB ACGT\nC ACGT\n",
            "line 4: the header says 2 sequences, but the file goes on",
        ),
        ("4 4\nA ACGT\nB AC1T\nC ACGA\nD ACGG\n", "taxon 'B', column 3: '1' is not a character"),
        (f"{'9' * 4301} 4\nA ACGT\n", "line 1: a number of 4301 digits is out of range"),
        (
            f"#NEXUS\nbegin data; dimensions nchar={'9' * 4301}; matrix A AC;end;",
            "nchar: a number of 4301 digits is out of range",
        ),
        (
            f"#NEXUS\nbegin taxa; dimensions ntax={'9' * 4301};end;begin data;matrix A AC;end;",
            "ntax: a number of 4301 digits is out of range",
        ),
        (
            "#NEXUS\nbegin data; format datatype=mixed(x:1-2,y:3); matrix\nA AC\nB AC\nC AC\n"
            "D AC;end;",
            "datatype=mixed: '3' is not a range of the 2 characters",
        ),
        (
            "#NEXUS\nbegin data; format datatype=mixed(codon:1-2,continuous:3);matrix\nA ACG\n"
            "B ACG\nC ACG\nD ACG;end;",
            "datatype=mixed(codon, continuous): none of these is supported",
        ),
        (
            "#NEXUS\nbegin data; format datatype=mixed(DNA:1-2,DNA:2);matrix\nA AC\nB AC;end;",
            "character 2 has two data types",
        ),
        (
            "#NEXUS\nbegin data; format datatype=mixed(DNA:1);matrix\nA AC\nB AC;end;",
            "character 2 has no data type",
        ),
        (
            "#NEXUS\nbegin data; matrix\n'Aus bus' AC\nAus_bus AC\nC AC\nD AC;end;",
            "'Aus bus' and Aus_bus are one taxon in NEXUS",
        ),
        (
            "#NEXUS\nbegin data; dimensions nchar=2; format interleave=no; matrix\nA AC\nB AC\n"
            "A AC\nB AC;end;",
            "taxon 'A' occurs 2 times",
        ),
        (
            # pieces of three would fit if names could stand where a sequence ends within a line
            "#NEXUS\nbegin data; dimensions nchar=4; matrix\nA ACG\nB ACG\nC ACG\nD ACG\nE ACG\n"
            "F ACG;end;",
            "taxon 'A' has 3 characters, but nchar=4",
        ),
        ("CLUSTAL\n\nA ACGT\nB ACGT\nA ACGT\n", "taxon 'A' occurs twice"),
        ("CLUSTAL\n\nA ACGT\nB\n", "line 4: a CLUSTAL line is a name and its sequence"),
        ("# STOCKHOLM 1.0\nA ACGT\nB ACGT\n", "closing '//' is missing"),
        ("# STOCKHOLM 1.0\nA ACGT\nA ACGT\n//\n", "taxon 'A' occurs twice"),
        ("# STOCKHOLM 1.0\n//\n", "has no sequences"),
        ("#NEXUS\nbegin trees; end;", "no data or characters block"),
        ("#NEXUS\nbegin data; format datatype=dna; end;", "has no matrix"),
        ("#NEXUS\nbegin data; matrix A ACGT;", "line 2: the data block has no 'end;'"),
        ("#NEXUS\nbegin data; [ matrix A ACGT;", "line 2: a comment '[' is never closed"),
        (
            "#NEXUS\nbegin data; format datatype=continuous;matrix A 01;end;",
            "datatype=continuous is not",
        ),
        ("#NEXUS\nbegin data; format transpose;matrix A AC;end;", "transposed"),
        (
            "#NEXUS\nbegin data; dimensions ntax=3 nchar=4; matrix\nA ACGT\nB ACGT;end;",
            "ntax=3, but the matrix has 2 sequences",
        ),
        (
            "#NEXUS\nbegin data; dimensions ntax=2 nchar=4; matrix\nA ACGT\nB ACG;end;",
            "taxon 'B' has 3 characters, but nchar=4",
        ),
        (
            "#NEXUS\nbegin data; dimensions ntax=2 nchar=4; matrix\nA\nACGT\nB ACG;end;",
            "line 5: taxon 'B' has 3 characters, but nchar=4",
        ),
        (
            "#NEXUS\nbegin data; format matchchar=.; matrix\nA A.GT\nB ACGT;end;",
            "taxon 'A', column 2: the match character '.' has no state in the first row",
        ),
        ("((A,B),C);", "it looks like a Newick tree"),
        ("@read\nACGT\n+\nIIII\n", "it looks like FASTQ"),
        ("hello\n", "its first line is 'hello'"),
    ],
)
def test_malformed_files_are_one_line(tmp_path, text, word):
    path = tmp_path / "bad"
    path.write_text(text)
    with pytest.raises(AlignmentError) as caught:
        read_alignment(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and word in message and "\n" not in message


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 4), st.sampled_from(" \n;[]'\"=.,()AC1>#/{")),
        max_size=4,
    ),
    st.integers(0, 500),
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_read_or_refused_in_one_line(layout, edits, end):
    text = LAYOUTS[layout]
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    try:
        raw = parse_alignment(text[: max(end, 40)], "source")
        assert len(raw.names) == len(raw.sequences)
    except AlignmentError as problem:
        assert "\n" not in str(problem) and "source" in str(problem)

"""Every format gives the same alignment, and the one that Biopython and DendroPy read."""

from __future__ import annotations

import gzip
import io
import sys

import dendropy
import numpy as np
import pytest
from Bio import AlignIO
from Bio.Align import MultipleSeqAlignment
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from phylogfn.alignment import AlignmentError, read_alignment
from phylogfn.alignment_formats import FORMATS, detect_format, parse_alignment

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
            "taxon 'A', column 2: the match character '.' has nothing above it",
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

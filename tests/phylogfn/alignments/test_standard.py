"""Morphological matrices: every format gives the same, and the one that DendroPy reads."""

from __future__ import annotations

from pathlib import Path

import dendropy
import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.alignment import AlignmentError, read_alignment
from phylogfn.alignments.alphabet import STANDARD, detect_alphabet, standard_alphabet

INVENTED = Path(__file__).parents[3] / "data" / "invented.nex"
NAMES = ("Homo_sap.1", "Pan2", "Gorilla", "Pongo")
ROWS = ("0123-?019", "0120?-109", "1113-?019", "11200?000")


def sets(rows, states="0123456789"):
    everything = (1 << len(states)) - 1
    return [
        [everything if c in "?-" else sum(1 << states.index(s) for s in c) for c in row]
        for row in rows
    ]


def read(tmp_path, text, **options):
    path = tmp_path / "matrix"
    path.write_text(text)
    return read_alignment(path, **options)


def nexus(rows, layout="datatype=standard", n_sites=9):
    body = "\n".join(f"{name} {row}" for name, row in zip(NAMES, rows, strict=True))
    return (
        f"#NEXUS\nbegin data;\ndimensions ntax=4 nchar={n_sites};\nformat {layout};\n"
        f"matrix\n{body}\n;\nend;\n"
    )


def paired(form):
    return "".join(form.format(name, row) for name, row in zip(NAMES, ROWS, strict=True))


LAYOUTS = {
    "fasta": paired(">{} text\n{}\n"),
    "phylip strict": "4 9\n" + paired("{:10}{}\n"),
    "phylip relaxed": "4 9\n" + paired("{} {}\n"),
    "phylip interleaved": "4 9\n"
    + "".join(f"{name} {row[:5]}\n" for name, row in zip(NAMES, ROWS, strict=True))
    + "\n"
    + "".join(f"{row[5:]}\n" for row in ROWS),
    "nexus": nexus(ROWS),
    "nexus, type not said": nexus(ROWS, "missing=? gap=-"),
    "nexus, as SplitsTree writes it": nexus(
        ROWS, "datatype='standard', missing=?, gap=-, labels=left, transpose=no, interleave=no"
    ).replace("ntax=4 nchar", "ntax=4, nchar"),
    "nexus, symbols": nexus(ROWS, 'symbols="0~9"'),
    "nexus, as Mesquite writes it": nexus(
        ROWS,
        'DATATYPE = STANDARD RESPECTCASE TOKENS=NO GAP = - MISSING = ? SYMBOLS = "  0 1 2~9"',
    ),
    "nexus, other signs": nexus(
        [row.replace("?", "x").replace("-", "*") for row in ROWS],
        "datatype=STANDARD missing=x gap=*",
    ),
    "nexus, matches": nexus(
        [ROWS[0], "...0?-10.", "1.1......", "1..00..00"], "datatype=standard matchchar=."
    ),
    "nexus interleaved": "#NEXUS\nbegin data; dimensions ntax=4 nchar=9;\n"
    "format datatype=standard interleave;\nmatrix\n"
    + "".join(f"{name} {row[:5]}\n" for name, row in zip(NAMES, ROWS, strict=True))
    + "\n"
    + "".join(f"{name} {row[5:]}\n" for name, row in zip(NAMES, ROWS, strict=True))
    + ";\nend;\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    for options in ({}, {"data_type": "standard"}):
        alignment = read(tmp_path, LAYOUTS[layout], **options)
        assert alignment.names == NAMES and alignment.alphabet == STANDARD
        assert alignment.masks.dtype == np.uint32 and alignment.masks.tolist() == sets(ROWS)
        assert alignment.gaps is not None and alignment.gaps.dtype == bool
        assert alignment.gaps.tolist() == [[c == "-" for c in row] for row in ROWS]
        assert alignment.assumptions is None


def test_sets_symbols_and_equates(tmp_path):
    rows = ["01{0 1}a?", "0(1,2)AB-", "1bXB{AB}", "12YA{0-}"]
    alignment = read(tmp_path, nexus(rows, 'equate="X=1 Y={0 1}" symbols="0~2 A b"', 5))
    cells = [
        ["0", "1", "01", "A", "?"],
        ["0", "12", "A", "B", "-"],
        ["1", "B", "1", "B", "AB"],
        ["1", "2", "01", "A", "?"],
    ]
    assert alignment.alphabet.states == "012AB" and alignment.alphabet.n_states == 5
    assert alignment.masks.tolist() == sets(cells, "012AB")
    assert alignment.gaps is not None and np.argwhere(alignment.gaps).tolist() == [[1, 4], [3, 4]]
    assert alignment.beside_gaps is not None
    assert np.argwhere(alignment.beside_gaps).tolist() == [[3, 4]]
    assert alignment.beside_gaps[3, 4] == alignment.alphabet.mask("0")
    assert "1 sets that contain a gap, such as {A-}, read as missing" in alignment.notes[-1]


def test_the_order_of_symbols_is_that_of_the_states(tmp_path):
    alignment = read(tmp_path, nexus(["20", "20", "01", "11"], "symbols = '2 0 1'", 2))
    assert alignment.alphabet.states == "201"
    assert alignment.masks.tolist() == [[1, 2], [1, 2], [2, 4], [4, 4]]
    unquoted = read(tmp_path, nexus(["20", "20", "01", "11"], "symbols=201 datatype=standard", 2))
    assert unquoted.alphabet == alignment.alphabet


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ('symbols="0~3"', "column 9: '9' is not a standard character (states 0123)"),
        ('symbols="0 1 1"', "symbols have '1' twice (upper and lower case are one)"),
        ('symbols="aA"', "symbols have 'A' twice"),
        ('symbols="0"', "symbols are 1, but 2 to 32 states are supported"),
        ('symbols="0~9 A~Z"', "symbols are 36, but 2 to 32"),
        ('symbols="01?"', "symbols have '?', which is not a symbol of a state"),
        ('symbols="9~0"', "symbols 9~0 is not a range"),
        ('symbols="0 é"', "symbols have 'É', which is not a symbol"),
        ("datatype=standard tokens", "states that are words (tokens) are not supported"),
        ("datatype=mixed", "datatype=mixed does not say which characters are of which type"),
        ("datatype=dna", "column 1: '0' is not a DNA character"),
    ],
)
def test_wrong_formats_are_one_line(tmp_path, layout, words):
    with pytest.raises(AlignmentError) as caught:
        read(tmp_path, nexus(ROWS, layout))
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith(f"{tmp_path / 'matrix'}: ")


def test_letters_and_digits_are_no_matrix(tmp_path):
    rows = ["01A", "01A", "10C", "10C"]
    text = "4 3\n" + "".join(f"{n} {r}\n" for n, r in zip(NAMES, rows, strict=True))
    with pytest.raises(UserError, match=r"'Homo_sap.1', column 1: '0' is not a character of DNA"):
        read(tmp_path, text)
    with pytest.raises(UserError, match=r"'A' is not a standard character \(states 0123456789\)"):
        read(tmp_path, nexus(rows, n_sites=3))


def test_case_that_counts_is_told(tmp_path):
    rows = ["0a", "0A", "1a", "1A"]
    told = nexus(rows, 'datatype=standard respectcase symbols="01a"', 2)
    assert any("format respectcase" in note for note in read(tmp_path, told).notes)
    for other in (told.replace("respectcase", "respectcase=no"), told.replace("A\n", "a\n")):
        assert not any("respectcase" in note for note in read(tmp_path, other).notes)


def test_alphabets():
    assert detect_alphabet(["01?-", "??--"]) is STANDARD
    assert STANDARD.label == "standard" and STANDARD.n_states == 10
    assert [STANDARD.mask(c) for c in "019?-"] == [1, 2, 512, 1023, 1023]
    assert standard_alphabet("0a").mask("A") == standard_alphabet("0a").mask("a") == 2
    full = standard_alphabet("0123456789ABCDEFGHIJKLMNOPQRSTUV")
    assert full.missing == (1 << 32) - 1 == full.mask("?") and full.mask("v") == 1 << 31


def test_gaps_of_dna_are_not_unknown_bases(tmp_path):
    rows = ["AC-N?", "ACG--", "TCGX-", "TCGAC"]
    text = "".join(f">{n}\n{r}\n" for n, r in zip(NAMES, rows, strict=True))
    alignment = read(tmp_path, text)
    assert alignment.gaps is not None
    assert np.argwhere(alignment.gaps).tolist() == [[0, 2], [1, 3], [1, 4], [2, 4]]
    stockholm = "# STOCKHOLM 1.0\n" + text.replace("\n", " ").replace(">", "\n").replace("-", ".")
    np.testing.assert_array_equal(read(tmp_path, stockholm + "\n//\n").gaps, alignment.gaps)
    undeclared = nexus(rows, "datatype=dna missing=-", 5)
    assert not read(tmp_path, undeclared).gaps.any()


def test_the_example_as_dendropy_reads_it():
    alignment = read_alignment(INVENTED)
    theirs = dendropy.StandardCharacterMatrix.get(
        path=INVENTED, schema="nexus", preserve_underscores=True
    )
    assert alignment.names == tuple(taxon.label for taxon in theirs.taxon_namespace)
    for row, gaps, taxon in zip(
        alignment.masks, alignment.gaps, theirs.taxon_namespace, strict=True
    ):
        values = theirs[taxon].values()
        used = [values[column] for column in alignment.columns]
        for mask, gap, state in zip(row, gaps, used, strict=True):
            symbols = {s.symbol for s in state.fundamental_states}
            assert gap == (symbols == {"-"})
            expected = alignment.alphabet.mask("".join(symbols - {"-"}) or "?")
            assert mask == expected

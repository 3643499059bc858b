"""Valid inputs of every reader, small, made from the files in ``data/``."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["alignments", "fragment_files", "molecule_files", "scoring_files", "tree_files"]

DATA = Path(__file__).resolve().parents[2] / "data"

BLOCKS = """
begin sets;
    charset first = 1-20; charset second = 21-40\\3 41-.; taxset apes = 1 2-3;
end;
begin paup;
    ctype ord: 1-3; exclude 5; outgroup 1; delete 6; weights 2: 7-9;
end;
begin mrbayes;
    charset a = 1-10; partition p = 2: a, 11-.; set partition = p; lset nst = 6 rates = gamma;
end;
"""
MRBAYES = """#NEXUS
[ID: 8207380259]
[Param: tree]
begin trees;
   translate
       1 Tarsius_syrichta,
       2 'Lemur catta',
       3 "Homo sapiens",
       4 Pan
       ;
   tree gen.0 = [&U] ((3:2.000000e-02,4:2.000000e-02):2.000000e-02,2:2.000000e-02,1:2.000000e-02);
   tree gen.50 = [&U] ((4:1.2e-02,2:2.5e-02):1.0e-01,3:3.0e-02,1:4.0e-02);
   tree gen.100 = [&U] ((4:1.2e-02,3:2.5e-02):1.0e-01,2:3.0e-02,1:4.0e-02);
end;
"""
PROBABILITIES = """#NEXUS
[Trees sorted by posterior probability.]
begin trees;
   translate 1 A, 2 B, 3 C, 4 D;
   tree tree_1 [p = 0.864, P = 0.864] = [&W 0.864198] (2,(4,3),1);
   tree tree_2 [p = 0.136, P = 1.000] = [&W 1/7] ((2,4),3,1);
end;
"""
BEAST = """#NEXUS
Begin taxa;
    Dimensions ntax=4;
    Taxlabels A B C 'D d';
End;
Begin trees;
    Translate 1 A, 2 B, 3 C, 4 'D d';
tree STATE_0 [&lnP=-68.0,posterior=-68.0] = [&R] ((1[&rate=1.0]:1.0,2:1.0):1.0,(3:1.5,4:1.5):0.5);
tree STATE_1000 [&lnP=-60.5] = [&R] ((1:1.0,3:1.0):1.0,(2:1.5,4:1.5):0.5);
End;
"""
MESQUITE = """#NEXUS
begin taxa; title t; dimensions ntax=4; taxlabels A B C D; end;
begin trees;
    title 'Trees from here'; link taxa = t;
    tree one = (1:1.0<color = 5 >,(2:1.0,3:1.0)<color = 5 >:0.5<width = 2 >,4:2.0);
endblock;
begin mesquite; Mesquitescriptversion 2; tell It; end;
"""
PLAIN = """(Homo_sapiens:0.1,Pan:0.12,(Gorilla:0.2,(Pongo:0.3,Hylobates:0.4)95:0.05)0.99:0.01);
[&U] ('Homo sapiens':0.1,Pan:0.12,((Gorilla:1,Pongo:2):0.3,Hylobates:0.4):0.01);
(Homo_sapiens,Pan,(Gorilla,(Pongo,Hylobates)));
"""
TABLE = """rank\tprobability\tcumulative\tlog_evidence\tnewick
1\t0.75\t0.75\t-5.25\t(A,B,(C,D));
2\t0.25\t1\t-6.5\t(A,C,(B,D));
"""
MOL_FILE = """ethanol
     RDKit          2D

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.2990    0.7500    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    2.5981   -0.0000    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0
  2  3  1  0
M  END
> <activity>
6.5

$$$$
"""
MOLECULES = (
    *("CCO", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C"),
    *("C[C@H](N)C(=O)O", "F/C=C/F", "[NH4+].[Cl-]", "[2H]C([2H])([2H])O", "c1cc[nH]c1"),
    *("CS(=O)(=O)c1ccc(cc1)C#N", "C1CC2CCC1CC2", "[CH2-][N+]#N", "OC(=O)[C@@H]1CCCN1"),
)


def _sequences(taxa: int, sites: int) -> list[tuple[str, str]]:
    records = (DATA / "primates.fasta").read_text().split(">")[1 : taxa + 1]
    return [
        (r.split("\n", 1)[0].strip(), r.split("\n", 1)[1].replace("\n", "")[:sites])
        for r in records
    ]


@cache
def alignments() -> dict[str, tuple[bytes, ...]]:
    """Return alignments of each format."""
    rows = _sequences(6, 60)
    width = max(len(name) for name, _ in rows) + 2
    fasta = "".join(f">{name} mitochondrial\n{seq[:40]}\n{seq[40:]}\n" for name, seq in rows)
    unaligned = "".join(f">{name}\n{seq[:20]}-{seq[20:40]}N?\n" for name, seq in rows)
    protein = "".join(f">p{i}\nMKV{'LIAGSTED'[i:]}{'LIAGSTED'[:i]}X-*\n" for i in range(5))
    sequential = " 6 60\n" + "".join(f"{name:<{width}}{seq}\n" for name, seq in rows)
    strict = " 6 60\n" + "".join(f"{name[:10]:<10}{seq}\n" for name, seq in rows)
    interleaved = (
        " 6 60\n"
        + "".join(f"{name:<{width}}{seq[:30]}\n" for name, seq in rows)
        + "\n"
        + "".join(f"{seq[30:]}\n" for _, seq in rows)
    )
    head = "dimensions ntax=6 nchar=60; format datatype=dna missing=? gap=-"
    matrix = "".join(f"  '{name}'  {seq} [60]\n" for name, seq in rows)
    nexus = f"#NEXUS\nbegin data;\n{head};\nmatrix\n{matrix};\nend;\n{BLOCKS}"
    half = "".join(f"{name} {seq[:30]}\n" for name, seq in rows)
    rest = "".join(f"{name} {seq[30:]}\n" for name, seq in rows)
    blocks = (
        f"#NEXUS\nbegin taxa; dimensions ntax=6; taxlabels {' '.join(n for n, _ in rows)}; end;\n"
        "begin characters;\ndimensions nchar=60;\nformat datatype=dna interleave=yes matchchar=.;\n"
        f"matrix\n{half}\n{rest};\nend;\n"
    )
    invented = (DATA / "invented.nex").read_text()
    clustal = "CLUSTAL W (1.83) multiple sequence alignment\n\n"
    clustal += "\n".join(f"{name:<{width}}{seq[:30]} 30" for name, seq in rows)
    clustal += f"\n{'':<{width}}** * .:\n\n"
    clustal += "\n".join(f"{name:<{width}}{seq[30:]} 60" for name, seq in rows) + "\n"
    stockholm = "# STOCKHOLM 1.0\n#=GF ID test\n"
    stockholm += "".join(f"{name:<{width}}{seq}\n#=GR {name} SS ....\n" for name, seq in rows)
    stockholm += "#=GC SS_cons ....\n//\n"
    return {
        "fasta": tuple(text.encode() for text in (fasta, unaligned, protein)),
        "phylip": tuple(text.encode() for text in (sequential, strict, interleaved)),
        "nexus": tuple(text.encode() for text in (nexus, blocks, invented)),
        "clustal": (clustal.encode(),),
        "stockholm": (stockholm.encode(),),
    }


@cache
def tree_files() -> dict[str, tuple[bytes, ...]]:
    """Return files of trees of each format."""
    return {
        "newick": (PLAIN.encode(), b"[&W 0.25] (A,B,(C,D));\n[&W 1/4] (A,C,(B,D));\n"),
        "nexus trees": tuple(text.encode() for text in (MRBAYES, BEAST, MESQUITE)),
        "tree probabilities": (PROBABILITIES.encode(),),
        "tree table": (TABLE.encode(),),
    }


@cache
def molecule_files(count: int = len(MOLECULES)) -> tuple[bytes, ...]:
    """Return lists of the first molecules, as SMILES and tables, and an SD file."""
    found = tuple(enumerate(MOLECULES[:count]))
    plain = "\n".join(f"{smiles} molecule_{i}" for i, smiles in found) + "\n"
    table = "id\tcanonical_smiles\tactivity\n" + "".join(
        f"M{i}\t{smiles}\t{i / 2}\n" for i, smiles in found
    )
    chembl = '"ChEMBL ID";"Name";"Smiles"\n' + "".join(
        f'"CHEMBL{i}";"a ""name""";"{smiles}"\n' for i, smiles in found
    )
    comma = "smiles,name\n" + "".join(f"{smiles},m{i}\n" for i, smiles in found)
    return tuple(text.encode() for text in (plain, table, chembl, comma, MOL_FILE * 2))


@cache
def fragment_files() -> tuple[bytes, ...]:
    """Return files of fragments."""
    lines = (DATA / "fragments.smi").read_text().splitlines()
    rules = [line for line in lines if line.startswith("#rule")]
    fragments = [line for line in lines if line and not line.startswith("#")]
    return (
        "\n".join([*rules, *fragments[::16]]).encode(),
        b"[*]c1ccc([*])cc1 p\n[*]C m\n[*]O o\n[1*]CC[2*] ethane\n#rule forbid 1 2\n",
    )


@cache
def scoring_files() -> tuple[bytes, ...]:
    """Return the scoring files that come with the program, those that name files left out."""
    names = ("druglike", "pareto", "qed", "similarity")
    return tuple((DATA / "scoring" / f"{name}.toml").read_bytes() for name in names)

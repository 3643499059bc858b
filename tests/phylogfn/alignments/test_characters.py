"""Characters for parsimony against slow parsimony on the columns as they are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.alignment import Alignment, read_alignment
from phylogfn.alignments.alphabet import DNA, PROTEIN, STANDARD, standard_alphabet
from phylogfn.alignments.characters import parsimony_characters
from phylogfn.alignments.nexus.assumptions import Assumptions
from phylogfn.trees.tree import random_topology

INVENTED = Path(__file__).parents[3] / "data" / "invented.nex"


def below(parent, node):
    return [child for child, above in enumerate(parent) if above == node]


def fitch_steps(parent, sets):
    """Steps of one unordered character on a tree drawn at leaf 0, by Fitch's rule."""
    steps = 0

    def join(first, second):
        nonlocal steps
        steps += not first & second
        return first & second or first | second

    def up(node):
        if node < len(sets):
            return int(sets[node])
        left, right = below(parent, node)
        return join(up(left), up(right))

    join(int(sets[0]), up(below(parent, 0)[0]))
    return steps


def sankoff_steps(parent, sets, cost):
    """The least cost of a character on a tree drawn at leaf 0, by dynamic programming."""
    states = range(len(cost))

    def tip(node):
        return np.where([int(sets[node]) >> s & 1 for s in states], 0.0, np.inf)

    def up(node):
        if node < len(sets):
            return tip(node)
        left, right = ((cost + up(child)).min(axis=1) for child in below(parent, node))
        return left + right

    return (tip(0) + (cost + up(below(parent, 0)[0])).min(axis=1)).min()


def plain_score(parent, alignment, gaps):
    """The score on the raw columns: one by one, by step matrices, sets of ordered ones filled."""
    n_states = alignment.alphabet.n_states + (gaps == "state")
    i, j = np.indices((n_states, n_states))
    given = alignment.assumptions or Assumptions()
    total = 0.0
    for site in range(alignment.n_sites):
        sets = [int(mask) for mask in alignment.masks[:, site]]
        if gaps == "state":
            is_gap = alignment.gaps[:, site]
            beside = alignment.beside_gaps
            other = np.zeros(len(sets), int) if beside is None else beside[:, site]
            sets = [
                1 << n_states - 1 | int(o) if g else s
                for g, s, o in zip(is_gap, sets, other, strict=True)
            ]
        cost = (i != j).astype(float)
        if given.ordered is not None and given.ordered[site]:
            cost = abs(i - j).astype(float)
            sets = [(1 << s.bit_length()) - (s & -s) for s in sets]
        weight = 1.0 if given.weights is None else given.weights[site]
        total += weight * sankoff_steps(parent, sets, cost)
    return total


def score(parent, characters):
    steps = [fitch_steps(parent, column) for column in characters.masks.T]
    return characters.constant_steps + float(np.dot(steps, characters.weights))


def made(masks, alphabet=STANDARD, gaps=None, **assumptions):
    names = tuple(f"t{i}" for i in range(len(masks)))
    said = Assumptions(**assumptions) if assumptions else None
    return Alignment(
        names, alphabet, np.array(masks, np.uint32), "data", gaps=gaps, assumptions=said
    )


def written(rows, alphabet=STANDARD, **assumptions):
    cells = [re.findall(r"\{[^}]*\}|.", row) for row in rows]
    masks = [[alphabet.mask(cell.strip("{}")) for cell in row] for row in cells]
    gaps = np.array([[cell == "-" for cell in row] for row in cells])
    return made(masks, alphabet, gaps, **assumptions)


def with_gap_sets(alignment, rng):
    """Some of the gaps may be states as well, as in ``{0-}``."""
    states = 1 << rng.integers(0, 4, alignment.masks.shape).astype(np.uint32)
    cells = alignment.gaps & (rng.random(alignment.masks.shape) < 0.5)
    return replace(alignment, beside_gaps=np.where(cells, states, np.uint32(0)))


def random_alignment(rng, n_taxa, n_sites, alphabet, ambiguity, n_used):
    """Some single states, some sets of two or more, some missing cells, some gaps."""
    states = 1 << rng.integers(0, n_used, (n_taxa, n_sites)).astype(np.uint32)
    others = rng.integers(1, 1 << n_used, (n_taxa, n_sites)).astype(np.uint32)
    masks = np.where(rng.random(states.shape) < ambiguity, states | others, states)
    masks = np.where(rng.random(states.shape) < ambiguity / 2, alphabet.missing, masks)
    gaps = rng.random(states.shape) < 0.15
    return made(np.where(gaps, alphabet.missing, masks), alphabet, gaps)


@pytest.mark.parametrize("gaps", ["missing", "state"])
@pytest.mark.parametrize("ambiguity", [0.0, 0.3, 0.6])
@pytest.mark.parametrize(
    ("n_taxa", "n_sites", "alphabet", "n_used"),
    [(5, 60, DNA, 4), (6, 25, DNA, 2), (5, 40, standard_alphabet("0123456"), 7)],
)
def test_unordered_scores_are_those_of_the_columns(
    all_topologies, n_taxa, n_sites, alphabet, n_used, ambiguity, gaps
):
    rng = np.random.default_rng(n_taxa + n_sites)
    alignment = random_alignment(rng, n_taxa, n_sites, alphabet, ambiguity, n_used)
    weights = rng.integers(0, 9, n_sites) / 4
    alignment = replace(alignment, assumptions=Assumptions(weights=weights))
    characters = parsimony_characters(alignment, gaps)
    for parent in all_topologies(n_taxa):
        assert score(parent, characters) == plain_score(parent, alignment, gaps)


def test_a_set_of_a_state_and_the_gap_is_either(all_topologies):
    rng = np.random.default_rng(5)
    alignment = with_gap_sets(random_alignment(rng, 6, 60, DNA, 0.2, 4), rng)
    plain = replace(alignment, beside_gaps=None)
    trees = all_topologies(6)
    scores = {}
    for gaps in ("missing", "state"):
        characters = parsimony_characters(alignment, gaps)
        scores[gaps] = [score(parent, characters) for parent in trees]
        assert scores[gaps] == [plain_score(parent, alignment, gaps) for parent in trees]
    other = parsimony_characters(plain, "state")
    assert scores["state"] != [score(parent, other) for parent in trees]


@pytest.mark.parametrize("ambiguity", [0.0, 0.2, 0.4])
def test_ordered_scores_are_those_of_step_matrices(all_topologies, ambiguity):
    rng = np.random.default_rng(7)
    alphabet = standard_alphabet("01234")
    alignment = random_alignment(rng, 6, 30, alphabet, ambiguity, 5)
    ordered = np.arange(30) < 20
    excluded = rng.random(30) < 0.2
    weights = np.where(excluded, 0.0, rng.integers(1, 9, 30) / 4)
    assumptions = Assumptions(weights=weights, ordered=ordered)
    alignment = replace(alignment, assumptions=assumptions)
    characters = parsimony_characters(alignment)
    trees = all_topologies(6)
    scores = [score(parent, characters) for parent in trees]
    assert scores == [plain_score(parent, alignment, "missing") for parent in trees]
    assert len(set(scores)) > 3
    assert characters.n_ordered == (ordered & ~excluded).sum()
    assert characters.n_excluded == excluded.sum()


def test_columns_of_single_states_are_kept_where_informative():
    rng = np.random.default_rng(3)
    masks = 1 << rng.integers(0, 4, (7, 400)).astype(np.uint32)
    masks = np.where(rng.random(masks.shape) < 0.2, DNA.missing, masks)
    informative, constant = [], 0
    for column in masks.T:
        states, counts = np.unique(column[column != DNA.missing], return_counts=True)
        twice = counts >= 2
        informative.append(twice.sum() >= 2)
        # Steps of states that one tip has; without two others, of all states but one.
        constant += (~twice).sum() if twice.sum() >= 2 else max(0, len(states) - 1)
    characters = parsimony_characters(made(masks, DNA))
    assert 0 < sum(informative) < 400
    assert (characters.n_informative, characters.n_sites) == (sum(informative), 400)
    assert characters.constant_steps == constant
    assert characters.weights.sum() == sum(informative)


def test_equal_columns_are_one_whatever_their_states_are_called():
    rows = ["AC0", "AC0", "CAG", "CAG", "TTG"]
    characters = parsimony_characters(written([r.replace("0", "T") for r in rows], DNA))
    # The third column's G is in three tips, so it is another character.
    assert characters.masks.T.tolist() == [[1, 1, 2, 2, 3], [1, 1, 2, 2, 2]]
    assert characters.masks.dtype == np.uint32 and characters.masks.flags.c_contiguous
    assert characters.weights.tolist() == [2.0, 1.0] and characters.weights.dtype == np.float64
    assert (characters.n_states, characters.constant_steps) == (2, 2.0)
    assert (characters.n_taxa, characters.n_characters) == (5, 2)
    assert (characters.n_informative, characters.n_sites) == (3, 3)


def test_an_alignment_in_which_gaps_alone_differ(tmp_path):
    path = tmp_path / "gaps.fasta"
    rows = ["AC--GT", "AC--GT", "ACGTGT", "ACGTGT", "ACGTGT"]
    path.write_text("".join(f">t{i}\n{row}\n" for i, row in enumerate(rows)))
    alignment = read_alignment(path)
    characters = parsimony_characters(alignment, "state")
    assert characters.n_informative == 2 and characters.weights.tolist() == [2.0]
    missing = parsimony_characters(alignment, "missing")
    assert missing.n_characters == 0 and "none of the 6 characters used" in missing.notes[0]


def test_gaps_are_missing_or_a_state_that_unknown_bases_are_not():
    alignment = written(["A-A", "A-A", "CAC", "CAC", "?NN", "-?A"], DNA)
    missing = parsimony_characters(alignment)
    assert missing.masks.T.tolist() == [[1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 1]]
    assert missing.constant_steps == 0
    state = parsimony_characters(alignment, "state")
    # In the first column the gap is alone: a step. In the second, ? and N can be A, not the gap.
    assert state.masks.T.tolist() == [[1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 2, 2], [1, 1, 2, 2, 3, 1]]
    assert state.constant_steps == 1 and state.n_states == 2
    unknown = replace(alignment, gaps=None)
    np.testing.assert_array_equal(parsimony_characters(unknown, "state").masks, missing.masks)


def test_ambiguity_alone_makes_no_step():
    alignment = written(["ARA", "AMA", "RAC", "WAC", "AVT"], DNA)
    characters = parsimony_characters(alignment)
    assert (characters.n_informative, characters.constant_steps) == (1, 1.0)


def test_sets_of_ordered_characters_are_filled():
    rows = ["00", "00", "22", "22", "{02}1"]
    ordered = np.array([True, False])
    characters = parsimony_characters(written(rows, ordered=ordered))
    assert "1 sets of ordered characters leave out" in characters.notes[0]
    filled = parsimony_characters(written([*rows[:4], "{012}1"], ordered=ordered))
    np.testing.assert_array_equal(characters.masks, filled.masks)
    assert filled.notes == ()


def test_as_many_states_as_there_can_be():
    symbols = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
    alphabet = standard_alphabet(symbols)
    rows = [symbols[::-1], symbols[::-1], symbols, symbols, "?" * 32]
    characters = parsimony_characters(written(rows, alphabet))
    assert characters.masks.T.tolist() == [[1, 1, 2, 2, 3]]
    assert characters.weights.tolist() == [32.0]
    ordered = parsimony_characters(written(rows, alphabet, ordered=np.ones(32, bool)))
    # |a - b| steps between the two pairs of tips, for each of the columns.
    assert ordered.weights.sum() == sum(abs(31 - 2 * i) for i in range(32))
    every = "".join(sorted(symbols * 2))
    many = parsimony_characters(written([c + "1" for c in every], alphabet))
    assert many.n_states == 32 and many.masks[-1, 0] == 1 << 31
    with pytest.raises(UserError, match=r"data: has 32 states, .* take gaps as missing"):
        parsimony_characters(written([*rows[:4], "-" * 32], alphabet), "state")


@pytest.mark.parametrize(
    ("alignment", "gaps", "words"),
    [
        (
            written(["AA", "AA", "AC", "AC"], DNA, ordered=np.array([False, True])),
            "missing",
            "character 2 is ordered, but the states of DNA data have no order",
        ),
        (
            written(["R"] * 2 + ["K"] * 2, PROTEIN, ordered=np.ones(1, bool)),
            "missing",
            "the states of protein data have no order",
        ),
        (
            written(["00", "0-", "11", "11"], ordered=np.array([False, True])),
            "state",
            "character 2 is ordered and has gaps",
        ),
        (written(["0", "0", "1", "1"], problem="data: line 3: wtset: no"), "missing", "wtset: no"),
        (written(["0", "0", "1", "1"]), "fifth", "gaps 'fifth' is unknown; choose missing or"),
    ],
)
def test_what_cannot_be_used_is_one_line(alignment, gaps, words):
    with pytest.raises(UserError) as caught:
        parsimony_characters(alignment, gaps)
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith("gaps" if gaps == "fifth" else "data: ")


@pytest.mark.parametrize(
    ("alignment", "n_used", "steps"),
    [
        (written(["A"] * 5, DNA), 1, 0),
        (written(["A", "A", "A", "C", "G"], DNA), 1, 2),
        (written(["A", "A", "C", "C", "?"], DNA, weights=np.zeros(1)), 0, 0),
        (written(["???"] * 4, DNA), 3, 0),
    ],
)
@pytest.mark.parametrize("gaps", ["missing", "state"])
def test_data_that_tell_no_tree_from_another_have_no_characters(alignment, n_used, steps, gaps):
    characters = parsimony_characters(alignment, gaps)
    assert characters.n_characters == 0 and characters.constant_steps == steps
    assert characters.masks.shape == (alignment.n_taxa, 0) and characters.n_states == 2
    assert characters.notes == (
        f"none of the {n_used} characters used is informative for parsimony, so every tree has the "
        f"score {steps} and all trees are equally probable",
    )


@pytest.mark.parametrize("gaps", ["missing", "state"])
def test_the_example_scores_as_its_columns_do(gaps):
    alignment = read_alignment(INVENTED)
    characters = parsimony_characters(alignment, gaps)
    assert (characters.n_sites, characters.n_ordered, characters.n_excluded) == (30, 6, 1)
    rng = np.random.default_rng(1)
    for _ in range(5):
        parent = random_topology(alignment.n_taxa, rng).parent
        assert score(parent, characters) == plain_score(parent, alignment, gaps)

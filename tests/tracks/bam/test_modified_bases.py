"""MM and ML tags decoded: the same as pysam (htslib) says of every read, and what is refused."""

from __future__ import annotations

import array
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.bam.modbam import COMPLEMENT, Group, Read
from tracks.bam.modified_bases import letters, parse_groups, read_groups
from tracks.errors import TracksError
from tracks.mini import debian

HEADER = pysam.AlignmentHeader.from_dict({"HD": {"VN": "1.6"}, "SQ": [{"SN": "I", "LN": 999}]})
HTSLIB = "usr/share/htslib-test/test/base_mods"
SAM_FILES = ["MM-double", "MM-explicit", "MM-multi", "MM-orient", "MM-pileup", "MM-pileup2"]


def decoded(read: pysam.AlignedSegment) -> dict[tuple[str, int, Any], list[tuple[int, int]]]:
    """Our decoding in pysam's words: by letter, strand of the alignment and code, the calls by position."""
    found: dict[tuple[str, int, Any], list[tuple[int, int]]] = {}
    for group in read_groups(read) or []:
        positions = group.positions(letters(str(read.query_sequence)), read.is_reverse).tolist()
        for at, code in enumerate(group.codes):
            key = (group.base, int((group.strand == "-") != read.is_reverse), int(code) if code.isdecimal() else code)
            found.setdefault(key, []).extend(zip(positions, group.likelihoods[:, at].tolist(), strict=True))
    return {key: sorted(calls) for key, calls in found.items() if calls}


def pysams(read: pysam.AlignedSegment) -> dict[Any, list[tuple[int, int]]]:
    return {key: sorted(calls) for key, calls in (read.modified_bases or {}).items()}


@st.composite
def _reads(draw: st.DrawFn) -> Read:
    sequenced = draw(st.text("ACGTN", min_size=1, max_size=60))
    reverse = draw(st.booleans())
    kinds = draw(
        st.lists(
            st.tuples(st.sampled_from("ACGTN"), st.sampled_from("+-"), st.sampled_from(["m", "h", "mh", "a", "76792"])),
            min_size=1,
            max_size=4,
            unique_by=lambda kind: (kind[0], kind[1]),
        )
    )
    groups = []
    for base, strand, codes in kinds:
        there = [at for at, letter in enumerate(sequenced) if base in ("N", letter)]
        called = draw(st.lists(st.sampled_from(there), unique=True)) if there else []
        number = 1 if codes.isdecimal() else len(codes)
        byte = st.lists(st.integers(0, 255), min_size=number, max_size=number)
        calls = {at: draw(byte) for at in sorted(called)}
        groups.append(Group(base, strand, codes, draw(st.sampled_from(["", ".", "?"])), calls))
    stored = sequenced.translate(COMPLEMENT)[::-1] if reverse else sequenced
    return Read("read", 0, stored, [(0, len(stored))], reverse, groups)


@given(_reads())
def test_every_read_is_decoded_as_by_pysam(read: Read) -> None:
    segment = read.segment(HEADER)
    assert decoded(segment) == pysams(segment)
    flags = [group.flag != "?" for group in read.groups]
    assert [group.implicit for group in read_groups(segment) or []] == flags


@pytest.fixture(scope="module")
def htslib_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("htslib")
    names = [*SAM_FILES, "MM-chebi"]
    try:
        package = debian.download("htslib-test", folder)
        debian.extract(package, {f"{HTSLIB}/{name}.sam": folder / f"{name}.sam" for name in names})
    except TracksError as error:
        pytest.skip(f"htslib's own test files are not at hand: {error}")
    return folder


def _segments(path: Path) -> list[pysam.AlignedSegment]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("@")]
    return [pysam.AlignedSegment.fromstring(line, HEADER) for line in lines]


@pytest.mark.parametrize("name", SAM_FILES)
def test_the_cases_of_htslib_are_decoded_as_by_pysam(htslib_files: Path, name: str) -> None:
    segments = _segments(htslib_files / f"{name}.sam")
    assert segments
    for segment in segments:
        assert decoded(segment) == pysams(segment) != {}


def test_a_case_of_htslib_with_too_long_an_ml_tag_is_refused(htslib_files: Path) -> None:
    segment = _segments(htslib_files / "MM-chebi.sam")[0]
    with pytest.raises(ValueError, match="ML tag holds 9 values, and its MM tag needs 8"):
        read_groups(segment)


def test_the_example_of_the_specification() -> None:
    """SAM optional fields specification, section 1.7: C+m,5,12,0 of a sequence skips 5 C, then 12, then none."""
    sequence = "C" * 30
    group = parse_groups("C+m,5,12,0;", np.array([1, 2, 3], np.uint8))[0]
    assert group.positions(letters(sequence), False).tolist() == [5, 18, 19]
    reverse = "G" * 30
    assert group.positions(letters(reverse), True).tolist() == [24, 11, 10]


def test_older_tag_names_and_u_for_t_are_read() -> None:
    segment = pysam.AlignedSegment(HEADER)
    segment.query_sequence = "ACGT"
    segment.set_tag("Mm", "U+g,0;")
    segment.set_tag("Ml", array.array("B", [200]))
    assert decoded(segment) == {("T", 0, "g"): [(3, 200)]}


@pytest.mark.parametrize(
    ("mm", "ml", "message"),
    [
        ("C+m,1,1;", [1], "its ML tag holds 1 values, and its MM tag needs 2"),
        ("C+m,1;", [1, 2, 3], "its ML tag holds 3 values, and its MM tag needs 1"),
        ("C+mh,1;", [1], "its ML tag holds 1 values, and its MM tag needs 2"),
        ("C+m,1", [1], "does not end in ';'"),
        ("C*m,1;", [1], "holds 'C\\*m,1', which is no group"),
        ("C+m,1,,2;", [1, 2], "which is no group"),
        ("C+m,;", [], "which is no group"),
        ("C+m,-1;", [1], "which is no group"),
        ("C+,1;", [1], "which is no group"),
    ],
)
def test_damaged_tags_are_refused(mm: str, ml: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_groups(mm, np.array(ml, np.uint8))


@pytest.mark.parametrize("skip", ["3", "9223372036854775807", "99999999999999999999999"])
def test_calls_beyond_the_read_are_refused(skip: str) -> None:
    group = parse_groups(f"C+m,0,{skip},{skip};", np.zeros(3, np.uint8))[0]
    with pytest.raises(ValueError, match="counts beyond the 3 of base C that it has"):
        group.positions(letters("ACCGC"), False)


def test_reads_without_tags_have_no_groups() -> None:
    segment = pysam.AlignedSegment(HEADER)
    segment.query_sequence = "ACGT"
    assert read_groups(segment) is None
    segment.set_tag("MM", "")
    assert read_groups(segment) == []

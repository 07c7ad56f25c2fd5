"""Chain files: read as pyliftover reads them, turned round, and refused where they are wrong."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from pyliftover import LiftOver

from tests.tracks.liftover.made import Chain, chain_lists, chain_text
from tracks.errors import TracksError, UsageError
from tracks.liftover.chains import Chains, read_chains


def _blocks(chains: Chains) -> set[tuple[object, ...]]:
    """All blocks as pyliftover has them: on the chain's strand."""
    names = list(chains.target_sizes)
    return {
        (chrom, start, end, names[target], size - at - (end - start) if reverse else at, reverse, score)
        for chrom, blocks in chains.blocks.items()
        for start, end, target, at, reverse, score in zip(
            *(getattr(blocks, name).tolist() for name in ("starts", "ends", "targets", "target_starts")),
            blocks.reverse.tolist(),
            blocks.scores.tolist(),
            strict=True,
        )
        for size in [chains.target_sizes[names[target]]]
    }


def _theirs(lift: LiftOver) -> set[tuple[object, ...]]:
    return {
        (chain.source_name, start, end, chain.target_name, at, chain.target_strand == "-", chain.score)
        for chain in lift.chain_file.chains
        for start, end, at in chain.blocks
    }


@given(chain_lists)
def test_blocks_are_those_of_pyliftover(tmp_path_factory: pytest.TempPathFactory, made: list[Chain]) -> None:
    text = chain_text(made)
    path = tmp_path_factory.mktemp("chain") / "made.chain"
    path.write_text(text)
    chains = read_chains(path)
    assert _blocks(chains) == _theirs(LiftOver(io.BytesIO(text.encode())))
    for blocks in chains.blocks.values():
        assert (blocks.starts[1:] >= blocks.starts[:-1]).all()


def test_a_real_file_in_pieces_is_that_of_pyliftover(
    real_chain: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = real_chain("hg18ToHg19")
    expected = _theirs(LiftOver(str(path)))
    assert len(expected) == 27_501
    assert _blocks(read_chains(path)) == expected
    # Small pieces cut the text in many more places.
    monkeypatch.setattr("tracks.liftover.chains._PIECE", 10_007)
    assert _blocks(read_chains(path)) == expected


@given(chain_lists)
def test_turned_round_twice_is_the_same(tmp_path_factory: pytest.TempPathFactory, made: list[Chain]) -> None:
    path = tmp_path_factory.mktemp("chain") / "made.chain"
    path.write_text(chain_text(made))
    chains = read_chains(path)
    turned = chains.inverted()
    assert (turned.source_sizes, turned.target_sizes) == (chains.target_sizes, chains.source_sizes)
    assert _blocks(turned.inverted()) == _blocks(chains)
    assert {(block[3], block[0]) for block in _blocks(turned)} == {(block[0], block[3]) for block in _blocks(chains)}


GOOD = "chain 10 chr1 100 + 10 30 chrX 200 - 50 72 1\n10 2 4\n8\n\n"


def test_windows_lines_and_comments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "made.chain.gz"
    path.write_bytes(gzip.compress(("##a comment, 12 3\n" + GOOD).replace("\n", "\r\n").encode()))
    assert _blocks(read_chains(path)) == {
        ("chr1", 10, 20, "chrX", 50, True, 10),
        ("chr1", 22, 30, "chrX", 64, True, 10),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it holds no chain"),
        ("hello\n", "line 1: a line of a chain holds one or three numbers, found 'hello'"),
        ("12 3 4\n", "line 1: it lies outside a chain"),
        ("5\n" + GOOD, "line 1: it lies outside a chain"),
        (GOOD + GOOD.replace("10 2 4", "10 2"), "line 6: a line of a chain holds one or three numbers, found 2"),
        (GOOD + "chain one two\n", "line 5: a chain starts with: chain, score,"),
        (GOOD.replace("chr1 100 +", "chr1 100 -"), "line 1: a chain starts with"),
        (GOOD.replace("chain 10", "chain ten"), "line 1: a number of the chain is none"),
        (GOOD.replace("100", "25"), "line 1: the chain's span of chr1, 10 to 30, leaves its 25 bases"),
        (GOOD + GOOD.replace("100", "101"), "line 5: chr1 has 101 bases here, and 100 in another chain"),
        (GOOD.replace("\n8\n", "\n9\n"), "line 1: the blocks of the chain end at 31 of its first chromosome"),
        (GOOD.replace("10 2 4", "10 2 5"), "line 1: the blocks of the chain end at 73 of its second chromosome"),
        (GOOD + GOOD.replace("\n8\n", "\n"), "line 6: a chain ends with one line of a single number"),
        (GOOD + GOOD.split("\n")[0], "line 5: a chain ends with one line of a single number"),
        (GOOD.replace("10 2 4", "1" * 20), "line 2: a number is too long"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.chain"
    path.write_text(text)
    with pytest.raises(TracksError) as caught:
        read_chains(path)
    assert "wrong.chain" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_and_a_truncated_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no chain file .*none\.chain"):
        read_chains(tmp_path / "none.chain")
    path = tmp_path / "cut.chain.gz"
    path.write_bytes(gzip.compress(GOOD.encode() * 50)[:-10])
    with pytest.raises(TracksError, match=r"cannot read the chain file .*cut\.chain\.gz: .*ended before"):
        read_chains(path)

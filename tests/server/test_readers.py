"""Readers of virtual files wait in turns, leave when they are gone, and after much of a file behind the others."""

from __future__ import annotations

from server.readers import SOON, Readers


def here() -> bool:
    return False


def make() -> Readers:
    return Readers(lambda window: (window[1], window[1] + 1))


def test_a_reader_gets_its_windows_in_their_order() -> None:
    readers = make()
    name = readers.enter(here)
    readers.ask(name, [("chr1", 5), ("chr1", 6), ("chr1", 7)], "bins")
    order = []
    while (task := readers.next_soon()) is not None:
        order.append(task[0][1])
        readers.done(task[0], "bins")
    assert order == [5, 6, 7]


def test_readers_take_turns() -> None:
    readers = make()
    for chrom in ("chr1", "chr2"):
        readers.ask(readers.enter(here), [(chrom, index) for index in range(3)], "bins")
    order = []
    while (task := readers.next_soon()) is not None:
        order.append(task[0][0])
        readers.done(task[0], "bins")
    assert order in (["chr1", "chr2"] * 3, ["chr2", "chr1"] * 3)


def test_a_window_that_two_wait_for_is_one() -> None:
    readers = make()
    for head in ("bins", "attention"):
        readers.ask(readers.enter(here), [("chr1", 1)], head)
    task = readers.next_soon()
    assert task == (("chr1", 1), {"bins", "attention"})
    readers.done(("chr1", 1), "bins")
    readers.done(("chr1", 1), "attention")
    assert readers.next_soon() is None


def test_whoever_is_gone_waits_for_nothing() -> None:
    readers = make()
    gone: list[bool] = []
    name = readers.enter(lambda: bool(gone))
    other = readers.enter(here)
    readers.ask(name, [("chr1", 1)], "bins")
    readers.ask(other, [("chr1", 2)], "bins")
    gone.append(True)
    readers.leave_gone()
    assert list(readers.windows()) == [("chr1", 2)]
    readers.ask(name, [("chr1", 3)], "bins")  # it is too late
    readers.leave(name)
    readers.leave(other)
    assert not list(readers.windows())


def test_after_many_windows_a_reader_comes_later() -> None:
    readers = make()
    name = readers.enter(here)
    for index in range(SOON):
        readers.ask(name, [("chr1", index)], "bins")
        readers.ask(name, [("chr1", index)], "bins")  # asked again while it waits
        assert readers.next_soon() == (("chr1", index), {"bins"})
        readers.done(("chr1", index), "bins")
    readers.ask(name, [("chr1", SOON)], "bins")
    assert readers.next_soon() is None
    assert readers.next_later() == (("chr1", SOON), {"bins"})
    readers.done(("chr1", SOON), "bins")
    assert readers.next_later() is None


def test_of_a_whole_file_no_list_grows() -> None:
    readers = make()
    name = readers.enter(here)
    for index in range(10 * SOON):
        readers.ask(name, [("chr1", index)], "bins")
        readers.done(("chr1", index), "bins")
    assert len(readers._asked[name]) == SOON + 1

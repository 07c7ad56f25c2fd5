"""Whose window comes next: visible before the rest, newest before older, nobody starved, nothing computed twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.wants import CLIENT_WINDOWS, CLIENTS, Wants, Window

WIDTH = 100


def place(window: Window) -> tuple[int, int]:
    return window[1] * WIDTH, (window[1] + 1) * WIDTH


def windows(*indices: int) -> list[Window]:
    return [("chr1", index) for index in indices]


def drained(wants: Wants) -> list[int]:
    """Serve everything, and return the indices in the order they came."""
    order = []
    while (task := wants.next()) is not None:
        window, heads = task
        order.append(window[1])
        for head in heads:
            wants.done(window, head)
    return order


def test_what_is_in_view_comes_first_from_its_middle_outwards() -> None:
    wants = Wants(place)
    wants.look("a", (400, 700))
    wants.ask("a", windows(1, 2, 3, 4, 5, 6, 7, 8, 9), ["bins"])
    assert drained(wants) == [5, 4, 6, 3, 7, 2, 8, 1, 9]


def test_without_a_view_the_newest_comes_first() -> None:
    wants = Wants(place)
    wants.ask("a", windows(1, 2), ["bins"])
    wants.ask("a", windows(7), ["bins"])
    wants.ask("a", windows(1), ["bins"])
    assert drained(wants) == [1, 7, 2]


def test_what_was_panned_away_from_is_dropped() -> None:
    wants = Wants(place)
    wants.ask("a", windows(0, 1, 2, 50), ["bins"])
    assert wants.look("a", (4_000, 4_200)) == {"bins"}
    assert drained(wants) == []
    wants.ask("a", windows(38, 39, 41, 45), ["bins"])
    wants.look("a", (4_100, 4_300))
    assert drained(wants) == [41, 39]


def test_clients_take_turns() -> None:
    wants = Wants(place)
    wants.ask("greedy", windows(*range(20)), ["bins"])
    wants.ask("modest", windows(100, 101), ["bins"])
    order = drained(wants)
    assert set(order[:4]) > {100, 101}
    assert len(order) == 22


def test_one_computation_serves_every_asker_and_head() -> None:
    wants = Wants(place)
    wants.ask("a", windows(3), ["bins"])
    wants.ask("b", windows(3), ["maxpool"])
    assert wants.next() == (("chr1", 3), {"bins", "maxpool"})
    assert len(wants) == 1
    wants.done(("chr1", 3), "bins")
    assert wants.next() == (("chr1", 3), {"maxpool"})
    wants.done(("chr1", 3), "maxpool")
    assert wants.next() is None


def test_clients_of_which_nothing_is_heard_are_forgotten() -> None:
    wants = Wants(place)
    wants.ask("old", windows(1), ["bins"], now=10.0)
    wants.ask("new", windows(2), ["bins"], now=20.0)
    wants.ask("moving", windows(3), ["bins"], now=10.0)
    wants.look("moving", (300, 400), now=20.0)
    wants.forget(15.0)
    assert sorted(drained(wants)) == [2, 3]


def test_who_leaves_wants_nothing() -> None:
    wants = Wants(place)
    wants.look("a", (0, 200))
    wants.ask("a", windows(0, 1), ["bins"])
    wants.ask("b", windows(1), ["bins"])
    wants.leave("a")
    assert wants.views() == []
    assert drained(wants) == [1]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2 * CLIENTS).map(str),
            st.lists(st.integers(0, 500), max_size=30),
            st.sampled_from(["bins", "conv"]),
            st.none() | st.tuples(st.integers(0, 40_000), st.integers(1, 5_000)),
        ),
        max_size=60,
    )
)
def test_the_queue_is_bounded_and_everything_in_it_is_served_once(
    requests: list[tuple[str, list[int], str, tuple[int, int] | None]],
) -> None:
    wants = Wants(place)
    for client, indices, head, view in requests:
        wants.ask(client, windows(*indices), [head])
        if view is not None:
            wants.look(client, (view[0], sum(view)))
    waiting = list(wants.windows())
    assert len(waiting) <= CLIENTS * CLIENT_WINDOWS
    assert len(wants) == len(set(waiting))
    order = drained(wants)
    assert sorted(order) == sorted({index for _, index in waiting})
    assert len(wants) == 0

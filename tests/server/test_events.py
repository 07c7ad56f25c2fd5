from __future__ import annotations

import threading

from server.events import _KEPT, Event, Events


def test_readers_get_what_is_new_in_order() -> None:
    events = Events()
    start = events.serial
    events.publish("status", {"queued": 1})
    events.publish("changed", {"spans": [[0, 5]]})
    serial, found = events.after(start, 0)
    assert found == [Event("status", {"queued": 1}), Event("changed", {"spans": [[0, 5]]})]
    assert events.after(serial, 0) == (serial, [])
    assert events.after(serial - 1, 0)[1] == found[1:]


def test_a_reader_waits_until_something_happens() -> None:
    events = Events()
    threading.Timer(0.1, events.publish, ("job", {"id": "a"})).start()
    assert events.after(0, 30) == (1, [Event("job", {"id": "a"})])


def test_who_fell_behind_or_counts_from_another_log_starts_anew() -> None:
    events = Events()
    for number in range(_KEPT + 5):
        events.publish("status", {"queued": number})
    assert events.after(4, 0) == (_KEPT + 5, [Event("reset", {})])
    assert len(events.after(5, 0)[1]) == _KEPT
    assert events.after(events.serial + 1, 0)[1] == [Event("reset", {})]

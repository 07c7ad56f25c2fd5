"""An application behind the real server, on the loopback address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import waitress.server
from flask import Flask

from server.channel import channel_class
from server.serve import THREADS


@contextmanager
def listening(app: Flask, stopping: threading.Event | None = None, threads: int = THREADS) -> Iterator[int]:
    """Serve an application as ``tracks serve`` does for as long as the block runs; its port is what the block gets."""
    made = waitress.server.create_server(
        app,
        host="127.0.0.1",
        port=0,
        threads=threads,
        channel_request_lookahead=1,
        clear_untrusted_proxy_headers=True,
    )
    made.channel_class = channel_class(stopping or threading.Event())
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield int(made.effective_port)
    finally:
        if stopping is not None:
            stopping.set()
        made.task_dispatcher.shutdown(timeout=20)

        def close() -> None:
            made.close()
            made.asyncore.close_all(made._map)

        # In the loop's own thread: its select must not find a descriptor that is closed meanwhile.
        made.trigger.pull_trigger(close)
        thread.join(20)
    assert not thread.is_alive()

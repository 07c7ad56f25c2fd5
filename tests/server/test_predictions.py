from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from model.predict import Predictor
from server.predictions import Predictions, State, Status
from server.sequence import SequenceMap
from server.site import Site
from tracks.genome import N
from tracks.grid import BIN, BINS, WINDOW, bin_count, window_count
from tracks.regions import Region
from tracks.store import Store


class Recorder(Predictor):
    """The real predictor, noting the order of its work; it can be held back, or fail at one window."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.model, site.genome)
        self.order: list[tuple[str, int]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.broken: tuple[str, int] | None = None

    def window(self, chrom: str, index: int) -> np.ndarray:
        self.order.append((chrom, index))
        self.begun.set()
        self.go.wait(30)
        if (chrom, index) == self.broken:
            raise RuntimeError("out of order")
        return super().window(chrom, index)


@pytest.fixture
def recorder(waiting_site: Site) -> Recorder:
    return Recorder(waiting_site)


@pytest.fixture
def predictions(waiting_site: Site, recorder: Recorder) -> Iterator[Predictions]:
    made = Predictions(recorder, waiting_site.predictions.store, waiting_site.sequence, waiting_site.loci[0].region)
    yield made
    recorder.go.set()
    made.stop()


def test_the_first_view_comes_first_then_what_is_asked_for_then_the_rest(
    predictions: Predictions, recorder: Recorder, waiting_site: Site
) -> None:
    predictions.start()
    assert recorder.begun.wait(30)
    assert waiting_site.sequence.ready.wait(30)
    predictions.request("chr3", [1, 0])
    recorder.go.set()
    assert predictions.wait(60)
    # One of the first view was begun before the request. Its window 2 holds no sequence, which may not be known yet.
    order = recorder.order
    assert order[0] in {("chr20", 2), ("chr20", 3)}
    places = [order.index(window) for window in (("chr3", 1), ("chr3", 0), ("chr20", 0))]
    assert places == sorted(places)
    assert order.index(("chr20", 3)) < order.index(("chr20", 0))
    with_sequence = {("chr20", 0), ("chr20", 1), ("chr20", 3), ("chr20", 4), ("chr3", 0), ("chr3", 1)}
    assert set(order) | {("chr20", 2)} == with_sequence | {("chr20", 2)}
    now = predictions.progress()
    assert (now.state, now.done, now.failed) == (State.READY, now.total, 0)


def test_what_is_shown_is_what_the_store_keeps(
    predictions: Predictions, recorder: Recorder, waiting_site: Site
) -> None:
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    stored = recorder.known_windows(predictions.store, "chr20").read(1)
    assert stored is not None
    values, status = predictions.bins("chr20", BINS, 2 * BINS, 0)
    np.testing.assert_array_equal(values, stored[:, 0])
    assert (status == Status.KNOWN).all()
    again = Recorder(waiting_site)
    again.go.set()
    second = Predictions(again, predictions.store, waiting_site.sequence, waiting_site.loci[0].region)
    second.start()
    assert second.wait(60)
    second.stop()
    # Window 2, without sequence, is computed where the sequence is not counted yet, so perhaps by one of them alone.
    assert set(again.order) <= {("chr20", 2)}, "a window was computed twice"


def test_bins_cut_across_windows_keep_their_place(predictions: Predictions, recorder: Recorder) -> None:
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    whole, _ = predictions.bins("chr20", 0, 2 * BINS, 1)
    part, _ = predictions.bins("chr20", 700, 1000, 1)
    np.testing.assert_array_equal(part, whole[700:1000])


def test_a_window_that_fails_is_told_and_the_others_go_on(
    predictions: Predictions, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.broken = ("chr20", 4)
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    now = predictions.progress()
    assert (now.state, now.failed, now.done) == (State.FAILED, 1, now.total - 1)
    assert "chr20:458,753-500,050" in now.message
    assert "out of order" in capsys.readouterr().err
    assert set(predictions.bins("chr20", 4 * BINS, 4 * BINS + 10, 0)[1]) == {Status.FAILED}
    predictions.request("chr20", [4])
    assert predictions.wait(1), "a failed window was asked for again"


def test_progress_tells_each_change_once(predictions: Predictions, recorder: Recorder) -> None:
    assert predictions.progress().state is State.COMPUTING
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    now = predictions.progress(0)
    assert Region("chr20", 0, 500_050) in now.changed, "that sequence was found is news for the whole genome"
    assert Region("chr20", 3 * WINDOW, 4 * WINDOW) in now.changed
    assert now.revision == len(now.changed)
    assert predictions.progress(now.revision).changed == ()
    assert len(predictions.progress(now.revision - 1).changed) == 1


def test_in_a_large_genome_only_what_is_looked_at_is_predicted(predictions: Predictions, recorder: Recorder) -> None:
    predictions.fill_limit = 3
    predictions.request_limit = 2
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    assert set(recorder.order) <= {("chr20", 2), ("chr20", 3)}
    predictions.request("chr3", [0, 1, 2])
    assert predictions.wait(1)
    assert set(predictions.bins("chr3", 0, 5, 0)[1]) == {Status.UNASKED}
    predictions.request("chr3", [1])
    assert predictions.wait(60)
    assert ("chr3", 1) in recorder.order


def test_it_stops_in_the_middle(predictions: Predictions, recorder: Recorder) -> None:
    predictions.start()
    assert recorder.begun.wait(30)
    threading.Timer(0.2, recorder.go.set).start()
    predictions.stop()
    assert len(recorder.order) == 1


def test_the_sequence_map_agrees_with_the_bases(waiting_site: Site) -> None:
    sequence = SequenceMap(waiting_site.genome)
    sequence.count()
    predictor = Predictor(waiting_site.model, waiting_site.genome)
    for chrom, length in waiting_site.genome.chrom_sizes.items():
        codes = waiting_site.genome.codes(chrom, 0, bin_count(length) * BIN)
        known = (codes != N).reshape(-1, BIN).sum(axis=1)
        np.testing.assert_array_equal(sequence.has_sequence(chrom, 0, bin_count(length)), known >= BIN // 2)
        windows = [index for index in range(window_count(length)) if predictor.has_sequence(chrom, index)]
        assert sequence.windows(chrom) == windows
    # 225,000 to 355,000 is N: whole bins, so the borders move to the nearest one that is half known.
    assert sequence.regions() == [
        Region("chr20", 0, 225_024),
        Region("chr20", 354_944, 500_050),
        Region("chr3", 0, 200_000),
    ]


def test_an_interrupted_count_leaves_the_map_unready(waiting_site: Site) -> None:
    stopped = threading.Event()
    stopped.set()
    sequence = SequenceMap(waiting_site.genome)
    sequence.count(stopped)
    assert not sequence.ready.is_set()


def test_a_store_that_cannot_be_written_is_told(
    waiting_site: Site, recorder: Recorder, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(Store):
        def windows(self, *args: object, **options: object) -> object:  # type: ignore[override]
            raise OSError("no space left on device")

    recorder.go.set()
    made = Predictions(
        recorder, Full(waiting_site.predictions.store.root), waiting_site.sequence, Region("chr3", 0, 10)
    )
    made.start()
    assert made.wait(60)
    made.stop()
    assert made.progress().state is State.FAILED
    assert "no space left" in made.progress().message
    assert capsys.readouterr().err.count("no space left") == 1

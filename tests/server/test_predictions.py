"""The predicting thread: what is looked at comes first, once, and whatever goes wrong is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.export import has_sequence
from model.folder import load_model
from model.predict import Predictor
from server.jobs import JobState
from server.predictions import Predictions
from server.progress import State, Status
from server.sequence import SequenceMap
from server.site import Site
from tests.conftest import run_command
from tracks.genome import N
from tracks.grid import BIN, WINDOW, bin_count, window_count
from tracks.regions import Region


class Recorder(Predictor):
    """The real predictor, noting the order of its work; it can be held back, or fail at one window or head."""

    def __init__(self, site: Site, *heads: str) -> None:
        super().__init__(load_model(site.model.folder, heads or ("bins",)), site.genome)
        self.order: list[tuple[str, int]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.broken: tuple[str, int] | None = None
        self.broken_head = ""

    def inputs(self, chrom: str, index: int, heads: Sequence[str] | None = None) -> Any:
        self.order.append((chrom, index))
        self.begun.set()
        self.go.wait(30)
        if (chrom, index) == self.broken:
            raise RuntimeError("out of order")
        return super().inputs(chrom, index, heads)

    def head_window(self, inputs: Any, head: str) -> np.ndarray:
        if head == self.broken_head:
            raise RuntimeError("this head is broken")
        return super().head_window(inputs, head)


@pytest.fixture
def recorder(waiting_site: Site) -> Recorder:
    return Recorder(waiting_site)


Make = Callable[..., Predictions]


@pytest.fixture
def make(waiting_site: Site) -> Iterator[Make]:
    """Make and start predictions with a recorder, after its sequence was counted."""
    made: list[tuple[Recorder, Predictions]] = []

    def started(recorder: Recorder, **options: Any) -> Predictions:
        site = waiting_site
        predictions = Predictions(recorder, site.store, SequenceMap(site.genome), site.axis, site.events, **options)
        made.append((recorder, predictions))
        predictions.start()
        assert predictions.sequence.ready.wait(30)
        return predictions

    yield started
    for recorder, predictions in made:
        recorder.go.set()
        predictions.stop()


def span(site: Site, region: Region) -> tuple[int, int]:
    return site.axis.absolute(region)


def window(site: Site, chrom: str, index: int) -> tuple[int, int]:
    return span(site, Region(chrom, index * WINDOW, index * WINDOW + 10))


def test_what_is_looked_at_comes_before_jobs_neighbours_and_the_rest(
    make: Make, recorder: Recorder, waiting_site: Site
) -> None:
    recorder.go.set()
    predictions = make(recorder)
    recorder.go.clear()
    recorder.begun.clear()
    predictions.ask("a", window(waiting_site, "chr20", 4), "bins")
    assert recorder.begun.wait(30)
    predictions.jobs.submit([Region("chr20", 0, 10)], ["bins"])
    predictions.ask("a", window(waiting_site, "chr3", 1), "bins", view=window(waiting_site, "chr3", 1))
    recorder.go.set()
    assert predictions.wait(60)
    # chr3's window 0 lies beside the view, and was asked for by nobody.
    assert recorder.order == [("chr20", 4), ("chr3", 1), ("chr20", 0), ("chr3", 0)]
    now = predictions.now()
    assert (now.state, now.queued, now.failed, now.jobs, now.known) == (State.IDLE, 0, 0, 0, 4)
    assert now.seconds_per_window is not None


def test_a_small_genome_is_filled_in_idle_time(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    recorder.go.set()
    predictions = make(recorder, fill=True)
    assert predictions.wait(60)
    # Window 2 of chr20 and all of chrN are N.
    with_sequence = {("chr20", 0), ("chr20", 1), ("chr20", 3), ("chr20", 4), ("chr3", 0), ("chr3", 1)}
    assert set(recorder.order) == with_sequence
    assert len(recorder.order) == len(with_sequence)
    now = predictions.now()
    assert (now.known, now.total, now.filling) == (6, 6, False)


def test_what_is_panned_away_from_is_never_computed(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    predictions = make(recorder)
    predictions.ask("a", window(waiting_site, "chr20", 0), "bins")
    assert recorder.begun.wait(30)
    predictions.ask("a", span(waiting_site, Region("chr20", 0, 500_050)), "bins")
    there = span(waiting_site, Region("chr3", 150_000, 150_100))
    predictions.ask("a", there, "bins", view=there)
    recorder.go.set()
    assert predictions.wait(60)
    assert recorder.order[:2] == [("chr20", 0), ("chr3", 1)]
    assert ("chr20", 3) not in recorder.order


def test_many_askers_cost_one_computation(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    predictions = make(recorder)
    threads = [
        threading.Thread(target=predictions.ask, args=(f"c{n}", window(waiting_site, "chr3", 0), "bins"))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.go.set()
    assert predictions.wait(60)
    assert recorder.order == [("chr3", 0)]


def test_several_heads_come_from_one_trunk_pass_and_are_those_of_one_head_alone(
    make: Make, waiting_site: Site, two_headed_folder: Path
) -> None:
    site = Site(waiting_site.project.genome.with_name("tracks.toml"), two_headed_folder, waiting_site.store)
    recorder = Recorder(site, "bins", "window")
    predictions = Predictions(recorder, site.store, site.sequence, site.axis, site.events)
    predictions.ask("a", window(site, "chr3", 0), "bins")
    predictions.ask("b", window(site, "chr3", 0), "window")
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    predictions.stop()
    assert recorder.order == [("chr3", 0)]
    for head in ("bins", "window"):
        alone = Predictor(load_model(two_headed_folder, (head,)), site.genome)
        stored = alone.known_windows(site.store, "chr3", head).read(0)
        assert stored is not None, "one head alone does not find what it computed together with another"
        np.testing.assert_array_equal(stored, alone.window("chr3", 0))


def test_a_head_that_fails_leaves_the_other_alone(waiting_site: Site, two_headed_folder: Path) -> None:
    site = Site(waiting_site.project.genome.with_name("tracks.toml"), two_headed_folder, waiting_site.store)
    recorder = Recorder(site, "bins", "window")
    recorder.broken_head = "window"
    predictions = Predictions(recorder, site.store, site.sequence, site.axis, site.events)
    for head in ("bins", "window"):
        predictions.ask("a", window(site, "chr3", 0), head)
    recorder.go.set()
    predictions.start()
    assert predictions.wait(60)
    predictions.stop()
    assert predictions.status("chr3", "bins", 0, 1, predictions.work()).tolist() == [Status.KNOWN]
    assert predictions.status("chr3", "window", 0, 1, predictions.work()).tolist() == [Status.FAILED]
    assert predictions.work().failed == {(("chr3", 0), "window"): "this head is broken"}


def test_what_another_process_predicts_is_shown_and_told(
    make: Make, recorder: Recorder, waiting_site: Site, tmp_path: Path
) -> None:
    recorder.go.set()
    predictions = make(recorder)
    assert predictions.stored.open("chr3", "bins").known().tolist() == [False, False]
    time.sleep(1.5)  # one round of the watch, so that it knows what was there before
    serial = waiting_site.events.serial
    done = run_command(
        "predict", "--region", "chr3:1-1000", "--genome", waiting_site.genome.path, "--model",
        waiting_site.model.folder, "--store", waiting_site.store.root, "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert predictions.status("chr3", "bins", 0, 1, predictions.work()).tolist() == [Status.KNOWN]
    end, changed = time.monotonic() + 20, []
    while not changed and time.monotonic() < end:
        serial, events = waiting_site.events.after(serial, 1)
        changed = [event.data["spans"] for event in events if event.kind == "changed"]
    assert changed[0] == [list(span(waiting_site, Region("chr3", 0, WINDOW)))]
    predictions.ask("a", window(waiting_site, "chr3", 0), "bins")
    assert predictions.wait(5)
    assert recorder.order == []


def test_a_window_that_fails_is_told_and_the_others_go_on_until_it_is_retried(
    make: Make, recorder: Recorder, waiting_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.broken = ("chr20", 4)
    recorder.go.set()
    predictions = make(recorder)
    predictions.ask("a", span(waiting_site, Region("chr20", 3 * WINDOW, 500_050)), "bins")
    assert predictions.wait(60)
    now = predictions.now()
    assert (now.state, now.failed, now.known) == (State.FAILED, 1, 1)
    assert "chr20:458,753-500,050" in now.message
    assert "out of order" in capsys.readouterr().err
    assert predictions.status("chr20", "bins", 3, 5, predictions.work()).tolist() == [Status.KNOWN, Status.FAILED]
    predictions.ask("a", window(waiting_site, "chr20", 4), "bins")
    assert predictions.wait(1)
    assert recorder.order.count(("chr20", 4)) == 1, "a failed window was computed again without being asked to"
    recorder.broken = None
    predictions.retry(window(waiting_site, "chr20", 4))
    predictions.ask("a", window(waiting_site, "chr20", 4), "bins")
    assert predictions.wait(60)
    assert predictions.status("chr20", "bins", 4, 5, predictions.work()).tolist() == [Status.KNOWN]
    assert (predictions.now().state, predictions.now().message) == (State.IDLE, "")


def test_a_failure_that_another_process_mended_is_forgotten(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    recorder.broken_head = "bins"
    recorder.go.set()
    predictions = make(recorder)
    predictions.ask("a", window(waiting_site, "chr3", 0), "bins")
    assert predictions.wait(60)
    assert predictions.now().state is State.FAILED
    time.sleep(1.5)  # one round of the watch, so that it knows what was there before
    store = Predictor(waiting_site.model, waiting_site.genome).known_windows(waiting_site.store, "chr3", "bins")
    store.write(0, np.zeros((896, 2), np.float32))
    end = time.monotonic() + 20
    while predictions.now().state is not State.IDLE and time.monotonic() < end:
        time.sleep(0.1)
    now = predictions.now()
    assert (now.state, now.failed, now.message) == (State.IDLE, 0, "")


def test_a_store_that_cannot_be_read_for_a_while_ends_nothing(
    make: Make, recorder: Recorder, waiting_site: Site, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recorder.go.set()
    predictions = make(recorder)
    store = predictions.stored.open("chr3", "bins")
    known, trouble = store.known, [True]

    def sometimes() -> np.ndarray:
        if trouble:
            raise OSError("too many open files")
        return known()

    predictions.ask("a", window(waiting_site, "chr3", 0), "bins", view=window(waiting_site, "chr3", 0))
    monkeypatch.setattr(store, "known", sometimes)
    end = time.monotonic() + 20
    while "too many open files" not in predictions._trouble and time.monotonic() < end:
        time.sleep(0.1)
    trouble.clear()
    predictions.retry()
    predictions.ask("a", window(waiting_site, "chr20", 4), "bins")
    assert predictions.wait(60)
    assert ("chr20", 4) in recorder.order
    assert [thread.is_alive() for thread in predictions._threads] == [False, True, True]
    assert capsys.readouterr().err.count("too many open files") == 1


def test_a_window_without_its_summary_fails_in_words_and_only_once(
    make: Make, recorder: Recorder, waiting_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.go.set()
    predictions = make(recorder)
    store = predictions.stored.open("chr3", "bins")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store._summaries, "write", full)
    monkeypatch.setattr(store, "known", lambda: np.zeros(2, bool))
    job = predictions.jobs.submit([Region("chr3", 0, 10)], ["bins"])
    assert predictions.wait(60)
    assert job.state is JobState.FAILED
    serial = waiting_site.events.serial
    predictions.retry()
    predictions.ask("a", window(waiting_site, "chr3", 0), "bins")
    assert predictions.wait(60), "the window is computed again and again"
    assert "No space left" in predictions.now().message
    assert recorder.order == [("chr3", 0)] * 2
    assert waiting_site.events.serial - serial < 20


def test_a_look_asks_for_what_it_sees(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    recorder.go.set()
    predictions = make(recorder)
    predictions.ask("a", window(waiting_site, "chr3", 0), "bins", view=window(waiting_site, "chr3", 0))
    assert predictions.wait(60)
    predictions.look("a", span(waiting_site, Region("chr20", 400_000, 400_500)))
    assert predictions.wait(60)
    assert ("chr20", 3) in recorder.order
    predictions.leave("a")
    predictions.look("b", (0, 100))
    assert predictions.now().queued == 0, "who has shown no predicted track wants none"


def test_an_estimate_counts_unknown_windows(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    recorder.go.set()
    predictions = make(recorder)
    everything = (0, waiting_site.axis.length)
    before = predictions.estimate(everything, ["bins"])
    assert (before.windows, before.unknown, before.seconds) == (8, 6, None)
    predictions.ask("a", window(waiting_site, "chr3", 0), "bins")
    assert predictions.wait(60)
    after = predictions.estimate(everything, ["bins"])
    assert after.unknown < 6
    assert after.seconds == pytest.approx(after.unknown * predictions.seconds_per_window())


def test_the_overview_says_where_predictions_are(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    recorder.go.set()
    predictions = make(recorder)
    predictions.jobs.submit([Region("chr20", 0, 2 * WINDOW), Region("chr20", 450_000, 460_000)], ["bins"])
    assert predictions.wait(60)
    assert predictions.stored.overview("chr20", "bins")["known"] == [(0, 2 * WINDOW), (3 * WINDOW, 500_050)]


def test_it_stops_in_the_middle(make: Make, recorder: Recorder, waiting_site: Site) -> None:
    predictions = make(recorder)
    predictions.ask("a", (0, waiting_site.axis.length), "bins")
    assert recorder.begun.wait(30)
    threading.Timer(0.2, recorder.go.set).start()
    predictions.stop()
    assert len(recorder.order) == 1


def test_the_sequence_map_agrees_with_the_bases(waiting_site: Site) -> None:
    sequence = SequenceMap(waiting_site.genome)
    sequence.count()
    for chrom, length in waiting_site.genome.chrom_sizes.items():
        codes = waiting_site.genome.codes(chrom, 0, bin_count(length) * BIN)
        enough = (codes != N).reshape(-1, BIN).sum(axis=1) >= BIN // 2
        np.testing.assert_array_equal(sequence.has_sequence(chrom, 0, bin_count(length)), enough)
        windows = [has_sequence(waiting_site.genome, chrom, index) for index in range(window_count(length))]
        assert sequence.windows(chrom).tolist() == windows
        for parts in (1, 7, 896):
            assert sequence.counts(chrom, range(window_count(length)), parts).sum() == enough.sum()
        assert sequence.counts(chrom, range(1), 7)[0] == enough[:128].sum()
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


def test_a_store_that_cannot_be_written_is_told_once(
    make: Make, recorder: Recorder, waiting_site: Site, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recorder.go.set()
    predictions = make(recorder)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    for head in predictions.heads:
        monkeypatch.setattr(predictions.stored.open("chr3", head), "write", full)
    predictions.ask("a", span(waiting_site, Region("chr3", 0, 200_000)), "bins")
    assert predictions.wait(60)
    assert predictions.now().state is State.FAILED
    assert "no space left" in predictions.now().message
    assert predictions.now().failed == 2
    assert capsys.readouterr().err.count("no space left") == 1

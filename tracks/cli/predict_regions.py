"""``tracks predict`` of regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracks.cli.predict_export import alone, say, say_missing, say_written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model.predict import Predictor
    from tracks.export import Format
    from tracks.genome import Genome
    from tracks.regions import Region
    from tracks.store import Store
    from tracks.track import Track
    from tracks.trackdata import TrackData


def predict_regions(
    predictor: Predictor,
    store: Store,
    regions: Sequence[Region],
    tracks: Sequence[Track],
    form: Format,
    out: Path,
    overwrite: bool,
    started: float,
) -> None:
    """Predict regions, and write them as files; ``started`` is when the command began, by ``time.monotonic``."""
    from model.predict import predict
    from tracks.cli.progress import bar
    from tracks.export import write_tracks

    _say_known(predictor, regions, store)
    missing = _Missing(predictor.genome)
    with bar("predicting") as shown:
        # The first pass fills the store; each file is then written by reading the store window by window, so
        # that memory does not grow with the regions.
        for piece in predict(predictor, regions, store, shown.update):
            missing.add(piece)
    with bar("writing") as shown, alone(out, tracks, form):
        written = write_tracks(
            out,
            lambda: predict(predictor, regions, store, shown.update),
            tracks,
            predictor.genome.chrom_sizes,
            form,
            overwrite,
            predictor.source,
        )
    say_missing(written, missing.without_sequence, predictor.model.widest_context)
    say_written(written, out, started)


def _say_known(predictor: Predictor, regions: Sequence[Region], store: Store) -> None:
    import numpy as np

    from tracks.grid import windows_over

    asked: dict[str, set[int]] = {}
    for region in regions:
        asked.setdefault(region.chrom, set()).update(windows_over(region))
    known = 0
    for chrom, indices in asked.items():
        heads = [predictor.known_windows(store, chrom, spec.name).known() for spec in predictor.model.heads]
        known += int(np.all(heads, axis=0)[sorted(indices)].sum())
    if known:
        say(f"{known:,} of {sum(map(len, asked.values())):,} windows were already known")


class _Missing:
    """Counts the bins that have no value for want of sequence of their own."""

    def __init__(self, genome: Genome) -> None:
        self._genome = genome
        self.without_sequence = 0

    def add(self, piece: TrackData) -> None:
        import numpy as np

        from tracks.composition import MIN_KNOWN_BASES, known_bases
        from tracks.grid import BIN

        if np.isnan(piece.values).any():
            start = piece.region.start
            codes = self._genome.codes(piece.region.chrom, start, start + len(piece.values) * BIN)
            self.without_sequence += int((known_bases(codes) < MIN_KNOWN_BASES).sum())

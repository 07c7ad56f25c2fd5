"""``tracks data mini``: sequence, CpG methylation and LADs of hg19 chr20, chr22 and half of chrX."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tracks.bigwig import Bins, write_bigwig
from tracks.composition import MIN_KNOWN_BASES, known_bases_in_pieces
from tracks.errors import TracksError
from tracks.files import sha256, write_text
from tracks.genome import Genome
from tracks.grid import BIN
from tracks.liftover.chains import read_chains
from tracks.liftover.lift import Route
from tracks.mini import labels, methylation, sequence, sources
from tracks.mini.liftover import lifted_fraction, lifted_pieces
from tracks.mini.sequence import CHROM_SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracks.mini.cache import Cache
    from tracks.mini.sources import Source

GENOME = "genome/hg19.fa.gz"
"""Where the sequence lies in the prepared folder."""

RECIPE = 1
"""Raised when the same sources would give other files."""

PAR1_END = 2_699_520
"""chrX before this is the pseudo-autosomal region, which has no labels (facts/data.md, trap 5)."""
CHR22_PIECE_START = 20_000_000
"""Where the piece of chr22 that fills gaps begins."""
HG38_SIZES = {"chr20": 64_444_167, "chr22": 50_818_468, "chrX": 156_040_895}

SPLIT = """\
chr20\t0\t10000000\ttrain
chr20\t10000000\t15000000\ttest
chr20\t15000000\t20000000\ttrain
chr20\t20000000\t25000000\tvalid
chr20\t25000000\t35000000\ttrain
chr20\t35000000\t40000000\ttest
chr20\t40000000\t45000000\ttrain
chr20\t45000000\t50000000\tvalid
chr20\t50000000\t55000000\ttrain
chr20\t55000000\t60000000\ttest
chr20\t60000000\t63025520\ttrain
chr22\t0\t42000000\ttrain
chr22\t42000000\t46000000\tvalid
chr22\t46000000\t51304566\ttest
chrX\t2699520\t155270560\ttrain
"""


@dataclass(frozen=True)
class Label:
    """One observed track of the project file, and the sources that it is made of."""

    slug: str
    entry: str
    made_of: tuple[Source, ...]


def _target(name: str, color: str, assay: str, biosample: str, unit: str, description: str, source: str) -> str:
    return (
        f'name = "{name}"\nassay = "{assay}"\nbiosample = "{biosample}"\nunit = "{unit}"\ncolor = "{color}"\n'
        f'description = "{description}"\nsource = "{source}"\n'
    )


def _lads(name: str, color: str, assay: str, biosample: str, source: str) -> str:
    description = "Fraction of a bin covered by lamina-associated domains"
    return _target(name, color, assay, biosample, "covered fraction", description, source) + "context = true\n"


def _auxiliary(name: str) -> str:
    return (
        f'name = "{name}"\nassay = "annotation"\nbiosample = "hg19"\nunit = "covered fraction"\ncolor = "#888888"\n'
        'role = "auxiliary"\n'
    )


METHYLATION = Label(
    "cpg_methylation_imr90",
    _target(
        "CpG methylation IMR90",
        "#d95f02",
        "WGBS",
        "IMR90 lung fibroblast",
        "methylated fraction",
        "Coverage-weighted fraction of methylated CpGs in a bin",
        "Lister et al. 2009, by bsseq's BS.chr22; hg18 lifted to hg19; absent unmethylated CpGs restored",
    )
    + "weight = 2.0\n",
    (sources.METHYLATION, sources.CHAIN_HG18),
)
TIG3 = Label(
    "lmnb1_lad_tig_3",
    _lads(
        "LMNB1 LAD Tig-3",
        "#1b6ca8",
        "LMNB1 DamID",
        "Tig-3 lung fibroblast",
        "Guelen et al. 2008, by ChromHMM's laminB1lads (hg19)",
    ),
    (sources.LADS_TIG3,),
)
CARDIAC = Label(
    "lmnb1_lad_cardiac_myocytes",
    _lads(
        "LMNB1 LAD cardiac myocytes",
        "#2a9d8f",
        "LMNB1 ChIP-seq",
        "cardiac myocytes from H9",
        "Shah et al. 2023, GEO GSM5669183 (T1 and T2); hg38 lifted to hg19",
    ),
    (sources.LADS_CARDIAC, sources.CHAIN_HG38),
)
LIVER = Label(
    "lmnb1_lad_liver",
    _lads(
        "LMNB1 LAD liver",
        "#7b5ea7",
        "LMNB1 ChIP-seq",
        "liver progenitors from H9",
        "Shah et al. 2023, GEO GSM5669232 (T1 and T2); hg38 lifted to hg19",
    ),
    (sources.LADS_LIVER, sources.CHAIN_HG38),
)
AUXILIARY = (
    Label("genes", _auxiliary("genes"), (sources.GENES,)),
    Label("exons", _auxiliary("exons"), (sources.EXONS,)),
    Label("tss", _auxiliary("TSS"), (sources.TSS,)),
    Label("cpg_islands", _auxiliary("CpG islands"), (sources.CPG_ISLANDS,)),
)
SEQUENCE = (sources.CHR20, sources.CHR22_ALIGNMENT, sources.CHR22_PIECE, sources.CHRX)


def prepare_mini(
    out: Path,
    cache: Cache,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    with_geo: bool = True,
) -> Path:
    """Fetch and prepare the data; return the project file. What an earlier run finished is kept.

    ``with_geo`` false leaves out the two tracks whose domains come from GEO (cardiac myocytes and liver).
    ``say`` is told what was made, ``progress`` how many files are done.
    Raises TracksError when a source cannot be fetched or is not the file that was meant.
    """
    chosen = (METHYLATION, TIG3, *((CARDIAC, LIVER) if with_geo else ()), *AUXILIARY)
    run = _Preparation(out, cache, say)
    steps = [_Step(GENOME, SEQUENCE, run.write_genome)]
    for label in chosen:
        made_of = (*label.made_of, *SEQUENCE)
        steps.append(_Step(f"observed/{label.slug}.bw", made_of, partial(run.write_label, label)))
    due = [step for step in steps if not run.finished(step)]
    # What can be wrong is found before the long work: the folder, a package, a source that cannot be had.
    _check_writable(out)
    methylation.import_rdata()
    needed = dict.fromkeys(source for step in due for source in step.made_of)
    needed = dict.fromkeys(sorted(needed, key=lambda source: source.client != "geo"))  # the likeliest to be missing
    total = len(needed) + len(steps)
    for number, source in enumerate(needed):
        progress(number, total)
        cache.get(source)
    for number, step in enumerate(steps, len(needed)):
        progress(number, total)
        run.make(step)
    write_text(out / "split.bed", SPLIT)
    write_text(out / "tracks.toml", project_text(chosen))
    write_text(out / "sources.json", json.dumps(run.provenance(steps), indent=2) + "\n")
    progress(total, total)
    return out / "tracks.toml"


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TracksError(f"cannot make the folder {folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise TracksError(f"cannot write to the folder {folder}: permission denied")


def project_text(chosen: tuple[Label, ...]) -> str:
    """Return the text of the project file for these labels."""
    head = f'name = "mini"\ngenome = "{GENOME}"\nsplit = "split.bed"\nchrom_weight = {{ chrX = 0.5 }}\n'
    return head + "".join(f'\n[[track]]\n{label.entry}observed = "observed/{label.slug}.bw"\n' for label in chosen)


@dataclass(frozen=True)
class _Step:
    """One file to make: its name in the folder, its sources, and what writes it and returns a note about it."""

    name: str
    made_of: tuple[Source, ...]
    write: Callable[[Path], str]

    @property
    def key(self) -> str:
        """A digest of the recipe and of every source: the file is made again when it changes."""
        return hashlib.sha256("".join([str(RECIPE), *(source.sha256 for source in self.made_of)]).encode()).hexdigest()


def _read_record(path: Path) -> dict[str, dict[str, str]]:
    """Return what an earlier run finished; nothing when there was none or its record is damaged."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    # An entry of any other shape is no entry of ours, and its file is made again.
    fields = {"key", "sha256", "note"}
    kept = record.items() if isinstance(record, dict) else ()
    return {name: entry for name, entry in kept if isinstance(entry, dict) and set(entry) == fields}


class _Preparation:
    """One run: where it writes, and which files an earlier run finished from the same sources."""

    def __init__(self, out: Path, cache: Cache, say: Callable[[str], None]) -> None:
        self.out, self.cache, self.say = out, cache, say
        self._record = out / "prepared.json"
        self._finished: dict[str, dict[str, str]] = _read_record(self._record)
        self._known: dict[str, np.ndarray] = {}
        self._pieces: dict[str, np.ndarray] = {}

    def finished(self, step: _Step) -> bool:
        """Whether the step's file is there, made from these sources, and unchanged since."""
        record, path = self._finished.get(step.name, {}), self.out / step.name
        return record.get("key") == step.key and path.is_file() and record.get("sha256") == sha256(path)

    def make(self, step: _Step) -> None:
        """Make the step's file, unless it is finished."""
        if self.finished(step):
            self.say(f"{step.name} is there already: {self._finished[step.name]['note']}")
            return
        path = self.out / step.name
        note = step.write(path)
        self._finished[step.name] = {"key": step.key, "sha256": sha256(path), "note": note}
        write_text(self._record, json.dumps(self._finished, indent=2) + "\n")
        self.say(f"wrote {step.name}: {note}")

    def provenance(self, steps: Sequence[_Step]) -> dict[str, Any]:
        """Return what every file was made of, and where that came from."""
        used = dict.fromkeys(source for step in steps for source in step.made_of)
        files = {
            step.name: {
                "sha256": self._finished[step.name]["sha256"],
                "made_of": [source.name for source in step.made_of],
                "note": self._finished[step.name]["note"],
            }
            for step in steps
        }
        return {"genome": "hg19 (GRCh37)", "files": files, "sources": [dataclasses.asdict(source) for source in used]}

    def write_genome(self, path: Path) -> str:
        """Put the sequence together."""
        whole = {chrom: np.full(length, sequence.UNKNOWN, np.uint8) for chrom, length in CHROM_SIZES.items()}
        sequence.fill(whole["chr20"], 0, sequence.read_fasta(self.cache.get(sources.CHR20)))
        sequence.fill(whole["chrX"], 0, sequence.read_fasta(self.cache.get(sources.CHRX)))
        sequence.fill(whole["chr22"], CHR22_PIECE_START, sequence.read_fasta(self.cache.get(sources.CHR22_PIECE)))
        with gzip.open(self.cache.get(sources.CHR22_ALIGNMENT), "rt") as lines:
            for start, bases in sequence.alignment_rows(lines, "Hsap.22", CHROM_SIZES["chr22"]):
                sequence.fill(whole["chr22"], start, bases)
        sequence.write_fasta(path, whole)
        known = {chrom: int((letters != sequence.UNKNOWN).sum()) for chrom, letters in whole.items()}
        return ", ".join(f"{chrom} {bases:,} of {CHROM_SIZES[chrom]:,} bases known" for chrom, bases in known.items())

    def write_label(self, label: Label, path: Path) -> str:
        """Make one observed track."""
        note = ""
        if label is METHYLATION:
            fractions, note = self._methylation()
            values = {"chr22": fractions}
        elif sources.CHAIN_HG38 in label.made_of:
            values = {chrom: self._lifted_domains(label.made_of[0], chrom) for chrom in CHROM_SIZES}
        else:
            bed = self.cache.get(label.made_of[0])
            values = {
                chrom: labels.covered_fraction(labels.read_intervals(bed, chrom), length)
                for chrom, length in CHROM_SIZES.items()
            }
            if sources.TSS in label.made_of:
                values = {chrom: np.where(value > 0, np.float32(1), value) for chrom, value in values.items()}
        masked = {chrom: self._masked(chrom, values[chrom]) for chrom in CHROM_SIZES if chrom in values}
        write_bigwig(path, CHROM_SIZES, (Bins(chrom, 0, masked[chrom]) for chrom in masked))
        means = [
            f"{chrom} mean {np.nanmean(fractions):.3f} of {np.isfinite(fractions).sum():,} bins"
            for chrom, fractions in masked.items()
        ]
        return "; ".join([note, *means] if note else means)

    def _methylation(self) -> tuple[np.ndarray, str]:
        measured = methylation.read_bsseq(self.cache.get(sources.METHYLATION))
        lifted = methylation.lifted(measured, self._route(sources.CHAIN_HG18), "chr22")
        length = CHROM_SIZES["chr22"]
        codes = self._genome().codes("chr22", 0, length)
        repaired = methylation.repaired(lifted, codes)
        held = lifted.positions[codes[lifted.positions] < 4]
        on_cpg = int(((codes[held] == 1) & (codes[held + 1] == 2)).sum())
        note = (
            f"{len(measured.positions):,} CpGs, {len(lifted.positions):,} lifted, {len(held):,} on known sequence, "
            f"{on_cpg:,} of these on a CG, {len(repaired.positions) - on_cpg:,} unmethylated ones restored"
        )
        return methylation.methylated_fraction(repaired, length), note

    def _lifted_domains(self, source: Source, chrom: str) -> np.ndarray:
        domains = labels.read_intervals(self.cache.get(source), chrom)
        if chrom not in self._pieces:
            self._pieces[chrom] = lifted_pieces(self._route(sources.CHAIN_HG38), chrom, HG38_SIZES[chrom])
        return lifted_fraction(domains, self._pieces[chrom], CHROM_SIZES[chrom])

    def _route(self, chain: Source) -> Route:
        """Read a chain file."""
        return Route.through([read_chains(self.cache.get(chain))])

    def _genome(self) -> Genome:
        return Genome(self.out / GENOME)

    def _masked(self, chrom: str, values: np.ndarray) -> np.ndarray:
        """Return the values with NaN where a bin has fewer than 64 known bases, and in chrX's PAR1."""
        if chrom not in self._known:
            self._known[chrom] = np.concatenate(list(known_bases_in_pieces(self._genome(), chrom)))
        hidden = self._known[chrom] < MIN_KNOWN_BASES
        if chrom == "chrX":
            hidden[: PAR1_END // BIN] = True
        return np.where(hidden, np.float32(np.nan), values)

"""``tracks hub``: a folder that every checker takes, and what is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import bbi
import numpy as np
import pybigtools
import pyBigWig
import pytest
from click.testing import Result

from tests.tracks.hub.rules import check_hub
from tracks.bigwig import Bins, read_bins, read_chrom_sizes, write_bigwig
from tracks.catalogue import published_tracks
from tracks.genome import Genome
from tracks.regions import Region

Cli = Callable[..., Result]

SIZES = {"chr20": 64_444_167, "chr22": 50_818_468}
BASE = "https://lab.example/hub"


def signal(path: Path, seed: int, sizes: dict[str, int] = SIZES) -> Path:
    """1,000 bins from 10 Mb of each chromosome on, some missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pieces = []
    for chrom in sizes:
        values = rng.random(1_000).astype(np.float32)
        values[rng.random(1_000) < 0.2] = np.nan
        pieces.append(Bins(chrom, 78_125, values))
    write_bigwig(path, sizes, pieces)
    return path


def bins(path: Path, chrom: str = "chr20") -> np.ndarray:
    return read_bins(path, Region(chrom, 10_000_000, 10_128_000))


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    slug = published_tracks("bins")[0].slug
    return [signal(tmp_path / "observed" / f"{slug}.bw", 1), signal(tmp_path / "out" / f"{slug}.bw", 2)]


def test_observed_and_predicted_files(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "hub"
    result = cli("hub", "-o", out, *pair, "--email", "me@lab.example", "--base-url", f"{BASE}/")
    assert result.exit_code == 0, result.stderr
    track = published_tracks("bins")[0]
    assert f"tracks: observed: {pair[0]}\ntracks: predicted: {pair[1]}\n" in result.stderr
    first, *lines = result.stdout.splitlines()
    assert re.match(rf"wrote {out}: 1 tracks of hg38 \(1 observed, 1 predicted, 1 difference\), 11 files, ", first)
    assert lines[:4] == [
        f"IGV session: {out / 'igv_session.xml'}",
        f"JBrowse 2 configuration: {out / 'jbrowse.json'}",
        "UCSC: https://genome.ucsc.edu/cgi-bin/hgTracks?db=hg38&position=chr20:10000001-11000000"
        f"&hubUrl={BASE}/hub.txt",
        f"custom tracks for UCSC, also in {out / 'custom_tracks.txt'}:",
    ]
    assert len(lines) == 7
    assert (out / "custom_tracks.txt").read_text() == "\n".join(lines[4:]) + "\n"
    stanzas = check_hub((out / "hub.txt").read_text())
    assert list(stanzas) == [track.slug, *(f"{track.slug}_{kind}" for kind in ("observed", "predicted", "difference"))]
    for name, stanza in stanzas.items():
        if "bigDataUrl" in stanza:
            check_bigwig(out / stanza["bigDataUrl"], SIZES)
        if "html" in stanza:
            assert track.name in (out / stanza["html"]).read_text(), name
    observed, predicted, difference = (
        bins(out / f"{track.slug}_{kind}.bw") for kind in ("observed", "predicted", "difference")
    )
    np.testing.assert_array_equal(observed, bins(pair[0]))
    np.testing.assert_array_equal(predicted, bins(pair[1]))
    np.testing.assert_array_equal(difference, predicted - observed)
    assert np.isfinite(difference).any()
    assert not list(out.glob(".*"))


def check_bigwig(path: Path, sizes: dict[str, int]) -> None:
    """Three readers that are not ours open it."""
    assert dict(pybigtools.open(str(path)).chroms()) == sizes
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == sizes
        assert file.intervals("chr20", 10_000_000, 10_128_000)
    assert np.isfinite(bbi.fetch(str(path), "chr20", 10_000_000, 10_128_000, bins=10)).all()


def test_sessions_name_whole_addresses_where_they_are_known(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    assert cli("hub", "-o", tmp_path / "a", *pair, "--base-url", BASE).exit_code == 0
    assert cli("hub", "-o", tmp_path / "b", *pair).exit_code == 0
    for folder, start in (("a", f"{BASE}/"), ("b", "")):
        session = ET.fromstring((tmp_path / folder / "igv_session.xml").read_text())
        for found in session.findall(".//Resource"):
            assert found.get("path", "").startswith(start)
            assert (tmp_path / folder / found.get("path", "").removeprefix(start)).is_file()
        config = json.loads((tmp_path / folder / "jbrowse.json").read_text())
        uris = re.findall(r'"uri": "([^"]+)"', json.dumps(config))
        assert len(uris) == 4
        for uri in uris:
            assert uri.startswith(start)
            # Without an address it is relative to the configuration, as JBrowse has it.
            assert (tmp_path / folder / uri.removeprefix(start)).is_file()
    assert not (tmp_path / "b" / "custom_tracks.txt").exists()
    assert (tmp_path / "a" / "chrom.sizes").read_text().startswith("chr1\t248956422\n")


def test_an_address_that_ucsc_cannot_see_is_warned_of(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    result = cli("hub", "-o", tmp_path / "hub", *pair, "--base-url", "http://127.0.0.1:8000")
    assert "tracks: warning: UCSC reads files from its own machines, and 127.0.0.1 is not to be seen" in result.stderr


def test_chromosomes_named_otherwise(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    plain = {"20": SIZES["chr20"], "22": SIZES["chr22"]}
    path = signal(tmp_path / "mine.bw", 1, plain)
    result = cli("hub", "-o", tmp_path / "hub", path, pair[1])
    assert result.exit_code == 0, result.stderr
    assert f"tracks: {path}: its chromosome 20 was named chr20 and so on\n" in result.stderr
    made = tmp_path / "hub" / "mine_observed.bw"
    assert read_chrom_sizes(made) == SIZES
    np.testing.assert_array_equal(bins(made), bins(path, "20"))


def test_other_chromosomes_are_refused_or_left_out(cli: Cli, tmp_path: Path) -> None:
    path = signal(tmp_path / "a.bw", 1, {"chr20": SIZES["chr20"], "chrEBV": 20_000_000})
    result = cli("hub", "-o", tmp_path / "hub", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "hg38 has no chromosome 'chrEBV'" in result.stderr
    assert not list((tmp_path / "hub").iterdir())
    assert cli("hub", "-o", tmp_path / "hub", path, "--skip-unknown").exit_code == 0
    assert read_chrom_sizes(tmp_path / "hub" / "a_observed.bw") == {"chr20": SIZES["chr20"]}


def test_a_shorter_chromosome_is_warned_of(cli: Cli, tmp_path: Path) -> None:
    path = signal(tmp_path / "a.bw", 1, {"chr20": 63_000_000})
    result = cli("hub", "-o", tmp_path / "hub", path, "--genome", "hg38")
    assert result.exit_code == 0
    assert "its chr20 has 63,000,000 bases, chr20 of hg38 64,444,167; see that it is of the same build" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--name", "my hub"], "--name: UCSC takes no name 'my hub'"),
        (["--email", "me"], "--email: 'me' is no e-mail address"),
        (["--base-url", "lab.example"], "'lab.example' is no web address"),
        (["--base-url", "ftp://lab.example"], "is no web address"),
        (["--genome", "mm10"], "is of hg38, by its chromosomes' lengths, and the hub of mm10"),
        (["--genome", "hg19"], "is of hg38"),
        (["--genome", "dm6"], "the chromosomes of 'dm6' are not known here, only those of hg19, hg38, mm10"),
        (["--region", "chr20:5-1"], "is reversed"),
        (["--region", "chr99"], "the genome has no chromosome 'chr99'"),
        (["--label", " "], "--label: a hub needs a label"),
        (["--fasta", "x.fa"], "--fasta and --store go with a model folder"),
        (["--head", "bins"], "--head goes with a model"),
        (["--model", "no"], "no is not a model folder: it has no model.json"),
        (["--project", "no.toml"], "there is no project file no.toml"),
        (["--chrom-sizes", "x.sizes"], "--chrom-sizes needs the assembly's name"),
    ],
)
def test_options_that_cannot_be(cli: Cli, pair: list[Path], tmp_path: Path, options: list[str], words: str) -> None:
    result = cli("hub", "-o", tmp_path / "hub", *pair, *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("error:") == 1
    assert not list((tmp_path / "hub").glob("*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"hello", "is not a bigWig file"), (b"\x26\xfc\x8f\x88" + bytes(60), "damaged"), (b"", "is not a bigWig file")],
)
def test_files_that_are_no_bigwigs(cli: Cli, pair: list[Path], tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.bw").write_bytes(content)
    result = cli("hub", "-o", tmp_path / "hub", *pair, tmp_path / "bad.bw", "--genome", "hg38")
    assert result.exit_code == 1
    assert f"cannot read {tmp_path / 'bad.bw'}" in result.stderr
    assert words in result.stderr
    assert not list((tmp_path / "hub").iterdir())


def test_nothing_to_show(cli: Cli, tmp_path: Path) -> None:
    result = cli("hub", "-o", tmp_path / "hub")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "there is nothing to show; name bigWig files, a model folder, or a --project" in result.stderr


def test_a_folder_with_files_is_left_alone(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "hub"
    out.mkdir()
    (out / "thesis.txt").write_text("all of it")
    result = cli("hub", "-o", out, *pair)
    assert result.exit_code == 2
    assert "holds thesis.txt already" in result.stderr
    assert cli("hub", "-o", out, *pair, "--overwrite").exit_code == 0
    assert (out / "thesis.txt").read_text() == "all of it"
    before = {path.name for path in out.iterdir()}
    assert cli("hub", "-o", out, *pair, "--overwrite").exit_code == 0
    assert {path.name for path in out.iterdir()} == before


def test_an_older_hubs_files_go_with_it(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    out, other = tmp_path / "hub", signal(tmp_path / "other.bw", 3)
    assert cli("hub", "-o", out, *pair, "--base-url", BASE).exit_code == 0
    mine = ["mine.bw", "notes.html"]
    for name in mine:
        shutil.copy(other, out / name)
    result = cli("hub", "-o", out, other, "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert f"tracks: removed of the hub that was in {out}: " in result.stderr
    left = {path.name for path in out.iterdir()}
    assert cli("hub", "-o", tmp_path / "new", other).exit_code == 0
    assert left == {path.name for path in (tmp_path / "new").iterdir()} | set(mine)


def test_what_is_read_or_was_not_written_here_stays(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "hub"
    assert cli("hub", "-o", out, *pair).exit_code == 0
    slug = published_tracks("bins")[0].slug
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (tmp_path / "link").symlink_to("hub")
    for folder in (out, tmp_path / "link"):
        result = cli("hub", "-o", folder, out / f"{slug}_difference.bw", "--overwrite")
        assert result.exit_code == 2
        assert f"_difference.bw is read by this command, and {folder} is where the hub goes" in result.stderr
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    # Somebody's own hub, whose tracks are named as ours are.
    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    (by_hand / "hub.txt").write_text("hub x\nuseOneFile on\n\ngenome hg38\n\ntrack a\nbigDataUrl a.bw\n")
    (by_hand / "a.bw").write_text("years of work")
    assert cli("hub", "-o", by_hand, *pair, "--overwrite").exit_code == 0
    assert (by_hand / "a.bw").read_text() == "years of work"


def test_a_folder_in_the_place_of_a_file(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "hub"
    (out / "hub.txt").mkdir(parents=True)
    result = cli("hub", "-o", out, *pair, "--overwrite")
    assert result.exit_code == 2
    assert f"{out / 'hub.txt'} is a folder, and the hub has a file of that name" in result.stderr
    assert [path.name for path in out.iterdir()] == ["hub.txt"]


def test_linked_files(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    assert cli("hub", "-o", tmp_path / "hub", *pair, "--link").exit_code == 0
    slug = published_tracks("bins")[0].slug
    assert (tmp_path / "hub" / f"{slug}_observed.bw").samefile(pair[0])
    (tmp_path / "symbolic.bw").symlink_to(pair[0].relative_to(tmp_path))
    assert cli("hub", "-o", tmp_path / "more", tmp_path / "symbolic.bw", "--link").exit_code == 0
    assert (tmp_path / "more" / "symbolic_observed.bw").samefile(pair[0])
    assert not (tmp_path / "more" / "symbolic_observed.bw").is_symlink()


def raw(path: Path, values: list[float], zooms: int = 10) -> Path:
    """Runs of 500 bases with these values, as pyBigWig writes them: whatever they are."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(SIZES.items()), maxZooms=zooms)
        for number, value in enumerate(values):
            start = 10_000_000 + 1_000 * number
            file.addEntries(["chr20"], [start], ends=[start + 500], values=[value])
    return path


@pytest.mark.parametrize("zooms", [0, 10])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_left_out(cli: Cli, tmp_path: Path, wrong: float, zooms: int) -> None:
    path = raw(tmp_path / "a.bw", [1.0, wrong, 3.0], zooms)
    result = cli("hub", "-o", tmp_path / "hub", path)
    assert result.exit_code == 0, result.stderr
    assert f"tracks: {path}: values that are not finite were left out\n" in result.stderr
    with pyBigWig.open(str(tmp_path / "hub" / "a_observed.bw")) as file:
        assert file.intervals("chr20") == ((10_000_000, 10_000_500, 1.0), (10_002_000, 10_002_500, 3.0))
    assert "\ntype bigWig 1 3\n" in (tmp_path / "hub" / "hub.txt").read_text()


def test_a_file_without_any_value(cli: Cli, tmp_path: Path) -> None:
    for number, values in enumerate(([], [np.nan, np.nan], [np.inf])):
        result = cli("hub", "-o", tmp_path / "hub", raw(tmp_path / f"{number}.bw", values), "--genome", "hg38")
        assert result.exit_code in (1, 2)
        assert f"{tmp_path / f'{number}.bw'}" in result.stderr.splitlines()[-1]
        assert not list((tmp_path / "hub").iterdir())


def test_a_missing_value_written_as_the_largest_number(cli: Cli, tmp_path: Path) -> None:
    result = cli("hub", "-o", tmp_path / "hub", raw(tmp_path / "a.bw", [1.0, 3.0e38, 3.0]))
    assert result.exit_code == 0, result.stderr
    check_hub((tmp_path / "hub" / "hub.txt").read_text())


def test_names_that_would_meet(cli: Cli, tmp_path: Path) -> None:
    names = ["cpg_predicted", "cpg_observed", "cpg_predicted_predicted", "cpg_predicted_observed", "hub", "x" * 90]
    files = [signal(tmp_path / f"{name}.bw", number) for number, name in enumerate(names)]
    result = cli("hub", "-o", tmp_path / "hub", *files)
    assert result.exit_code == 0, result.stderr
    stanzas = check_hub((tmp_path / "hub" / "hub.txt").read_text())
    pages = {stanza["html"]: stanza["longLabel"] for stanza in stanzas.values() if "html" in stanza}
    for page, label in pages.items():
        assert f"<p>{label.partition(',')[0]}"[:20] in (tmp_path / "hub" / page).read_text(), page
    assert len(pages) == 4
    assert len({stanza["bigDataUrl"] for stanza in stanzas.values() if "bigDataUrl" in stanza}) == 8


def test_another_assembly_by_its_lengths(cli: Cli, tmp_path: Path) -> None:
    path = signal(tmp_path / "a.bw", 1, {"2L": 23_513_712, "chrX": 23_542_271})
    (tmp_path / "dm6.chrom.sizes").write_text("chr2L\t23513712\nchrX\t23542271\n")
    result = cli("hub", "-o", tmp_path / "hub", path, "--genome", "dm6", "--chrom-sizes", tmp_path / "dm6.chrom.sizes")
    assert result.exit_code == 0, result.stderr
    assert "\ngenome dm6\n" in (tmp_path / "hub" / "hub.txt").read_text()
    assert read_chrom_sizes(tmp_path / "hub" / "a_observed.bw") == {"chr2L": 23_513_712, "chrX": 23_542_271}


PROJECT = """
name = "small"
genome = "small.fa"
[[track]]
name = "CpG methylation IMR90"
assay = "WGBS"
biosample = "IMR90 lung fibroblast"
unit = "methylated fraction"
color = "#d95f02"
observed = "cpg.bw"
[[annotation]]
name = "LADs"
bed = "lads.bed"
color = "#1b6ca8"
"""


@pytest.fixture
def project(tmp_path: Path, fasta: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "small.fa").write_bytes(fasta.read_bytes())
    (folder / "tracks.toml").write_text(PROJECT)
    (folder / "lads.bed").write_text("chr20\t1000\t90000\nchr20\t499000\t600000\nchr7\t1\t5\n")
    sizes = Genome(fasta).chrom_sizes
    values = np.random.default_rng(3).random(1_500).astype(np.float32)
    write_bigwig(folder / "cpg.bw", sizes, [Bins("chr20", 0, values)])
    return folder / "tracks.toml"


def hub_of(cli: Cli, project: Path, out: Path, *more: object) -> Result:
    sizes = project.with_name("small.fa")
    return cli("hub", "-o", out, "--project", project, "--genome", "small", "--chrom-sizes", sizes, *more)


def test_intervals_that_are_none_are_told_of(cli: Cli, project: Path, tmp_path: Path) -> None:
    bed = project.with_name("lads.bed")
    bed.write_text("")
    result = hub_of(cli, project, tmp_path / "hub")
    assert result.exit_code == 0, result.stderr
    assert f"tracks: {bed} has no interval to show, so 'LADs' is not in the hub\n" in result.stderr
    assert not list((tmp_path / "hub").glob("*.bb"))


def test_a_models_stored_predictions(cli: Cli, model_folder: Path, project: Path, tmp_path: Path) -> None:
    store, fasta = tmp_path / "store", project.with_name("small.fa")
    nothing = hub_of(cli, project, tmp_path / "hub", model_folder, "--store", store)
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "make them with tracks predict --genome-wide" in nothing.stderr
    made = cli(
        "predict", "--region", "chr20:1-250,000", "--genome", fasta, "--model", model_folder, "--store", store,
        "-o", tmp_path / "out", "--threads", 1,
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    out = tmp_path / "hub"
    result = hub_of(cli, project, out, model_folder, "--store", store)
    assert result.exit_code == 0, result.stderr
    assert f"tracks: bins: 3 known windows of {store}\n" in result.stderr
    assert "1 intervals outside small left out, 1 cut at a chromosome's end" in result.stderr
    stanzas = check_hub((out / "hub.txt").read_text())
    assert stanzas["cpg_methylation_imr90"]["container"] == "multiWig"
    whole = Region("chr20", 0, 500_050)
    for slug in ("cpg_methylation_imr90", "lmnb1_lad_liver"):
        theirs = read_bins(tmp_path / "out" / f"{slug}.bw", Region("chr20", 0, 250_000))
        ours = read_bins(out / f"{slug}_predicted.bw", whole)
        np.testing.assert_array_equal(ours[: len(theirs)], theirs)
    difference = read_bins(out / "cpg_methylation_imr90_difference.bw", whole)
    both = read_bins(out / "cpg_methylation_imr90_predicted.bw", whole) - read_bins(project.with_name("cpg.bw"), whole)
    np.testing.assert_array_equal(difference, both)
    assert list(pybigtools.open(str(out / "bed_lads.bb")).records("chr20")) == [(1_000, 90_000), (499_000, 500_050)]
    from model.folder import load_model

    page = (out / "cpg_methylation_imr90.html").read_text()
    assert load_model(model_folder).digest in page
    assert "IMR90 lung fibroblast" in page


def test_a_model_describes_files_that_it_predicted(cli: Cli, model_folder: Path, project: Path, tmp_path: Path) -> None:
    from model.folder import load_model

    sizes = Genome(project.with_name("small.fa")).chrom_sizes
    path = tmp_path / "out" / "lmnb1_lad_liver.bw"
    path.parent.mkdir()
    write_bigwig(path, sizes, [Bins("chr20", 0, np.ones(9, np.float32))])
    result = hub_of(cli, project, tmp_path / "hub", path.parent, "--model", model_folder)
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "hub" / "lmnb1_lad_liver.html").read_text()
    assert load_model(model_folder).digest in page
    unneeded = hub_of(cli, project, tmp_path / "hub2", "--model", model_folder)
    assert (unneeded.exit_code, "--model describes predicted files" in unneeded.stderr) == (2, True)


def test_several_heads_in_one_overlay(cli: Cli, two_headed_folder: Path, project: Path, tmp_path: Path) -> None:
    store, fasta = tmp_path / "store", project.with_name("small.fa")
    made = cli(
        "predict", "--region", "chr20:1-100,000", "--genome", fasta, "--model", two_headed_folder, "--store", store,
        "--head", "bins", "--head", "window", "-o", tmp_path / "out", "--threads", 1,
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert hub_of(cli, project, tmp_path / "a", two_headed_folder, "--store", store).exit_code == 0
    assert hub_of(cli, project, tmp_path / "b", tmp_path / "out", "--model", two_headed_folder).exit_code == 0
    names = [
        "cpg_methylation_imr90",
        "cpg_methylation_imr90_observed",
        "cpg_methylation_imr90_predicted_bins",
        "cpg_methylation_imr90_predicted_window",
        "cpg_methylation_imr90_difference",
    ]
    for folder in ("a", "b"):
        assert list(check_hub((tmp_path / folder / "hub.txt").read_text()))[:5] == names
        page = (tmp_path / folder / "cpg_methylation_imr90.html").read_text()
        assert "Digest of head bins" in page
        assert "Digest of head window" in page


def test_18_and_18_tracks(cli: Cli, tmp_path: Path) -> None:
    for number, track in enumerate(published_tracks("bins")):
        signal(tmp_path / "observed" / f"{track.slug}.bw", number)
        signal(tmp_path / "predicted" / f"{track.slug}.bw", 100 + number)
    result = cli("hub", "-o", tmp_path / "hub", tmp_path / "observed", tmp_path / "predicted", "--base-url", BASE)
    assert result.exit_code == 0, result.stderr
    stanzas = check_hub((tmp_path / "hub" / "hub.txt").read_text())
    assert len(stanzas) == 18 * 4
    assert sum("container" in stanza for stanza in stanzas.values()) == 18


def test_a_run_that_was_killed_leaves_nothing_in_the_way(cli: Cli, pair: list[Path], tmp_path: Path) -> None:
    left = tmp_path / "hub" / ".hub-1.partial"
    left.mkdir(parents=True)
    (left / "x.bw").write_text("half")
    assert cli("hub", "-o", tmp_path / "hub", *pair).exit_code == 0
    assert not left.exists()

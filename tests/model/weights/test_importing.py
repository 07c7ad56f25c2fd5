from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.folder import Model, head_names, load_head, load_model, load_trunk
from model.weights import Choices, import_weights
from model.weights.importing import read_weights
from tests.model.weights.conftest import KerasLayer, with_weights, write_keras
from tracks.errors import TracksError, UsageError

TARGETS = """index\tgenome\tidentifier\tfile\tclip\tscale\tsum_stat\tdescription
0\t0\tENCFF833POA\t/a\t32\t2\tmean\tDNASE:cerebellum male adult (27 years)
1\t0\tENCFF110QGM\t/b\t32\t2\tmean\tDNASE:chorion
2\t0\tENCFF880MKD\t/c\t32\t2\tmean\tDNASE:chorion
3\t0\tENCFF601YET\t/d\t64\t1\tsum\tCHIP:H3K27ac:GM12878
4\t0\tCNhs10608\t/e\t384\t1\tsum\tCAGE:Clontech Human Universal Reference Total RNA, pool1
"""


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets_human.txt"
    path.write_text(TARGETS)
    return path


def probe(path: Path, filters: int = 7, tracks: int = 18) -> Path:
    torch.save({"conv_layer.weight": torch.ones(tracks, filters, 1), "conv_layer.bias": torch.zeros(tracks)}, path)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_source_is_recorded(golden: dict[str, Path], tmp_path: Path) -> None:
    path = golden["keras2_model.h5"]
    import_weights(path, tmp_path / "model", Choices(name="small"))
    loaded = load_trunk(tmp_path / "model")
    assert loaded.name == "small"
    assert loaded.source == {
        "file": "keras2_model.h5",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "layout": "Keras HDF5 of model.save",
    }
    head = json.loads((tmp_path / "model/heads/targets/head.json").read_text())
    assert head["source"] == loaded.source


def test_targets_become_tracks(golden: dict[str, Path], targets: Path, tmp_path: Path) -> None:
    import_weights(golden["keras2_model.h5"], tmp_path / "model", Choices(targets=targets, head="human"))
    spec, _ = load_head(tmp_path / "model", "human")
    assert set(spec.links) == {"softplus"}
    assert spec.scope == "bins"
    first, _, _, chip, cage = spec.tracks
    assert first.name == "DNASE:cerebellum male adult (27 years) (ENCFF833POA)"
    assert (first.assay, first.biosample, first.accession) == (
        "DNase-seq",
        "cerebellum male adult (27 years)",
        "ENCFF833POA",
    )
    # Its labels are twice the mean coverage.
    np.testing.assert_allclose(first.transform.inverse(np.array([3.0])), [1.5])
    assert (chip.assay, chip.biosample, chip.unit) == ("ChIP-seq of H3K27ac", "GM12878", "summed coverage per 128 bp")
    assert (cage.assay, cage.transform.scale) == ("CAGE", 1.0)
    assert len({track.slug for track in spec.tracks}) == 5
    assert load_model(tmp_path / "model").tracks == spec.tracks


def test_the_published_table_of_targets() -> None:
    from model.weights.targets import read_targets

    path = Path(__file__).resolve().parents[4] / "shared/reference/basenji2_targets_human.txt"
    if not path.exists():
        pytest.skip("the published table is not here")
    tracks = read_targets(path, 5313)
    assert len({track.slug for track in tracks}) == 5313
    # facts/cs282a.md section 1.7
    assays = [track.assay.split(" of ")[0] for track in tracks]
    assert {assay: assays.count(assay) for assay in set(assays)} == {
        "CAGE": 638,
        "DNase-seq": 674,
        "ATAC-seq": 10,
        "ChIP-seq": 3991,
    }
    assert sum(track.transform.scale == 1 for track in tracks) == 807  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("description\n", "what\n"), "it has no column description; expected the columns identifier, clip"),
        (("32\t2\tmean\tDNASE:cere", "32\ttwo\tmean\tDNASE:cere"), "line 2: clip and scale should be numbers"),
        (("1\tsum\tCAGE", "1\tmedian\tCAGE"), "line 6: expected an identifier, a description, and sum or mean"),
        (("ENCFF880MKD", "ENCFF110QGM"), r"line 4: target 'DNASE:chorion \(ENCFF110QGM\)' is on line 3 already"),
        (("0\t0\tENCFF833POA", "0\t0\tX\t/a\t1\t1\tsum\tA:b\n0\t0\tENCFF833POA"), "has 6 targets, and the head has 5"),
        (("32\t2\tmean\tDNASE:cere", "32\t0\tmean\tDNASE:cere"), "line 2: a track's transform needs a finite scale"),
    ],
)
def test_a_table_that_does_not_fit(
    change: tuple[str, str], says: str, golden: dict[str, Path], targets: Path, tmp_path: Path
) -> None:
    assert change[0] in TARGETS
    targets.write_text(TARGETS.replace(*change))
    with pytest.raises(UsageError, match=says):
        import_weights(golden["keras2_model.h5"], tmp_path / "model", Choices(targets=targets))
    assert not (tmp_path / "model").exists()


def test_trunk_and_heads_come_in_any_order(golden: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    import_weights(probe(tmp_path / "probe.pth"), folder)
    with pytest.raises(UsageError, match=r"has heads \(linear\) and no trunk yet"):
        load_model(folder)
    import_weights(golden["keras2_model.h5"], folder)
    import_weights(probe(tmp_path / "probe.pth"), folder, Choices(head="again"))
    assert head_names(folder) == ("again", "linear", "targets")
    model = load_model(folder, ("linear", "targets"))
    assert len(model.tracks) == 18 + 5


def test_a_head_of_another_width_is_refused_both_ways(golden: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    import_weights(golden["keras2_model.h5"], folder)
    before = tree(folder)
    with pytest.raises(
        UsageError, match=r"head 'linear' reads an embedding of 8 channels, and the trunk of .* gives 7"
    ):
        import_weights(probe(tmp_path / "wide.pth", 8), folder)
    assert tree(folder) == before

    heads_first = tmp_path / "heads"
    import_weights(probe(tmp_path / "wide.pth", 8), heads_first)
    before = tree(heads_first)
    with pytest.raises(UsageError, match=r"embedding of 7 channels, and head 'linear' of .* reads 8"):
        import_weights(golden["keras2_model.h5"], heads_first)
    assert tree(heads_first) == before


def test_nothing_is_replaced_unasked(golden: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    import_weights(golden["keras2_model.h5"], folder)
    import_weights(probe(tmp_path / "probe.pth"), folder)
    before = tree(folder)
    with pytest.raises(UsageError, match="has a trunk already; --overwrite replaces it"):
        import_weights(golden["keras2_model.h5"], folder, Choices(gelu="erf"))
    with pytest.raises(UsageError, match="has a head 'linear' already; --overwrite replaces it"):
        import_weights(probe(tmp_path / "probe.pth"), folder)
    assert tree(folder) == before
    import_weights(golden["keras2_model.h5"], folder, Choices(gelu="erf"), overwrite=True)
    assert load_trunk(folder).config.gelu == "erf"
    assert head_names(folder) == ("linear", "targets")


def test_a_damaged_trunk_can_be_replaced(golden: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    import_weights(golden["keras2_model.h5"], folder)
    (folder / "model.json").write_text("{")
    import_weights(golden["keras2_model.h5"], folder, overwrite=True)
    assert load_trunk(folder).config.embedding_filters == 7


def test_a_published_head_on_a_trunk_of_another_gelu_is_noted(golden: dict[str, Path], tmp_path: Path) -> None:
    for gelu, notes in (("tanh", 0), ("sigmoid", 1)):
        folder = tmp_path / gelu
        import_weights(golden["keras2_model.h5"], folder, Choices(gelu=gelu))  # type: ignore[arg-type]
        assert len(import_weights(probe(tmp_path / "probe.pth"), folder).notes) == notes


def test_a_new_trunk_takes_the_old_ones_split_away(model: Model, golden: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    shutil.rmtree(folder / "heads")
    assert (folder / "split.bed").exists()
    import_weights(golden["keras2_model.h5"], folder, overwrite=True)
    assert not (folder / "split.bed").exists()


class Evil:
    """What unpickling runs: it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("form", ["torch zip", "torch before 1.6", "bare pickle"])
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not(form: str, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    state = {"conv_layer.weight": torch.ones(18, 7, 1), "conv_layer.bias": Evil(marker)}
    buffer = io.BytesIO()
    if form == "bare pickle":
        pickle.dump(state["conv_layer.bias"], buffer)
    else:
        torch.save(state, buffer, _use_new_zipfile_serialization=form == "torch zip")
    path = tmp_path / "model.pth"
    path.write_bytes(buffer.getvalue())

    # An ordinary unpickling runs it: the test would see it.
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.is_dir()
    marker.rmdir()

    with pytest.raises(TracksError) as caught:
        import_weights(path, tmp_path / "folder")
    assert not marker.exists()
    assert not (tmp_path / "folder").exists()
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "it is refused: " in message
    assert "weights_only" not in message, "PyTorch's advice to read it unprotected is not passed on"
    if form != "bare pickle":
        assert "to read it, posix.mkdir would have to run" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is an empty file; expected model_human.h5"),
        (b"chr1\t0\t100\n", "it is neither HDF5 nor a PyTorch checkpoint"),
        (b"PK\x03\x04 and no more", "it is not a whole PyTorch checkpoint"),
        (b"\x80\x02 and no more", "it holds more than tensors, or is damaged"),
        (b"\x89HDF\r\n\x1a\n and no more", "it is not whole HDF5"),
    ],
)
def test_other_files(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(TracksError, match=says) as caught:
        import_weights(path, tmp_path / "folder")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "folder").exists()


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    whole = probe(tmp_path / "probe.pth").read_bytes()
    for part in (0.1, 0.5, 0.95):
        path = tmp_path / "part.pth"
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(TracksError, match="it is not a whole PyTorch checkpoint"):
            read_weights(path)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ([torch.ones(2)], "it holds a list; expected a state dict"),
        ({"state_dict": {"a": torch.ones(2)}}, "its entry state_dict is no tensor"),
        (
            {"conv_layer.weight": torch.ones(2, dtype=torch.int64)},
            "its entry conv_layer.weight is no tensor of floating",
        ),
        ({"conv_layer.weight": torch.tensor([1.0, float("nan")])}, "its entry conv_layer.weight holds NaN or infinity"),
    ],
)
def test_checkpoints_of_other_things(state: object, says: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(TracksError, match=says):
        read_weights(tmp_path / "odd.pth")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        import_weights(tmp_path / "absent.h5", tmp_path / "folder")
    with pytest.raises(UsageError, match="Is a directory"):
        import_weights(tmp_path, tmp_path / "folder")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        import_weights(probe(tmp_path / "probe.pth"), tmp_path / "probe.pth")


def test_choices_that_do_not_apply(golden: dict[str, Path], layers: list[KerasLayer], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for choices, option in ((Choices(gelu="erf"), "--gelu"), (Choices(targets=tmp_path), "--targets")):
        with pytest.raises(UsageError, match=f"holds a head without its trunk; {option} does not apply"):
            import_weights(probe(tmp_path / "probe.pth"), folder, choices)
    trunk = write_keras(tmp_path / "trunk.h5", [layer for layer in layers if layer not in with_weights(layers, "bias")])
    with pytest.raises(UsageError, match="a trunk without a head; --head does not apply"):
        import_weights(trunk, folder, Choices(head="human"))
    with pytest.raises(
        UsageError, match=r"a head's name has small letters, digits and underscores; '\.\./up' has others"
    ):
        import_weights(golden["keras2_model.h5"], folder, Choices(head="../up"))
    with pytest.raises(UsageError, match="a BatchNorm epsilon is between 0 and 1, found 3"):
        import_weights(golden["keras2_model.h5"], folder, Choices(epsilon=3))
    assert not folder.exists()

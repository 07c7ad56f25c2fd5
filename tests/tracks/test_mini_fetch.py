"""Fetching: packages by apt-get and pip, files by GEO, and what is said when that fails."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tracks.errors import TracksError
from tracks.mini import debian, geo, pypi, sources
from tracks.mini.cache import Cache
from tracks.mini.sources import Source

HELLO = hashlib.sha256(b"hello").hexdigest()


def _source(digest: str = HELLO) -> Source:
    return Source("apt", "some-package", "1.0", "usr/share/doc/file.txt", digest, "MIT", "a test file")


def _tar(path: Path, name: str, content: bytes) -> Path:
    with tarfile.open(path, "w") as files:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        files.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """apt-get and dpkg-deb that hand out one package with one file: real processes, no network."""
    archive = _tar(tmp_path / "files.tar", "./usr/share/doc/file.txt", b"hello")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text(
        '#!/bin/sh\necho run >> "$(dirname "$0")/../runs"\n'
        '[ "$2" = some-package ] || { echo "W: no" >&2; echo "E: Unable to locate package $2" >&2; exit 100; }\n'
        ": > some-package_1.0_all.deb\n"
    )
    (programs / "dpkg-deb").write_text(f"#!/bin/sh\ncat {archive}\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return tmp_path


def test_a_file_of_a_debian_package_is_fetched_once(apt: Path) -> None:
    said: list[str] = []
    cache = Cache(apt / "cache", say=said.append)
    found = cache.get(_source())
    assert found.read_text() == "hello"
    assert cache.get(_source()) == found
    assert (apt / "runs").read_text() == "run\n"
    assert said == ["fetching the Debian package some-package 1.0"]
    assert list((apt / "cache").iterdir()) == [found]


def test_a_damaged_file_in_the_cache_is_fetched_again(apt: Path) -> None:
    cache = Cache(apt / "cache")
    cache.get(_source()).write_text("damaged")
    assert cache.get(_source()).read_text() == "hello"


def test_another_file_than_the_one_meant_leaves_nothing(apt: Path) -> None:
    with pytest.raises(TracksError, match=rf"^file\.txt of some-package .* should be {'0' * 64}, found {HELLO}$"):
        Cache(apt / "cache").get(_source("0" * 64))
    assert not list((apt / "cache").iterdir())


def test_a_package_that_apt_does_not_have(apt: Path) -> None:
    with pytest.raises(TracksError, match=r"Debian package other: E: Unable to locate package other .*apt-get update"):
        Cache(apt / "cache").get(dataclasses.replace(_source(), package="other"))
    assert not list((apt / "cache").iterdir())


def test_a_package_that_lost_the_file(apt: Path) -> None:
    with pytest.raises(TracksError, match=r"some-package_1\.0_all\.deb holds no usr/gone; it may have changed"):
        Cache(apt / "cache").get(dataclasses.replace(_source(), path="usr/gone"))


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TracksError, match=r"'apt-get' is not on this machine.*run this on Debian or Ubuntu"):
        Cache(tmp_path / "cache").get(_source())


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TracksError, match="cannot write to the cache folder"):
        Cache(tmp_path / "file" / "cache").get(_source())


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="builds a package with dpkg-deb")
def test_a_given_package_is_used_and_a_damaged_one_named(tmp_path: Path) -> None:
    """With Debian's own dpkg-deb, which also packs the file here."""
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: some-package\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (root / "usr/share/doc").mkdir(parents=True)
    (root / "usr/share/doc/file.txt").write_text("hello")
    cache = tmp_path / "cache"
    cache.mkdir()
    package = cache / "some-package_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(package)], check=True, capture_output=True)
    assert Cache(cache).get(_source()).read_text() == "hello"
    package.write_bytes(package.read_bytes()[:-50])
    with pytest.raises(TracksError, match=r"some-package_1\.0_all\.deb: it is damaged|holds no"):
        debian.extract(package, {"usr/share/doc/other": tmp_path / "other"})


def test_files_of_wheels_and_source_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x-1-py3-none-any.whl", "w") as files:
        files.writestr("x/file.txt", "hello")
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as archive:
        archive.add(_tar(tmp_path / "x", "unused", b""), "x-1/x/file.txt")
    pypi.extract(tmp_path / "x-1-py3-none-any.whl", {"x/file.txt": tmp_path / "out"})
    assert (tmp_path / "out").read_text() == "hello"
    pypi.extract(tmp_path / "x-1.tar.gz", {"x-1/x/file.txt": tmp_path / "out"})
    assert (tmp_path / "out").read_bytes() == (tmp_path / "x").read_bytes()
    for name in ("x-1-py3-none-any.whl", "x-1.tar.gz"):
        with pytest.raises(TracksError, match="lacks a file; it may have changed"):
            pypi.extract(tmp_path / name, {"x/other.txt": tmp_path / "out"})
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(TracksError, match="it is damaged"):
            pypi.extract(tmp_path / name, {"x/file.txt": tmp_path / "out"})


def test_a_python_package_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(TracksError, match=r"cannot fetch the Python package no-such-thing 1\.0: ERROR: "):
        pypi.download("no-such-thing", "1.0", "0" * 64, tmp_path)


def test_geo_out_of_reach_says_what_to_do(tmp_path: Path) -> None:
    # Port 9 of this machine: nothing listens there, and nothing leaves it.
    address = "http://127.0.0.1:9/{series}nnn/{sample}/{name}"
    with pytest.raises(TracksError, match=r"127\.0\.0\.1:9/GSM5669nnn/GSM5669183/x\.bed .*--lads DIR.*--without-geo"):
        geo.download("GSM5669183", "x.bed", tmp_path, address)


def test_given_domains_are_read_in_place_and_checked(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", tmp_path)
    with pytest.raises(TracksError, match=r"holds no GSM5669183_CardiacMyocytes.*; get it from the GEO sample GSM56"):
        cache.get(sources.LADS_CARDIAC)
    (tmp_path / sources.LADS_CARDIAC.name).write_bytes(b"other")
    with pytest.raises(TracksError, match=rf"GSM5669183_Card.*gz is not .* should be {sources.LADS_CARDIAC.sha256}"):
        cache.get(sources.LADS_CARDIAC)
    assert not (tmp_path / "cache").exists()


def test_every_source_is_named_once() -> None:
    assert len({source.sha256 for source in sources.ALL}) == len(sources.ALL)
    assert all(len(source.sha256) == 64 for source in sources.ALL)
    assert {source.package for source in sources.ALL if source.client == "pip"} == set(sources.PYPI_ARCHIVES)

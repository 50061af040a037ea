"""A first site for an empty folder: small, and it works before anything is edited.

The one rule: what is written here loads, and its ports were free a moment ago. The program it runs
is Python's own file server on a folder of pages, so the first deploy needs nothing but these files;
whoever has a program of their own changes `run`.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path

from orchestrator.config.words import NAME

SITE_FILE = "bg.yaml"
SCHEMA_FILE = "bg.schema.json"
FIRST_RELEASE = "releases/1.0/index.html"

_SITE = """\
# yaml-language-server: $schema={schema}
# Unknown keys are mistakes, and `bgctl check` names everything that is wrong.

site: {name}

services:
  web:
    artifact: releases/{{version}}      # `bgctl deploy web=1.0` takes the folder releases/1.0
    # Your program, as a list. This one shows the pages of the release's folder.
    run: [python3, -m, http.server, "{{port}}", --bind, 127.0.0.1]
    env:                              # its whole environment, nothing is inherited
      PATH: {path}
      # DB_PASSWORD: {{file: secrets/db}}   a secret is named, not written down
    instances:
      count: 2                        # of each color
      ports: {{blue: {blue}, green: {green}}}   # the first port of each color
    probes:
      - http: /                       # an instance is well when this answers 200
    behind: {{switch: edge}}

switches:
  edge:
    envoy: {{listen: "127.0.0.1:{listen}"}}   # where people reach it

rollout:
  soak: 10s                           # watch the new color that long after the switch
"""

_PAGE = """\
<!doctype html>
<title>{name} 1.0</title>
<p>This is {name} 1.0. Copy releases/1.0 to releases/2.0, change this, and deploy web=2.0.
"""


def first_site(folder: Path) -> str:
    """A first `bg.yaml` for this folder, named after it, with ports that are free now."""
    listen = _free_ports()
    return _SITE.format(
        schema=SCHEMA_FILE,
        name=_name_of(folder),
        listen=listen,
        blue=listen + 30,
        green=listen + 40,
        path=_search_path(),
    )


def first_files(folder: Path) -> dict[str, str]:
    """The files of a first site, by path below the folder: the site, its schema, a first release.

    The release is left out where the folder has releases already. Writes nothing.
    """
    from orchestrator.config.schema import schema

    files = {SITE_FILE: first_site(folder), SCHEMA_FILE: json.dumps(schema(), indent=2) + "\n"}
    if not (folder / "releases").exists():
        files[FIRST_RELEASE] = _PAGE.format(name=_name_of(folder))
    return files


def _name_of(folder: Path) -> str:
    """The folder's name as far as it is one for a site."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.absolute().name.lower()).strip("-")[:31].strip("-")
    return name if re.fullmatch(NAME, name) else "site"


def _search_path() -> str:
    """Where programs are found: the usual folders, and that of a python3 they do not have."""
    usual = ["/usr/local/bin", "/usr/bin", "/bin"]
    if any(os.access(f"{folder}/python3", os.X_OK) for folder in usual):
        return ":".join(usual)
    return ":".join([os.path.dirname(sys.executable), *usual])


def _free_ports() -> int:
    """The first of 8080, 8180 … that is free, and so are ten ports for each color above it."""
    for first in range(8080, 32000, 100):
        if all(_is_free(port) for port in (first, *range(first + 30, first + 50))):
            return first
    return 8080


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

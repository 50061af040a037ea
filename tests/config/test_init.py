"""A first site works before anything is edited."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from orchestrator.config.init import FIRST_RELEASE, SCHEMA_FILE, SITE_FILE, first_files, first_site
from orchestrator.config.load import parse
from orchestrator.core.model import Color, Site


def site_in(folder: Path) -> Site:
    return parse(first_site(folder).encode(), file=SITE_FILE, folder=str(folder), state_home="/s")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/srv/My App", "my-app"),
        ("/srv/99 apes", "site"),
        ("/", "site"),
        ("/srv/" + "x" * 60, "x" * 31),
    ],
)
def test_a_first_site_loads_and_is_named_after_its_folder(folder: str, name: str) -> None:
    assert site_in(Path(folder)).name == name


def test_a_first_site_names_the_schema_that_is_written_beside_it(tmp_path: Path) -> None:
    files = first_files(tmp_path)
    assert list(files) == [SITE_FILE, SCHEMA_FILE, FIRST_RELEASE]
    assert files[SITE_FILE].startswith(f"# yaml-language-server: $schema={SCHEMA_FILE}\n")
    assert json.loads(files[SCHEMA_FILE])["properties"]["site"]
    assert not list(tmp_path.iterdir())


def test_releases_that_are_there_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    assert FIRST_RELEASE not in first_files(tmp_path)


def test_the_ports_of_a_first_site_are_free(tmp_path: Path) -> None:
    first = site_in(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first.switches[0].port))
        second = site_in(tmp_path)
    assert second.switches[0].port != first.switches[0].port
    place = second.services[0].placement
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port(Color.GREEN, place.count - 1)))
        third = site_in(tmp_path)
    assert third.services[0].placement != place


def test_the_first_release_runs_as_the_first_site_says(tmp_path: Path) -> None:
    files = first_files(tmp_path)
    page = tmp_path / FIRST_RELEASE
    page.parent.mkdir(parents=True)
    page.write_text(files[FIRST_RELEASE])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    recipe = site_in(tmp_path).services[0].recipe
    env = {name: str(value) for name, value in recipe.env} | {"PYTHONUNBUFFERED": "1"}
    argv = [word.replace("{port}", str(port)) for word in recipe.run]
    program = subprocess.Popen(
        argv, cwd=page.parent, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert program.stdout
        assert re.match(rb"Serving HTTP", program.stdout.readline())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            assert b"1.0" in answer.read()
    finally:
        program.kill()
        program.communicate()

"""The second time a site file is read quickly; no cache is believed that should not be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.config.load import load
from orchestrator.config.mistakes import BadSite
from tests.config.refused import BASE


@pytest.fixture
def site_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "bg.yaml"
    path.write_text(BASE)
    return path


def cached(site_file: Path) -> Path:
    (path,) = (site_file.parent / "cache" / "bgctl").iterdir()
    return path


QUICKLY = """
import sys
from pathlib import Path
from orchestrator.config.load import load
site = load(Path(sys.argv[1]))
heavy = {"yaml", "pydantic", "difflib", "shlex", "asyncio"} & set(sys.modules)
print(site.name, *sorted(heavy))
"""


def test_the_second_time_nothing_heavy_is_imported(site_file: Path) -> None:
    def run() -> list[str]:
        argv = [sys.executable, "-c", QUICKLY, str(site_file)]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

    assert {"pydantic", "yaml"} < set(run())
    assert run() == ["shop"]


def test_what_is_remembered_is_what_was_read(site_file: Path) -> None:
    first = load(site_file)
    kept = cached(site_file).read_bytes()
    assert load(site_file) == first
    assert cached(site_file).read_bytes() == kept


def test_a_changed_file_is_read_anew(site_file: Path) -> None:
    load(site_file)
    site_file.write_text(BASE.replace("site: shop", "site: mall"))
    assert load(site_file).name == "mall"
    assert b'"mall"' in cached(site_file).read_bytes()


def test_a_changed_state_home_is_not_answered_from_the_cache(
    site_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(site_file)
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert load(site_file).state == "/elsewhere/bgctl/shop"


def test_a_relative_state_home_counts_as_not_set(
    site_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert load(site_file).state == str(Path.home() / ".local/state/bgctl/shop")


def test_a_damaged_cache_is_as_if_it_were_not_there(site_file: Path) -> None:
    site = load(site_file)
    kept = cached(site_file).read_bytes()
    damaged = [b"", b"{}", kept[:-1], kept[:100], kept.replace(b"8110", b"8119"), b"\xff" * 500]
    for bytes_ in damaged:
        cached(site_file).write_bytes(bytes_)
        assert load(site_file) == site
        assert cached(site_file).read_bytes() == kept


def test_a_cache_that_others_may_write_is_not_believed(site_file: Path) -> None:
    site = load(site_file)
    cached(site_file).chmod(0o666)
    assert load(site_file) == site
    assert cached(site_file).stat().st_mode & 0o777 == 0o600


def test_what_is_remembered_is_private_and_nothing_is_left_beside_it(site_file: Path) -> None:
    """S91, for the cache."""
    load(site_file)
    assert cached(site_file).stat().st_mode & 0o777 == 0o600
    assert cached(site_file).parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_written_is_no_trouble(site_file: Path) -> None:
    (site_file.parent / "cache").write_text("a file where a folder should be")
    assert load(site_file).name == "shop"


def test_a_bad_file_is_never_remembered(site_file: Path) -> None:
    site_file.write_text("site: shop\n")
    for _ in range(2):
        with pytest.raises(BadSite):
            load(site_file)
    assert not os.path.exists(site_file.parent / "cache")

"""`init haproxy` prints lines that go straight into a file, and nothing beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.adapters.haproxy.fragment import fragment
from orchestrator.adapters.nginx.fragment import fragment as nginx_fragment
from orchestrator.config.load import load
from orchestrator.doors.cli import app
from tests.config.refused import BASE, SOUND_BEHIND_HAPROXY


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "bg.yaml"
    path.write_text(SOUND_BEHIND_HAPROXY)
    return str(path)


def test_the_lines_are_those_that_a_proxy_is_held_against(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["init", "haproxy", "--site", file]) == 0
    out, err = capsys.readouterr()
    site = load(Path(file))
    assert out == (
        "# Switch edge: for the haproxy.cfg of proxy1, proxy2.\n" + fragment(site, site.proxies[0])
    )
    assert not err


def test_programs_get_them_by_switch_with_the_hosts_they_are_for(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["init", "haproxy", "-o", "json", "--site", file]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["outcome"] == "printed"
    (only,) = said["fragments"]
    assert (only["switch"], only["hosts"]) == ("edge", ["proxy1", "proxy2"])
    assert "frontend bg.shop.edge" in only["text"]


def test_those_of_nginx_are_printed_where_the_switch_is_one(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(file).write_text(SOUND_BEHIND_HAPROXY.replace("haproxy:", "nginx:"))
    assert app.run(["init", "nginx", "--site", file]) == 0
    out, err = capsys.readouterr()
    site = load(Path(file))
    assert out == (
        "# Switch edge: for the nginx configuration of proxy1, proxy2.\n"
        + nginx_fragment(site, site.proxies[0])
    )
    assert not err
    assert app.run(["init", "haproxy", "--site", file]) == 2
    assert "No switch of shop is of the kind `haproxy`" in capsys.readouterr().err


def test_a_site_without_haproxy_has_nothing_to_print(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bg.yaml").write_text(BASE)
    assert app.run(["init", "haproxy", "--site", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert "No switch of shop is of the kind `haproxy`" in err


def test_a_folder_of_that_name_is_still_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert app.run(["init", "./haproxy"]) == 0
    assert (tmp_path / "haproxy" / "bg.yaml").exists()

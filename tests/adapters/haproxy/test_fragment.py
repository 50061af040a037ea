"""The lines that bg prints are lines HAProxy takes, and bg says which of them are missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.haproxy import lua, names
from orchestrator.adapters.haproxy.fragment import fragment, sections
from orchestrator.adapters.haproxy.missing import missing, sizes
from orchestrator.core.model import Color, Hold, Host, Placement, Policy, Site
from orchestrator.proxies import addresses
from orchestrator.proxies.lacking import told_of
from tests.adapters.envoy.edge import service
from tests.adapters.haproxy.place import DEFAULTS, MAPS, SOCKET, HaproxyPlace

HOLDS = Policy(hold=Hold())


@pytest.fixture(params=[Policy(), HOLDS], ids=["without a hold", "with a hold"])
def described(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return replace(HaproxyPlace.described(tmp_path, 25000), policy=request.param)


def test_what_bg_prints_is_what_haproxy_takes(
    described: Site, tmp_path: Path, real: Callable[[str], str]
) -> None:
    spec = replace(described.proxies[0], maps=str(tmp_path), socket=str(tmp_path / "s"))
    for end in ("colors.map", "holds.map", "waits.map"):
        Path(names.file(described, spec, end)).write_text("")
    Path(names.lua_file(described, spec)).write_text(lua.text(described, spec))
    config = tmp_path / "haproxy.cfg"
    config.write_text(DEFAULTS + fragment(described, spec))
    check = [real("haproxy"), "-c", "-f", str(config)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_nothing_is_missing_in_what_bg_prints(described: Site) -> None:
    text = fragment(described, described.proxies[0])
    assert missing(text, described, described.proxies[0]) == ()


def test_each_line_that_is_taken_out_is_the_line_that_is_missing(described: Site) -> None:
    spec = described.proxies[0]
    lines = fragment(described, spec).splitlines()
    needed = {f"    {line}" for section in sections(described, spec) for line in section.lines}
    for at, line in enumerate(lines):
        if line in needed:
            (lacking,) = missing("\n".join(lines[:at] + lines[at + 1 :]), described, spec)
            assert lacking.endswith(f": {line.strip()}")


def test_in_an_empty_file_everything_is_missing(described: Site) -> None:
    spec = described.proxies[0]
    wanted = [f"{s.head}: {line}" for s in sections(described, spec) for line in s.lines]
    assert list(missing("", described, spec)) == wanted


def test_a_section_that_is_not_there_is_told_in_one_line(described: Site) -> None:
    spec = described.proxies[0]
    heads = [section.head for section in sections(described, spec)]
    told = told_of(missing("", described, spec), sizes(described, spec))
    assert [line.partition(": ")[0] for line in told] == heads
    text = fragment(described, spec).replace("option redispatch 1", "", 1)
    lacking = missing(text, described, spec)
    assert told_of(lacking, sizes(described, spec)) == lacking


def test_what_the_user_made_of_it_is_the_users(described: Site) -> None:
    spec = described.proxies[0]
    own = fragment(described, spec)
    for before, after in (
        (
            "frontend bg.shop.edge",
            "frontend www\n    acl mine path /mine\n    use_backend x if mine",
        ),
        ("    bind :25000", "    bind :443 ssl crt /etc/x.pem  # ours"),
        ("mode 660 level admin", "mode 600 user me level admin expose-fd listeners"),
        ("server i0 127.0.0.1:25001", "server first 127.0.0.1:25001 maxconn 50 check"),
        ("backend bg.shop.web.blue\n", "backend bg.shop.web.blue from mine\n"),
        ("retries 3", "retries 5"),
    ):
        assert before in own
        own = own.replace(before, after)
    inner = f"bind :{addresses.ports(described)['inner/web/blue/api']}"
    own = own.replace(inner, inner.replace(":", "10.0.0.7:"))
    assert missing(own, described, spec) == ()


def test_lines_in_the_wrong_order_are_missing(described: Site) -> None:
    """The last service that matches wins, so web after api would take all of api's requests."""
    spec = described.proxies[0]
    web, api = (line for line in fragment(described, spec).splitlines() if "_service) str(" in line)
    turned = fragment(described, spec).replace(web, "X").replace(api, web).replace("X", api)
    assert len(missing(turned, described, spec)) == 1


def test_a_socket_that_may_only_look_is_no_socket(described: Site) -> None:
    spec = described.proxies[0]
    text = fragment(described, spec).replace("level admin", "level user")
    assert missing(text, described, spec) == (
        f"global: stats socket {SOCKET} mode 660 level admin",
    )


def test_servers_are_the_instances_where_the_site_has_them(tmp_path: Path) -> None:
    described = HaproxyPlace.described(tmp_path, 25000)
    web = replace(described.service("web"), placement=Placement(2, 8110, 8120, ("w1", "w2")))
    hosts = (Host("w1", "10.0.0.1"), Host("w2", "w2.example"))
    described = replace(described, services=(web,), hosts=hosts)
    assert addresses.servers_of(described, web, Color.GREEN) == (
        ("w1", "10.0.0.1:8120"),
        ("w2", "w2.example:8120"),
    )


def test_addresses_stay_when_the_site_grows(tmp_path: Path) -> None:
    described = HaproxyPlace.described(tmp_path, 25000)
    before = addresses.ports(described)
    grown = replace(described, services=(*described.services, service("mail", 19000, "/mail")))
    after = addresses.ports(grown)
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)


def test_all_files_lie_in_the_folder_of_the_site_file(described: Site) -> None:
    text = fragment(described, described.proxies[0])
    paths = [word for word in text.replace("(", " ").replace(",", " ").split() if "shop." in word]
    assert all(word.startswith(MAPS) for word in paths if word.startswith("/"))

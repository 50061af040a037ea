"""The lines that bg prints are lines nginx takes, and bg says which of them are missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bg_agent.nginx import text_of

from orchestrator.adapters.nginx import names
from orchestrator.adapters.nginx.fragment import Block, blocks, fragment
from orchestrator.adapters.nginx.missing import missing, sizes
from orchestrator.adapters.nginx.remarks import remark
from orchestrator.core.model import Color, Pin, Route, Site, Use
from orchestrator.proxies.lacking import told_of
from tests.adapters.envoy.edge import service
from tests.adapters.nginx.place import NginxPlace, head


@pytest.fixture
def described(tmp_path: Path) -> Site:
    return NginxPlace.described(tmp_path, 25000)


def needed(site: Site) -> list[str]:
    """Every line that has to be there."""

    def lines(block: Block) -> list[str]:
        return [
            line for one in block.body for line in (lines(one) if isinstance(one, Block) else [one])
        ]

    return [line for block in blocks(site, site.proxies[0]) for line in lines(block)]


def dumped(site: Site, lines: str, path: str = "/etc/nginx/conf.d/bg.conf") -> str:
    """As `nginx -T` prints it."""
    config = site.proxies[0].config
    return (
        f"# configuration file {config}:\nhttp {{\n    include conf.d/*.conf;\n}}\n"
        f"\n# configuration file {path}:\n{lines}"
    )


def test_what_bg_prints_is_what_nginx_takes_with_the_longest_names_too(
    tmp_path: Path, real: Callable[[str], str]
) -> None:
    """A table of nginx has places of 64 bytes, and a name may have 31 letters."""
    long = "a-service--with-a-name-as-long1"
    first = NginxPlace.described(tmp_path, 25000)
    callee = service(long, 25100, "/a.b+c-(d)|\"e'\\$", host="Shop.Example")
    web = replace(first.service("web"), uses=(Use("api"), Use(long)))
    described = replace(
        first, name="a-site-with-a-name-as-long-as1", services=(web, *first.services[1:], callee)
    )
    (tmp_path / "conf.d").mkdir()
    spec = replace(described.proxies[0], maps=str(tmp_path))
    variables = names.variables(described, spec)
    assert len(set(variables.values())) == len(variables)
    colors = {key: (variable, "none") for key, variable in variables.items()}
    Path(names.colors_file(described, spec)).write_bytes(text_of(colors))
    (tmp_path / "nginx.conf").write_text(head(tmp_path))
    (tmp_path / "conf.d" / "bg.conf").write_text(fragment(described, spec))
    check = [real("nginx"), "-t", "-q", "-c", f"{tmp_path}/nginx.conf", "-e", f"{tmp_path}/log"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_nothing_is_missing_in_what_bg_prints_wherever_it_is_included(described: Site) -> None:
    spec = described.proxies[0]
    text = fragment(described, spec)
    assert missing(text, described, spec) == ()
    assert missing(dumped(described, text), described, spec) == ()


def test_a_file_that_nobody_includes_is_no_configuration(described: Site) -> None:
    spec = described.proxies[0]
    text = dumped(described, fragment(described, spec), "/etc/nginx/away/bg.conf")
    assert len(missing(text, described, spec)) == len(needed(described))


def test_each_line_that_is_taken_out_is_the_line_that_is_missing(described: Site) -> None:
    spec, wanted = described.proxies[0], set(needed(described))
    lines = fragment(described, spec).splitlines()
    for at, line in enumerate(lines):
        if line.strip() in wanted and not line.strip().startswith("listen "):
            (lacking,) = missing("\n".join(lines[:at] + lines[at + 1 :]), described, spec)
            assert lacking.endswith(line.strip())


def test_in_an_empty_file_everything_is_missing_and_told_block_by_block(described: Site) -> None:
    spec = described.proxies[0]
    lacking = missing("", described, spec)
    assert len(lacking) == len(needed(described))
    told = told_of(lacking, sizes(described, spec))
    assert len(told) == len(blocks(described, spec))
    assert "upstream bg.shop.web.blue: all of its 2 lines" in told


def test_what_the_user_made_of_it_is_the_users(described: Site) -> None:
    spec = described.proxies[0]
    own = fragment(described, spec)
    for before, after in (
        ("    listen 25000;\n", "    listen [::]:443 ssl;\n    server_name shop.example;\n"),
        ("    location / {\n", "    location ^~ /shop {\n        auth_basic off;\n"),
        ("        proxy_buffering off;\n", "        proxy_read_timeout 1h; # long polls\n"),
        ("    keepalive 64;\n", "    least_conn;\n"),
        ("server 127.0.0.1:25001;", "server 127.0.0.1:25001 max_fails=0 weight=1;"),
        ("default upgrade;", "'default' \"upgrade\";"),
        ("return 204;", "return\n  204 ;"),
    ):
        assert before in own
        own = own.replace(before, after)
    assert missing(own, described, spec) == ()


def test_a_route_that_says_more_comes_first_or_is_missing(described: Site) -> None:
    """The first that matches wins, so web before api would take all of api's requests."""
    spec = described.proxies[0]
    text = fragment(described, spec)
    api, web = (line for line in text.splitlines() if line.startswith('    "~^'))
    turned = text.replace(api, "X").replace(web, api).replace("X", web)
    assert len(missing(turned, described, spec)) == 1


def test_a_server_that_only_some_workers_can_be_asked_at_is_no_server(described: Site) -> None:
    spec = described.proxies[0]
    text = fragment(described, spec).replace(" reuseport;", ";")
    (lacking,) = missing(text, described, spec)[:1]
    assert lacking.startswith("server that bg asks: listen 127.0.0.1:")


def test_no_two_names_give_one_variable(described: Site) -> None:
    keys = ("a-b", "a--b", "a---b", "a-x-b", "a-xb", "a.blue.b", "a--blue--b", "a-.blue.b")
    assert len({names.color(described, key) for key in keys}) == len(keys)
    assert names.inner_color(described, Pin("web", Color.BLUE, "api")) == names.color(
        described, "web.blue.api"
    )


def test_a_route_of_a_host_counts_more_than_any_path(described: Site) -> None:
    mail = replace(service("mail", 19000, "/"), behind=Route("edge", "/", "mail.example"))
    grown = replace(described, services=(*described.services, mail))
    ways = [line for line in fragment(grown, grown.proxies[0]).splitlines() if '"~^' in line]
    assert [line.split()[1].partition(".")[0] for line in ways] == ["mail", "api", "web"]
    assert ways[0].split()[0] == r'"~^mail\.example/"'


def test_that_a_host_that_is_out_still_gets_requests_is_said(tmp_path: Path) -> None:
    """S87: its lines are the user's. Where nobody is out, nothing is said of it."""
    place = NginxPlace(NginxPlace.described(tmp_path, 25000), tmp_path)
    assert "taken out" not in " ".join(place.switch.remarks())
    placement = replace(place.site.services[0].placement, hosts=("web1", "web2"), away=("web2",))
    web = replace(place.site.services[0], placement=placement)
    place.site = replace(place.site, services=(web, *place.site.services[1:]))
    *_, said = place.another().remarks()
    assert "web2 was taken out, but requests go there" in said


def test_what_a_reload_may_cut_is_said_with_what_was_counted() -> None:
    assert remark("edge").endswith(
        "(about 1 per flip under load: 29 of 52,394 requests in 30 reloads when it was measured)"
    )
    assert remark("edge", (3, 0, 1)).endswith(
        "(at most about 1.3 per flip at your load: 4 were cut in the last 3 reloads of a proxy,"
        " as its host counts)"
    )
    assert remark("edge", (0,)).endswith(
        "(none at your load so far: 0 were cut in the last reload of a proxy)"
    )

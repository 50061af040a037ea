"""What a site file says is what the site is; what it should not say is named, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestrator.config
from orchestrator.config.load import find, load, parse
from orchestrator.config.mistakes import BadSite
from orchestrator.core.model import (
    Color,
    Coupling,
    ExecProbe,
    GatePolicy,
    Hold,
    Host,
    HttpProbe,
    Meanwhile,
    Otherwise,
    Placement,
    Policy,
    Probing,
    ProxyKind,
    ProxySpec,
    Recipe,
    Route,
    Secret,
    SecretFrom,
    Service,
    Site,
    Streams,
    SwitchSpec,
    TcpProbe,
    Use,
)
from tests.config.refused import BASE, REFUSED, SOUND_BEHIND_HAPROXY, Refused

EXAMPLE = Path(str(orchestrator.config.__file__)).with_name("example.yaml")
ON_HOSTS = EXAMPLE.with_name("example-hosts.yaml")
ON_NGINX = EXAMPLE.with_name("example-nginx.yaml")
CASES = [case for group in REFUSED.values() for case in group]

MINIMAL = """\
site: small
services:
  web:
    artifact: releases/{version}
    run: [bin/web]
    instances: {ports: {blue: 8110, green: 8120}}
    probes: [{tcp: true}]
"""


def parsed(text: str, folder: str = "/srv/shop") -> Site:
    return parse(text.encode(), file="bg.yaml", folder=folder, state_home="/var/state")


def mistakes_of(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BadSite) as bad:
        parse(raw, file="bg.yaml", folder="/srv/shop", state_home="/var/state")
    return [str(mistake) for mistake in bad.value.mistakes]


# -- What is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about.replace(" ", "_"))
def test_what_is_wrong_is_said_with_its_line_and_what_to_write_instead(case: Refused) -> None:
    whole_file = ("the file is",)
    expected = [f"bg.yaml:{' ' if s.startswith(whole_file) else ''}{s}" for s in case.says]
    assert mistakes_of(case.text) == expected


def test_the_files_that_are_changed_to_be_refused_are_sound_themselves() -> None:
    assert parsed(BASE).name == "shop"
    assert len({case.about for case in CASES}) == len(CASES)


def test_everything_that_is_wrong_is_said_in_one_go() -> None:
    bad = """\
site: Shop
services:
  web:
    artefact: releases/{version}
    run: bin/web
    env: {DB_PASSWORD: hunter2, API: "{api.url}"}
    instances: {conut: 2, ports: {blue: 8080, green: 8080}}
    behind: {switch: egde}
    uses: {web: same, aip: same}
  api:
    artifact: releases/{version}
    run: [bin/api, --port, "{prot}"]
    instances: {count: 2, ports: {blue: 8079, green: 8090}}
    probes: [{http: /}, {tcp: no}]
    probing: {every: 5}
switches: {edge: {envoy: {listen: "127.0.0.1:8090"}}}
hostz: {}
rollout: {shares: 2, soak: {for: 10m, within: 1m}}
"""
    lines = [int(said.split(":")[1]) for said in mistakes_of(bad)]
    assert sorted(set(lines)) == [1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18]
    assert len(lines) == len(mistakes_of(bad)) >= 19


def test_what_follows_from_a_mistake_is_no_second_one() -> None:
    """Ports that are not known collide with nobody, and a route that is not known takes nothing."""
    ports = "    instances: {count: 2, ports: {blue: 8110, green: 8120}}\n"
    text = BASE.replace(ports, "    instances: {count: 2}\n").replace(
        "8130, green: 8140", "1, green: 3"
    )
    text = text.replace("    behind: {switch: edge, path: /api}", "    behind: edge")
    assert mistakes_of(text) == [
        (
            "bg.yaml:7: `ports` is missing under services.api.instances; "
            "write the first port of each color: `ports: {blue: 8110, green: 8120}`"
        ),
        "bg.yaml:9: services.api.behind should be keys with values, not 'edge'",
    ]


def test_looks_that_just_fit_before_the_deadline_are_enough() -> None:
    def probing(within: str) -> str:
        return BASE.replace("{every: 1s, within: 30s}", f"{{every: 1s, well: 3, within: {within}}}")

    assert parsed(probing("2.1s")).services[1].probing.within_s == 2.1
    assert "do not fit" in mistakes_of(probing("2s"))[0]


def test_no_secret_is_ever_repeated_in_a_message() -> None:
    """S90, for the part of the site file."""
    planted = BASE.replace(
        "LOG_LEVEL: info", 'DB_PASSWORD: "hunter2", A: "x://u:hunter2@h"'
    ).replace('run: [bin/web, --port, "{port}"]', "run: bin/web x://u:hunter2@h")
    planted = planted.replace("site: shop\n", "site: shop\njournal: postgresql://u:hunter2@h\n")
    assert len(mistakes_of(planted)) == 4
    assert "hunter2" not in "".join(mistakes_of(planted))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadSite, match="there is no such file; `bgctl init` writes a first one"):
        load(tmp_path / "bg.yaml")
    with pytest.raises(BadSite, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(BadSite, match="cannot be read"):
        load(Path("a\0b"))


def test_a_file_that_is_not_text_says_so() -> None:
    assert mistakes_of(b"site: shop\nx: \xff\n") == [
        "bg.yaml:2: a byte that is not UTF-8; save the file as UTF-8"
    ]
    assert "the file is too large" in mistakes_of(b"#" * 300_000)[0]


def test_aliases_that_multiply_are_stopped_before_they_cost_anything() -> None:
    """S92, a bomb in the site file."""
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "aliases that multiply" in mistakes_of("\n".join(layers))[0]
    merges = ["m0: &m0 {a: 1}"]
    merges += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    assert mistakes_of("\n".join(merges))
    assert mistakes_of("[" * 200_000)
    assert mistakes_of("[" * 500)[0] == (
        "bg.yaml:1: nested too deep; a site file has at most 30 levels"
    )


# -- What is read --------------------------------------------------------------------------


def test_the_example_is_read_as_it_says() -> None:
    home = str(Path.home())
    site = parse(EXAMPLE.read_bytes(), file="x", folder="/srv/shop", state_home="/var/state")
    assert site.state == f"{home}/.local/state/bgctl/shop"
    api, web = site.services
    assert api == Service(
        name="api",
        artifact="dist/api-{version}.tar.gz",
        recipe=Recipe(
            run=("bin/api", "--port", "{port}"),
            env=(
                ("LOG_LEVEL", "info"),
                ("DB_PASSWORD", Secret(SecretFrom.FILE, ("secrets/db",))),
                ("MAIL_TOKEN", Secret(SecretFrom.ENV, ("SHOP_MAIL_TOKEN",))),
                ("PAY_API_KEY", Secret(SecretFrom.COMMAND, ("pass", "show", "shop/pay"))),
                ("DEMO_TOKEN", "demo"),
            ),
        ),
        placement=Placement(2, 8110, 8120),
        probes=(
            HttpProbe(
                "/healthz",
                headers=(("content-type", "application/json"),),
                json=(("version", "{version}"),),
                body="ok",
                host="api.shop.example",
            ),
            TcpProbe(),
            ExecProbe(("bin/check", "--port", "{port}")),
        ),
        behind=Route("edge", "/api", "shop.example"),
    )
    assert web.uses == (Use("api", Coupling.SAME),)
    assert web.recipe.run[-1] == "{api.url}"
    assert site.switches == (SwitchSpec("edge", "127.0.0.1", 8080, "envoy", 2),)
    assert site.policy == Policy(cutover=GatePolicy(owner="release-managers"), hold=Hold())


def test_the_example_on_hosts_is_read_as_it_says() -> None:
    site = parse(ON_HOSTS.read_bytes(), file="x", folder="/srv/fleet", state_home="/var/state")
    web = site.services[0]
    assert web.placement == Placement(2, 8110, 8120, ("web1", "web2"))
    assert web.placement.port(Color.GREEN, 1) == 8120, "one on each host, with the same port"
    assert ("Service.MemoryMax", "1G") in web.recipe.unit
    assert [v for k, v in web.recipe.unit if k == "Service.Environment"] == ["A=1", "B=2"]
    assert site.hosts == (
        Host("web1", "web1.example", "deploy", 22, "sudo"),
        Host("web2", "192.0.2.12", "deploy", None, "sudo"),
        Host("proxy1", "proxy1.example", "deploy"),
        Host("proxy2", "proxy2.example", "deploy"),
    )
    assert site.proxies == (ProxySpec("edge", ("proxy1", "proxy2"), "http://shop.example"),)


def test_the_example_behind_nginx_is_read_as_it_says() -> None:
    site = parse(ON_NGINX.read_bytes(), file="x", folder="/srv/fleet", state_home="/var/state")
    (spec,) = site.proxies
    assert (spec.name, spec.hosts, spec.url) == (
        "edge",
        ("proxy1", "proxy2"),
        "http://shop.example",
    )
    assert (spec.kind, spec.config) == (ProxyKind.NGINX, "/etc/nginx/nginx.conf")
    assert spec.maps == "/etc/nginx/bg"


def test_services_behind_haproxy_may_use_each_other() -> None:
    api = SOUND_BEHIND_HAPROXY.partition("services:\n")[2].partition("    behind:")[0]
    api = api.replace("web:", "api:").replace("81", "82")
    text = SOUND_BEHIND_HAPROXY.replace("    behind:", "    uses: {api: same}\n    behind:")
    site = parsed(text.replace("switches:", f"{api}switches:"))
    assert site.service("web").uses == (Use("api"),)
    assert site.proxies == (
        ProxySpec(
            "edge",
            ("proxy1", "proxy2"),
            "http://shop.example",
            "/run/haproxy/admin.sock",
            "/etc/haproxy/bg",
        ),
    )


def test_a_file_that_says_little_gets_the_defaults_of_the_core() -> None:
    site = parsed(MINIMAL)
    assert site == Site(
        name="small",
        services=(
            Service(
                name="web",
                artifact="releases/{version}",
                recipe=Recipe(run=("bin/web",)),
                placement=Placement(1, 8110, 8120),
                probes=(TcpProbe(),),
            ),
        ),
        folder="/srv/shop",
        state="/var/state/bgctl/small",
    )
    assert site.policy == Policy()
    assert site.services[0].probing == Probing()


def test_how_carefully_is_read_from_the_rollout_section() -> None:
    rollout = """
rollout:
  gates: {cutover: {timeout: 1d, otherwise: stay}}
  soak: {for: 500ms}
  meanwhile: replace
  standby: 1.5h
  tries: 5
  keep: 1
  drain: 0s
  lease: 2s
drift: mend
state: run/state
"""
    site = parsed(MINIMAL + rollout)
    assert site.policy == Policy(
        cutover=GatePolicy(None, 86400.0, Otherwise.STAY),
        soak_s=0.5,
        soak_within_s=10.0,
        meanwhile=Meanwhile.REPLACE,
        standby_s=5400.0,
        tries=5,
        keep=1,
        drain_s=0.0,
        lease_s=2.0,
        mend_drift=True,
    )
    assert site.state == "/srv/shop/run/state"


def test_no_gate_is_what_none_means() -> None:
    assert parsed(MINIMAL + "rollout: {gates: {cutover: none}}\n").policy.cutover is None


@pytest.mark.parametrize(
    "written", ["no", "on", "off", "1.10", "0800", "22:22", "1e3", "2026-01-01"]
)
def test_a_text_stays_the_text_that_was_written(written: str) -> None:
    """The traps of YAML 1.1: booleans, octal, sexagesimal, floats, dates."""
    text = BASE.replace("LOG_LEVEL: info", f"LOG_LEVEL: {written}, N: 7, T: true")
    env = dict(parsed(text).services[0].recipe.env)
    assert env == {"LOG_LEVEL": written, "N": "7", "T": "true"}


def test_a_probe_can_expect_a_version_that_looks_like_a_number() -> None:
    text = BASE.replace("{http: /healthz}", "{http: /, expect: {json: {version: 1.10, major: 1}}}")
    probe = parsed(text).services[0].probes[0]
    assert isinstance(probe, HttpProbe)
    assert probe.json == (("version", "1.10"), ("major", "1"))


def test_anchors_and_merges_say_what_they_repeat() -> None:
    text = MINIMAL.replace("  web:\n", "  web: &web\n") + (
        "  two:\n    <<: *web\n    instances: {ports: {blue: 8130, green: 8140}}\n"
    )
    web, two = parsed(text).services
    assert two.placement == Placement(1, 8130, 8140)
    assert (two.artifact, two.recipe, two.probes) == (web.artifact, web.recipe, web.probes)


def test_a_mistake_in_what_is_repeated_has_the_line_where_it_is_written() -> None:
    text = MINIMAL.replace("  web:\n", "  web: &web\n").replace("bin/web", '"{prot}"') + (
        "  two:\n    <<: *web\n    instances: {ports: {blue: 8130, green: 8140}}\n"
    )
    assert [said.split(":")[1] for said in mistakes_of(text)] == ["5", "5"]


def test_services_may_use_each_other_in_a_circle() -> None:
    text = BASE.replace("    behind: {switch: edge, path: /api}", "    uses: {web: any}")
    api, web = parsed(text).services
    assert (api.uses, web.uses) == ((Use("web", Coupling.ANY),), (Use("api", Coupling.SAME),))


def test_an_envoy_of_ones_own_is_found_from_the_folder_of_the_site() -> None:
    def binary(written: str) -> str | None:
        return parsed(BASE.replace('8080"', f'8080", binary: {written}')).switches[0].binary

    assert binary("./bin/envoy") == "/srv/shop/bin/envoy"
    assert binary("/opt/envoy") == "/opt/envoy"
    assert binary("envoy-1.34") == "envoy-1.34"


def test_an_ipv6_address_can_be_listened_on() -> None:
    switch = parsed(BASE.replace("127.0.0.1:8080", "[::1]:8080")).switches[0]
    assert (switch.host, switch.port) == ("::1", 8080)


@pytest.mark.parametrize("name", ["PASSWORD_FILE", "TOKEN_URL", "MONKEY", "PASSWORDLESS", "KEY"])
def test_a_name_that_only_resembles_a_secret_is_none(name: str) -> None:
    assert parsed(BASE.replace("LOG_LEVEL", name)).services[0].recipe.env == ((name, "info"),)


def test_words_of_a_shell_are_left_to_the_shell() -> None:
    text = BASE.replace("[bin/api, --port,", '[sh, -c, "exec bin/api ${HOME} {\\"a\\": 1}",')
    assert parsed(text).services[0].recipe.run[2] == 'exec bin/api ${HOME} {"a": 1}'


# -- Where it is found ---------------------------------------------------------------------


def test_the_site_is_found_from_any_folder_below_it(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "bg.yml").write_text(MINIMAL)
    assert find(below) == tmp_path / "bg.yml"
    (tmp_path / "a" / "bg.yaml").write_text(MINIMAL)
    assert find(below) == tmp_path / "a" / "bg.yaml"
    assert find(tmp_path / "bg.yml") == tmp_path / "bg.yml"


def test_where_there_is_no_site_the_way_to_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadSite, match=r"there is no bg\.yaml here.*`bgctl init`"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("  tries: 3", None),
        ("  hold: 500ms", Hold(0.5)),
        ("  hold: {for: 1s}", Hold(1.0)),
        ("  hold: {for: 1s, waiting: 50, streams: wait}", Hold(1.0, 50, Streams.WAIT)),
    ],
)
def test_time_is_stopped_only_where_the_file_says_so(written: str, means: Hold | None) -> None:
    assert parsed(BASE.replace("  soak: 60s", written)).policy.hold == means

"""Units as text: what a program is given is letter by letter what was asked for."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bg_agent import quoting, units
from bg_agent.asked import Release
from bg_agent.places import Host, Root
from bg_agent.trouble import Refused
from bg_agent.units import Instance, Launch

RELEASE = Release("2", "ab" * 32)
NASTY = [
    "", " ", "a b", "%", "%i", "%%", "$", "$$", "$HOME", "${HOME}", "$$HOME", '"', "'", "\\", "\\n",
    "\\x41", "\n", "\t", "\r", "\x01", "\x7f", ";", "\\;", "a;b", "#", "-", "@", "!", "+", "ü ☃ 𝄞",
    "{port}", "`id`", "$(id)", "a\\", "'a\" b'", "=", "a=b", "*", "?", "~", "\x1b[31m",
    "a\nExecStart=/bin/false",
]  # fmt: skip


def read_words(line: str, env: dict[str, str] | None = None) -> list[str]:
    """How systemd reads a command line: quotes and escapes, then specifiers, then variables."""
    return [variables(specifiers(word), env or {}) for word in split(line)]


def split(line: str) -> list[str]:
    words, rest = [], line
    while rest := rest.lstrip(" "):
        assert rest[0] == '"', "every word of ours is quoted"
        word, i = "", 1
        while rest[i] != '"':
            if rest[i] == "\\":
                code = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}.get(rest[i + 1])
                if code is None:
                    assert rest[i + 1] == "x"
                    code, i = chr(int(rest[i + 2 : i + 4], 16)), i + 2
                word, i = word + code, i + 2
            else:
                assert ord(rest[i]) >= 32
                word, i = word + rest[i], i + 1
        words.append(word)
        rest = rest[i + 1 :]
        assert rest[:1] in ("", " ")
    return words


def specifiers(word: str) -> str:
    return re.sub("%(.)", lambda found: {"%": "%", "i": "0"}[found[1]], word)


def variables(word: str, env: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env[found[1]]

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(?=.)", value, word)


def read_environment(text: str) -> dict[str, str]:
    """How systemd reads an environment file: in double quotes, four letters can be escaped."""
    found, rest = {}, text
    while rest:
        name, _, rest = rest.partition('="')
        value = ""
        while rest[0] != '"':
            if rest[0] == "\\" and rest[1] in '"\\`$':
                rest = rest[1:]
            value, rest = value + rest[0], rest[1:]
        found[name], rest = value, rest[1:].removeprefix("\n")
    return found


def launch(*argvs: list[str], **env: str) -> Launch:
    one = Launch("web", "green", RELEASE)
    one.instances = [Instance(i, argv, env, 0) for i, argv in enumerate(argvs)]
    one.program = "/opt/bg/shop/current/web/green/files/bin/web"
    return one


@pytest.fixture
def shop() -> Root:
    return Host("root", "/opt/bg").site("shop")


@pytest.mark.parametrize("word", NASTY, ids=repr)
def test_a_program_sees_every_argument_as_it_was_given(word: str) -> None:
    """S81: no template, no variable, no second command."""
    line = units.command_line(launch(["bin/web", word, "last"]))
    assert "\n" not in line
    program, *argv = read_words(line)
    assert program == "@/opt/bg/shop/current/web/green/files/bin/web"
    assert argv == ["bin/web", word, "last"]


def test_arguments_of_any_letters_arrive() -> None:
    draw = random.Random(7)
    letters = "ab \"'\\$%{};#\n\t\x01ü"
    for _ in range(300):
        argv = ["bin/web"] + ["".join(draw.choices(letters, k=draw.randrange(9))) for _ in "123"]
        assert read_words(units.command_line(launch(argv)))[1:] == argv


CARRIED = [word for word in NASTY if not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", word)]


@pytest.mark.parametrize("word", CARRIED, ids=repr)
def test_an_argument_that_differs_comes_from_the_environment_file(word: str) -> None:
    one = launch(["bin/web", "--port", "8110" + word], ["bin/web", "--port", "8111"], A="x")
    for instance in one.instances:
        env = read_environment(units.environment_text(one, instance))
        assert env.pop("A") == "x"
        assert tuple(read_words(units.command_line(one), env)[1:]) == instance.argv


@pytest.mark.parametrize("value", CARRIED, ids=repr)
def test_a_variable_arrives_as_it_was_given(value: str) -> None:
    one = launch(["bin/web"], VALUE=value, OTHER="o")
    assert read_environment(units.environment_text(one, one.instances[0])) == {
        "VALUE": value,
        "OTHER": "o",
    }


def test_what_systemd_would_drop_is_refused_without_repeating_it() -> None:
    """S90."""
    with pytest.raises(Refused, match="env PASSWORD holds a control character") as refused:
        quoting.variable("PASSWORD", "s3cret\x01")
    assert "s3cret" not in refused.value.why


def test_what_the_site_sets_wins_over_every_default_and_never_over_what_is_ours(
    shop: Root,
) -> None:
    one = launch(["bin/web"])
    defaults = units.unit_text(shop, one, 252)
    one.unit = units.settings(
        {
            "Service": {
                "MemoryMax": "1G", "ProtectSystem": "no", "Restart": "on-failure",
                "ReadWritePaths": ["/srv/a", "/srv/b"], "NoNewPrivileges": False, "Nice": 5,
            },
            "Unit": {"After": "postgresql.service", "AssertPathExists": "/srv"},
            "Install": {"WantedBy": "shop.target"},
        }
    )  # fmt: skip
    text = units.unit_text(shop, one, 252)
    for line in ("ProtectSystem=strict", "Restart=always", "WantedBy=multi-user.target"):
        assert line in defaults.splitlines()
        assert line not in text.splitlines()
    for line in (
        "MemoryMax=1G", "ProtectSystem=no", "Restart=on-failure", "ReadWritePaths=/srv/a",
        "ReadWritePaths=/srv/b", "NoNewPrivileges=no", "Nice=5", "After=postgresql.service",
        "WantedBy=shop.target", "PrivateTmp=yes", "AssertPathExists=/srv",
        "AssertPathExists=/opt/bg/shop/current/web/green/.release-" + RELEASE.digest,
    ):  # fmt: skip
        assert line in text.splitlines()


REFUSED = {
    "another section": {"X-Bg": {"Site": "other"}},
    "no section": {"Service": "Nice=5"},
    "a line break": {"Service": {"Nice": "5\nExecStart=/bin/false"}},
    "a line that goes on": {"Service": {"Nice": "5\\"}},
    "a key that is none": {"Service": {"Nice=5\nUser": "root"}},
    "a value that is none": {"Service": {"Nice": {"a": 1}}},
    "too long": {"Service": {"Nice": "5" * 5000}},
    **{key: {"Service": {key: "x"}} for key in units.OURS},
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_settings_that_would_be_more_than_settings_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        units.settings(given)
    assert refused.value.more["kind"] == "bad-request"


def test_a_unit_says_whose_it_is(shop: Root) -> None:
    text = units.unit_text(shop, launch(["bin/web"]), 252)
    assert units.whose(text) == {
        "Site": "shop", "Service": "web", "Color": "green", "Release": RELEASE.folder,
    }  # fmt: skip
    assert units.whose("[Service]\nExecStart=/bin/true\n") == {}


def test_a_unit_is_hardened_and_dumps_no_core(shop: Root) -> None:
    lines = units.unit_text(shop, launch(["bin/web"]), 252).splitlines()
    for line in (
        "NoNewPrivileges=yes", "ProtectSystem=strict", 'ReadWritePaths="/opt/bg/shop"',
        "PrivateTmp=yes", "LimitCORE=0", "Type=exec", "StartLimitIntervalSec=0",
        'InaccessiblePaths="-/opt/bg/shop/private"',
    ):  # fmt: skip
        assert line in lines


def test_a_user_s_unit_asks_for_nothing_that_a_user_s_systemd_cannot_do() -> None:
    text = units.unit_text(Host("user", "/srv/bg").site("shop"), launch(["bin/web"]), 252)
    assert "ProtectSystem" not in text
    assert "WantedBy=default.target" in text
    assert "NoNewPrivileges=yes" in text


@pytest.mark.parametrize("version", [229, 241, 252, 254, 257])
def test_pauses_grow_where_systemd_knows_how(shop: Root, version: int) -> None:
    text = units.unit_text(shop, launch(["bin/web"]), version)
    assert ("RestartSteps=" in text) is (version >= 254)
    assert ("Type=exec" in text) is (version >= 240)


def test_a_program_that_says_when_it_is_ready_is_waited_for(shop: Root) -> None:
    one = launch(["bin/web"])
    one.notify = True
    assert "Type=notify" in units.unit_text(shop, one, 252)


def test_systemd_itself_finds_nothing_wrong_with_it(
    shop: Root, tmp_path: Path, real: Callable[[str], str]
) -> None:
    one = launch(*([["bin/web", *NASTY, str(i)] for i in range(2)]))
    one.program, one.user, one.credentials = "/bin/sleep", "root", {"token": b"x"}
    path = tmp_path / "bg-shop-web-green@.service"
    path.write_text(units.unit_text(shop, one, 252))
    done = subprocess.run(
        [real("systemd-analyze"), "verify", "--recursive-errors=no", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "bg-shop" in line]
    assert not ours, done.stderr

"""A session, and whatever comes over its line: one answer each, in time; nothing is believed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agents.conftest import Speak
from tests.agents.systemd import FakeSystemd
from tests.agents.talk import Agent

NO_REQUESTS = {
    "no JSON": b"deploy!",
    "half a line": b'{"id": 1, "verb": "he',
    "a list": b"[]",
    "nothing known": b'{"verb": "hello"}',
    "an id that is none": b'{"id": {"a": 1}, "verb": "hello"}',
    "an id that is true": b'{"id": true, "verb": "hello"}',
    "a long id": b'{"id": "' + b"x" * 65 + b'", "verb": "hello"}',
    "no UTF-8": b'{"id": 1, "verb": "\xff"}',
    "a number of a million digits": b'{"id": 1, "epoch": ' + b"9" * 1_000_000 + b"}",
    "NaN": b'{"id": 1, "epoch": NaN}',
    "beyond all numbers": b'{"id": 1, "epoch": 1e999}',
    "very deep": b"[" * 500_000,
    "a line that is too long": b'{"id": 1, "verb": "hello", "x": "' + b"x" * 1_100_000 + b'"}',
    "two values": b'{"id": 1} {"id": 2}',
}


@pytest.mark.parametrize("line", NO_REQUESTS.values(), ids=list(NO_REQUESTS))
def test_a_line_that_is_no_request_is_answered_and_forgotten(agent: Agent, line: bytes) -> None:
    """S81."""
    agent.raw(line)
    answer = agent.answer(None)
    assert answer["kind"] == "bad-request"
    assert len(json.dumps(answer)) < 400
    assert agent.ok("hello")["protocol"] == 1


NO_NAMES = ["", "..", "../x", "a/b", "a\nb", "-rf", "A", "a" * 32, "a b", "a%i", "ä", "a\x00", 7]


@pytest.mark.parametrize("name", NO_NAMES, ids=repr)
def test_a_name_that_is_none_never_becomes_a_path_or_a_unit(
    agent: Agent, base: Path, system: FakeSystemd, name: object
) -> None:
    """S81, S92: in every place where a request has one."""
    release = {"version": "1", "digest": "0" * 64}
    for given in (
        {"site": name, "services": ["web"]},
        {"services": [name]},
        {"services": ["web", name]},
    ):
        assert agent.refused("look", **given)[0] == "bad-request"
    for verb in ("described", "remove", "offer", "start"):
        assert agent.refused(verb, service=name, release=release)[0] == "bad-request"
    for part in ("version", "digest"):
        wrong = {**release, part: name}
        if name == "a" * 32 or (part, name) == ("version", "A"):
            continue  # no name, but a version or a digest
        assert agent.refused("point", service="web", color="blue", release=wrong)[0] == (
            "bad-request"
        )
    assert agent.refused("point", service="web", color=name, release=release)[0] == "bad-request"
    assert not base.exists()
    assert not (system.folder / "called").exists()


def test_a_verb_that_it_does_not_know_is_refused_as_such(agent: Agent) -> None:
    """S86: a newer driver."""
    for verb in ("migrate", "__init__", "../hello", "os", ""):
        assert agent.refused(verb)[0] == "unknown-verb"


def test_a_slow_request_is_in_nobodys_way(agent: Agent) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        probe = {"http": {"host": "127.0.0.1", "port": silent.getsockname()[1], "path": "/"}}
        slow = agent.send("probe", probe=probe, timeout_s=3)
        for _ in range(5):
            agent.ok("facts")
        assert agent.waiting == [], "the slow one was first"
        assert agent.answer(slow)["ok"] == {"failed": "no answer in time"}


def test_more_requests_than_it_takes_at_once_are_all_answered(agent: Agent) -> None:
    numbers = [agent.send("facts", epoch=None) for _ in range(100)]
    assert all("ok" in agent.answer(number) for number in numbers)


def test_the_end_of_the_session_ends_it_and_what_it_probes_with(
    agent: Agent, stage: Callable[..., object], tmp_path: Path
) -> None:
    from tests.agents.programs import packed

    release = packed(tmp_path, "1")
    stage(release)
    note = tmp_path / "pid"
    script = f"echo $$ > {note}.new && mv {note}.new {note}; exec sleep 100"
    probe = {"exec": {"argv": ["sh", "-c", script], "service": "web", "release": release.release}}
    agent.send("probe", probe=probe, timeout_s=50)
    until = time.monotonic() + 10
    while not note.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    agent.process.stdin.close()  # type: ignore[union-attr]
    assert agent.process.wait(5) == 0
    while Path(f"/proc/{note.read_text().strip()}/stat").exists():
        assert time.monotonic() < until + 5
        time.sleep(0.01)


def test_a_systemd_that_does_not_answer_is_unsure_and_never_empty(
    agent: Agent, system: FakeSystemd
) -> None:
    """S83: nobody may take a host that says nothing for one on which nothing runs."""
    system.trouble("broken", "Failed to connect to bus: No such file or directory")
    assert "Failed to connect to bus" in agent.ask("look", services=["web"])["unsure"]


@pytest.mark.slow
def test_a_systemd_that_hangs_is_unsure_in_time(agent: Agent, system: FakeSystemd) -> None:
    system.trouble("hangs")
    began = time.monotonic()
    assert "unsure" in agent.ask("look", services=["web"])
    assert time.monotonic() - began < 31


def test_without_anybody_speaking_it_ends_by_itself(
    command: Callable[..., list[str]], system: FakeSystemd
) -> None:
    with Agent(command("serve", "--idle-s", "1"), env=system.env) as agent:
        agent.ok("hello")
        assert agent.process.wait(10) == 0


def test_options_of_no_meaning_are_refused(command: Callable[..., list[str]]) -> None:
    for more in (["--how", "magic"], ["--base", "relative"], ["--x", "y"]):
        done = subprocess.run(
            [*command("serve")[:5], *more], capture_output=True, check=False, env=dict(os.environ)
        )
        assert done.returncode == 2
        assert json.loads(done.stdout)["kind"] == "bad-request"


def test_hello_says_who_and_where(agent: Agent, base: Path, system: FakeSystemd) -> None:
    hello = agent.ok("hello", closely=True)
    assert hello["how"] == "sudo"
    assert hello["base"] == str(base)
    assert hello["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert abs(hello["clock_s"] - time.time()) < 60
    assert hello["free"] > 0
    assert (hello["systemd"], hello["answers"], hello["sudo"]) == (252, True, True)
    assert (hello["journal"], hello["youngest"], hello["gone"]) == (None, 0, None)
    system.trouble("broken", "sudo: a password is required")
    trouble = agent.ok("hello", closely=True)["trouble"]
    assert "without a password" in trouble


def test_two_sessions_at_once_are_served(speak: Speak) -> None:
    one, two = speak(), speak()
    assert one.ok("look", services=["web"])["youngest"] == 1
    assert two.ok("look", services=["web"])["youngest"] == 1

"""Looks at health from the host: an ill target is an answer, and the answer comes in time."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agents.programs import packed
from tests.agents.talk import Agent, Packed


@contextmanager
def serving(answer: Callable[[socket.socket], object]) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            try:
                line, _ = listener.accept()
                with line:
                    line.recv(4096)
                    answer(line)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(10)


def http(agent: Agent, port: int, timeout_s: float = 5, **more: Any) -> dict[str, Any]:
    given = {"http": {"host": "127.0.0.1", "port": port, "path": "/healthz", **more}}
    return agent.ok("probe", probe=given, timeout_s=timeout_s)


def test_what_it_was_told_over_http_is_told(agent: Agent) -> None:
    words = b"HTTP/1.1 503 No\r\nX-Version: 2\r\nContent-Length: 3\r\n\r\nill"
    with serving(lambda line: line.sendall(words)) as port:
        found = http(agent, port)
    assert (found["status"], base64.b64decode(found["body"]), found["cut"]) == (503, b"ill", False)
    assert ["x-version", "2"] in found["headers"]


def test_the_rest_of_five_gigabytes_is_not_read(agent: Agent) -> None:
    """S41, S81."""

    def much(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
        while True:
            line.sendall(bytes(1_000_000))

    with serving(much) as port:
        found = http(agent, port)
    assert (found["cut"], len(base64.b64decode(found["body"]))) == (True, 65536)


def test_one_byte_a_moment_does_not_outlast_the_timeout(agent: Agent) -> None:
    """S41."""

    def drip(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            line.sendall(b".")
            time.sleep(0.05)

    began = time.monotonic()
    with serving(drip) as port:
        found = http(agent, port, timeout_s=1)
    assert "status" in found or found["failed"] == "no answer in time"
    assert time.monotonic() - began < 4


NO_ANSWERS = {
    "closed": b"",
    "no HTTP": b"220 smtp.example ESMTP\r\n",
    "half": b"HTTP/1.1 200",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
    "a length that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("words", NO_ANSWERS.values(), ids=list(NO_ANSWERS))
def test_no_answer_is_told_as_that(agent: Agent, words: bytes) -> None:
    with serving(lambda line: line.sendall(words)) as port:
        found = http(agent, port)
    assert found["failed"]
    assert "\n" not in found["failed"]


def test_a_path_and_a_host_cannot_say_more_than_they_are(agent: Agent) -> None:
    """S81."""
    heard: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        path = "/a b\r\nX-Evil: 1\r\n"
        more = {"path": path, "virtual_host": "shop\r\nX-Evil: 2"}
        given = {"http": {"host": "127.0.0.1", "port": listener.getsockname()[1], **more}}
        number = agent.send("probe", probe=given, timeout_s=5)
        line, _ = listener.accept()
        with line:
            heard.append(line.recv(4096))
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert agent.answer(number)["ok"]["status"] == 200
    names = [header.partition(b":")[0] for header in heard[0].split(b"\r\n")[1:]]
    assert b"X-Evil" not in names


def test_tcp_is_open_or_not(agent: Agent) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
        assert agent.ok("probe", probe={"tcp": address}) == {"connected": True}
    assert agent.ok("probe", probe={"tcp": address}) == {"failed": "Connection refused"}
    nowhere = {"host": "no such host.invalid", "port": 1}
    assert "failed" in agent.ok("probe", probe={"tcp": nowhere})


# -- Programs ------------------------------------------------------------------------------


@pytest.fixture
def run(
    agent: Agent, stage: Callable[[Packed], Packed], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    one = stage(packed(tmp_path, "1"))

    def probe(*argv: str, timeout_s: float = 5, **env: str) -> dict[str, Any]:
        given = {"argv": argv, "env": env, "service": "web", "release": one.release}
        return agent.ok("probe", probe={"exec": given}, timeout_s=timeout_s)

    return probe


def test_a_program_runs_in_the_release_with_its_environment(
    run: Callable[..., dict[str, Any]],
) -> None:
    found = run("sh", "-c", "cat version; echo $A; env | wc -l; exit 3", A="b c")
    assert found["exit"] == 3
    assert found["output"].splitlines()[:2] == ["1", "b c"]
    assert int(found["output"].splitlines()[2]) <= 5  # PATH, A, and what a shell adds


def test_a_program_s_gigabytes_and_escapes_are_cut(run: Callable[..., dict[str, Any]]) -> None:
    """S81."""
    found = run("sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' x; printf '\\033[31mend'")
    assert len(found["output"]) <= 4096
    assert found["output"].endswith("end")
    assert "\x1b" not in found["output"]


def test_a_program_that_hangs_is_ended_with_all_it_started(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    began = time.monotonic()
    note = tmp_path / "child"
    found = run("sh", "-c", f"sleep 100 & echo $! > {note}; wait", timeout_s=1)
    assert (found["timed_out"], found["exit"]) == (True, None)
    assert time.monotonic() - began < 5
    child = Path(f"/proc/{note.read_text().strip()}/stat")
    until = time.monotonic() + 5
    while child.exists() and ") Z" not in child.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_program_that_was_ended_says_by_what(run: Callable[..., dict[str, Any]]) -> None:
    assert run("sh", "-c", "kill -9 $$")["signal"] == "SIGKILL"
    assert "no-such-program" in run("no-such-program")["failed"]


# -- Facts ---------------------------------------------------------------------------------


def test_facts_are_of_the_disk_and_the_ports(agent: Agent, base: Path) -> None:
    import os

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        facts = agent.ok("facts", ports=[port])
    assert (facts["writable"], facts["why"]) == (True, None)
    assert 0 < facts["free"] <= facts["total"]
    (found,) = facts["ports"]
    assert found["port"] == port
    assert {one["pid"] for one in found["taken"]} == {os.getpid()}
    assert all(one["ours"] is None for one in found["taken"])
    assert agent.ok("facts", ports=[port])["ports"] == [{"port": port, "taken": []}]
    assert not list(base.glob("**/.bg-*"))


def test_programs_that_no_step_could_run_are_named(agent: Agent, base: Path) -> None:
    base.mkdir(exist_ok=True)
    (base / "plain").write_text("no program")
    asked = ["sh", "/bin/sh", "no-such-program", str(base / "plain"), "a\0b"]
    assert agent.ok("facts", programs=asked)["missing"] == asked[2:]

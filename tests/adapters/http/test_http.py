"""Asking over HTTP: what is expected and what comes instead, and every way to answer badly."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import struct
import tracemalloc

import pytest

from orchestrator.adapters.http.exchange import request
from orchestrator.core.health import Found
from orchestrator.core.model import HttpProbe, TcpProbe
from tests.adapters.http.answers import asked, response, sample_of, server

JSON = b'{"version": "2", "build": {"n": 7, "dirty": false, "tags": ["a", "b"]}, "load": 1.50}'

GOOD = {
    "the status": (response(), HttpProbe("/")),
    "another status": (response(b"", "204 No Content"), HttpProbe("/", 204)),
    "a redirect that is meant": (
        response(b"", "302 Found", "Location: /x"),
        HttpProbe("/", 302, headers=(("Location", "/x"),)),
    ),
    "a header": (
        response(b"", "200 OK", "x-bg: 2"),
        HttpProbe("/", headers=(("X-BG", "{version}"),)),
    ),
    "one of several headers": (
        response(b"", "200 OK", "Via: a", "Via: b"),
        HttpProbe("/", headers=(("via", "b"),)),
    ),
    "a text in the body": (response(b"I am 2, hello"), HttpProbe("/", body="I am {version},")),
    "braces that are no template": (response(b'{"ok":1}'), HttpProbe("/", body='{"ok":1}')),
    "JSON text": (response(JSON), HttpProbe("/", json=(("version", "{version}"),))),
    "JSON further in": (response(JSON), HttpProbe("/", json=(("build.tags.1", "b"),))),
    "a JSON number as it is written": (response(JSON), HttpProbe("/", json=(("load", "1.50"),))),
    "a JSON truth": (response(JSON), HttpProbe("/", json=(("build.dirty", "false"),))),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nI a\r\n3\r\nm 2\r\n0\r\n\r\n",
        HttpProbe("/", body="I am 2"),
    ),
    "a body that ends with the connection": (
        b"HTTP/1.0 200 OK\r\n\r\nI am 2",
        HttpProbe("/", body="I am 2"),
    ),
    "something informational first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response(b"I am 2"),
        HttpProbe("/", body="I am 2"),
    ),
    "more after the answer": (response() + b"\r\nand more", HttpProbe("/")),
}  # fmt: skip

BAD = {
    "another status": (response(b"", "500 Oops"), HttpProbe("/"), "status 500 instead of 200"),
    "a redirect, which is not followed": (
        response(b"", "302 Found", "Location: /"),
        HttpProbe("/"),
        "status 302",
    ),
    "the wrong version": (
        response(b'{"version": "1"}'),
        HttpProbe("/", json=(("version", "{version}"),)),
        "version is '1' instead of '2'",
    ),
    "no such header": (response(), HttpProbe("/", headers=(("X-BG", "2"),)), "X-BG is missing"),
    "another header": (
        response(b"", "200 OK", "X-BG: 1"),
        HttpProbe("/", headers=(("X-BG", "2"),)),
        "X-BG is '1' instead of '2'",
    ),
    "another body": (response(b"hi"), HttpProbe("/", body="{color}"), "does not contain 'green'"),
    "no such field": (
        response(JSON),
        HttpProbe("/", json=(("build.x", "1"),)),
        "build.x is missing",
    ),
    "a number that is written otherwise": (
        response(JSON),
        HttpProbe("/", json=(("load", "1.5"),)),
        "load is '1.50'",
    ),
    "no JSON": (response(b"<html>"), HttpProbe("/", json=(("version", "2"),)), "not JSON"),
    "JSON too deep": (
        response(b"[" * 60_000),
        HttpProbe("/", json=(("version", "2"),)),
        "not JSON",
    ),
    "nothing": (b"", HttpProbe("/"), "without an answer"),
    "half of the headers": (b"HTTP/1.1 200 OK\r\nX: y\r\n", HttpProbe("/"), "without an answer"),
    "half of the body": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        HttpProbe("/"),
        "in the middle",
    ),
    "half of the chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        HttpProbe("/"),
        "in the middle",
    ),
    "no HTTP": (b"220 mail.example ESMTP\r\n", HttpProbe("/"), "no HTTP"),
    "noise": (bytes(range(256)) * 20, HttpProbe("/"), "no HTTP"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", HttpProbe("/"), "no HTTP"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        HttpProbe("/"),
        "no HTTP",
    ),
    "a header bomb": (
        b"HTTP/1.1 200 OK\r\n" + b"X-Bomb: boom\r\n" * 10_000,
        HttpProbe("/"),
        "more than 16 KB of headers",
    ),
    "one endless header": (
        b"HTTP/1.1 200 OK\r\nX-Bomb: " + b"x" * 1_000_000,
        HttpProbe("/"),
        "more than 16 KB of headers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
async def test_what_is_expected_is_good(case: str) -> None:
    say, probe = GOOD[case]
    sample = await asked(say, probe)
    assert (sample.found, sample.why) == (Found.GOOD, "")


@pytest.mark.parametrize("case", BAD)
async def test_what_is_not_expected_is_bad_and_says_what_it_was_instead(case: str) -> None:
    """S40, S41."""
    say, probe, why = BAD[case]
    sample = await asked(say, probe)
    assert sample.found is Found.BAD
    assert why in sample.why and sample.why.startswith("GET /: ")


# -- In time, whatever happens ---------------------------------------------------------------


async def test_five_gigabytes_are_not_read() -> None:
    """S41: a body is read to 64 KB; where only the status was asked for, that is enough."""
    sent = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    tracemalloc.start()
    try:
        assert (await asked(pour)).found is Found.GOOD
        sample = await asked(pour, HttpProbe("/", body="y"), HttpProbe("/", json=(("a", "b"),)))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert sample.found is Found.BAD
    assert "the first 65536 bytes of the body do not contain 'y'" in sample.why
    assert "longer than 65536 bytes" in sample.why
    assert sent < 50_000_000


async def test_a_server_that_drips_is_bad_when_the_time_is_over() -> None:
    """S41: each byte in time, and never done. The limit is for all of it together."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in response(b"x" * 1000):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    sample = await asked(drip, timeout_s=0.3)
    assert (sample.found, sample.why) == (Found.BAD, "GET /: no answer within 0.3 s")


async def test_headers_for_ever_are_bad_in_time() -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
            await writer.drain()

    sample = await asked(flood, timeout_s=0.3)
    assert sample.found is Found.BAD


async def test_a_connection_that_is_reset_is_bad() -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await writer.drain()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    sample = await asked(reset)
    assert (sample.found, sample.why) == (Found.BAD, "GET /: connection reset")


async def test_a_port_that_takes_no_connection_is_bad_in_time() -> None:
    """Its queue is full: the kernel answers nothing at all."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        sample = await sample_of(port, TcpProbe(), HttpProbe("/"), timeout_s=0.3)
    assert sample.found is Found.BAD
    assert "no answer within 0.3 s" in sample.why


async def test_where_nobody_listens_is_bad_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sample = await sample_of(taken.getsockname()[1], TcpProbe(), HttpProbe("/x"), timeout_s=5)
    assert sample.found is Found.BAD
    assert "GET /x: connection refused" in sample.why


async def test_what_we_have_no_file_left_to_ask_with_is_unknown() -> None:
    """S42: that says nothing about the target."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with server(response()) as there:
        with socket.socket() as newest:
            limit = newest.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            sample = await sample_of(there.port, HttpProbe("/"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert sample.found is Found.UNKNOWN
        assert "too many open files" in sample.why
        assert (await sample_of(there.port, HttpProbe("/"))).found is Found.GOOD


# -- What is asked ---------------------------------------------------------------------------


async def test_the_prefix_goes_before_the_path_and_the_host_of_the_probe_counts() -> None:
    async with server(response()) as there:
        await sample_of(
            there.port, HttpProbe("/healthz?deep=1", host="shop.example"), prefix="/api/"
        )
    head = there.asked[0].split(b"\r\n")
    assert head[0] == b"GET /api/healthz?deep=1 HTTP/1.1"
    assert b"Host: shop.example" in head and b"Connection: close" in head


def test_nothing_in_a_path_can_end_its_line() -> None:
    sent = request("127.0.0.1", 80, "/a b\r\nX-Evil: 1\r\n\r\n/ü", None)
    assert sent.startswith(b"GET /a%20b%0D%0AX-Evil:%201%0D%0A%0D%0A/%C3%BC HTTP/1.1\r\n")
    assert sent.count(b"\r\n\r\n") == 1


def test_an_address_of_ipv6_is_in_brackets() -> None:
    assert b"\r\nHost: [::1]:80\r\n" in request("::1", 80, "/", None)


async def test_a_host_that_would_end_its_line_is_not_sent() -> None:
    async with server(response()) as there:
        sample = await sample_of(there.port, HttpProbe("/", host="a\r\nX-Evil: 1"))
    assert sample.found is Found.BAD and there.asked == []


# -- What is told ----------------------------------------------------------------------------


async def test_hostile_values_are_told_in_one_short_printable_line() -> None:
    """S81: ANSI, line breaks, direction marks, and megabytes."""
    evil = "\x1b[2J\x1b]0;title\x07red\x1b[31m\u202e\n\x00" + "x" * 10_000
    body = json.dumps({"version": evil}).encode()
    sample = await asked(response(body), HttpProbe("/", json=(("version", "2"),)))
    assert sample.found is Found.BAD
    assert sample.why.startswith("GET /: version is 'red")


async def test_the_rest_of_a_body_is_never_told() -> None:
    """S90: only the field that was asked for, and not much of it."""
    body = b'{"version": "1", "password": "hunter22"}'
    probes = (HttpProbe("/", json=(("version", "2"),)), HttpProbe("/", body="absent"))
    sample = await asked(response(body), *probes)
    assert sample.found is Found.BAD and "hunter22" not in sample.why

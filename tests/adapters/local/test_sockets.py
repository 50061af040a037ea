"""Who listens: what the kernel is asked and what /proc says are one thing, here and on a host."""

from __future__ import annotations

import socket
from types import ModuleType

import pytest
from bg_agent import sockets as on_a_host

from orchestrator.adapters.local import sockets as here


@pytest.mark.parametrize("sockets", [here, on_a_host])
def test_each_that_listens_is_told_with_its_port_and_none_that_does_not(
    sockets: ModuleType,
) -> None:
    with socket.socket(socket.AF_INET6) as six, socket.create_server(("127.0.0.1", 0)) as four:
        six.bind(("::1", 0))
        six.listen()
        with socket.create_connection(four.getsockname()) as line, socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            told = dict.fromkeys(port for _, port in sockets.listening())
            wanted = [four.getsockname()[1], six.getsockname()[1]]
            assert [port for port in wanted if port in told] == wanted
            assert not {line.getsockname()[1], bound.getsockname()[1]} & told.keys()


@pytest.mark.parametrize("sockets", [here, on_a_host])
def test_the_kernel_and_proc_name_the_same_sockets(sockets: ModuleType) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as two,
    ):
        ours = {one.getsockname()[1], two.getsockname()[1]}
        asked = sorted(pair for pair in sockets.listening() if pair[1] in ours)
        tables = [pair for table in ("tcp", "tcp6") for pair in sockets._told_by_proc(table)]
        assert asked == sorted(pair for pair in tables if pair[1] in ours)
        assert len(asked) == 2

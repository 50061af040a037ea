"""Which TCP sockets of this machine listen, asked of the kernel itself (netlink, `sock_diag(7)`).

/proc/net/tcp tells it too, but walks every connection there could be: 14 ms for each of its two
tables where memory is large. The one rule: where the kernel does not answer, /proc does. (The
agent on a host does the same; it shares no code with who sends it.)
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator

SOCK_DIAG, BY_FAMILY, DONE = 4, 20, 3
REQUEST_DUMP = 0x301
LISTEN = 10
_HEADER = struct.Struct("=LHHLL")  # length, type, flags, sequence, pid
_ASKED = struct.Struct("=BBBBL48x")  # family, protocol, extensions, padding, states, any socket
_TOLD = struct.Struct("!4x2s62x4s")  # the port, and (in the machine's own order) the inode
WITHIN_S = 2.0


def listening() -> tuple[tuple[str, int], ...]:
    """The inode and port of each."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as kernel:
            kernel.settimeout(WITHIN_S)
            families = (socket.AF_INET, socket.AF_INET6)
            return tuple(one for family in families for one in _of(kernel, family))
    except OSError:
        return tuple(one for table in ("tcp", "tcp6") for one in _told_by_proc(table))


def _of(kernel: socket.socket, family: int) -> Iterator[tuple[str, int]]:
    asked = _ASKED.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << LISTEN)
    kernel.send(_HEADER.pack(_HEADER.size + len(asked), BY_FAMILY, REQUEST_DUMP, family, 0) + asked)
    while True:
        data = kernel.recv(65536)
        while len(data) >= _HEADER.size:
            length, kind, _, sequence, _ = _HEADER.unpack_from(data)
            told, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
            if sequence == family and kind == DONE:
                return
            if kind != BY_FAMILY or len(told) < _TOLD.size or length < _HEADER.size:
                raise OSError("the kernel does not tell who listens")
            port, inode = _TOLD.unpack_from(told)
            yield str(int.from_bytes(inode, sys.byteorder)), int.from_bytes(port, "big")


def _told_by_proc(table: str) -> Iterator[tuple[str, int]]:
    """Lines of `sl local_address rem_address st … uid timeout inode`."""
    try:
        with open(f"/proc/net/{table}") as file:
            next(file)
            for line in file:
                parts = line.split()
                if parts[3] == "0A":
                    yield parts[9], int(parts[1].rpartition(":")[2], 16)
    except (OSError, StopIteration):
        return

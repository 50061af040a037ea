"""What people use instead: nginx and HAProxy reloaded, Caddy told through its API.

Each is given the same two colors of web; a flip is the file (or document) with the other one in it,
and what its manual says to do then. It counts as acknowledged when that came back. Debian's
packages `nginx-light`, `haproxy`, `caddy`; one that is not installed is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.flip_place import answering, begun, ended, output


class Rival(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def port(self) -> int: ...
    async def begin(self, color_ports: list[int]) -> None: ...
    async def flip(self, color_ports: list[int]) -> None: ...
    async def end(self) -> None: ...


@dataclass
class _Program:
    """A proxy of this machine, in a folder of its own."""

    folder: Path
    port: int
    program: str
    process: Process | None = field(default=None, init=False)

    async def end(self) -> None:
        if self.process:
            await ended(self.process)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.conf"

    @property
    def name(self) -> str:
        return type(self).__name__


class Nginx(_Program):
    async def begin(self, color_ports: list[int]) -> None:
        self.file.write_text(self._text(color_ports))
        self.process = await begun([*self._argv, "-g", "daemon off;"], self.folder)
        await answering(self.port)

    async def flip(self, color_ports: list[int]) -> None:
        self.file.write_text(self._text(color_ports))
        await output([*self._argv, "-s", "reload"], self.folder)

    @property
    def _argv(self) -> list[str]:
        return [self.program, "-p", str(self.folder), "-c", str(self.file), "-e", "error.log"]

    def _text(self, color_ports: list[int]) -> str:
        servers = " ".join(f"server 127.0.0.1:{port};" for port in color_ports)
        temp = " ".join(
            f"{kind}_temp_path {self.folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""
worker_processes 2;
pid {self.folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_buffer_size 128k; {temp}
  upstream web {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{self.port} backlog=1024;
    location / {{
      proxy_pass http://web; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


class HAProxy(_Program):
    async def begin(self, color_ports: list[int]) -> None:
        self.file.write_text(self._text(color_ports))
        self.process = await begun([self.program, "-W", "-f", str(self.file)], self.folder)
        await answering(self.port)

    async def flip(self, color_ports: list[int]) -> None:
        self.file.write_text(self._text(color_ports))
        assert self.process
        self.process.send_signal(signal.SIGUSR2)

    def _text(self, color_ports: list[int]) -> str:
        servers = "\n".join(f"  server s{port} 127.0.0.1:{port}" for port in color_ports)
        return f"""
global
  nbthread 2
  maxconn 4096
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
  option redispatch
listen web
  bind 127.0.0.1:{self.port} backlog 1024
{servers}
"""


class Caddy(_Program):
    async def begin(self, color_ports: list[int]) -> None:
        self.file.write_text(self._text(color_ports))
        env = dict(os.environ, HOME=str(self.folder), XDG_DATA_HOME=str(self.folder))
        argv = [self.program, "run", "--config", str(self.file)]
        self.process = await begun(argv, self.folder, env)
        await answering(self.port)

    async def flip(self, color_ports: list[int]) -> None:
        # It replaces its admin endpoint, too, and now and then request or answer is lost with it.
        for _ in range(100):
            answer = await self._asked("POST", "/load", self._text(color_ports))
            if " 200 " in answer[:20]:
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"Caddy said {answer[:300]}")

    async def _asked(self, method: str, path: str, body: str = "") -> str:
        """Its whole answer; empty where it hung up."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port + 1)
            head = f"{method} {path} HTTP/1.0\r\nhost: 127.0.0.1:{self.port + 1}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
            answer = (await reader.read()).decode()
        except OSError:
            return ""
        writer.close()
        return answer

    def _text(self, color_ports: list[int]) -> str:
        dials = [{"dial": f"127.0.0.1:{port}"} for port in color_ports]
        proxy = {"handler": "reverse_proxy", "upstreams": dials, "flush_interval": -1}
        server = {
            "listen": [f"127.0.0.1:{self.port}"],
            "automatic_https": {"disable": True},
            "routes": [{"handle": [proxy]}],
        }
        document = {
            "admin": {"listen": f"127.0.0.1:{self.port + 1}"},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {"http": {"servers": {"web": server}}},
        }
        return json.dumps(document)


KINDS: tuple[tuple[str, type[Nginx] | type[HAProxy] | type[Caddy]], ...] = (
    ("nginx", Nginx),
    ("haproxy", HAProxy),
    ("caddy", Caddy),
)


def found(name: str) -> str | None:
    """The program, also where only root's PATH has it."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")

"""The real command on this machine: a site of two small programs, a real Envoy, real processes.

Everything lies below a folder of the test, on ports that were free; whatever was started is ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from orchestrator.adapters.local.processes import LocalProcesses
from tests.doors.desk import Said

PROGRAM = """\
import http.server, sys
version, port = open("version").read().strip(), int(sys.argv[1])
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        said = version.encode()
        self.send_response(500 if version == "3" else 200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *words):
        pass
print("version", version, "on port", port, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
SITE = """\
site: small
services:
  web: &program
    artifact: releases/{{version}}
    run: [{python}, -S, -E, program.py, "{{port}}"]
    stop: 2s
    instances: {{count: 2, ports: {{blue: {web}, green: {web2}}}}}
    probes: [{{http: /, expect: {{body: "{{version}}"}}}}]
    probing: {{every: 50ms, well: 2, within: 5s, timeout: 1s}}
    behind: {{switch: edge}}
switches:
  edge: {{envoy: {{listen: "127.0.0.1:{edge}"}}}}
rollout:
  soak: {soak}
  drain: 2s
  gates: {{cutover: {{timeout: 1h}}}}
state: state
"""
WITHIN_S = 30.0


LEAKY = """\
import os, sys
print("my password is", os.environ["DB_PASSWORD"], file=sys.stderr, flush=True)
sys.exit("cannot log in as app:" + os.environ["DB_PASSWORD"] + "@db")
"""


class Machine:
    """`machine("deploy", "2")` runs `bgctl deploy 2` to its end.

    Releases 1, 2, 4 are good; 3 is ill.
    """

    def __init__(self, folder: Path, first_port: int, *, soak: str = "300ms") -> None:
        self.folder = folder
        self.edge = first_port
        self._begun: list[subprocess.Popen[str]] = []
        self.soak(soak)
        for version in ("1", "2", "3", "4"):
            release = folder / "releases" / version
            release.mkdir(parents=True)
            (release / "version").write_text(version)
            (release / "program.py").write_text(PROGRAM)

    def soak(self, soak: str) -> None:
        """Write the site file with this soak."""
        text = SITE.format(
            python=json.dumps(sys.executable),
            edge=self.edge,
            web=self.edge + 1,
            web2=self.edge + 3,
            soak=soak,
        )
        (self.folder / "bg.yaml").write_text(text.replace(" &program", ""))

    def plant(self, secret: str) -> None:
        """A secret for every instance, and a release `leaky` that shouts it and dies."""
        (self.folder / "secret").write_text(secret + "\n")
        file = self.folder / "bg.yaml"
        env = "    env: {DB_PASSWORD: {file: secret}}\n    stop: 2s\n"
        file.write_text(file.read_text().replace("    stop: 2s\n", env))
        release = self.folder / "releases" / "leaky"
        release.mkdir()
        (release / "program.py").write_text(LEAKY)

    def __call__(self, *words: str) -> Said:
        running = self.begin(*words)
        out, err = running.communicate(timeout=WITHIN_S)
        return Said(running.returncode, out, err)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and go on."""
        begun = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "BG_SITE": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(begun)
        return begun

    def answers(self) -> str:
        """What people get; empty where nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.edge}/", timeout=2) as answer:
                return str(answer.read().decode())
        except (URLError, OSError):
            return ""

    def data(self, *words: str) -> dict[str, Any]:
        return self("-o", "json", *words).data

    def offers(self) -> list[str]:
        """The commands that `status` offers next."""
        return [step["command"] for step in self.data("status")["next_steps"]]

    def running(self) -> set[str]:
        """The names of all processes that are there or would be started again."""
        seen = LocalProcesses(str(self.folder / "state" / "run")).look()
        return {one.name for one in seen if one.running or one.kept}

    def end(self) -> None:
        """Nothing of it is left, however the test ended."""
        for begun in self._begun:
            if begun.poll() is None:
                begun.kill()
                begun.communicate()
        asyncio.run(_end(LocalProcesses(str(self.folder / "state" / "run"))))


async def _end(processes: LocalProcesses) -> None:
    for seen in processes.look():
        processes.end(seen.name, hard=True)
    for seen in processes.look():
        await processes.ended(seen.name)


def until(true: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Poll, with a deadline."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)

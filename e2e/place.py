"""A shop of its own for each end-to-end test: the example's site on free ports, in a folder that
goes away.

`Shop` runs the real command, in processes of its own, whole or killed at a point (`e2e.killed`),
and says what is really there: which processes run for the site, how often each was started, which
files lie in its state.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.ports.processes import ProcessSeen

ROOT = Path(__file__).resolve().parent.parent
SHOP = ROOT / "examples" / "shop"
KILLED = -9
NOISE = re.compile(r"(journal\.db|log(\.1)?$|state\.json|/envoy/|fence|lock)")


def flat(text: str) -> str:
    """In one line, however it was wrapped."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended. `points`: how many there were, where it was counted and lived."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == KILLED

    @property
    def points(self) -> int:
        return int(re.findall(r"points: (\d+)", self.err)[-1])

    @property
    def sends(self) -> list[int]:
        """The points right before something was sent to a host."""
        return [int(number) for number in re.findall(r"sends:(.*)", self.err)[-1].split()]

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a site stands: the versions that serve, and the way of the open rollout."""

    versions: frozenset[str]
    way: str | None  # "forward" or "back"; None: nothing is open
    at_gate: bool = False


class Shop:
    """One site.

    `first_port` begins a hundred free ports. Time stands still where `hold` says so.
    """

    def __init__(self, folder: Path, first_port: int, **rollout: str) -> None:
        self.folder, self.first_port = folder, first_port
        self.file = folder / "bg.yaml"
        self.state = folder / "state"
        text = (SHOP / "bg.yaml").read_text()
        ports = re.sub(r"\b18(\d{3})\b", lambda m: str(first_port + _near(int(m[1]))), text)
        if "hold" not in rollout:
            ports = re.sub(r"(?m)^  hold: .*\n", "", ports)
        for key, value in rollout.items():
            rule = f"  {key}: {value}"
            ports, there = re.subn(rf"(?m)^  {key}: \S+", rule, ports)
            ports = ports if there else ports.replace("\nrollout:\n", f"\nrollout:\n{rule}\n")
        self.file.write_text(ports)
        sys.path.insert(0, str(SHOP))
        try:
            from make_releases import make  # type: ignore[import-not-found, unused-ignore]
        finally:
            sys.path.remove(str(SHOP))
        make(folder / "releases")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.first_port + _near(80)}"

    def bg(self, *arguments: str, at: int | None = None, timeout_s: float = 60.0) -> Finished:
        """`bgctl ARGUMENTS`, to its end; with `at`, counted and killed there (0: nowhere)."""
        where = ["--site", str(self.file)]
        program = ["orchestrator"] if at is None else ["e2e.killed", str(at), "--"]
        argv = [sys.executable, "-m", *program, *where, *arguments]
        done = subprocess.run(
            argv,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=_environment(),
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str, at: int, number: str) -> subprocess.Popen[str]:
        """A command that sends itself a signal at a point; whoever begins it waits for it."""
        where = ["--site", str(self.file)]
        argv = [sys.executable, "-m", "e2e.killed", str(at), number, "--", *where, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, env=_environment()
        )

    def status(self) -> dict[str, Any]:
        finished = self.bg("-o", "json", "status")
        assert finished.code == 0, finished
        data: dict[str, Any] = json.loads(finished.out)
        return data

    def standing(self) -> Standing:
        """What `bgctl status` says of the site."""
        status = self.status()
        versions = frozenset(one["release"]["version"] for one in status["serving"])
        rollout = status.get("rollout")
        if rollout is None:
            return Standing(versions, None)
        at_gate = (rollout["waits"] or {}).get("for") == "grant"
        return Standing(versions, rollout["way"], at_gate)

    def processes(self) -> dict[str, ProcessSeen]:
        """What the site's state folder knows of, by name."""
        return {seen.name: seen for seen in LocalProcesses(str(self.state / "run")).look()}

    def starts(self, color: str) -> dict[str, int]:
        """How often each instance of a color was started so far."""
        return {n: p.start for n, p in self.processes().items() if f"/{color}/" in f"/{n}/"}

    def programs(self) -> list[int]:
        """Every process on this machine that works for this site: programs and keepers."""
        entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return [int(entry.name) for entry in entries if self._works_here(entry)]

    def _works_here(self, entry: Path) -> bool:
        try:
            argv = (entry / "cmdline").read_bytes()
            return str(self.state).encode() in argv or Path(
                os.readlink(entry / "cwd")
            ).is_relative_to(self.state)
        except OSError:
            return False

    def files(self) -> set[str]:
        """The files of the state folder, but for those that only grow or change."""
        every = (str(p.relative_to(self.state)) for p in self.state.rglob("*") if p.is_file())
        return {name for name in every if not NOISE.search("/" + name)}

    def end(self) -> None:
        """Stop everything of this site."""
        processes = LocalProcesses(str(self.state / "run"))
        names = [seen.name for seen in processes.look() if seen.running or seen.kept]

        async def stop() -> None:
            await asyncio.gather(*(processes.stop(name) for name in names))

        asyncio.run(stop())


def _near(offset: int) -> int:
    """The example's ports, 18080 to 18131, moved together."""
    return offset - 80


def _environment() -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}

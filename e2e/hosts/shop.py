"""The fleet's example on hosts of a test: the real command, whole or killed at a point, and what is
true afterwards, as the hosts have it.

What a person would ask between two commands is answered from the journal alone (`standing`), for a
look at eight hosts takes as long as the command that is tested. The one rule: what is held against
bg in the end comes from the hosts themselves (`footprint`), not from bg.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from functools import partial
from pathlib import Path

from e2e.hosts import footprint
from e2e.hosts.fleet import Fleet
from e2e.place import NOISE, ROOT, Finished, Standing
from examples.fleet import place
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.decide import For, Wait, decide
from orchestrator.core.record import Entry

COMMAND_S = 120.0
BASE = "/home/deploy/.local/share/bg/fleet"
# What grows, changes or is named by chance: the ledger, locks, the digests of releases.
CHANGES = re.compile(r"/releases/web/[^.]|/(ledger|lock)$|/home/deploy/\.ssh")
DIGEST = re.compile(r"(?<=[/@-])[0-9a-f]{64}(?=[/.]|$)")


class HostedShop:
    """The site `fleet` on all hosts of a fleet; `rollout`: keys of its policy."""

    def __init__(self, folder: Path, fleet: Fleet, **rollout: str) -> None:
        self.folder, self.fleet = folder, fleet
        self.file = place.furnish(folder, fleet)
        self.state = folder / "state"
        text = self.file.read_text()
        for key, value in rollout.items():
            text = re.sub(rf"(?m)^  {key}: .*\n", "", text)
            text = text.replace("\nrollout:\n", f"\nrollout:\n  {key}: {value}\n")
        self.file.write_text(text)
        self.unpacked: dict[str, set[tuple[int, int]]] = {}

    def serve(self, version: str) -> None:
        """From bare hosts and proxies to a release that serves."""
        proxies = self.fleet.proxies
        place.open_proxies(proxies)
        refused = self.bg("deploy", version)
        assert refused.code == 2, refused  # lines are missing; the files that they name are laid
        place.configure(proxies, self.bg("init", "haproxy").out)
        first = self.bg("deploy", version)
        assert first.code == 0, first
        assert self.answers() == {version}

    @property
    def urls(self) -> tuple[str, ...]:
        return place.urls(self.fleet)

    # -- The command -------------------------------------------------------------------------

    def bg(self, *arguments: str, at: int | None = None, elsewhere: bool = False) -> Finished:
        """`bgctl ARGUMENTS`, to its end; with `at`, killed at that point (0: counted).

        `elsewhere`: where the processes of this machine cannot be seen, so nobody can be ended.
        """
        away = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"] if elsewhere else []
        argv = [*away, *self.argv(*arguments, at=at)]
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        self._note_unpacked()
        return Finished(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str, at: int, number: str) -> subprocess.Popen[str]:
        """A command that sends itself a signal at a point; whoever begins it waits for it."""
        pipe = subprocess.PIPE
        argv = self.argv(*arguments, at=at, number=number)
        return subprocess.Popen(
            argv, cwd=ROOT, env=self._environment(), stdout=pipe, stderr=pipe, text=True
        )

    def argv(self, *arguments: str, at: int | None = None, number: str = "SIGKILL") -> list[str]:
        program = ["orchestrator"] if at is None else ["e2e.killed", str(at), number, "--"]
        return [sys.executable, "-m", *program, "--site", str(self.file), *arguments]

    def _environment(self) -> dict[str, str]:
        env = {**os.environ, "HOME": str(self.folder / "home"), "NO_COLOR": "1"}
        env.pop("SSH_AUTH_SOCK", None)
        return {**env, "PYTHONDONTWRITEBYTECODE": "1"}

    # -- What the journal says ---------------------------------------------------------------

    def entries(self) -> tuple[Entry, ...]:
        """All of it; reading raises `Damaged` where a number is missing or a line was changed."""
        journal = SqliteJournal(Database(self.state, "fleet"), SystemClock())
        return asyncio.run(journal.news(0))

    def chronicle(self) -> Chronicle:
        chronicle = Chronicle()
        for entry in self.entries():
            chronicle = fold(chronicle, entry)
        return chronicle

    def standing(self) -> Standing:
        chronicle = self.chronicle()
        versions = frozenset(one.release.version for one in chronicle.serving)
        if chronicle.open is None:
            return Standing(versions, None)
        move = decide(chronicle.open, time.time())
        at_gate = isinstance(move, Wait) and move.what is For.GRANT
        return Standing(versions, "back" if chronicle.open.backing_out else "forward", at_gate)

    # -- What is true on the hosts -----------------------------------------------------------

    def starts(self) -> Counter[str]:
        """How often each instance was started, as systemd wrote it down: `web1 blue` -> times."""
        found = footprint.of_each(self.fleet.webs, footprint.starts)
        return Counter(
            {
                f"{host} {unit.partition('@')[0].rpartition('-')[2]}": times
                for host, units in found.items()
                for unit, times in units.items()
            }
        )

    def left(self) -> dict[str, set[str]]:
        """Of each host its files and the state of its units; of this machine the site's files."""
        files = footprint.of_each(self.fleet.hosts, footprint.files)
        units = footprint.of_each(self.fleet.webs, footprint.units)
        seen = {
            host: {DIGEST.sub("DIGEST", name) for name in names if not CHANGES.search(name)}
            for host, names in files.items()
        }
        for host, states in units.items():
            seen[host] |= {f"{unit} {state}" for unit, state in states.items()}
        return {**seen, "here": self._files_here()}

    def releases(self) -> set[str]:
        """The names below the releases of every host, hidden ones too."""
        return {
            name.removeprefix(f"{BASE}/releases/web/").partition("@")[0]
            for names in footprint.of_each(self.fleet.webs, footprint.files).values()
            for name in names
            if name.startswith(f"{BASE}/releases/web/") and name.count("/") == BASE.count("/") + 3
        }

    def agents(self) -> list[str]:
        found = footprint.of_each(self.fleet.hosts, footprint.agents)
        return [f"{host}: {line}" for host, lines in found.items() for line in lines]

    def answers(self) -> set[str]:
        """The version that each proxy answers with."""
        found = set()
        for url in self.urls:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found.add(answer.read().decode().partition('"version": "')[2].partition('"')[0])
        return found

    def _files_here(self) -> set[str]:
        every = (str(p.relative_to(self.state)) for p in self.state.rglob("*") if p.is_file())
        names = (name for name in every if not NOISE.search("/" + name))
        return {DIGEST.sub("DIGEST", name) for name in names if "described" not in name}

    def _note_unpacked(self) -> None:
        look = partial(footprint.unpacked, base=f"{BASE}/releases/web")
        for host, found in footprint.of_each(self.fleet.webs, look).items():
            for name, what in found.items():
                self.unpacked.setdefault(f"{host} {name}", set()).add(what)

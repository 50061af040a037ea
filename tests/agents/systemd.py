"""A systemd of a test: real programs called `systemctl`, `journalctl` and `sudo` in a folder of
their own, first in the PATH. What they are told they remember in files, and what they start is a
real process that sleeps.

It speaks the subset of systemctl that the agent uses. How real units behave is tested on real
hosts; here the agent's own decisions are. A test brings trouble about by writing into its files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SYSTEMCTL = """
import fnmatch, json, os, pathlib, subprocess, sys, uuid
here = pathlib.Path(__file__).resolve().parent
units = here / "state"
words = [w for w in sys.argv[1:] if w not in ("--user", "--no-pager", "--no-ask-password")]
flags = [w for w in words if w.startswith("--") and w != "--"]
plain = [w for w in words if not w.startswith("--")]
with open(here / "called", "a") as called:
    called.write(json.dumps(sys.argv[1:]) + chr(10))
if (here / "broken").exists():
    sys.exit((here / "broken").read_text())
if (here / "hangs").exists():
    import time
    time.sleep(60)
if "--version" in flags:
    print("systemd 252 (252.1)"); sys.exit()
verb, names = plain[0], plain[1:]
def at(name): return units / name
def read(name):
    return json.loads(at(name).read_text()) if at(name).exists() else {}
def write(name, **changes):
    at(name).write_text(json.dumps({**read(name), **changes}))
def alive(pid):
    try: return open("/proc/%d/stat" % pid).read().split(") ")[1][0] != "Z"
    except OSError: return False
def show(name):
    unit = read(name)
    pid = unit.get("MainPID", 0)
    if pid and not alive(pid) and "ActiveState" not in unit:
        pid = 0
    state = unit.get("ActiveState") or ("active" if pid else "inactive")
    sub = unit.get("SubState") or ("running" if pid else "dead")
    pairs = {"Id": name, "LoadState": unit.get("LoadState", "loaded"), "ActiveState": state,
        "SubState": sub, "Result": unit.get("Result", "success"), "MainPID": pid,
        "InvocationID": unit.get("InvocationID", "") if state != "inactive" else "",
        "NRestarts": unit.get("NRestarts", 0), "ExecMainCode": unit.get("ExecMainCode", 0),
        "ExecMainStatus": unit.get("ExecMainStatus", 0), "ExecMainPID": pid,
        "ExecMainStartTimestampMonotonic": unit.get("began", 0),
        "ExecMainExitTimestampMonotonic": unit.get("ended", 0),
        "UnitFileState": "enabled" if unit.get("enabled") else "disabled"}
    return "".join("%s=%s" % pair + chr(10) for pair in pairs.items())
if verb == "show":
    fits = [path.name for one in names if "*" in one for path in sorted(units.iterdir())
        if fnmatch.fnmatch(path.name, one)]
    named = [one for one in names if "*" not in one]
    print(chr(10).join(show(name) for name in named + fits), end="")
elif verb == "start":
    for name in names:
        if read(name).get("LoadState") == "masked":
            sys.exit("Failed to start %s: Unit %s is masked." % (name, name))
        if not (read(name).get("MainPID") and alive(read(name)["MainPID"])):
            if (here / "fails").exists():
                write(name, ActiveState="failed", SubState="failed", Result="exit-code",
                    InvocationID=uuid.uuid4().hex, ExecMainCode=1, ExecMainStatus=7,
                    began=1000000, ended=3000000, MainPID=0)
                continue
            quiet = subprocess.DEVNULL
            new = subprocess.Popen(["sleep", "1000"], start_new_session=True,
                stdin=quiet, stdout=quiet, stderr=quiet, close_fds=True)
            unit = {key: read(name)[key] for key in ("enabled",) if key in read(name)}
            at(name).write_text(json.dumps({**unit, "MainPID": new.pid,
                "InvocationID": uuid.uuid4().hex}))
elif verb in ("stop", "kill"):
    for name in names:
        if (verb == "stop" and (here / "stays").exists()) or (here / "undead").exists():
            continue
        pid = read(name).get("MainPID")
        if pid and alive(pid): os.kill(pid, 9)
        write(name, MainPID=0, ActiveState=None, SubState=None)
elif verb in ("enable", "disable"):
    for name in names:
        write(name, enabled=verb == "enable")
elif verb in ("daemon-reload", "reset-failed", "link", "show-environment"):
    pass
else:
    sys.exit("Unknown command verb %s." % verb)
"""
JOURNALCTL = """
import pathlib, sys
here = pathlib.Path(__file__).resolve().parent
form = "json" if "--output=json" in sys.argv else "cat"
said = here / ("said." + form)
if said.exists():
    sys.stdout.buffer.write(said.read_bytes())
"""
SUDO = """
import os, sys
assert sys.argv[1] == "-n"
os.execvp(sys.argv[2], sys.argv[2:])
"""


class FakeSystemd:
    """`env`: what to give the agent. Files of trouble: broken, hangs, fails, stays (only SIGKILL
    ends it), undead (nothing does).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "system"
        (self.folder / "state").mkdir(parents=True)
        for name, text in {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL, "sudo": SUDO}.items():
            path = self.folder / name
            path.write_text(f"#!{sys.executable} -IS\n{textwrap.dedent(text)}")
            path.chmod(0o755)
        self.home = folder / "home"
        self.home.mkdir()

    @property
    def env(self) -> Mapping[str, str]:
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": str(self.home)}

    def trouble(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def over(self, name: str) -> None:
        (self.folder / name).unlink()

    def unit(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "state" / name).read_text())
        return value

    def change(self, name: str, **changes: Any) -> None:
        path = self.folder / "state" / name
        before = self.unit(name) if path.exists() else {}
        path.write_text(json.dumps({**before, **changes}))

    def says(self, *lines: tuple[str, bool, str]) -> None:
        """What the journal has: invocation, whether systemd said it, the text."""
        records = [
            {"MESSAGE": text, ("INVOCATION_ID" if own else "_SYSTEMD_INVOCATION_ID"): invocation}
            for invocation, own, text in lines
        ]
        (self.folder / "said.json").write_text("".join(json.dumps(r) + "\n" for r in records))
        (self.folder / "said.cat").write_text("".join(text + "\n" for _, _, text in lines))

    def called(self, verb: str) -> list[list[str]]:
        path = self.folder / "called"
        lines = path.read_text().splitlines() if path.exists() else []
        return [argv for argv in map(json.loads, lines) if verb in argv]

    def end(self) -> None:
        """Nothing that was started stays."""
        for path in (self.folder / "state").iterdir():
            pid = json.loads(path.read_text()).get("MainPID")
            if pid and b"sleep" in _command(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def built(root: Path, folder: Path) -> Path:
    """The agent, as it is sent."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / "agent.pyz"
    subprocess.run([sys.executable, root / "agents" / "build.py", target], check=True, text=True)
    return target

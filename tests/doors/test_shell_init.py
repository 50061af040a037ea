"""`bg` at a prompt: our verbs reach the program, job control stays what it was; in real shells."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.doors.cli.shell_init import SHELLS, script

VERBS = ("deploy", "switch", "backout", "status", "shell-init")
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "--interactive"],
}
LOAD = {"bash": 'eval "$(cat init)"', "zsh": 'eval "$(cat init)"', "fish": "cat init | source"}
STOPPED = {"bash": "Stopped", "zsh": "suspended", "fish": "has stopped"}
RUNNING = {"bash": "Running", "zsh": "running", "fish": "running"}
AGAIN = {"bash": ("bg %1", "bg 1"), "zsh": ("bg %1", "bg %sleep"), "fish": ("bg (jobs -lp)",)}
STOP = {"bash": "kill -STOP %1", "zsh": "kill -STOP %1", "fish": "kill -STOP (jobs -lp)"}
KILL = {"bash": "kill -9 %1", "zsh": "kill -9 %1", "fish": "kill -9 (jobs -lp)"}
WITHIN_S = 20.0


class Terminal:
    """A shell in a terminal of tmux, with a server of its own."""

    def __init__(self, tmux: str, shell: str, folder: Path) -> None:
        self._tmux = [tmux, "-S", str(folder / "tmux"), "-f", "/dev/null"]
        environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder)}
        words = [f"{name}={value}" for name, value in environment.items()]
        self._run(
            "new-session", "-d", "-x", "100", "-y", "50", "-c", str(folder),
            "env", "-i", "TERM=screen", "PS1=$ ", *words, *START[shell],
        )  # fmt: skip

    def type(self, line: str) -> None:
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def press(self, key: str) -> None:
        self._run("send-keys", key)

    def shows(self, pattern: str) -> str:
        """Wait until it is on the screen."""
        deadline_s = time.monotonic() + WITHIN_S
        while True:
            seen = self._run("capture-pane", "-p")
            if re.search(pattern, seen, re.MULTILINE):
                return seen
            assert time.monotonic() < deadline_s, f"no {pattern!r} in:\n{seen}"
            time.sleep(0.05)

    def clear(self) -> None:
        self.type("clear")
        self.type("echo wiped''out")
        self.shows("^wipedout")

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, real: Callable[[str], str]) -> str:
    real(request.param)
    return str(request.param)


@pytest.fixture
def terminal(
    shell: str, tmp_path: Path, real: Callable[[str], str], request: pytest.FixtureRequest
) -> Iterator[Terminal]:
    """A terminal with the function loaded, and a `bgctl` that says what it was called with."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "bgctl"
    program.write_text('#!/bin/sh\necho "program: $*"\n')
    program.chmod(0o755)
    (tmp_path / "init").write_text(script(shell, VERBS))
    terminal = Terminal(real("tmux"), shell, tmp_path)
    terminal.type(LOAD[shell])
    terminal.type("echo rea''dy")
    terminal.shows("^ready")
    yield terminal
    terminal.close()


@pytest.mark.slow
def test_our_verbs_reach_the_program_with_their_arguments(terminal: Terminal) -> None:
    terminal.type("bg deploy --help")
    terminal.shows("^program: deploy --help$")
    terminal.type("bg status")
    terminal.shows("^program: status$")
    terminal.type("bg deploy 'web=1 2' '*'")
    terminal.shows(r"^program: deploy web=1 2 \*$")


@pytest.mark.slow
def test_job_control_stays_what_it_was(terminal: Terminal, shell: str) -> None:
    terminal.type("sleep 173")
    terminal.shows("sleep 173")
    _until_it_sleeps(terminal)
    terminal.press("C-z")
    terminal.shows(STOPPED[shell])
    for again in ("bg", *AGAIN[shell]):
        terminal.clear()
        terminal.type(again)
        terminal.type("jobs")
        seen = terminal.shows(RUNNING[shell])
        assert "program:" not in seen
        terminal.type(STOP[shell])
        terminal.clear()
        terminal.type("jobs")
        terminal.shows("(?i)stopped|suspended")
    terminal.type(KILL[shell])


def _until_it_sleeps(terminal: Terminal) -> None:
    """Until the shell has made the program its terminal's foreground."""
    deadline_s = time.monotonic() + WITHIN_S
    while "sleep" not in terminal._run("display-message", "-p", "#{pane_current_command}"):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_script_loads_without_a_word(shell: str, tmp_path: Path) -> None:
    """Also where a shell is strict about what fails and what is not set."""
    (tmp_path / "init").write_text(script(shell, VERBS))
    strict = "" if shell == "fish" else "set -eu; "
    done = subprocess.run(
        [shell, "-c", f"{strict}{LOAD[shell]}; echo loaded"],
        check=False, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("loaded\n", "", 0)


def test_every_verb_of_the_command_is_forwarded(shell: str) -> None:
    from orchestrator.doors.cli.app import VERBS as ALL

    text = script(shell, ALL)
    words = set(re.split(r"[\s|()']+", text))
    assert set(ALL) <= words
    assert {"deploy", "switch", "backout", "status", "shell-init"} <= set(ALL)

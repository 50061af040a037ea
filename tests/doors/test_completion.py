"""What completes our words, in the shells themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from orchestrator.doors.cli.app import VERBS, options_of
from orchestrator.doors.cli.completion import script

OPTIONS = {verb: options_of(verb) for verb in VERBS}
Real = Callable[[str], str]


def said(argv: list[str], typed: str) -> set[str]:
    done = subprocess.run(argv, input=typed, check=True, capture_output=True, text=True, timeout=20)
    assert done.stderr == ""
    return {line.partition("\t")[0] for line in done.stdout.split("\n") if line}


def bash(words: str, at: int) -> str:
    asks = f"COMP_WORDS=({words}); COMP_CWORD={at}; _bgctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return f"{script('bash', OPTIONS)}\n{asks}\n"


def test_bash_completes_verbs_and_their_options(real: Real) -> None:
    shell = [real("bash"), "--norc", "--noprofile"]
    assert said(shell, bash("bgctl de", 1)) == {"deploy", "deny"}
    assert said(shell, bash("bgctl deploy --s", 2)) == {"--switch", "--soak", "--site"}


def test_fish_completes_verbs_and_their_options(real: Real) -> None:
    shell = [real("fish"), "--no-config"]
    loaded = script("fish", OPTIONS)
    assert said(shell, f"{loaded}\ncomplete -C 'bgctl ba'\n") == {"backout"}
    assert "--why" in said(shell, f"{loaded}\ncomplete -C 'bgctl switch --'\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_can_read_its_script(shell: str, real: Real) -> None:
    argv = [real(shell), "-n" if shell != "fish" else "--no-execute"]
    subprocess.run(argv, input=script(shell, OPTIONS), check=True, text=True, timeout=20)

"""What a shell needs so that `bg deploy` works at a prompt although every shell has a builtin `bg`.

`eval "$(bgctl shell-init bash)"` defines a function `bg`: called with one of our verbs first it runs `bgctl`, with
anything else (nothing, `%1`, `1`, `-h` …) the builtin, so job control stays what it was.
"""

from __future__ import annotations

SHELLS = ("bash", "zsh", "fish")


def script(shell: str, verbs: tuple[str, ...]) -> str:
    """The text to evaluate, for one of `SHELLS`. `verbs`: the names of our commands, `deploy` …"""
    raise NotImplementedError

"""How a command can end: the codes of the shell, and the same as words for `-o json`.

The one rule: a code means one thing, whatever the verb. docs/exit-codes.md says it to people who
read codes in a script; a test holds the two against each other.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Each member's docstring is what it means."""

    means: str

    def __new__(cls, code: int, means: str) -> Exit:
        made = int.__new__(cls, code)
        made._value_ = code
        made.means = made.__doc__ = means
        return made

    DONE = 0, "as asked; also: nothing to do, at the gate, paused"
    BUG = 1, "a bug in bg, with a report of where it happened"
    BAD_INPUT = 2, "the input is wrong; nothing was touched"
    WENT_BACK = 3, "it failed, and everything is back where it was"
    STUCK = 4, "stuck: a person has to say how it goes on"
    SOMEBODY_ELSE = 5, "somebody else drives, or another rollout is open and stays"
    FORBIDDEN = (
        6,
        "refused by an invariant, a policy or the point of no return; nothing was touched",
    )
    TIMED_OUT = 7, "waited as long as it was allowed to, and it still waits"
    TO_DO = 10, "`plan` has something to do"
    INTERRUPTED = 130, "interrupted by Ctrl-C or SIGTERM; it can be resumed"

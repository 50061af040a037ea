"""The four ways to run it: `serve` a session, `put` bytes, `unpack` itself, say its `hash`.

The one rule: the first answer costs next to nothing, so everything is imported where it is needed,
here and in all modules that `serve` begins with (no `json`, no `threading`, no `argparse`).
"""

from __future__ import annotations

import os
import sys

USAGE = "agent.pyz serve|put|unpack|hash [--how root|user|sudo] [--base FOLDER] …\n"


def main(argv: list[str]) -> int:
    what, rest = (argv[0], argv[1:]) if argv else ("", [])
    if what == "hash" and not rest:
        import bg_agent

        return _say(bg_agent.CONTENT + "\n")
    if what == "unpack" and not rest:
        from bg_agent import unpacking

        return _say(unpacking.beside(sys.argv[0]) + "\n")
    given = options(rest)
    os.umask(0o022)  # whatever the user's is: what is private says so itself
    if given is not None and what == "serve":
        from bg_agent import serve

        return serve.serve(given)
    if given is not None and what == "put":
        from bg_agent import put

        return put.put(given)
    sys.stderr.write(USAGE)
    return 2


def options(argv: list[str]) -> dict[str, str] | None:
    """`--name value` pairs; None where they are none."""
    names, values = argv[0::2], argv[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        return None
    return {name[2:]: value for name, value in zip(names, values)}


def _say(text: str) -> int:
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

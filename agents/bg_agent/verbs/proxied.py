"""What is the same of every proxy, whatever program it is: paths, keys of colors, colors, and the
folder where the colors lie.

The one rule: nothing of a request gets into a file of a proxy that is not of this closed shape.
"""

from __future__ import annotations

import os
import re

from bg_agent import disk, host
from bg_agent.asked import Asked, bad
from bg_agent.trouble import Refused

PATH = re.compile(r"/[A-Za-z0-9._/+-]{1,200}")
KEY = re.compile(r"[a-z][a-z0-9-]{0,30}(\.(blue|green)\.[a-z][a-z0-9-]{0,30})?")
BACKEND = re.compile(r"bg(\.[a-z][a-z0-9-]{0,30}){3,4}")
COLORS = ("blue", "green", "none")


def path(asked: Asked, key: str) -> str:
    found = asked.like(key, PATH, "an absolute path: letters, digits and . _ + - / only")
    if "/../" in found + "/":
        raise bad("%s: no way up" % key)
    return found


def keys(asked: Asked, key: str) -> list[str]:
    words = "a service, or caller.color.callee"
    return [Asked({key: one}).like(key, KEY, words) for one in asked.items(key, 5000)]


def colors(asked: Asked, key: str) -> dict[str, str]:
    given = asked.pairs(key, 5000)
    if not all(KEY.fullmatch(name) for name in given):
        raise bad("%s: each key is a service, or caller.color.callee" % key)
    if not all(value in COLORS for value in given.values()):
        raise bad("%s: blue, green or none" % key)
    return {str(name): str(value) for name, value in given.items()}


def backends(asked: Asked, key: str) -> list[str]:
    """Of the site alone."""
    words = "a backend of the site, bg.SITE.SERVICE.COLOR"
    found = [Asked({key: one}).like(key, BACKEND, words) for one in asked.items(key, 5000)]
    if not all(name.startswith("bg.%s." % asked.name("site")) for name in found):
        raise bad("%s: each is %s" % (key, words))
    return found


def begin(folder: str) -> None:
    """Made where it is missing. `Refused`, with what to do, where nothing can be written there."""
    refuse_closed(folder)
    disk.make_folder(folder, 0o755)


def refuse_closed(folder: str) -> None:
    why = why_closed(folder)
    if why:
        raise Refused(why, "not-permitted")


def why_closed(folder: str) -> str:
    """Why bg cannot write there, and what to do; empty: it can. Tries nothing."""
    there = disk.nearest(folder)
    missing = there != folder and os.path.lexists(folder)
    if os.access(there, os.W_OK | os.X_OK) and not missing:
        return ""
    me = host.user()
    return "%s may not write in %s: run `install -d -o %s %s` there as root" % (
        me,
        folder,
        me,
        folder,
    )

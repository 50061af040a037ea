"""What an artifact may hold, and the one digest of what it holds.

Pure. The same rules and the same digest as on the controller's shelf, written for Python 3.8:
names, whether a file may be executed, bytes and targets of links count; order, times, owners and
compression do not.

The one rule: nothing named in an artifact leaves its folder, neither by `..` nor by an absolute
path nor through a link.
"""

from __future__ import annotations

import hashlib
import posixpath

from bg_agent.asked import shown
from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MiB = 1024 * 1024
FILE, FOLDER, LINK, SAME = "file", "folder", "link", "same"

TOTAL_MAX = 4096 * MiB  # bytes unpacked
MEMBERS_MAX = 200_000
RATIO_MAX, RATIO_FROM = 200, 64 * MiB  # unpacked to packed, asked only beyond so many bytes


class Member:
    """One member: its kind, whether it may be executed, its size as claimed, what it links to."""

    __slots__ = ("kind", "name", "runs", "size", "target")

    def __init__(
        self, name: str, kind: str, *, runs: bool = False, size: int = 0, target: str = ""
    ) -> None:
        self.name, self.kind, self.runs, self.size, self.target = name, kind, runs, size, target


class Inventory:
    """The members of one artifact, checked as they come."""

    def __init__(self, packed: int) -> None:
        self.packed = packed  # bytes of the archive
        self.kinds: dict[str, str] = {}
        self.entries: dict[str, tuple[bool, str]] = {}  # may be executed, digest or target
        self.links: dict[str, str] = {}
        self.total = self.members = 0

    def checked(self, member: Member) -> Member:
        """The member with a clean name, or Refused. Each goes through here before it is read."""
        self.members += 1
        if self.members > MEMBERS_MAX:
            self.refuse("more than %d members" % MEMBERS_MAX)
        member.name = self._clean(member.name)
        if member.name:
            self._place(member.name, FILE if member.kind == SAME else member.kind)
        if member.kind == LINK:
            self._check_link(member.name, member.target)
            self.links[member.name] = member.target
        elif member.kind == SAME:
            member.target = self._clean(member.target)
            if self.kinds.get(member.target) != FILE or member.target not in self.entries:
                self.refuse("is a hard link to no file that came before it", member.name)
        else:
            self.expect(member.size, member.name)
        return member

    def expect(self, size: int, name: str = "") -> None:
        """So many bytes are claimed. `count` asks again for those that really come."""
        if self.total + size > TOTAL_MAX:
            self.refuse("unpacks to more than %d MiB" % (TOTAL_MAX // MiB), name)

    def count(self, size: int) -> None:
        self.total += size
        self.expect(0)
        if self.total > RATIO_FROM and self.total > RATIO_MAX * max(self.packed, 1):
            self.refuse("unpacks to more than %d times its size" % RATIO_MAX)

    def add(self, member: Member, content: str = "") -> None:
        """A member that went through `checked`, with the digest of its bytes."""
        if member.kind == SAME:
            self.entries[member.name] = self.entries[member.target]
        elif member.kind == LINK:
            self.entries[member.name] = (False, member.target)
        elif member.kind == FILE:
            self.entries[member.name] = (member.runs, content)

    def digest(self, top: str) -> str:
        """The digest of the content (below the folder `top`), in hexadecimal."""
        lines = []
        for name, kind in self.kinds.items():
            if top and name == top:
                continue  # the top folder itself
            below = name[len(top) + 1 :] if top else name
            if kind == LINK:
                self._check_link(below, self.links[name])
            runs, content = self.entries.get(name, (False, ""))
            lines.append((below, kind, "x" if runs else "-", content))
        whole = hashlib.sha256(b"bg artifact 1\n")
        for line in sorted(lines):
            for text in line:
                data = text.encode("utf-8", "surrogateescape")
                whole.update(b"%d:%s" % (len(data), data))
        return whole.hexdigest()

    def top(self, stem: str) -> str:
        """The one folder that everything lies in, where it is called like the archive."""
        tops = {name.partition("/")[0] for name in self.kinds}
        only = tops.pop() if len(tops) == 1 else ""
        return only if only and only == stem and self.kinds.get(only) == FOLDER else ""

    def refuse(self, why: str, name: str = "") -> NoReturn:
        member = " the member %s" % shown(name) if name else ""
        raise Refused("the archive:%s %s; pack it anew without that" % (member, why), "damaged")

    def _clean(self, name: str) -> str:
        if name.startswith("/"):
            self.refuse("has an absolute path", name)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            self.refuse("has control characters in its name", name)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            self.refuse("leads out of its folder", name)
        return "/".join(parts)

    def _place(self, name: str, kind: str) -> None:
        """Every name once, and everything above it a folder."""
        above = posixpath.dirname(name)
        while above and above not in self.kinds:
            self.kinds[above] = FOLDER
            above = posixpath.dirname(above)
        if above and self.kinds[above] != FOLDER:
            self.refuse("lies behind a %s" % self.kinds[above], name)
        if name in self.kinds and not self.kinds[name] == kind == FOLDER:
            self.refuse("is there twice", name)
        self.kinds[name] = kind

    def _check_link(self, name: str, target: str) -> None:
        """A link may go up first and then down, and never above the top.

        `..` after a name is refused even where it seems harmless: the name may be a link as well.
        """
        parts = [part for part in target.split("/") if part not in ("", ".")]
        up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
        if target.startswith("/") or ".." in parts[up:] or up > name.count("/"):
            self.refuse("is a link out of its folder, to %s" % shown(target), name)

"""What an artifact may hold, and the one digest of what it holds.

Pure: names, kinds and sizes in, a refusal or a digest out. The digest is of the content alone:
names, whether a file may be executed, bytes, the targets of links; not of order, times, owners or
compression. So a folder and its archive are the same artifact.

The one rule: nothing named in an artifact leaves its folder, neither by `..` nor by an absolute
path nor through a link. It refuses to know files, archives and where they lie.
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field, replace
from enum import Enum

from orchestrator.ports.trouble import Refused

MiB = 1024 * 1024


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"  # a symbolic one
    SAME = "same"  # another name of a file that came before: a hard link


@dataclass(frozen=True, slots=True)
class Member:
    name: str  # as found; `checked` makes it clean: a/b/c
    kind: Kind
    runs: bool = False  # may be executed
    size: int = 0  # bytes, as claimed
    target: str = ""  # of a LINK, as written; of a SAME, the other name


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these an artifact is taken for a bomb."""

    total: int = 4096 * MiB  # bytes unpacked
    members: int = 200_000
    ratio: int = 200  # unpacked to packed …
    ratio_from: int = 64 * MiB  # … asked only beyond so many bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One member with the digest of its bytes (of a file) or its target (of a link)."""

    name: str
    kind: Kind
    runs: bool
    content: str


@dataclass
class Inventory:
    """The members of one artifact, checked as they come."""

    source: str  # how people call it
    packed: int | None = None  # bytes of the archive; None: a folder
    limits: Limits = Limits()
    kinds: dict[str, Kind] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    total: int = 0
    members: int = 0

    def checked(self, member: Member) -> Member:
        """The member with a clean name, or `Refused`. Each goes through here before it is read."""
        self.members += 1
        if self.members > self.limits.members:
            raise self.refused(f"more than {self.limits.members:,} members")
        name = self._clean(member.name)
        if name:
            self._place(name, Kind.FILE if member.kind is Kind.SAME else member.kind)
        if member.kind is Kind.LINK:
            self._check_link(name, member.target)
            self.links[name] = member.target
            return replace(member, name=name)
        if member.kind is Kind.SAME:
            target = self._clean(member.target)
            if target not in self.entries or self.kinds[target] is not Kind.FILE:
                raise self.refused("is a hard link to no file that came before it", name)
            return replace(member, name=name, target=target)
        self.expect(member.size, name)
        return replace(member, name=name)

    def expect(self, size: int, name: str = "") -> None:
        """So many bytes are claimed. `count` asks again for those that really come."""
        if self.total + size > self.limits.total:
            raise self.refused(f"unpacks to more than {self.limits.total // MiB:,} MiB", name)

    def count(self, size: int) -> None:
        self.total += size
        self.expect(0)
        suspicious = self.packed is not None and self.total > self.limits.ratio_from
        if suspicious and self.total > self.limits.ratio * max(self.packed or 0, 1):
            raise self.refused(f"unpacks to more than {self.limits.ratio} times its size")

    def add(self, member: Member, content: str = "") -> None:
        """A member that went through `checked`, with the digest of its bytes."""
        if member.kind is Kind.SAME:
            same = self.entries[member.target]
            self.entries[member.name] = replace(same, name=member.name)
        elif member.kind is not Kind.FOLDER:
            content = member.target if member.kind is Kind.LINK else content
            self.entries[member.name] = Entry(member.name, member.kind, member.runs, content)

    def digest(self, top: str = "") -> str:
        """The digest of the content (below the folder `top`), in hexadecimal."""
        lines = []
        for name, kind in self.kinds.items():
            below = name.removeprefix(f"{top}/") if top else name
            if top and below == name:
                continue  # the top folder itself
            if kind is Kind.LINK:
                self._check_link(below, self.links[name])
            entry = self.entries.get(name, Entry(name, kind, False, ""))
            lines.append((below, kind.value, "x" if entry.runs else "-", entry.content))
        whole = hashlib.sha256(b"bg artifact 1\n")
        for line in sorted(lines):
            for text in line:
                data = text.encode("utf-8", "surrogateescape")
                whole.update(b"%d:%s" % (len(data), data))
        return whole.hexdigest()

    def only_folder(self) -> str:
        """The one folder that everything lies in; empty where there is none such."""
        tops = {name.partition("/")[0] for name in self.kinds}
        top = tops.pop() if len(tops) == 1 else ""
        return top if self.kinds.get(top) is Kind.FOLDER else ""

    def refused(self, why: str, name: str = "") -> Refused:
        member = f" the member {printable(name)}" if name else ""
        return Refused(f"{self.source}:{member} {why}; pack it anew without that")

    def _clean(self, name: str) -> str:
        if name.startswith("/"):
            raise self.refused("has an absolute path", name)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise self.refused("has control characters in its name", name)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.refused("leads out of its folder", name)
        return "/".join(parts)

    def _place(self, name: str, kind: Kind) -> None:
        """Every name once, and everything above it a folder."""
        above = posixpath.dirname(name)
        while above and above not in self.kinds:
            self.kinds[above] = Kind.FOLDER
            above = posixpath.dirname(above)
        if above and self.kinds[above] is not Kind.FOLDER:
            raise self.refused(f"lies behind a {self.kinds[above].value}", name)
        if self.kinds.get(name) and not self.kinds[name] is kind is Kind.FOLDER:
            raise self.refused("is there twice", name)
        self.kinds[name] = kind

    def _check_link(self, name: str, target: str) -> None:
        """A link may go up first and then down, and never above the top.

        `..` after a name is refused even where it seems harmless: the name may be a link as well.
        """
        parts = [part for part in target.split("/") if part not in ("", ".")]
        up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
        if target.startswith("/") or ".." in parts[up:] or up > name.count("/"):
            raise self.refused(f"is a link out of its folder, to {printable(target)}", name)


def printable(text: str) -> str:
    """A name as people may see it: no control characters, not too long."""
    safe = text.encode("unicode_escape", "backslashreplace").decode("ascii")
    return safe if len(safe) <= 120 else f"{safe[:117]}..."

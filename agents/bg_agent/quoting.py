"""Text for systemd: words of a command line, paths, and the lines of an environment file.

In unit files % begins a specifier, $ a variable (on command lines), and a backslash an escape. In
environment files a quoted text has escapes for the quote, the backslash, $ and the backquote only.

Pure. The one rule: what a program sees is letter by letter what was asked for; what systemd cannot
carry so is refused, never changed.
"""

from __future__ import annotations

from bg_agent.asked import bad

_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}


def word(text: str) -> str:
    """One argument of `ExecStart=`: no variable, no specifier, no word split."""
    return quoted(text.replace("$", "$$"))


def quoted(text: str) -> str:
    """One word of a list in a unit file, where $ has no meaning."""
    return '"%s"' % "".join(_letter(one) for one in text.replace("%", "%%"))


def line(text: str) -> str:
    """A setting that takes the whole rest of its line: a path of ours."""
    if any(ord(one) < 32 for one in text) or text != text.strip() or text.endswith("\\"):
        raise bad("a path that no unit file can hold")
    return text.replace("%", "%%")


def variable(name: str, value: str) -> str:
    """One line of an environment file. Refused where systemd would drop or change the value."""
    if any((ord(one) < 32 and one not in "\t\n") or ord(one) == 127 for one in value):
        raise bad(
            "env %s holds a control character, which systemd does not carry; "
            "hand it over as a file (`credentials`)" % name
        )
    escaped = "".join("\\" + one if one in '"\\`$' else one for one in value)
    return '%s="%s"\n' % (name, escaped)


def _letter(one: str) -> str:
    if one in _NAMED:
        return _NAMED[one]
    return "\\x%02x" % ord(one) if ord(one) < 32 or ord(one) == 127 else one

"""The small languages inside a site file: names, durations, addresses, templates, secrets.

Pure text in, values out; a text that does not fit gives None. Knows neither the file's shape nor
YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

NAME = r"[a-z][a-z0-9-]{0,30}"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
DURATION = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:ms|s|m|h|d)"
LISTEN = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"
ROUTE = r"/(?:[^\s/?#{}]+(?:/[^\s/?#{}]+)*)?"
ADDRESS = r"(?:[A-Za-z0-9_]+(?:(?:\.|-+)[A-Za-z0-9_]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)"
USER = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
UNIT_KEY = r"[A-Z][A-Za-z0-9]{1,60}"
HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
URL = r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/?"
PLACE = r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+"

INSTANCE_WORDS = ("port", "color", "version", "instance", "release")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 3650 * 86400.0
_TEMPLATE = re.compile(r"(\$?)\{([A-Za-z][A-Za-z0-9_.-]*)\}")
_SECRET_NAME = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIALS?|API_?KEY"
    r"|(?:ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_KEY(?:_BASE)?)[0-9]*",
    re.IGNORECASE,
)
_SECRET_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:{}]*:[^\s/@{}]+@")


def seconds(text: str) -> float | None:
    """`500ms`, `30s`, `10m`, `24h`, `2d` in seconds; None: no duration, or over ten years."""
    if not re.fullmatch(DURATION, text):
        return None
    unit = text.lstrip("0123456789.")
    value = round(float(text[: -len(unit)]) * _UNITS[unit], 6)
    return value if value <= _LONGEST_S else None


def spoken(value_s: float) -> str:
    """Seconds as a site file writes them: the largest unit that leaves a whole number."""
    if value_s % 1:
        return f"{value_s * 1000:g}ms"
    unit = next(
        u for u in ("d", "h", "m", "s") if not value_s % _UNITS[u] and (value_s or u == "s")
    )
    return f"{value_s / _UNITS[unit]:.0f}{unit}"


def listen_address(text: str) -> tuple[str, int] | None:
    """`127.0.0.1:8080` or `[::1]:8080` as host and port."""
    if not re.fullmatch(LISTEN, text):
        return None
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if 1 <= int(port) <= 65535 else None


def web_address(url: str) -> tuple[str, int] | None:
    """`http://shop.example` or `https://shop.example:8443` as host and port."""
    if not re.fullmatch(URL, url):
        return None
    scheme, _, rest = url.rstrip("/").partition("://")
    host, _, port = rest.partition(":")
    number = int(port or (443 if scheme == "https" else 80))
    return (host, number) if 1 <= number <= 65535 else None


def template_words(text: str) -> Iterator[str]:
    """What stands in braces. `${HOME}` is a shell's and left alone; `${port}` is ours."""
    for dollar, word in _TEMPLATE.findall(text):
        if not (dollar and word != word.lower()):
            yield word


def means_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret: DB_PASSWORD does, PASSWORD_FILE not."""
    return any(_SECRET_NAME.fullmatch(name[at:]) for at in _word_starts(name))


def carries_secret(text: str) -> bool:
    """Whether the text is a URL with a password in it."""
    return bool(_SECRET_URL.search(text))


def leaves_folder(path: str) -> bool:
    """Whether a relative path climbs out of the folder it starts in, on its way or at its end."""
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


def _word_starts(name: str) -> Iterator[int]:
    yield 0
    for found in re.finditer("_", name):
        yield found.end()

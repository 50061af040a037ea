"""A service as it was described when a release of it was staged, as text: kept beside the release.

So an older release is started, and asked for its health, in the way of its own time. The one rule:
a text that another version of bg wrote is refused, not guessed at.
"""

from __future__ import annotations

import json

from orchestrator.core import record
from orchestrator.core.model import Service
from orchestrator.ports.trouble import Refused

FORMAT = 1


def text_of(service: Service) -> str:
    """One line of ASCII; the same service gives the same text."""
    words = {"format": FORMAT, "service": record.plain(service)}
    return json.dumps(words, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def read(text: str | bytes, where: str) -> Service:
    """The service of a text; `where` is for people. Raises `Refused`."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise record.Unknown(f"format {data['format']}")
        service: Service = record.read(Service, data["service"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{where} is not of this version of bg: {error}") from error
    return service

"""One request on its way to a verb: read, named, and with the fence it goes through.

The one rule: the names every request has (site, journal, epoch) are checked before a verb sees it,
and a verb that is an effect does not see one without an epoch.
"""

from __future__ import annotations

from importlib import import_module

from bg_agent.asked import EPOCH_MAX, JOURNAL, Asked, bad
from bg_agent.epoch import Fence
from bg_agent.table import Verb
from bg_agent.trouble import Unsure, of_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from bg_agent.places import Host, Root

    Tell = Callable[[str, int, int], None]  # what, done, total


class Call:
    __slots__ = ("asked", "fence", "host", "root", "tell")

    def __init__(self, asked: Asked, host: Host, root: Root, fence: Fence, tell: Tell) -> None:
        self.asked, self.host, self.root, self.fence, self.tell = asked, host, root, fence, tell


def answered(verb: Verb, request: dict[str, Any], host: Host, tell: Tell) -> dict[str, Any]:
    """What the verb found or did. Raises Trouble, and nothing else but for a mistake of ours."""
    asked = Asked(request)
    root = host.site(asked.name("site"))
    call = Call(asked, host, root, fence_of(asked, root, verb.effect), tell)
    try:
        found: dict[str, Any] = function_of(verb)(call)
    except OSError as error:
        raise of_system(verb.name, error) from None
    except MemoryError:
        raise Unsure("%s: this host has no memory left" % verb.name) from None
    return found


def function_of(verb: Verb) -> Callable[[Any], Any]:
    """Imported by the main thread first: threads that import side by side may see half a module."""
    function: Callable[[Any], Any] = getattr(
        import_module("bg_agent.verbs." + verb.module), verb.name
    )
    return function


def fence_of(asked: Asked, root: Root, effect: bool) -> Fence:
    if not asked.has("epoch"):
        if effect:
            raise bad("an effect needs an epoch")
        return Fence(root, "", None)
    epoch = asked.number("epoch", EPOCH_MAX, 1)
    return Fence(root, asked.like("journal", JOURNAL, "the identity of a journal"), epoch)

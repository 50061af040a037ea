"""The closed table of verbs: where each is written, whether it is an effect, and its time limit.

The one rule: what is not here does not exist. It is read at every start, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Verb:
    __slots__ = ("effect", "limit_s", "module", "name", "plus")

    def __init__(
        self, name: str, module: str, limit_s: float, *, effect: bool = False, plus: str = ""
    ) -> None:
        self.name, self.module, self.limit_s, self.effect = name, module, limit_s, effect
        self.plus = plus  # a number of the request, in seconds, that the limit is longer by

    def within_s(self, request: dict[str, Any]) -> float:
        more = request.get(self.plus) if self.plus else 0
        fits = isinstance(more, (int, float)) and not isinstance(more, bool) and 0 < more <= 3600
        return self.limit_s + (float(more) if fits and more else 0.0)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("hello", "hello", 15),
        Verb("look", "look", 30),
        Verb("facts", "facts", 20),
        Verb("described", "look", 20),
        Verb("log", "look", 20),
        Verb("probe", "probe", 5, plus="timeout_s"),
        Verb("offer", "stage", 20, effect=True),
        Verb("commit", "stage", 900, effect=True),
        Verb("remove", "stage", 120, effect=True),
        Verb("point", "color", 30, effect=True),
        Verb("start", "color", 90, effect=True),
        Verb("stop", "color", 60, effect=True, plus="stop_s"),
        Verb("step_look", "steps", 20, plus="timeout_s"),
        Verb("step_run", "steps", 20, effect=True, plus="timeout_s"),
        Verb("adopt", "belonging", 20, effect=True),
        Verb("gone", "belonging", 20, effect=True),
        Verb("readmit", "belonging", 20, effect=True),
        Verb("proxy_config", "haproxy", 20),
        Verb("proxy_look", "haproxy", 20),
        Verb("proxy_held", "haproxy", 10),
        Verb("proxy_lay", "haproxy", 20, effect=True),
        Verb("proxy_prepare", "haproxy", 20, effect=True),
        Verb("proxy_send", "haproxy", 20, effect=True),
        Verb("proxy_hold", "haproxy", 10, effect=True),
        Verb("proxy_let_go", "haproxy", 10, effect=True),
        Verb("proxy_servers", "haproxy", 20, effect=True),
        Verb("nginx_config", "nginx", 20),
        Verb("nginx_look", "nginx", 20),
        Verb("nginx_lay", "nginx", 20, effect=True),
        Verb("nginx_prepare", "nginx", 20, effect=True),
        Verb("nginx_send", "nginx", 30, effect=True),
    )
}

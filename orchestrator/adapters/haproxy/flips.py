"""How patient bg is with HAProxies that do not follow a flip: a flip takes milliseconds there."""

from __future__ import annotations

FOLLOW_S = 2.0  # how long those that do not follow are asked again
BACK_S = 2.0  # how long those that did are asked to go back

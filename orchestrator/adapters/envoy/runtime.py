"""The one watched file: which color gets what, as Envoy's runtime keys.

A `Setting` is all of it: shares, pins, who waits, and the number of this write. Writing it is one
rename, so it is one instant, however many services change. The one rule: it is read strictly,
because a file that somebody edited must be seen as such, not half understood; `bg.check` tells our
writing from anybody else's. Pure: text in, text out.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.adapters.envoy import names
from orchestrator.core.model import Color, Pin, Share, Site, SwitchSpec

_CHECK = "bg.check"
_TYPE = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
_SHARE = re.compile(r"bg\.([^.]+)\.(?:served|\1_(?:blue|green))")
_HOLD = re.compile(r"bg\.([^.]+)\.hold")
_STREAM = re.compile(r"bg\.([^.]+)\.\1_(?:blue|green)\.stream")
_PIN = re.compile(r"bg\.pin\.([^.]+)\.(blue|green)\.([^.]+)\.(blue|green)")


class Edited(Exception):
    """The file is not as bg wrote it; the text says how."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Who gets what. Sorted, so that two of the same meaning are equal."""

    generation: int = 1  # the number of the write, 1 … names.GENERATIONS - 1
    shares: tuple[tuple[str, Share], ...] = ()
    pins: tuple[tuple[Pin, Color], ...] = ()  # wired ones only
    held: tuple[str, ...] = ()  # served ones whose new requests wait; the next write ends that
    streams: bool = False  # whether what lasts has keys of its own

    def share(self, service: str) -> Share:
        return dict(self.shares).get(service, Share())

    def changed(self, shares: Mapping[str, Share], pins: Mapping[Pin, Color]) -> Setting:
        """The next write: these change, all others stay."""
        return Setting(
            self.generation % (names.GENERATIONS - 1) + 1,
            tuple(sorted((dict(self.shares) | dict(shares)).items(), key=lambda item: item[0])),
            _sorted_pins(dict(self.pins) | dict(pins)),
            streams=self.streams,
        )

    def holding(self, services: Iterable[str]) -> Setting:
        """The next write: new requests to these wait, where they are served."""
        served = sorted(name for name in set(services) if self.share(name) != Share())
        return replace(self.changed({}, {}), held=tuple(served))

    def kept_for(self, site: Site, spec: SwitchSpec) -> Setting:
        """What of it is about services and inner addresses that this switch still has; new services
        serve nobody, and nobody waits.
        """
        services = sorted(service.name for service in names.at_home(site, spec))
        pins = set(names.pins(site, spec))
        return replace(
            self,
            shares=tuple((name, self.share(name)) for name in services),
            pins=tuple((pin, color) for pin, color in self.pins if pin in pins),
            held=(),
            streams=site.policy.hold is not None,
        )


def text_of(setting: Setting) -> str:
    """The file, as Envoy and `read` want it."""
    layer = _layer(setting)
    resource = {"@type": _TYPE, "name": names.RUNTIME, "layer": layer | {_CHECK: _check(layer)}}
    document = {"version_info": str(setting.generation), "resources": [resource]}
    return json.dumps(document, indent=1) + "\n"


def parse(text: str) -> Setting:
    """What bg wrote. `Edited` for anything it would not have written."""
    setting = understand(text)
    if text != text_of(setting):
        raise Edited("it was changed by somebody else")
    return setting


def is_ours(text: str) -> bool:
    """Whether it is as bg wrote it."""
    try:
        parse(text)
    except Edited:
        return False
    return True


def understand(text: str) -> Setting:
    """What it means, whoever wrote it.

    `Edited` where it cannot be understood, or says what no switch can do.
    """
    try:
        layer = json.loads(text)["resources"][0]["layer"]
        numbers = {str(key): _number(key, value) for key, value in layer.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Edited(f"it cannot be read ({error})") from error
    return Setting(
        _generation(numbers),
        tuple(sorted(_shares(numbers).items())),
        _sorted_pins(_pins(numbers)),
        _held(numbers),
        any(_STREAM.fullmatch(key) for key in numbers),
    )


# -- From values to keys -------------------------------------------------------------------


def _layer(setting: Setting) -> dict[str, int]:
    layer = {
        f"{names.GENERATION}.reached": setting.generation,
        f"{names.GENERATION}.ahead": names.GENERATIONS - setting.generation,
    }
    for service, share in setting.shares:
        layer[names.served_key(service)] = names.SERVED if share != Share() else 0
        if share != Share():  # weights that add up to 0 make Envoy reject all of its routes
            layer |= {names.share_key(service, color): share.of(color) for color in Color}
        if share != Share() and setting.streams:
            layer |= {names.stream_key(service, color): share.of(color) for color in Color}
        if service in setting.held:
            layer[names.hold_key(service)] = names.SERVED
    for pin, leads_to in setting.pins:
        layer |= {
            names.pin_key(pin, color): names.SERVED if color is leads_to else 0 for color in Color
        }
    return layer


def _check(layer: dict[str, int]) -> int:
    return zlib.crc32(json.dumps(layer, sort_keys=True).encode())


# -- From keys to values -------------------------------------------------------------------


def _number(key: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Edited(f"{key} is {value!r}, not a number")
    return value


def _generation(numbers: Mapping[str, int]) -> int:
    generation = numbers.get(f"{names.GENERATION}.reached", 0)
    ahead = numbers.get(f"{names.GENERATION}.ahead", 0)
    if not generation or not ahead or generation + ahead != names.GENERATIONS:
        raise Edited("it has no valid generation")
    return generation


def _shares(numbers: Mapping[str, int]) -> dict[str, Share]:
    services = {match[1] for key in numbers if (match := _SHARE.fullmatch(key))}
    shares = {}
    for service in services:
        served = numbers.get(names.served_key(service), 0)
        keys = [names.share_key(service, color) for color in Color]
        colors = [numbers.get(key, 0) if served else 0 for key in keys]
        if served not in (0, names.SERVED) or sum(colors) != served:
            raise Edited(
                f"the shares of {service} ({colors[0]} blue, {colors[1]} green) are no whole"
            )
        shares[service] = Share(*colors)
    return shares


def _held(numbers: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        sorted(m[1] for key, value in numbers.items() if value and (m := _HOLD.fullmatch(key)))
    )


def _pins(numbers: Mapping[str, int]) -> dict[Pin, Color]:
    pins: dict[Pin, Color] = {}
    for key, value in numbers.items():
        if not (match := _PIN.fullmatch(key)) or not value:
            continue
        pin = Pin(match[1], Color(match[2]), match[3])
        if value != names.SERVED or pin in pins:
            raise Edited(f"the inner address {names.pin_place(pin)} leads to no single color")
        pins[pin] = Color(match[4])
    return pins


def _sorted_pins(pins: Mapping[Pin, Color]) -> tuple[tuple[Pin, Color], ...]:
    return tuple(sorted(pins.items(), key=lambda item: names.pin_place(item[0])))

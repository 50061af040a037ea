"""What a host is told to start: a recipe with every template and secret in its place.

Pure. One instance of a service on each host, so on the host its index is 0, whatever its place
among the hosts; `{instance}` is that place. The one rule: a secret goes into `env` as a value and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.adapters.ssh.lines import Json, plain_release
from orchestrator.core.model import Service
from orchestrator.core.steps import Part
from orchestrator.releases.templates import fill

INDEX = 0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def words_of(part: Part, instance: int, address: tuple[str, int]) -> dict[str, str]:
    """What the templates of an instance mean."""
    return {
        "host": address[0],
        "port": str(address[1]),
        "color": part.color.value,
        "version": part.release.version,
        "instance": str(instance),
        "release": part.release.label,
    }


def start_fields(
    described: Service, part: Part, words: Mapping[str, str], values: Mapping[str, str]
) -> Json:
    """The fields of `start`. `values`: the secrets by variable. `Refused` for unknown words."""
    recipe, title = described.recipe, f"{part.service} {part.release.label}"
    env = {"PATH": PATH}
    for name, value in recipe.env:
        if isinstance(value, str):
            env[name] = fill(value, words, f"{title}, env {name}")
        else:
            env[name] = values[name]
    argv = [fill(word, words, f"{title}, run") for word in recipe.run]
    unit = unit_of(recipe.unit)
    notify = unit.get("Service", {}).get("Type") == ["notify"]
    if notify:
        del unit["Service"]["Type"]
    return {
        "service": part.service,
        "color": part.color.value,
        "release": plain_release(part.release),
        "instances": [{"index": INDEX, "argv": argv, "env": env, "port": int(words["port"])}],
        "stop_s": recipe.stop_s,
        "notify": notify,
        "unit": unit,
    }


def unit_of(pairs: tuple[tuple[str, str], ...]) -> dict[str, dict[str, list[str]]]:
    """`Service.MemoryMax` -> `1G` as sections; a key that stands there twice has two values."""
    sections: dict[str, dict[str, list[str]]] = {}
    for name, value in pairs:
        section, _, key = name.partition(".")
        sections.setdefault(section, {}).setdefault(key, []).append(value)
    return sections

"""What has to fit together in the steps of the user's own: hosts, services, words, times.

The one rule: what would only fail when the step's turn comes is said now. Knows the names of
services and hosts, and nothing of what the commands do.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config.host_rules import judge_names
from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.service_rules import judge_argv, judge_env
from orchestrator.config.shape import SiteKeys, StepKeys
from orchestrator.config.words import seconds, template_words

LONGEST_S = 3600.0
OF_SERVICE = ("service", "color", "version", "release")


def judge(
    site: SiteKeys, services: tuple[str, ...], hosts: tuple[str, ...], mistakes: Mistakes
) -> None:
    """`services`, `hosts`: the names of all in the file, also of those that did not fit."""
    for name, step in site.steps.items():
        where: Where = ("steps", name)
        judge_of(where, step, services, mistakes)
        judge_on(where, step, site, hosts, mistakes=mistakes)
        judge_timeout(where, step, mistakes)
        judge_words(where, step, services, mistakes)
        judge_env(where, step.env, mistakes)
        for key, argv in _argvs(step):
            judge_argv((*where, key), argv, mistakes)


def judge_of(where: Where, step: StepKeys, services: tuple[str, ...], mistakes: Mistakes) -> None:
    if step.of is not None and step.of not in services:
        here = (*where, "of")
        close = nearest(step.of, services)
        what = f"{dotted(here)} names the service `{step.of}`, which this file does not have"
        mistakes.add(here, what, f"did you mean `{close}`?" if close else choice(services))


def judge_on(
    where: Where, step: StepKeys, site: SiteKeys, hosts: tuple[str, ...], *, mistakes: Mistakes
) -> None:
    here = (*where, "on")
    if mistakes.inside(here):
        return
    if isinstance(step.on, list):
        judge_names(here, step.on, hosts, mistakes, once="it runs once on each host")
        return
    name = step.of or (next(iter(site.services)) if len(site.services) == 1 else None)
    service = site.services.get(name or "")
    if step.on == "hosts" and name is None:
        what = f"{dotted(here)}: nobody knows of which service"
        mistakes.add(here, what, "write `of: SERVICE`, or name the hosts")
    elif step.on == "hosts" and service and not isinstance(service.instances.on, list):
        what = f"{dotted(here)}: {name} is on this machine, not on hosts"
        mistakes.add(here, what, "write `on: controller`, or name the hosts")


def judge_timeout(where: Where, step: StepKeys, mistakes: Mistakes) -> None:
    here = (*where, "timeout")
    if not mistakes.inside(here) and not 0 < (seconds(step.timeout) or 0.0) <= LONGEST_S:
        mistakes.add(here, f"{dotted(here)} is not more than 0 and at most 1h", "write `5m`")


def judge_words(
    where: Where, step: StepKeys, services: tuple[str, ...], mistakes: Mistakes
) -> None:
    known = ["site"]
    known += ["host"] if step.on != "controller" else []
    known += OF_SERVICE if step.of or len(services) == 1 else ()
    for here, text in _templated(where, step):
        for word in template_words(text):
            if word in known:
                continue
            what = f"unknown word `{{{word}}}` in {dotted(here)}"
            mistakes.add(here, what, _advice(word, known))


def _advice(word: str, known: list[str]) -> str:
    if word in OF_SERVICE:
        return "it is about no service in particular: write `of: SERVICE`"
    if word == "host":
        return "it runs on this machine: write `on: [HOST]`"
    close = nearest(word, known)
    return f"did you mean `{{{close}}}`?" if close else f"known are {_choice(known)}"


def _choice(known: list[str]) -> str:
    return choice(f"{{{word}}}" for word in known)


def _argvs(step: StepKeys) -> Iterator[tuple[str, list[str]]]:
    yield "do", step.do
    if isinstance(step.undo, list):
        yield "undo", step.undo
    if step.holds:
        yield "holds", step.holds


def _templated(where: Where, step: StepKeys) -> Iterator[tuple[Where, str]]:
    for key, argv in _argvs(step):
        for at, text in enumerate(argv):
            yield (*where, key, at), text
    for name, value in step.env.items():
        if isinstance(value, str):
            yield (*where, "env", name), value

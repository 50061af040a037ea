"""What has to fit together within one service: its paths, probes, secrets and templates.

The one rule: what would only fail at the start of a process, or never prove anything, is said now.
Knows the names of the other services and nothing else of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.shape import ProbeKeys, ProbingKeys, SecretKeys, ServiceKeys
from orchestrator.config.words import (
    INSTANCE_WORDS,
    carries_secret,
    leaves_folder,
    means_secret,
    seconds,
    template_words,
)

_SECRET_ADVICE = "write `{file: …}`, `{env: …}` or `{command: […]}`"


def judge(
    where: Where, service: ServiceKeys, *, services: tuple[str, ...], mistakes: Mistakes
) -> None:
    """Notes what does not fit; `services` are the names of all in the file."""
    judge_paths(where, service, mistakes)
    judge_probes(where, service, mistakes)
    judge_secrets(where, service, mistakes)
    judge_templates(where, service, services=services, mistakes=mistakes)


def judge_paths(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    artifact = service.artifact
    here = (*where, "artifact")
    if artifact.startswith(("/", "~")) or leaves_folder(artifact):
        mistakes.add(here, f"{dotted(here)} leaves the folder of the site", "write a path below it")
    if list(template_words(artifact)) != ["version"]:
        what = f"{dotted(here)} has to hold `{{version}}` once, and no other template"
        mistakes.add(here, what, "write `releases/{version}`")
    if leaves_folder(service.run[0]):
        mistakes.add(
            (*where, "run", 0),
            f"{dotted((*where, 'run'))} leaves the folder of its release",
            "write a path inside it, an absolute one, or a command's name",
        )
    for name, value in service.env.items():
        file = value.file if isinstance(value, SecretKeys) else None
        if file and leaves_folder(file):
            mistakes.add(
                (*where, "env", name, "file"),
                f"{dotted((*where, 'env', name))} leaves the folder of the site",
                "write a path below it, or an absolute one",
            )


def judge_probes(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    for at, probe in enumerate(service.probes):
        here = (*where, "probes", at)
        if not mistakes.about(here):
            judge_probe(here, probe, mistakes)
    if not mistakes.about((*where, "probing")):
        judge_probing((*where, "probing"), service.probing, mistakes)


def judge_probe(where: Where, probe: ProbeKeys, mistakes: Mistakes) -> None:
    ways = [way for way in ("http", "tcp", "exec") if getattr(probe, way) is not None]
    if len(ways) != 1:
        what = (
            f"{dotted(where)} is {' and '.join(ways)} at once"
            if ways
            else f"{dotted(where)} has no way to look"
        )
        mistakes.add(
            where, what, "write one of `http: /healthz`, `tcp: true` or `exec: [bin/check]`"
        )
    elif ways != ["http"]:
        for key in {"expect", "host"} & probe.model_fields_set:
            mistakes.add(
                (*where, key), f"{dotted((*where, key))} is for http probes only", "remove it"
            )


def judge_probing(where: Where, probing: ProbingKeys, mistakes: Mistakes) -> None:
    """Deadlines: there is one, a look fits into it, and so do the looks that make a verdict."""
    every, within, timeout = (
        seconds(t) or 0.0 for t in (probing.every, probing.within, probing.timeout)
    )
    for key, value in (("every", every), ("within", within), ("timeout", timeout)):
        if not value:
            what = "is no deadline" if key == "within" else "is nothing"
            mistakes.add(
                (*where, key), f"{dotted((*where, key))}: 0 {what}", "write a time, like `30s`"
            )
            return
    if timeout > within:
        what = f"one look may take longer ({probing.timeout}) than all of them ({probing.within})"
        mistakes.add(
            (*where, "timeout"),
            f"{dotted(where)}: {what}",
            "make `timeout` smaller or `within` larger",
        )
    elif (probing.well - 1) * every >= within:
        what = (
            f"{probing.well} looks, one every {probing.every}, do not fit within {probing.within}"
        )
        mistakes.add((*where, "within"), f"{dotted(where)}: {what}", "make `within` larger")


# -- Secrets and templates -----------------------------------------------------------------


def judge_secrets(where: Where, service: ServiceKeys, mistakes: Mistakes) -> None:
    """A secret is named, not written down: neither in `env` nor in what `ps` shows everybody."""
    judge_env(where, service.env, mistakes)
    judge_argv((*where, "run"), service.run, mistakes)


def judge_env(where: Where, env: dict[str, str | SecretKeys], mistakes: Mistakes) -> None:
    for name, value in env.items():
        here = (*where, "env", name)
        if isinstance(value, SecretKeys):
            given = [
                key
                for key in ("file", "env", "command", "value")
                if getattr(value, key) is not None
            ]
            if len(given) != 1 and not mistakes.about(here):
                places = f"{len(given)} places" if given else "nowhere"
                mistakes.add(here, f"{dotted(here)} comes from {places}", _SECRET_ADVICE)
        elif carries_secret(value):
            mistakes.add(here, f"{dotted(here)} is a URL with a password in it", _SECRET_ADVICE)
        elif means_secret(name) and value and not list(template_words(value)):
            advice = f"{_SECRET_ADVICE}; `{{value: …}}` if it is none"
            mistakes.add(here, f"{dotted(here)} is a secret written into the file", advice)


def judge_argv(where: Where, argv: list[str], mistakes: Mistakes) -> None:
    for at, text in enumerate(argv):
        if carries_secret(text):
            here = (*where, at)
            mistakes.add(
                here,
                f"{dotted(here)} is a URL with a password in it",
                "take it from a variable in `env`",
            )


def judge_templates(
    where: Where, service: ServiceKeys, *, services: tuple[str, ...], mistakes: Mistakes
) -> None:
    for here, text in _templated(where, service):
        for word in template_words(text):
            callee, dot, what = word.rpartition(".")
            if here[2] in ("run", "env") and dot and what == "url" and callee in services:
                if callee not in service.uses:
                    said = f"`{{{word}}}` in {dotted(here)}, and {where[-1]} does not use {callee}"
                    mistakes.add(here, said, f"write `uses: {{{callee}: same}}`")
            elif word not in INSTANCE_WORDS:
                mistakes.add(here, *_unknown_word(here, word, service))


def _unknown_word(where: Where, word: str, service: ServiceKeys) -> tuple[str, str]:
    known = [
        *INSTANCE_WORDS,
        *(f"{callee}.url" for callee in service.uses if where[2] in ("run", "env")),
    ]
    close = nearest(word, known)
    advice = (
        f"did you mean `{{{close}}}`?"
        if close
        else f"known are {choice(f'{{{w}}}' for w in known)}"
    )
    return f"unknown word `{{{word}}}` in {dotted(where)}", advice


def _templated(where: Where, service: ServiceKeys) -> Iterator[tuple[Where, str]]:
    """Every text of a service in which templates are filled in."""
    for at, text in enumerate(service.run):
        yield (*where, "run", at), text
    for name, value in service.env.items():
        if isinstance(value, str):
            yield (*where, "env", name), value
    for at, probe in enumerate(service.probes):
        here = (*where, "probes", at)
        yield (*here, "http"), probe.http or ""
        for index, text in enumerate(probe.exec or ()):
            yield (*here, "exec", index), text
        for kind, table in (("headers", probe.expect.headers), ("json", probe.expect.json_)):
            for key, text in table.items():
                yield (*here, "expect", kind, key), text
        yield (*here, "expect", "body"), probe.expect.body or ""

"""What a changed file means while a rollout goes on, in sentences whose words lead to the line."""

from __future__ import annotations

import pytest

from orchestrator.config.differences import differences
from tests.config.refused import BASE, SOUND_BEHIND_HAPROXY
from tests.config.test_load import EXAMPLE, parsed


def changed(old: str, new: str) -> list[str]:
    assert old in BASE
    return list(differences(parsed(BASE), parsed(BASE.replace(old, new))))


def test_an_unchanged_file_means_nothing_new() -> None:
    assert differences(parsed(BASE), parsed("# only a remark\n" + BASE)) == ()
    assert differences(parsed(EXAMPLE.read_text()), parsed(EXAMPLE.read_text())) == ()


def test_a_changed_value_is_told_with_what_the_rollout_goes_on_with() -> None:
    assert changed("count: 2, ports: {blue: 8130", "count: 3, ports: {blue: 8130") == [
        "services.web.instances.count: 2 then, 3 in the file now; the rollout goes on with 2"
    ]


# What is replaced, by what, and the beginnings of the sentences.
CHANGES = [
    (
        "soak: 60s",
        "soak: {for: 90s, within: 2h}",
        ["rollout.soak.for: 1m then, 90s", "rollout.soak.within: 10m then, 2h"],
    ),
    ("uses: {api: same}", "uses: {api: any}", ["services.web.uses: api: same then, api: any"]),
    (
        "path: /api}",
        "host: a.example}",
        ["services.api.behind: edge /api then, edge a.example/"],
    ),
    (
        "{http: /healthz}",
        "{http: /healthz, expect: {status: 204}}",
        ["services.api.probes: http /healthz (200) then, http /healthz (204)"],
    ),
    ("within: 30s", "within: 45s", ["services.web.probing.within: 30s then, 45s"]),
    (
        "127.0.0.1:8080",
        "0.0.0.0:8080",
        ["switches.edge.envoy.listen: 127.0.0.1:8080 then, 0.0.0.0:8080"],
    ),
    ("soak: 60s", "standby: 1h", ["rollout.standby: keep then, 1h"]),
    ("site: shop", "site: shop\ndrift: mend", ["drift: tell then, mend"]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES)
def test_each_key_is_told_in_the_words_of_the_file(old: str, new: str, expected: list[str]) -> None:
    told = changed(old, new)
    assert [sentence.partition(" in the file now")[0] for sentence in told] == expected


def test_a_switch_made_of_haproxies_is_told_too() -> None:
    before = SOUND_BEHIND_HAPROXY
    after = before.replace("proxy1, proxy2", "proxy1").replace("http:", "https:")
    told = differences(parsed(before), parsed(after))
    assert [sentence.partition(" in the file now")[0] for sentence in told] == [
        "switches.edge.haproxy.on: proxy1, proxy2 then, proxy1",
        "switches.edge.haproxy.url: http://shop.example then, https://shop.example",
    ]


def test_no_gate_any_more_is_one_sentence() -> None:
    assert changed("  soak: 60s", "  soak: 60s\n  gates: {cutover: none}") == [
        "rollout.gates.cutover: a gate then, none in the file now; the rollout goes on with a gate"
    ]


def test_an_environment_is_compared_but_never_shown() -> None:
    """S90, for sentences about a changed file."""
    told = changed("LOG_LEVEL: info", "LOG_LEVEL: hunter2, MORE: hunter3")
    assert told == [
        (
            "services.api.env.LOG_LEVEL: the file has another value now; "
            "the rollout goes on with the one of then"
        ),
        "services.api.env.MORE: new in the file; the rollout goes on without it",
    ]
    assert "hunter" not in "".join(told)


def test_a_service_that_came_or_went_is_one_sentence() -> None:
    without = BASE[: BASE.index("  web:\n")] + BASE[BASE.index("switches:") :]
    assert differences(parsed(BASE), parsed(without)) == (
        "services.web: no longer in the file; the rollout goes on with it",
    )
    assert differences(parsed(without), parsed(BASE)) == (
        "services.web: new in the file; the rollout goes on without it",
    )

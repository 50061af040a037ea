"""Secrets are taken out of texts, by value and by key (S90)."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from orchestrator.releases.redact import Redactor, sounds_secret

SECRET = 'p@ss/wörd "quoted"+1'


@pytest.fixture
def redactor() -> Redactor:
    knowing = Redactor()
    knowing.learn("DB_PASSWORD", SECRET)
    return knowing


FORMS = {
    "as it is": SECRET,
    "in a URL": quote(SECRET, safe=""),
    "in JSON": json.dumps({"x": SECRET}),
    "in readable JSON": json.dumps({"x": SECRET}, ensure_ascii=False),
    "in Python": repr(["x", SECRET]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_value_is_taken_out_in_every_usual_form(redactor: Redactor, form: str) -> None:
    text = redactor.clean(f"before {FORMS[form]} after")
    assert "‹DB_PASSWORD›" in text
    assert "rd" not in text.replace("‹DB_PASSWORD›", "")
    assert text.startswith("before ")
    assert text.endswith(" after")


def test_the_longer_of_two_secrets_is_taken_out_whole(redactor: Redactor) -> None:
    redactor.learn("SHORT", "abcd")
    redactor.learn("LONG", "abcdefgh")
    assert redactor.clean("abcdefgh abcd") == "‹LONG› ‹SHORT›"


def test_each_longer_line_of_a_secret_is_one(redactor: Redactor) -> None:
    redactor.learn("CERT", "-----BEGIN-----\nMIIEvQIBADAN\nx\n-----END-----")
    assert redactor.clean("it says MIIEvQIBADAN and x") == "it says ‹CERT› and x"


def test_what_is_too_short_to_hide_garbles_nothing(redactor: Redactor) -> None:
    redactor.learn("SHORT", "1")
    redactor.learn("NONE", "")
    assert redactor.clean("listening on 8110") == "listening on 8110"


@pytest.mark.parametrize(
    "text",
    [
        "DB_PASSWORD=hunter2",
        "db_password: hunter2",
        '{"apiToken": "hunter2"}',
        "{'client_secret': 'hunter2'}",
        "--api-key=hunter2",
        "GET /?access_token=hunter2&x=1",
        "Authorization: Bearer hunter2hunter2",
        "postgresql://bg:hunter2@db/shop",
        "AWS_SECRET_ACCESS_KEY = hunter2",
        'password="two words hunter2"',
        'password="with \\"quotes\\" hunter2"',
    ],
)
def test_what_nobody_told_of_is_found_by_its_key(text: str) -> None:
    cleaned = Redactor().clean(text)
    assert "hunter2" not in cleaned
    assert "‹hidden›" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "listening on 127.0.0.1:8110",
        "GET /healthz 200",
        "https://shop.example:443/path",
        "web/green/0: exit code 3 after 0.2 s",
        "the keyboard: fine",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redactor().clean(text) == text


@pytest.mark.parametrize("name", ["DB_PASSWORD", "API_KEY", "token", "SECRET_KEY_BASE", "KEY"])
def test_names_that_sound_secret_are_known(name: str) -> None:
    assert sounds_secret(name)


@pytest.mark.parametrize("name", ["PORT", "LOG_LEVEL", "KEYBOARD", "MONKEY", "PATH"])
def test_other_names_are_not(name: str) -> None:
    assert not sounds_secret(name)


@pytest.mark.parametrize(
    "hostile", ["a-" * 50_000, "password" * 12_000, 'token="' + "\\" * 100_000, "x" * 100_000]
)
def test_no_text_takes_long(redactor: Redactor, hostile: str) -> None:
    """S81"""
    began = time.process_time()
    redactor.clean(hostile)
    assert time.process_time() - began < 1

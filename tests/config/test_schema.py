"""The schema says of a file's shape what `load` says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.config.document import read
from orchestrator.config.mistakes import Mistakes
from orchestrator.config.schema import schema
from tests.config.json_schema import fits
from tests.config.refused import BASE, REFUSED, Refused
from tests.config.test_load import EXAMPLE, MINIMAL, ON_HOSTS, ON_NGINX

SHAPES = [case for group in REFUSED.values() for case in group if case.shape]


def data_of(text: str) -> dict[str, Any]:
    return read(text.encode(), Mistakes("bg.yaml"))


@pytest.mark.parametrize(
    "text",
    [EXAMPLE.read_text(), ON_HOSTS.read_text(), ON_NGINX.read_text(), BASE, MINIMAL],
    ids=["example", "hosts", "nginx", "base", "minimal"],
)
def test_a_sound_file_fits_the_schema(text: str) -> None:
    assert fits(data_of(text), schema())


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.about.replace(" ", "_"))
def test_a_shape_that_is_refused_does_not_fit_the_schema(case: Refused) -> None:
    assert not fits(data_of(case.text), schema())


def test_every_key_has_a_description_and_every_optional_one_its_default_or_none() -> None:
    made = schema()
    for model in (made, *made["$defs"].values()):
        assert model["additionalProperties"] is False
        for key, described in model["properties"].items():
            assert described["description"], key
            assert described.get("default", "") is not None


def test_the_schema_is_plain_json_of_the_newest_draft() -> None:
    made = schema()
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(made)) == made
    assert "null" not in json.dumps(made)


def test_every_key_there_is_stands_in_the_example_with_a_remark() -> None:
    made, text = schema(), EXAMPLE.read_text() + ON_HOSTS.read_text()
    text += ON_NGINX.read_text()
    lines = [line for line in text.splitlines() if line.strip()]
    for model in (made, *made["$defs"].values()):
        for key in model["properties"]:
            held = [line for line in lines if f"{key}:" in line.partition("#")[0]]
            assert held, key
            assert any("#" in line for line in held) or key in ("edge", "blue", "green"), key

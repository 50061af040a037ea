"""The shape of the `rollout:` section: how carefully a release is brought out.

Beside `shape`, and after the same rules. `Keys` is what every section is made of.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from orchestrator.config.kinds import Duration, Standby, Text, text_or_keys


class Keys(BaseModel):
    """Some keys of the file. Unknown ones are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=False)


class GateKeys(Keys):
    """Where a rollout waits for a person."""

    owner: Text | None = Field(default=None, description="who may grant it, recorded and shown")
    timeout: Duration = Field(default="24h", description="how long it stays open")
    otherwise: Literal["back-out", "stay"] = Field(
        default="back-out",
        description="after that: back-out goes back, stay waits for a person to decide",
    )


class GatesKeys(Keys):
    """The points where a rollout waits."""

    cutover: Annotated[
        Annotated[Literal["none"], Tag("<text>")] | Annotated[GateKeys, Tag("<keys>")],
        Discriminator(text_or_keys),
    ] = Field(
        default=GateKeys(),
        description="before traffic is switched; `none`: switched as soon as it is proven",
    )


class SoakKeys(Keys):
    """How long the new color is watched under real traffic."""

    for_: Duration = Field(alias="for", description="well for so long")
    within: Duration | None = Field(
        default=None, description="the outer limit; default: ten times `for`, at least 10s"
    )


class HoldKeys(Keys):
    """Stopping time for the switch: new requests wait, those in flight end, everything flips."""

    for_: Duration = Field(alias="for", description="how long a request may have to wait at most")
    waiting: int = Field(
        default=4000, ge=1, le=16000, description="beyond so many all go on, and nothing flips"
    )
    streams: Literal["exclude", "wait"] = Field(
        default="exclude",
        description="WebSockets and event streams: go on in the old world, or have to end first",
    )


class RolloutKeys(Keys):
    """How carefully."""

    gates: GatesKeys = Field(default=GatesKeys(), description="where it waits for a person")
    soak: Annotated[
        Annotated[Duration, Tag("<text>")] | Annotated[SoakKeys, Tag("<keys>")],
        Discriminator(text_or_keys),
    ] = Field(
        default="60s",
        description="how long the new color is watched under real traffic; `0s`: not at all",
    )
    hold: (
        Annotated[
            Annotated[Duration, Tag("<text>")] | Annotated[HoldKeys, Tag("<keys>")],
            Discriminator(text_or_keys),
        ]
        | None
    ) = Field(
        default=None,
        description="stop time for the switch, so long at most; only where old and new must never"
        " work at the same instant",
    )
    meanwhile: Literal["refuse", "replace"] = Field(
        default="refuse", description="what a new wish does to a rollout that is open"
    )
    standby: Standby = Field(
        default="keep",
        description="how long the old color stays warm; keep: until a deploy needs its place",
    )
    tries: int = Field(
        default=3, ge=1, le=100, description="how often a step may fail before it is given up"
    )
    keep: int = Field(
        default=3, ge=1, le=1000, description="how many releases of a service stay on disk"
    )
    drain: Duration = Field(
        default="30s", description="how long requests may take to end on the old color"
    )
    lease: Duration = Field(
        default="10s", description="after so long without a sign, a driver is replaced"
    )

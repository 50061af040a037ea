"""The way back without a site file that can be used: broken, gone, or about something else by now.

What is kept of it beside the journal is enough to look, to go on and to go back. Whoever goes by
that is told why; and nothing new is begun with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest

from orchestrator.config.accepted import FILE, Accepted, accept, at, remembered
from orchestrator.config.load import find, load
from orchestrator.config.mistakes import BadSite
from orchestrator.core.settled import settled
from orchestrator.doors.cli.exits import Exit
from tests.doors.desk import Desk, Said, one_line, serve, with_standby


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return with_standby(tmp_path)


def change(desk: Desk, old: str, new: str) -> None:
    text = desk.file.read_text()
    assert old in text
    desk.file.write_text(text.replace(old, new))


def turn_into_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BROKEN: dict[str, tuple[Callable[[Desk], object], str]] = {
    "not YAML": (lambda d: change(d, "count: 2,", "count: 2]"), "bg.yaml:6: not YAML"),
    "an unknown key": (lambda d: change(d, "probes:", "prubes:"), "bg.yaml:7: "),
    "binary": (lambda d: d.file.write_bytes(b"\xff\xfe\0"), "bg.yaml"),
    "empty": (lambda d: d.file.write_text(""), "bg.yaml"),
    "gone": (lambda d: d.file.unlink(), "there is no such file"),
    "a folder": (lambda d: turn_into_a_folder(d.file), "there is no bg.yaml here"),
}


@pytest.fixture(params=BROKEN)
def broken(desk: Desk, request: pytest.FixtureRequest) -> tuple[Desk, str]:
    break_it, named = BROKEN[request.param]
    break_it(desk)
    return desk, named


def told(said: Said) -> str:
    return one_line(said.err)


def test_backout_goes_back_whatever_became_of_the_site_file(broken: tuple[Desk, str]) -> None:
    desk, named = broken
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.DONE, "web 1, api 1")
    assert named in told(said)
    assert "going by the site as of 20" in told(said)
    assert "as it was read for rollout 2" in told(said)


@pytest.mark.parametrize("verb", ["status", "history", "releases", "resume", "tend --once"])
def test_whoever_only_looks_or_goes_on_needs_no_site_file(desk: Desk, verb: str) -> None:
    desk.file.write_text("site: [")
    said = desk(*verb.split())
    assert said.code == Exit.DONE
    assert "going by the site as of" in told(said)
    assert "prubes" not in told(said)


def test_status_as_data_is_the_same_without_the_file(desk: Desk) -> None:
    before = desk("-o", "json", "status").data
    desk.file.unlink()
    after = desk("-o", "json", "status").data
    assert after["serving"] == before["serving"]
    assert after["next_steps"] == before["next_steps"]


@pytest.mark.parametrize("verb", ["deploy 4", "plan 4", "switch", "grant cutover", "retire"])
def test_nothing_new_is_begun_with_a_broken_file_and_the_way_back_is_said(
    desk: Desk, verb: str
) -> None:
    desk.file.write_text("site: [")
    said = desk(*verb.split())
    assert (said.code, serve(desk)) == (Exit.BAD_INPUT, "web 2, api 2")
    assert "bg.yaml:2:notYAML" in told(said).replace(" ", "")  # a long path is broken over lines
    assert "bgctl backout" in said.err


def test_an_open_rollout_goes_back_by_the_site_it_was_opened_with(desk: Desk) -> None:
    desk("deploy", "4")
    desk.file.write_text("site: [")
    assert desk("pause").code == Exit.DONE
    assert desk("resume").code == Exit.DONE
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.WENT_BACK, "web 2, api 2") or said.code == Exit.DONE
    assert "rollout 3 is backed out" in said.err


def test_a_broken_file_that_nothing_was_ever_deployed_from_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file.write_text("site: [")
    said = desk("status")
    assert said.code == Exit.BAD_INPUT
    assert "backout" not in said.err


def test_a_service_that_the_file_has_no_more_still_goes_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk("deploy", "1")
    desk("deploy", "2", "--switch")
    before, _, rest = desk.file.read_text().partition("  api:\n")
    desk.file.write_text(before.replace("    uses: {api: same}\n", "")
                         .replace(', --api, "{api.url}"', "")
                         + rest[rest.index("switches:"):])  # fmt: skip
    assert [service.name for service in load(desk.file).services] == ["web"]
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.DONE, "web 1, api 1")
    assert "has no api any more" in told(said)


def test_a_wish_that_waits_is_not_taken_up_by_memory(desk: Desk) -> None:
    """Whoever tends goes on without the file, and begins nothing."""
    desk.file.write_text("site: [")
    assert desk("tend", "--once").code == Exit.DONE
    kept = at(str(desk.file.parent / "state"))
    assert kept is not None
    assert kept.rollout == 2


# -- What is kept, and how it is found -----------------------------------------------------


def test_what_is_kept_is_private_and_the_very_site(desk: Desk) -> None:
    kept = desk.file.parent / "state" / FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    found = at(str(kept.parent))
    assert found is not None
    assert found.site == load(desk.file)
    assert not list(kept.parent.glob("*.new"))


def test_a_secret_is_kept_by_its_name_alone(tmp_path: Path) -> None:
    """S90."""
    (tmp_path / "db").write_text("hunter2")
    text = Desk(tmp_path).file.read_text()
    env = "    env: {DB_PASSWORD: {file: db}}\n    probes"
    (tmp_path / "bg.yaml").write_text(text.replace("    probes", env))
    site = load(tmp_path / "bg.yaml")
    accept(Accepted(site, str(tmp_path / "bg.yaml"), 0.0, 1))
    kept = (tmp_path / "state" / FILE).read_text()
    assert "DB_PASSWORD" in kept
    assert "hunter2" not in kept


def test_a_site_whose_file_is_away_is_found_by_its_path_from_below_and_by_its_name(
    desk: Desk, state_home: Path
) -> None:
    file, below = desk.file, desk.file.parent / "a" / "b"
    below.mkdir(parents=True)
    file.unlink()
    with chdir(below):
        found = {named: remembered(named) for named in (None, str(file), "shop", "mall")}
    names = {named: kept.site.name if kept else None for named, kept in found.items()}
    assert names == {None: "shop", str(file): "shop", "shop": "shop", "mall": None}


def test_another_user_finds_it_by_what_can_still_be_read_of_the_file(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state folder is shared; where it lies was remembered by somebody else."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("another")))
    change(desk, "services:", "services: [")
    assert desk("backout").code == Exit.DONE
    assert serve(desk) == "web 1, api 1"


def test_what_is_kept_is_found_by_whatever_path_one_comes(desk: Desk, tmp_path: Path) -> None:
    os.symlink(desk.file.parent, tmp_path / "link")
    desk.file.unlink()
    kept = remembered(str(tmp_path / "link" / "bg.yaml"))
    assert kept is not None
    assert kept.site.name == "shop"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"is": "Accepted"}', "null", "\0" * 40])
def test_what_is_damaged_is_as_if_it_were_not_there(desk: Desk, text: str) -> None:
    (desk.file.parent / "state" / FILE).write_text(text)
    desk.file.unlink()
    said = desk("backout")
    assert said.code == Exit.BAD_INPUT
    assert "there is no such file" in told(said)


def test_a_state_folder_that_takes_nothing_keeps_nobody_from_going_back(desk: Desk) -> None:
    """S10."""
    kept = desk.file.parent / "state" / FILE
    before = kept.read_bytes()
    (kept.parent / f"{FILE}.new").mkdir()  # nothing can be written beside it
    change(desk, "soak: 2s", "soak: 3s")
    assert desk("backout").code == Exit.DONE
    assert kept.read_bytes() == before


def test_a_named_file_that_is_not_there_is_not_another_one_in_its_folder(desk: Desk) -> None:
    (desk.file.parent / "bg.yml").write_text(desk.file.read_text().replace("shop", "mall"))
    with pytest.raises(BadSite, match="there is no such file"):
        find(desk.file.parent / "prod.yaml")


# -- Ports that the file changed -----------------------------------------------------------


def ports(desk: Desk) -> tuple[int, int]:
    """Of web's blue and green, as the next plan would have them."""
    place = settled(load(desk.file), desk.chronicle()).service("web").placement
    return place.blue_port, place.green_port


def test_what_runs_keeps_its_ports_until_it_is_brought_up_anew(desk: Desk) -> None:
    change(desk, "{blue: 21100, green: 21110}", "{blue: 21200, green: 21210}")
    assert ports(desk) == (21100, 21110)
    assert desk("deploy", "4", "--switch").code == Exit.DONE  # green stands by now
    assert ports(desk) == (21200, 21110)
    assert desk("backout").code == Exit.DONE
    assert ports(desk) == (21200, 21110)
    assert desk("deploy", "1", "--switch").code == Exit.DONE
    assert desk("deploy", "4", "--switch").code == Exit.DONE
    assert ports(desk) == (21200, 21210)


def test_a_standby_that_is_deployed_again_as_it_runs_keeps_its_ports(desk: Desk) -> None:
    change(desk, "{blue: 21100, green: 21110}", "{blue: 21200, green: 21210}")
    assert desk("deploy", "1", "--switch").code == Exit.DONE
    assert ports(desk) == (21100, 21110)

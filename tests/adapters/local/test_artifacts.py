"""Artifacts on this disk: versions, paths, archives, and what is wrong with what was typed."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.local.artifacts import LocalArtifacts
from orchestrator.core.model import Recipe, Release, Secret, SecretFrom, Service, Site
from orchestrator.ports.trouble import Refused
from orchestrator.releases import archive
from orchestrator.releases.identity import release_digest
from tests.adapters.local import samples
from tests.adapters.local.samples import part


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "dist" / "web-1").mkdir(parents=True)
    (tmp_path / "dist" / "web-1" / "who").write_text("1")
    return samples.site(tmp_path)


@pytest.fixture
def web(site: Site) -> Service:
    return site.service("web")


def test_the_recipe_is_part_of_a_release(site: Site, web: Service) -> None:
    once = LocalArtifacts(site).find(web, "1").release
    otherwise = replace(web, recipe=replace(web.recipe, run=("sleep", "2000")))
    assert LocalArtifacts(site).find(otherwise, "1").release.digest != once.digest


def test_probes_are_no_part_of_a_release(site: Site, web: Service) -> None:
    once = LocalArtifacts(site).find(web, "1")
    assert LocalArtifacts(site).find(replace(web, probes=()), "1") == once


def test_the_digest_of_a_release_stays_what_it_is() -> None:
    """Releases on disk are named by it: another way to count would orphan them all."""
    secret = Secret(SecretFrom.FILE, ("secrets/db",))
    recipe = Recipe(("bin/web", "{port}"), (("DB", secret), ("LEVEL", "info")), 10.0)
    expected = "366df2c3e0"
    assert release_digest("ab" * 32, recipe)[:10] == expected


@pytest.mark.parametrize("wanted", ["./dist/web-1", "dist/web-1", "dist/../dist/web-1/"])
def test_the_version_of_a_path_is_its_name(site: Site, web: Service, wanted: str) -> None:
    found = LocalArtifacts(site).find(web, wanted)
    assert found.release.version == "web-1"
    assert found.source == f"{site.folder}/dist/web-1"


def test_a_folder_and_its_archive_are_one_release(site: Site, web: Service, tmp_path: Path) -> None:
    folder = tmp_path / "dist" / "web-1"
    with tarfile.open(tmp_path / "dist" / "api-1.tar.gz", "w:gz") as tar:
        tar.add(folder, arcname=".")
    packed = replace(web, artifact="dist/api-{version}.tar.gz")
    found = LocalArtifacts(site).find(packed, "1")
    assert found.release == LocalArtifacts(site).find(web, "1").release
    assert found.source == str(tmp_path / "dist" / "api-1.tar.gz")


@pytest.mark.parametrize("wanted", ["..", "1 2", "", "@ab", "-rf", "1\n", "x" * 101, "1;rm"])
def test_what_is_no_version_is_refused(site: Site, web: Service, wanted: str) -> None:
    """S92"""
    with pytest.raises(Refused, match="is no version"):
        LocalArtifacts(site).find(web, wanted)


def test_a_version_cannot_lead_out_of_the_artifacts(site: Site, web: Service) -> None:
    """S92"""
    with pytest.raises(Refused, match="there is nothing at"):
        LocalArtifacts(site).find(web, "x/../../../../etc/nothing-there")


async def test_a_name_that_two_staged_releases_have_asks_which(tmp_path: Path) -> None:
    async with samples.shop_in(tmp_path) as shop:
        web, digests = shop.site.service("web"), []
        for more in ("a", "b"):
            shop.make("1", more=more)
            found = shop.artifacts.find(web, "1")
            await shop.driver().stage(part(found.release), found.source, 1)
            digests.append(found.release.digest)
        shutil.rmtree(shop.make("1"))
        with pytest.raises(Refused, match="say which") as trouble:
            shop.artifacts.find(web, "1")
        assert all(digest[:8] in trouble.value.why for digest in digests)
        found = shop.artifacts.find(web, f"1@{digests[1]}")
        assert found.release == Release("1", digests[1])


def test_a_service_cannot_be_called_out_of_its_folder(site: Site, web: Service) -> None:
    """S92"""
    with pytest.raises(Refused, match="is no name of a service"):
        LocalArtifacts(site).find(replace(web, name="../../etc"), "9")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("dist/web-2.tar.gz", "web-2"),
        ("web-2.0.1.zip", "web-2.0.1"),
        ("build/", "build"),
        ("web-2.0", "web-2.0"),
        ("WEB.TGZ", "WEB"),
        (".tar", ".tar"),
    ],
)
def test_a_name_loses_only_what_says_how_it_is_packed(path: str, name: str) -> None:
    assert archive.stem(path) == name

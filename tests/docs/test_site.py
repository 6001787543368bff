"""The documentation as a site, its links, and everything in it that a reader would copy."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import KIND, parse_policy
from tests.docs.pages import PAGES, REPOSITORY, Block, blocks

CHART = REPOSITORY / "charts" / "bilgepump"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
YAML_BLOCKS = list(blocks("yaml"))


def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """In strict mode a dead link, a dead anchor or a page outside the navigation is an error."""
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = re.findall(
            r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?(https?://[^\"> ]+)", page.read_text()
        )
        foreign = [url for url in loaded if not url.startswith("https://bilgepump.dev")]
        assert not foreign, f"{page.name} loads {foreign}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            continue
        found = (page.parent / path).resolve()
        assert found.exists(), f"{target} does not exist"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_slug(heading) for heading in headings}, f"{target} has no such heading"


def _slug(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_yaml_is_what_it_claims_to_be(block: Block) -> None:
    documents = [one for one in yaml.safe_load_all(block.text) if one is not None]
    assert documents
    for document in documents:
        if "apiVersion" in document:
            _check_object(document)
        elif set(document) <= set(SCHEMA["properties"]):
            jsonschema.validate(document, SCHEMA)


def _check_object(document: dict[str, Any]) -> None:
    assert document["kind"]
    assert document["metadata"]["name"]
    if document["kind"] == KIND:
        policy = parse_policy(document, on_ecs="ecs" in document["spec"]["target"])
        assert isinstance(policy, MemoryPolicy), policy


def test_most_yaml_is_a_policy_or_values() -> None:
    """The check above would be empty if it recognised nothing."""
    known = [
        document
        for block in YAML_BLOCKS
        for document in yaml.safe_load_all(block.text)
        if document and ("apiVersion" in document or set(document) <= set(SCHEMA["properties"]))
    ]
    assert len(known) >= 15


def test_policy_of_the_tutorial_is_accepted() -> None:
    document = yaml.safe_load((REPOSITORY / "docs" / "start" / "policy.yaml").read_text())
    assert isinstance(parse_policy(document, allow_short_lookback=True), MemoryPolicy)


@pytest.mark.parametrize("block", list(blocks("sh", "console")), ids=str)
def test_shell_is_shell(block: Block) -> None:
    parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.parametrize("block", list(blocks("json")), ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.text)

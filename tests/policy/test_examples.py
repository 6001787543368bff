"""Every policy that documentation shows can be applied as it stands."""

import re
from pathlib import Path

import pytest
import yaml

from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import CLUSTER_KIND, KIND, parse_policy

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("charts/**/*.md")]
)
EXAMPLES = [
    pytest.param(block, id=f"{page.relative_to(REPOSITORY)} example {number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL), start=1)
    if KIND in block
]


@pytest.mark.parametrize("block", EXAMPLES)
def test_example_is_a_good_policy(block: str) -> None:
    policies = [
        document for document in yaml.safe_load_all(block) if document["kind"] in (KIND, CLUSTER_KIND)
    ]
    assert policies
    for document in policies:
        on_ecs = "ecs" in document["spec"].get("target", {})
        parsed = parse_policy(document, allow_short_lookback=True, on_ecs=on_ecs)
        assert isinstance(parsed, MemoryPolicy), parsed


def test_policy_page_has_examples() -> None:
    assert len([example for example in EXAMPLES if str(example.id).startswith("docs/policy.md")]) >= 2

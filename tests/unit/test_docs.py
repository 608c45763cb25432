"""Every block of code of the docs is run by some test, or it says why it can't run."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest

from config.env import BASE_DIR
from config.screenshots.pictures import BROKEN, CALM
from router.observe.incidents import IncidentKind
from tests.code_blocks import Block, all_blocks, blocks_of, pages
from tests.proof.docs_claims import CANNOT_RUN, FOLLOWED, RUN_ELSEWHERE, Claim

BLOCKS = all_blocks()
CLAIMS = {**RUN_ELSEWHERE, **CANNOT_RUN}
LANGUAGES = {
    "sh": lambda text: subprocess.run(
        ["bash", "-n"], input=text, text=True, check=True
    ),
    "python": ast.parse,
    "json": json.loads,
    "ini": lambda text: configparser.ConfigParser().read_string(text),
    # These have a test of their own that runs them, or nothing here that reads them.
    **dict.fromkeys(
        (
            "text",
            "sql",
            "html",
            "javascript",
            "typescript",
            "go",
            "php",
            "ruby",
            "caddyfile",
        ),
        str,
    ),
}
#: What a block of output or a picture never begins a line with.
COMMAND = re.compile(
    r"^\s*(\$ |[A-Z_]+=\S|(GET|POST|PATCH|PUT|DELETE) /|(\S*/)?"
    r"(sudo|curl|make|git|docker|buildah|python3?|pip|manage\.py|cp|cd|export|"
    r"systemctl|jq|kill|psql|npm|node|php|ruby|go) )",
    re.MULTILINE,
)


def is_claimed(block: Block, claim: Claim) -> bool:
    page, language, words = claim
    return (page, language) == (block.page, block.language) and words in block.text


def is_output(block: Block) -> bool:
    """What a page shows and nobody pastes; `make proof` compares it where it can."""
    return block.language == "text"


def test_every_block_is_run_or_says_why_not() -> None:
    unclaimed = [
        str(block)
        for block in BLOCKS
        if block.page not in FOLLOWED
        and not is_output(block)
        and not any(is_claimed(block, claim) for claim in CLAIMS)
    ]

    assert unclaimed == []


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_for_a_block_of_the_docs(claim: Claim) -> None:
    assert [block for block in BLOCKS if is_claimed(block, claim)]
    assert claim[0] not in FOLLOWED


@pytest.mark.parametrize("test", sorted(set(RUN_ELSEWHERE.values())))
def test_the_test_that_runs_a_block_is_there(test: str) -> None:
    assert (BASE_DIR / test).is_file()


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_is_written_in_its_language(block: Block) -> None:
    assert block.language in LANGUAGES, "fence it, with a language"

    LANGUAGES[block.language](block.text)


@pytest.mark.parametrize("block", list(filter(is_output, BLOCKS)), ids=str)
def test_a_block_of_text_is_no_command(block: Block) -> None:
    assert not COMMAND.search(block.text), "make it a block that is run: sh"


def test_the_front_page_shows_the_subscriber_of_its_own_page() -> None:
    shown, documented = (
        [block.text for block in blocks_of(page) if block.language == "python"]
        for page in ("README.md", "docs/add-a-subscriber.md")
    )

    assert shown == documented[:2]


LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", [*pages(), "CHANGELOG.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    origin = BASE_DIR / page
    for path, anchor in LINK.findall(origin.read_text()):
        target = origin.parent / path if path else origin
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


#: What is wrong → its section in the operator's handbook.
SECTIONS = {
    IncidentKind.PROCESS: "a-process-or-a-server-is-away",
    IncidentKind.HANDLER_MISSING: "the-code-of-a-subscriber-is-missing",
    IncidentKind.UNREACHABLE: "a-receiver-is-unreachable",
    IncidentKind.DISABLED: "a-subscriber-is-disabled",
    IncidentKind.UNROUTED: "events-are-not-routed",
    IncidentKind.FAILED_TASKS: "failed-tasks",
    IncidentKind.INGRESS: "messages-of-a-bridge-are-no-events",
    IncidentKind.OLD_BACKLOG: "a-subscriber-is-behind",
    IncidentKind.FAILING: "many-attempts-fail",
    IncidentKind.ASKED_TO_WAIT: "a-receiver-asked-for-time",
    IncidentKind.IMPORT_OPEN: "an-import-is-open",
    IncidentKind.PAUSED: "a-subscriber-is-paused",
    IncidentKind.DRAINING: "a-receiver-catches-up",
}
HANDBOOK = BASE_DIR / "docs" / "operators-handbook.md"


@pytest.mark.parametrize("kind", IncidentKind)
def test_the_handbook_has_a_section_for_everything_that_goes_wrong(
    kind: IncidentKind,
) -> None:
    assert SECTIONS[kind] in anchors(HANDBOOK)
    assert f"](#{SECTIONS[kind]})" in HANDBOOK.read_text()


def test_the_handbook_has_a_row_for_every_alert() -> None:
    rules = (BASE_DIR / "docker" / "monitoring" / "alerts.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)

    assert alerts
    assert [name for name in alerts if f"`{name}`" not in HANDBOOK.read_text()] == []


def test_the_docs_show_the_pictures_that_the_command_takes() -> None:
    shown = {
        name
        for page in pages()
        for name in re.findall(
            r"!\[[^\]]+\]\(\S*pictures/([\w-]+)\.png\)", (BASE_DIR / page).read_text()
        )
    }
    kept = {path.stem for path in (BASE_DIR / "docs" / "pictures").glob("*.png")}

    assert shown == kept == {*CALM, *BROKEN}

"""The pages under `docs/reference` say what the program says; links of the documentation lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

from dagnats.template import filters

ROOT = Path(__file__).parents[2]
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.txt")])
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_the_program_says(name):
    page = ROOT / "docs" / "reference" / name
    assert page.read_text() == PAGES[name], f"docs/reference/{name} is old: run `python -m docs.generate`"


def test_the_schema_of_events_is_what_the_program_writes():
    made = runpy.run_path(str(ROOT / "docs" / "event_schema.py"))
    assert made["FILE"].read_text() == made["text"](), "the schema of events is old: run `python -m docs.generate`"


def test_there_are_no_other_pages():
    assert {page.name for page in (ROOT / "docs" / "reference").iterdir()} == set(PAGES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", document.read_text()))
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith(("https:", "http:")):
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_page_on_templates_has_every_filter_and_test():
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert set(page["FILTERS"]) == {*filters.FILTERS, "default", "raw"}
    assert set(page["TESTS"]) == set(filters.TESTS)

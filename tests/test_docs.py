"""The pages for contributors name what is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import command_line

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["CONTRIBUTING.md", "README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
WITH_PATHS = ("CONTRIBUTING.md", "docs/architecture.md", "docs/constants.md", "docs/accuracy.md")
"""Pages that name files of this repository."""
ROOMS = ("predictor", "calibrate", "models_zoo", "benchmarks", "tests", "docs", "calibrations")


def is_number(node: ast.expr) -> bool:
    """Whether an expression is a number or a tuple of numbers, written out."""
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.BinOp):
        return is_number(node.left) and is_number(node.right)
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and all(is_number(part) for part in node.elts)
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "Fraction" and all(map(is_number, node.args))


def constants(path: Path) -> Iterator[tuple[str, str]]:
    """(Name, value as written) of every number at the top of a module."""
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and is_number(statement.value):
            (target,) = statement.targets
            if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                for name, value in zip(target.elts, statement.value.elts, strict=True):
                    yield ast.unparse(name), ast.unparse(value)
            else:
                yield ast.unparse(target), ast.unparse(statement.value)


def test_every_constant_has_a_source(repository: Path) -> None:
    written = {
        (name, path.relative_to(repository).as_posix(), value)
        for room in ("predictor", "calibrate")
        for path in (repository / room).rglob("*.py")
        for name, value in constants(path)
    }
    page = (repository / "docs" / "constants.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| `([\w/.]+)` \| `(.*?)` \| \S", page, re.M)
    assert len(listed) == len(set(listed))
    assert set(listed) == written


@pytest.mark.parametrize("page", PAGES)
def test_a_path_on_a_page_exists(page: str, repository: Path) -> None:
    text = (repository / page).read_text("utf-8")
    paths = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./-]+)`", text)
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert paths or page not in WITH_PATHS
    missing = [path for path in paths if not (repository / path).exists() and "NAME" not in path]
    assert missing + [link for link in links if not (repository / page).parent.joinpath(link).exists()] == []


def test_every_page_of_the_docs_is_in_the_navigation(repository: Path) -> None:
    listed = re.findall(r": ([\w-]+\.md)$", (repository / "docs" / "site" / "mkdocs.yml").read_text("utf-8"), re.M)
    assert len(listed) == len(set(listed))
    assert {path.name for path in (repository / "docs").glob("*.md")} <= set(listed)


def test_a_heading_that_is_linked_to_exists(repository: Path) -> None:
    for page in PAGES:
        path = repository / page
        for link, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", path.read_text("utf-8")):
            text = (path.parent / link if link else path).read_text("utf-8")
            headings = [re.sub(r"[^\w -]", "", h).strip().lower() for h in re.findall(r"^#+ (.*)$", text, re.M)]
            assert anchor in [heading.replace(" ", "-") for heading in headings], (page, link, anchor)


def test_the_command_line_is_shown_as_it_is() -> None:
    assert command_line.PAGE.read_text("utf-8") == command_line.page()


def test_the_readme_is_short(repository: Path) -> None:
    assert len((repository / "README.md").read_text("utf-8").splitlines()) <= 170

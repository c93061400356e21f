"""What a YAML parser complains about, in words that help the person who wrote the file."""

import re
from typing import Any, NamedTuple

from dagnats.definition.problems import Problems, printable, quoted

Mark = tuple[int, int]


class Rule(NamedTuple):
    """How a complaint is recognised in the parser's own words, and what is said instead.

    `at_start` puts the caret where the broken construct begins, not where the parser gave up.
    """

    needle: str
    message: str
    hint: str = ""
    at_start: bool = False


SPECIAL = {
    "\t": ("a tab may not be used for indentation", "indent with spaces"),
    "@": ("a value may not begin with `@`", "put it in quotes"),
    "`": ("a value may not begin with a backtick", "put it in quotes"),
    "%": ("a value may not begin with `%`", "put it in quotes"),
}
SECOND_COLON = "a second `:` in this value"
UNALIGNED = "check the indentation of this line and of those above it"
RULES = (
    Rule(
        "mapping values are not allowed",
        SECOND_COLON,
        "put text that holds `: ` in quotes, or check the indentation",
    ),
    Rule(
        "could not find expected ':'",
        "this line has no `:` after its key",
        "write `key: value`, or indent text to continue the line above",
        at_start=True,
    ),
    Rule("unexpected end of stream", "this quote is never closed", "", at_start=True),
    Rule(
        "unexpected document",
        "this quote is never closed",
        "`---` and `...` may not begin a line of quoted text",
        at_start=True,
    ),
    Rule("unknown escape", "this is no escape in double quotes", "write `\\\\` for a backslash, or use single quotes"),
    Rule("hexdecimal", "this escape is not complete", "write `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`"),
    Rule("Unicode character", "this escape stands for no character", "halves of a surrogate pair are no characters"),
    Rule(
        "unexpected ':'", "a `:` in text without quotes", "write `key: value` with a space, or put the text in quotes"
    ),
    Rule("expected ',' or ']'", "`,` or `]` is missing in the list that begins at line {line}"),
    Rule("expected ',' or '}'", "`,` or `}` is missing in the mapping that begins at line {line}"),
    Rule("node content", "a value is missing here"),
    Rule("block sequence entries are not allowed", "a list may not begin here", "begin the list on a line of its own"),
    Rule("sequence entries are not allowed", "a list may not begin here", "begin the list on a line of its own"),
    Rule("mapping keys are not allowed", "a key may not begin here", "put text that begins with `?` in quotes"),
    Rule(
        "document start",
        "text after the end of the document",
        "a file holds one mapping; check the indentation of this line",
    ),
    Rule("document end marker", "text after the end of the document", "a file holds one mapping"),
    Rule("violates indentation", *SPECIAL["\t"]),
    Rule("indentation space", *SPECIAL["\t"]),
)
BY_CONTEXT = (
    Rule(
        "scanning an alias",
        "`*` begins an alias, and its name is missing",
        "put text that begins with `*` in quotes",
        at_start=True,
    ),
    Rule(
        "scanning an anchor",
        "`&` begins an anchor, and its name is missing",
        "put text that begins with `&` in quotes",
        at_start=True,
    ),
    Rule(
        "scanning a block scalar",
        "only `+`, `-`, a digit and a comment may follow `|` and `>`",
        "begin the text on the next line",
    ),
    Rule("scanning a tag", "tags are not allowed", "put text that begins with `!` in quotes", at_start=True),
    Rule("parsing a tag", "tags are not allowed", "put text that begins with `!` in quotes", at_start=True),
    Rule("tag handle", "tags are not allowed", "put text that begins with `!` in quotes", at_start=True),
    Rule("directive", "directives are not allowed", "remove the line that begins with `%`", at_start=True),
    Rule("block mapping", "this does not fit the lines above", UNALIGNED),
    Rule("block collection", "this does not fit the lines above", UNALIGNED),
)
TEMPLATE_VALUE = re.compile(r"(?:[:,\[-]\s+|\[)\{\{")
QUOTED_REST = re.compile(r"""(?:[:-]\s+)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*[^\s,:\]}#]""")


def report_syntax(error: Any, lines: list[str], problems: Problems) -> None:
    """Turn the parser's error into a problem."""
    start = _place(error.context_mark)
    end = _place(error.problem_mark) or start or (0, 0)
    text = lines[end[0]] if end[0] < len(lines) else ""
    character = text[end[1] : end[1] + 1]
    problem, context = str(error.problem or ""), str(error.context or "")
    if "cannot start any token" in problem:
        rule = Rule(
            "", *SPECIAL.get(character, (f"a value may not begin with {quoted(character)} here", "put it in quotes"))
        )
    else:
        rule = _rule(problem, context)
    if "unknown escape" in problem and character != "\\":
        end = (end[0], max(end[1] - 1, 0))  # one parser points at the backslash, the other behind it
    at_end = not any(line.strip() for line in lines[end[0] :])
    if at_end:
        last = max((number for number, line in enumerate(lines) if line.strip()), default=0)
        end = (last, len(lines[last].rstrip()) - 1)
    at = start if start and (rule.at_start or (at_end and start < end)) else end
    message = rule.message.replace("{line}", str((start or at)[0] + 1))
    if at_end and rule.needle.startswith("expected ','"):
        message = "this bracket is never closed"
    problems.add_at(at[0] + 1, at[1] + 1, 1, message, _hint(rule, text, lines[at[0]] if at[0] < len(lines) else ""))


def _place(mark: Any) -> Mark | None:
    return (mark.line, mark.column) if mark is not None else None


def _rule(problem: str, context: str) -> Rule:
    for rule in RULES:
        if rule.needle in problem:
            return rule
    for rule in BY_CONTEXT:
        if rule.needle in context or rule.needle in problem:
            return rule
    return Rule("", f"this is not valid YAML: {printable(problem or context)}")


def _hint(rule: Rule, *texts: str) -> str:
    for text in texts:
        # `Accept: {{ x }}` within a value is no value that begins with a template
        if rule.message is not SECOND_COLON and TEMPLATE_VALUE.search(text[:10_000]):
            return "a value that begins with `{{` must be in quotes"
        if rule.hint is UNALIGNED and QUOTED_REST.search(text[:10_000]):
            return "text that goes on after a closing quote must be quoted as a whole"
    return rule.hint

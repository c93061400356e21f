"""Problems for other programs: SARIF 2.1.0, as its specification describes it, and workflow commands of GitHub."""

import jsonschema
import pytest

from dagnats.definition.annotations import to_github, to_sarif
from dagnats.definition.problems import Problem

PROBLEMS = [
    Problem("a/b c.yaml", 3, 5, 4, "unknown key `x`", "did you mean `y`?"),
    Problem("/root/é%.yaml", 1, 1, 1, "100 %\r\nof it: a, b"),
    Problem("gone:1,2.yaml", 0, 0, 1, "there is no such file"),
]

# What sections 3.13 (sarifLog), 3.14 (run), 3.18 and 3.19 (tool), 3.27 (result), 3.28 and 3.29 (location), 3.30 (region) and 3.11 (message) ask
# for, of what we use, and nothing beside it.
TEXT = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": {"type": "string", "minLength": 1}},
}
REGION = {
    "type": "object",
    "required": ["startLine"],
    "additionalProperties": False,
    "properties": {name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endColumn")},
}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "additionalProperties": False,
            "properties": {
                "region": REGION,
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "additionalProperties": False,
                    # RFC 3986: a URI or a relative reference, whose first segment holds no colon
                    "properties": {
                        "uri": {"type": "string", "pattern": r"^(file:///)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})+$"}
                    },
                },
            },
        }
    },
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "level", "locations"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
    },
}
RULE = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {"id": {"type": "string"}, "shortDescription": TEXT},
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "rules": {"type": "array", "items": RULE},
    },
}
RUN = {
    "type": "object",
    "required": ["tool", "results"],
    "additionalProperties": False,
    "properties": {
        "tool": {
            "type": "object",
            "required": ["driver"],
            "additionalProperties": False,
            "properties": {"driver": DRIVER},
        },
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
    },
}
LOG = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": RUN},
    },
}


@pytest.mark.parametrize("problems", [PROBLEMS, []])
def test_sarif_has_the_structure_of_its_specification(problems):
    jsonschema.Draft202012Validator.check_schema(LOG)
    log = to_sarif(problems)
    jsonschema.validate(log, LOG)
    (run,) = log["runs"]
    assert len(run["results"]) == len(problems)
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} >= {result["ruleId"] for result in run["results"]}
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_says_where_and_what():
    first, second, third = to_sarif(PROBLEMS)["runs"][0]["results"]
    assert first["message"] == {"text": "unknown key `x`; did you mean `y`?"}
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a/b%20c.yaml"},
        "region": {"startLine": 3, "startColumn": 5, "endColumn": 9},
    }
    assert second["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///root/%C3%A9%25.yaml"}
    # a file that can not be read has no region
    assert third["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "gone%3A1%2C2.yaml"}}


def test_workflow_commands_are_one_line_each_and_nothing_in_them_ends_a_part():
    assert list(to_github(PROBLEMS)) == [
        "::error file=a/b c.yaml,line=3,col=5,endColumn=9,title=dagnats%3A invalid pipeline::unknown key `x`; did you mean `y`?",
        "::error file=/root/é%25.yaml,line=1,col=1,endColumn=2,title=dagnats%3A invalid pipeline::100 %25%0D%0Aof it: a, b",
        "::error file=gone%3A1%2C2.yaml,title=dagnats%3A invalid pipeline::there is no such file",
    ]


def test_a_warning_is_one_in_both():
    warning = Problem("p.yaml", 1, 1, 1, "careful", "", "warning")
    (result,) = to_sarif([warning])["runs"][0]["results"]
    assert (result["level"], result["ruleId"]) == ("warning", "likely-mistake")
    assert list(to_github([warning])) == [
        "::warning file=p.yaml,line=1,col=1,endColumn=2,title=dagnats%3A likely mistake::careful"
    ]

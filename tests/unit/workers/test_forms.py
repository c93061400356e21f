"""Every form of a secret, made by the program that would make it where there is one."""

import base64
import json
import shlex
import shutil
import subprocess
from urllib.parse import quote, quote_plus

import pytest

from dagnats.workers.forms import forms_of
from dagnats.workers.mask import Masker

SECRET = "p@ss w'rd/+\"x\\y$é"
LONG = "-----BEGIN KEY-----\n" + "".join(f"line{n}" * 8 + "\n" for n in range(8)) + "-----END KEY-----\n"


def shell(script: str, value: str) -> bytes:
    """What a shell prints that has the value in $S."""
    env = {"S": value, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower().replace("%c3%a9", "%c3%a9"),
        shlex.quote(SECRET),
        repr(SECRET),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_an_encoded_secret_is_masked_as_a_whole(shown):
    masked = Masker([SECRET]).text(f"<{shown}>").strip("<>'\"")
    assert masked == "***"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    "script",
    [
        'printf %q "$S"',
        'printf %s "${S@Q}"',
        'set -x; : "$S"',
        'printf "%s" "$S" | base64',
        'printf "%s" "$S" | base64 -w0',
        'printf "%s" "$S" | od -An -v -tx1 | tr -d " \\n"',
        'export -p | grep " S="',
    ],
)
@pytest.mark.parametrize("value", ["plain-token-123", 'it\'s $HOME `x` "q" \\ end', "x" * 200])
def test_what_a_shell_makes_of_a_secret_is_masked(script, value):
    shown = subprocess.run(
        ["bash", "-c", script], env={"S": value, "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    text = (shown.stdout + shown.stderr).decode()
    masked = Masker([value]).text(text)
    assert "***" in masked
    assert not [form for form in forms_of([value]) if form in masked.encode()]
    assert not any(part in masked for part in ("token", "HOME", "xxxx"))


@pytest.mark.parametrize("wrapped", [base64.encodebytes, lambda raw: b"\n".join(_lines(base64.b64encode(raw), 64))])
def test_base64_in_lines_is_masked_line_by_line(wrapped):
    value = "".join(f"<{n * n:x}>" for n in range(1000, 1030))
    lines = wrapped(value.encode()).split()
    assert len(lines) > 2
    assert Masker([value]).whole(b"\n".join(lines)).split() == [b"***"] * len(lines)


def _lines(text, width):
    return [text[at : at + width] for at in range(0, len(text), width)]


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_text_around_it_shows_at_most_the_bits_at_its_edges(before, alphabet):
    text = b"u" * before + SECRET.encode() + b"tail"
    masked = Masker([SECRET]).whole(alphabet(text))
    left, right = masked.split(b"***")
    known_before, known_after = before * 8, 4 * 8
    assert len(left) * 6 <= known_before + 5
    assert len(right.rstrip(b"=")) * 6 <= known_after + 11


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("cut", range(3))
def test_base64_that_ends_with_a_secret_ends_with_its_replacement(before, cut):
    secret = SECRET[cut:]
    for text in (base64.b64encode(b"u" * before + secret.encode()), base64.urlsafe_b64encode(secret.encode())):
        for shown in (text, text.rstrip(b"=")):
            assert Masker([secret]).whole(shown).endswith(b"***")


def test_every_line_of_a_secret_is_masked_on_its_own():
    masker = Masker([LONG])
    for line in LONG.splitlines():
        assert masker.text(f"  | {line}\r\n") == "  | ***\r\n"
    assert masker.text(LONG) == "***"
    assert masker.text(LONG.replace("\n", "\r\n")) == "***"
    assert masker.text(LONG.strip()) == "***"


def test_short_lines_and_leaves_are_no_secrets():
    assert Masker(["alpha\nbeta\ngamma-delta"]).text("alpha beta gamma-delta") == "alpha beta ***"
    value = json.dumps({"user": "admin", "id": 12345, "pass": "hunter2hunter2", "no": 12345678})
    assert Masker([value]).text("admin 12345 hunter2hunter2 12345678") == "admin 12345 *** ***"


def test_the_lines_of_a_leaf_are_secrets_too():
    value = json.dumps({"private_key": LONG})
    masker = Masker([value])
    assert masker.text("line3" * 8) == "***"
    assert masker.text(json.dumps({"other": LONG})) == '{"other": "***"}'


def test_forms_are_at_least_four_bytes():
    assert min(map(len, forms_of(["abcd", "a/b c"]))) >= 4
    assert forms_of(["abc"]) == frozenset()


def test_a_value_that_only_looks_like_json_has_its_own_forms():
    assert b"{not json at all" in forms_of(["{not json at all"])
    assert forms_of(["[" * 5000])


def test_bytes_that_are_no_text_and_halves_of_pairs_have_forms_too():
    value = b"caf\xe9-password".decode("utf-8", "surrogateescape")
    assert Masker([value]).whole(b"x caf\xe9-password") == b"x ***"
    assert Masker(['{"a": "half \\ud800 of a pair"}']).text("x half \ud800 of a pair") == "x ***"

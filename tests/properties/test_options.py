"""Options in any order and any spelling: what gives the machine is found, and nothing else is."""

from hypothesis import given
from hypothesis import strategies as st

from dagnats.core.pipeline import Container
from dagnats.core.privileges import misused, refused

HARMLESS = [
    ("hostname", "ci"), ("shm-size", "1g"), ("add-host", "a:1.2.3.4"), ("ulimit", "nofile=1:2"), ("pid", "private"), ("cap-add", "NET_RAW"), ("volume", "/srv/a:/a:ro"),
    ("volume", "name:/a"), ("publish", "1:2"), ("network", "host"), ("mount", "type=bind,src=/srv,dst=/s"), ("security-opt", "no-new-privileges"), ("privileged", "false"),
]  # fmt: skip
MIGHTY = [
    ("pid", "host"), ("ipc", "host"), ("uts", "host"), ("userns", "host"), ("cgroupns", "host"), ("cap-add", "SYS_ADMIN"), ("cap-add", "all"), ("volume", "/:/m"),
    ("volume", "/run/docker.sock:/s"), ("device", "/dev/sda"), ("mount", "type=bind,src=/,dst=/m"), ("security-opt", "seccomp=unconfined"), ("privileged", "true"),
]  # fmt: skip
OWNED = [
    ("name", "x"),
    ("label", "a=b"),
    ("entrypoint", "sh"),
    ("env-file", "e"),
    ("rm", "true"),
    ("interactive", "true"),
    ("env", "A=b"),
    ("user", "root"),
]
SHORT = {"hostname": "h", "volume": "v", "publish": "p", "label": "l", "env": "e", "user": "u", "interactive": "i"}
SWITCHES = ("privileged", "rm", "interactive")


@st.composite
def spelt(draw, flags):
    """A flag in one of the ways in which it can be written, among them behind switches in the same word."""
    name, value = draw(st.sampled_from(flags))
    ways = [[f"--{name}={value}"]]
    if name not in SWITCHES:
        ways.append([f"--{name}", value])
    elif value == "true":
        ways.append([f"--{name}"])
    if name in SHORT:
        before = "P" * draw(st.integers(0, 3))
        letter = f"-{before}{SHORT[name]}"
        ways += [[f"{letter}={value}"]] + ([[letter + value], [letter, value]] if name not in SWITCHES else [[letter]])
    return draw(st.sampled_from(ways))


def words(groups):
    return tuple(word for group in groups for word in group)


@given(st.lists(spelt(HARMLESS)), spelt(MIGHTY), st.lists(spelt(HARMLESS)))
def test_what_gives_the_machine_is_found_wherever_it_stands(before, mighty, after):
    for rendered in (False, True):
        assert refused(Container("a:1", options=words([*before, mighty, *after])), rendered=rendered) is not None


@given(st.lists(spelt(HARMLESS)), spelt(OWNED), st.lists(spelt(HARMLESS)))
def test_what_is_not_for_options_is_found_wherever_it_stands(before, owned, after):
    assert [index for index, _ in misused(words([*before, owned, *after]))] == [len(words(before))]


@given(st.lists(spelt(HARMLESS)))
def test_nothing_else_is_refused(groups):
    assert refused(Container("a:1", options=words(groups))) is None
    assert list(misused(words(groups))) == []


@given(st.lists(st.text(st.sampled_from("-=vPt:/aeH{} ,"), max_size=8), max_size=5))
def test_any_words_are_judged(texts):
    for rendered in (False, True):
        refused(Container("a:1", options=tuple(texts)), rendered=rendered)
        list(misused(texts, rendered=rendered))

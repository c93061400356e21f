"""The live view, as the terminal shows it: the program in a pseudo-terminal, and an emulator of one that is fed with what it writes."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyte
import pytest
from running_dagnats import BOUND_S, DAGNATS, dagnats, environment, write_pipeline

ALTERNATE_SCREENS = {mode << 5 for mode in (47, 1047, 1049)}
SIGNS_OF_THE_REGION = re.compile(r"^(▸|·|… and|[━─]{3,}) |\d+/\d+ · ", re.MULTILINE)
HISTORY = 20_000


class Terminal:
    """The command in a terminal of its own."""

    def __init__(
        self,
        cwd: Path,
        *args: str,
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str] | None = None,
        leads: bool = False,
        command: Sequence[str] = ("run", "pipeline.yaml"),
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=HISTORY)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            [DAGNATS, *command, *args],
            cwd=cwd,
            env=environment({"TERM": "xterm-256color", **(env or {})}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            process_group=None if leads else 0,
            start_new_session=leads,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if leads else None,  # noqa: PLW1509 - there are no threads
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int = 24) -> None:
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)

    def shell_says(self, text: str) -> None:
        self._stream.feed(text.encode())

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def wait_until(self, is_so: Callable[[str], object], within_s: float = BOUND_S) -> None:
        """Read until the screen, without what has left it, is so."""
        until = time.monotonic() + within_s
        while not is_so("\n".join(self.visible())):
            assert self._read(until - time.monotonic()), f"it ended, and the screen is\n{self.text()}"

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda screen: text in screen)

    def end(self, within_s: float = BOUND_S) -> int:
        """Read to the end; gives the exit code. Nothing of the region is left then, and the terminal is as it was."""
        until = time.monotonic() + within_s
        while self._read(until - time.monotonic()):
            pass
        code = self.process.wait(max(0.1, until - time.monotonic()))
        assert not SIGNS_OF_THE_REGION.search(self.text()), self.text()
        self.check_is_as_it_was()
        return code

    def check_is_as_it_was(self) -> None:
        assert pyte.modes.DECTCEM in self.screen.mode  # the cursor is shown
        assert pyte.modes.DECAWM in self.screen.mode
        assert not self.screen.mode & ALTERNATE_SCREENS
        assert self.screen.cursor.x == 0

    def text(self) -> str:
        """Give the scrollback and the screen."""
        past = [self._line(line) for line in self.screen.history.top]
        return "\n".join([*past, *self.visible()]).rstrip("\n")

    def lines(self) -> list[str]:
        return self.text().split("\n")

    def visible(self) -> list[str]:
        return [self._line(self.screen.buffer[row]) for row in range(self.screen.lines)]

    def _line(self, line: Mapping[int, pyte.screens.Char]) -> str:
        return "".join(line[column].data for column in range(self.screen.columns)).rstrip()

    def _read(self, within_s: float) -> bytes:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, within_s))
        assert ready, f"nothing more in time after\n{self.text()}"
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # nobody has the other side any more
            return b""
        self.raw += chunk
        self._stream.feed(chunk)
        return chunk


class Gates:
    """Named pipes on which steps wait: `cat NAME` ends when it is opened."""

    def __init__(self, directory: Path, *names: str) -> None:
        self._directory = directory
        for name in names:
            os.mkfifo(directory / name)

    def open(self, name: str) -> None:
        with (self._directory / name).open("wb"):
            pass


def block(lines: list[str], title: str) -> list[str]:
    """Give the lines that stand below a title, up to the word on the end of the step."""
    begin = lines.index(f"── {title}")
    end = next(place for place, line in enumerate(lines) if place > begin and re.match(rf"[✓✗↻-] {title}\b", line))
    return lines[begin + 1 : end]


STREAMING = """
name: streaming
max_parallel: 3
steps:
  - {id: one, needs: [], run: "for i in $(seq 60); do echo one $i; done; cat gate; echo one is done"}
  - {id: two, needs: [], run: "for i in $(seq 60); do echo two $i; done; touch two; cat other"}
  - {id: mute, needs: [], run: "cat third"}
  - {id: last, needs: [one, two, mute], run: "echo the last"}
"""


@pytest.mark.parametrize("columns", [40, 200])
def test_all_output_is_there_once_in_order_and_the_region_is_gone(tmp_path, columns):
    write_pipeline(tmp_path, STREAMING)
    gates = Gates(tmp_path, "gate", "other", "third")
    with Terminal(tmp_path, columns=columns) as terminal:
        terminal.wait_for("0/4 · 3 running")
        first, second = terminal_focus(terminal)
        for name in ("third", "other", "gate"):
            gates.open(name)
        assert terminal.end() == 0
        lines = terminal.lines()
    assert lines[0].startswith("streaming: 4 steps, run ")
    for name in ("one", "two"):
        shown = block(lines, name)
        assert shown[:60] == [f"{name} {number}" for number in range(1, 61)]
        assert all(lines.count(line) == 1 for line in shown)
    assert lines.index(f"── {first}") < lines.index(f"── {second}")
    assert "── mute" not in lines
    assert any(line.startswith("✓ mute") for line in lines)
    assert block(lines, "last") == ["the last"]
    assert lines[-1].startswith("streaming: succeeded in") or columns == 40


def terminal_focus(terminal: Terminal) -> tuple[str, str]:
    """Wait until one step has the focus, and give it and the one that waits."""
    terminal.wait_until(lambda screen: re.search(r"^▸ (one|two)  \d+s$", screen, re.MULTILINE))
    focused = "one" if "▸ one" in terminal.text() else "two"
    return focused, "two" if focused == "one" else "one"


def test_a_line_without_an_end_is_shown_at_once_and_a_failure_stays(tmp_path):
    run = "[{id: asks, needs: [], run: \"echo begun; printf 'Go on? '; cat gate; echo yes\"}, {id: bad, needs: [], run: exit 3}]"
    write_pipeline(tmp_path, f"name: p\nmax_parallel: 2\nsteps: {run}\n")
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path) as terminal:
        terminal.wait_until(
            lambda screen: re.search(
                r"^begun\n\n✗ bad  exit code 3\n▸ asks  \d+s\n    Go on\?\n━+─+ 1/2 · 1 running · 1 failed · \d+s$",
                screen,
                re.MULTILINE,
            )
        )
        gates.open("gate")
        assert terminal.end() == 1
        lines = terminal.lines()
    assert block(lines, "asks") == ["begun", "Go on? yes"]


def test_time_passes_while_a_step_is_silent(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: silent, run: cat gate}]\n")
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("· silent  2s")
        gates.open("gate")
        assert terminal.end() == 0
        assert len([line for line in terminal.lines() if "silent" in line]) == 1


def test_two_hundred_steps_in_forty_columns(tmp_path):
    steps = "".join(
        f'  - {{id: step-{number}, needs: [], run: "echo a {number}; echo b {number}"}}\n' for number in range(200)
    )
    write_pipeline(tmp_path, f"name: many\nmax_parallel: 8\nsteps:\n{steps}")
    with Terminal(tmp_path, columns=40) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines()
    for number in range(200):
        place = lines.index(f"── step-{number}")
        assert lines[place + 1 : place + 3] == [f"a {number}", f"b {number}"]
        assert lines[place + 3].startswith(f"✓ step-{number} ")
    # The terminal folds the last line by the length of the run's name, and a space at a fold is not seen.
    summary = "".join(lines[1 + 200 * 4 :]).replace(" ", "")
    assert re.fullmatch(r"many:succeededin\w+\(criticalpath\w+\),200succeeded;run\S+", summary)


def test_wide_characters(tmp_path):
    name = "世界" * 30
    write_pipeline(
        tmp_path,
        f"name: wide\nsteps: [{{id: x, name: {name}, run: \"echo 日本語; printf '\\r50%% 世界世界'; cat gate; echo; echo é\"}}]\n",
    )
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path, columns=40) as terminal:
        terminal.wait_until(
            lambda screen: re.search(r"^▸ x: (世界){7}…  \d+s\n    50% 世界世界\n", screen, re.MULTILINE)
        )
        gates.open("gate")
        assert terminal.end() == 0
        lines = terminal.lines()
    assert "".join(lines[1:5]).replace(" ", "") == f"──x:{name}"
    assert lines[5:8] == ["日本語", "50% 世界世界", "é"]


HOSTILE = r"""
import sys
write = sys.stdout.write
write("before\n")
for escape in ("]52;c;aGk=\a", "]0;stolen title\a", "[2J", "[H", "[3J", "[5A", "[K", "[1J", "[?1049h", "[?47h", "[?25l", "c", "D", "M", "7", "8",
               "[2;5r", "[6n", "P1$r\x1b\\", "[?7l", "[20C", "[10T", "(0", "#8", "[!p"):
    write(f"<\x1b{escape}>\n")
write("\x9b2J\x9d52;c;aGk=\x9c\n")
write("10%\r20%\r100%\n")
write("\b\b\bback\v\f\n")
write("\x1b[31mred\n")
write("an end that is open\x1b[2")
"""


def test_what_a_step_prints_can_not_steer_the_terminal(tmp_path):
    (tmp_path / "hostile.py").write_text(HOSTILE)
    write_pipeline(
        tmp_path, "name: p\nsteps: [{id: hostile, command: [python3, hostile.py]}, {id: x, run: echo after}]\n"
    )
    with Terminal(tmp_path, "--color", "always") as terminal:
        assert terminal.end() == 0
        lines = terminal.lines()
        assert terminal.screen.title == ""
        assert terminal.screen.margins is None
    shown = block(lines, "hostile")
    assert shown[0] == "before"
    assert all(re.fullmatch(r"<.?.?>", line) for line in shown[1:26])
    assert shown[-4:] == ["100%", "back", "red", "an end that is open"]
    assert block(lines, "x") == ["after"]
    assert b"\x1b]" not in terminal.raw
    assert not re.search(rb"\x1b\[(?![0-9;]*m|2K|A|\?(7|25|2026)[hl])", terminal.raw)


@pytest.mark.parametrize("columns", [[40], [200], [20, 120, 40]], ids=str)
def test_a_terminal_that_changes_its_size(tmp_path, columns):
    write_pipeline(
        tmp_path,
        "name: p\nmax_parallel: 3\nsteps:\n"
        '  - {id: x, name: "with a name that is longer than forty columns", needs: [], run: "echo one; cat gate; echo two"}\n'
        "  - {id: y, needs: [], run: cat gate2}\n  - {id: z, needs: [], run: exit 3}\n",
    )
    gates = Gates(tmp_path, "gate", "gate2")
    with Terminal(tmp_path, columns=80) as terminal:
        terminal.wait_for(" 1/3 · 2 running · 1 failed")
        for width in columns:
            written = len(terminal.raw)
            terminal.resize(width)
            terminal.wait_until(lambda _, written=written: b"1/3" in terminal.raw[written:])
            terminal.wait_until(lambda screen: screen.count("1/3 · ") == 1)
            assert [line for line in terminal.visible() if line][-1].count("1/3")
        gates.open("gate")
        gates.open("gate2")
        assert terminal.end() == 1
        lines = terminal.lines()
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"]


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_a_terminal_of_few_rows(tmp_path, lines):
    write_pipeline(tmp_path, 'name: p\nsteps: [{id: x, run: "seq 20; cat gate; seq 21 40"}]\n')
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path, lines=lines) as terminal:
        terminal.wait_until(lambda _: "\n20\n" in terminal.text() and "0/1 · 1 running" in terminal.text())
        gates.open("gate")
        assert terminal.end() == 0
        assert block(terminal.lines(), "x") == [str(number) for number in range(1, 41)]


PATIENT = """
name: patient
steps:
  - {id: waits, run: "echo begun; exec sleep 600"}
finally:
  - run: echo cleaned
"""


def test_an_interrupt_leaves_a_sane_terminal(tmp_path):
    write_pipeline(tmp_path, PATIENT)
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("▸ waits")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
        lines = terminal.lines()
    assert lines[1:4] == ["── waits", "begun", "- cancelling: received SIGINT"]
    assert "cleaned" in lines


def test_a_program_that_leaves_at_once_leaves_a_sane_terminal(tmp_path):
    write_pipeline(tmp_path, PATIENT)
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("▸ waits")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            terminal.process.send_signal(number)
        assert terminal.end() in (129, 130, 143)
        assert terminal.lines()[1:3] == ["── waits", "begun"]


def test_a_program_that_is_stopped_gives_the_terminal_back_and_draws_again_below_what_the_shell_wrote(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: x, run: 'echo begun; cat gate; echo over'}]\n")
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("▸ x")
        terminal.process.send_signal(signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1])
        terminal.wait_until(lambda screen: "▸ x" not in screen)
        terminal.check_is_as_it_was()
        terminal.shell_says("1\r\n2\r\n3\r\n")
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for("▸ x")
        gates.open("gate")
        assert terminal.end() == 0
        assert terminal.lines()[1:-2] == ["── x", "begun", "1", "2", "3", "over"]


@pytest.mark.parametrize("mode", ["live", "prefixed"])
def test_a_terminal_that_is_stopped_does_not_hold_up_a_run_that_is_cancelled(tmp_path, mode):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: x, run: yes a line that is long enough to fill what there is}]\n")
    with Terminal(tmp_path, "--output", mode) as terminal:
        terminal.wait_for("a line that")
        terminal.press(b"\x13")  # Ctrl-S
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(BOUND_S) == 130


def test_nothing_is_lost_while_the_terminal_is_stopped(tmp_path):
    write_pipeline(
        tmp_path,
        'name: p\nsteps: [{id: x, run: "echo begun; cat gate; seq 5000; touch over"}, {id: y, run: cat gate2}]\n',
    )
    gates = Gates(tmp_path, "gate", "gate2")
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("▸ x")
        terminal.press(b"\x13")
        gates.open("gate")
        gates.open("gate2")  # it is read when the step before it is over
        terminal.press(b"\x11")  # Ctrl-Q
        assert terminal.end() == 0
        assert block(terminal.lines(), "x") == ["begun", *(str(number) for number in range(1, 5001))]


def test_a_terminal_that_can_not_be_steered_gets_prefixed_lines(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: x, run: echo hello}]\n")
    with Terminal(tmp_path, "--output", "live", env={"TERM": "dumb"}) as terminal:
        assert terminal.end() == 0
        assert "x | hello" in terminal.lines()
        assert b"\x1b" not in terminal.raw


def test_live_without_a_terminal_is_prefixed(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: x, run: echo hello}]\n")
    done = dagnats(["run", "pipeline.yaml", "--output", "live"], tmp_path, {"TERM": "xterm"})
    assert "x | hello" in done.text
    assert "\x1b" not in done.text


def test_a_terminal_whose_size_is_unknown(tmp_path):
    write_pipeline(tmp_path, "name: p\nsteps: [{id: x, run: cat gate}]\n")
    gates = Gates(tmp_path, "gate")
    with Terminal(tmp_path) as terminal:
        terminal.resize(80)
        fcntl.ioctl(terminal._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        terminal.wait_for("──────────────────────── 0/1 · 1 running")
        gates.open("gate")
        assert terminal.end() == 0


GATE = """
name: gate
steps:
  - id: ship
    prompt: Deploy to production?
  - run: echo "by {{ steps.ship.outputs.by }} as {{ steps.ship.outputs.why }}"
"""


def echoes(terminal: Terminal) -> bool:
    return bool(termios.tcgetattr(terminal._ours)[3] & termios.ECHO)


def in_front(cwd: Path, *args: str) -> Terminal:
    """The command as a shell would start it: with the terminal as its own, and in its foreground."""
    terminal = Terminal(cwd, *args, leads=True)
    terminal.wait_for("approve? [y/n, or why not]")
    return terminal


def test_approval_is_asked_for_and_given_on_the_terminal(tmp_path):
    write_pipeline(tmp_path, GATE)
    with in_front(tmp_path) as terminal:
        terminal.wait_for("? ship: Deploy to production?  approve?")
        assert "… ship: waits for an approval" in terminal.text()
        terminal.press(b"y we wait")
        terminal.wait_for("why not] y we wait_")
        terminal.press(b"ed\x7fed long\r")
        assert terminal.end() == 0
        assert echoes(terminal)
    assert "as we waiteed long" in terminal.text()
    assert "approve? [y/n" not in terminal.text()


def test_approval_is_rejected_on_a_terminal_of_lines(tmp_path):
    write_pipeline(tmp_path, GATE)
    with in_front(tmp_path, "--output", "prefixed") as terminal:
        terminal.press(b"not today\r")
        assert terminal.end() == 1
    assert "rejected by" in terminal.text()
    assert "not today" in terminal.text()


def test_question_goes_away_when_somebody_else_decides(tmp_path):
    write_pipeline(tmp_path, GATE)
    with in_front(tmp_path) as terminal:
        assert dagnats(["approve", "ship", "-m", "from afar"], tmp_path).code == 0
        assert terminal.end() == 0
        assert echoes(terminal)
    assert "as from afar" in terminal.text()


def test_cancel_at_a_question_leaves_the_terminal_as_it_was(tmp_path):
    write_pipeline(tmp_path, GATE)
    with in_front(tmp_path) as terminal:
        terminal.press(b"\x03")
        assert terminal.end() == 130
        assert echoes(terminal)


def test_approval_is_not_asked_for_behind_another_program(tmp_path):
    """To read a terminal from behind would stop the run."""
    write_pipeline(tmp_path, GATE)
    with Terminal(tmp_path) as terminal:
        terminal.wait_for("approve? [y/n, or why not]")
        terminal.press(b"y\r")
        assert dagnats(["reject", "ship"], tmp_path).code == 0
        assert terminal.end() == 1


TWO_THAT_PRINT = """
name: two that print
max_parallel: 2
steps:
  - {id: a, run: "for i in 1 2 3 4 5 6; do echo a$i; sleep 0.1; done; printf end"}
  - {id: b, needs: [], run: "for i in 1 2 3; do echo b$i; sleep 0.1; done; exit 3"}
"""


@pytest.mark.parametrize("command", [["replay"], ["replay", "--speed", "3"], ["attach"]])
def test_a_run_that_is_shown_again_leaves_the_same_scrollback(tmp_path, command):
    write_pipeline(tmp_path, TWO_THAT_PRINT)
    with Terminal(tmp_path) as first:
        assert first.end() == 1
    with Terminal(tmp_path, command=command) as again:
        assert again.end() == (1 if command == ["attach"] else 0)
    assert again.text() == first.text()

"""The contract of `dagnats/workers/action.py`, kept by every kind of step."""

import asyncio
import errno
import os
import time
from collections.abc import Mapping

import pytest
from acting import MAKERS, Sink, on_stage
from msgspec.structs import replace
from running_containers import NAMES
from running_dagnats import processes_of

from dagnats.core.events import Reason
from dagnats.workers.action import Ended, Failure, Stop
from dagnats.workers.kinds import actions

STOPPED_WITHIN_S = 7.0
KILLED_WITHIN_S = 2.0  # an order without kill lets a step that ignores signals live for 4 s
POLITE = "trap 'echo bye; exit 0' INT; echo ready; while :; do sleep 0.02; done"
STUBBORN = "trap '' INT TERM HUP; echo ready; while :; do sleep 0.02; done"
# in the background, in another session, with another environment, and forked twice: what is left of each is to be found
LEAVES = [
    "$LONG &",
    "$LONG > /dev/null 2>&1 &",
    "setsid $LONG > /dev/null 2>&1 &",
    "(setsid nohup sh -c '$LONG & $LONG' > /dev/null 2>&1 &)",
    '(env -i PATH="$PATH" $LONG > /dev/null 2>&1 &)',
]  # fmt: skip


# What a kind can not keep, or keeps in another way, and why.
_IN_CONTAINERS = {
    "test_what_holds_the_output_does_not_delay_the_end": "its end is the end of all in it: nothing is left that could hold the output",
    "test_files_that_can_not_be_written_fail_the_step": "no step gets at the place of another attempt's files: they are made anew for each",
    "test_what_can_not_be_started_is_a_value_too": "the same, with other words: tests/integration/test_container.py",
    "test_what_goes_wrong_with_the_step_is_a_value": "the same, but for a signal, which its runtime tells as an exit code: tests/integration/test_container.py",
    "test_the_file_of_outputs_is_there_from_the_start": "who runs in it may be another user: the directory that the file lies in keeps others out",
}
NOT_OF: Mapping[str, Mapping[str, str]] = dict.fromkeys(NAMES, _IN_CONTAINERS)


def pytest_generate_tests(metafunc):
    if "stage" in metafunc.fixturenames:
        test = metafunc.function.__name__
        metafunc.parametrize(
            "stage", [kind for kind in sorted(MAKERS) if test not in NOT_OF.get(kind, {})], indirect=True
        )


@pytest.fixture
def stage(request, tmp_path):
    """Runs a test's coroutine with an action of each kind."""
    return lambda work: on_stage(request.param, tmp_path, work)


def test_every_kind_is_tested(tmp_path):
    # what opens a pipeline runs nothing but the scripts of its `vars`: test_opening.py
    assert set(actions(None, tmp_path)) == (set(MAKERS) - set(NAMES)) | {"pipeline", "container"}


def test_every_exception_is_of_a_test():
    assert {test for kind in NOT_OF.values() for test in kind} <= set(globals())


def test_all_that_is_printed_is_put_before_the_end_in_the_order_of_each_stream(stage):
    count = 20_000
    script = (
        f"seq 1 {count}; i=0; while [ $i -lt 500 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; printf 'the end'"
    )

    async def work(stage):
        attempt = stage.begin(stage.task(script))
        assert await attempt.ended() == Ended()
        numbers = [str(number) for number in range(1, count + 1)]
        assert attempt.sink.out.decode().split("\n") == [*numbers, *(f"out {n}" for n in range(500)), "the end"]
        assert attempt.sink.err.decode().splitlines() == [f"err {n}" for n in range(500)]

    stage(work)


def test_bytes_that_are_no_text_are_put_as_they_are(stage):
    async def work(stage):
        attempt = stage.begin(stage.task(r"printf '\377\000\303'; printf '\r\n\033[1m' >&2"))
        assert await attempt.ended() == Ended()
        assert (attempt.sink.out, attempt.sink.err) == (b"\xff\x00\xc3", b"\r\n\x1b[1m")

    stage(work)


def test_what_is_printed_is_put_while_it_runs(stage):
    async def work(stage):
        attempt = stage.begin(stage.task("printf 'half a l'; echo also >&2; until test -e go; do sleep 0.02; done"))
        await attempt.sink.said(b"half a l")
        await attempt.sink.said(b"also\n", "err")
        assert not attempt.end.done()
        (stage.directory / "go").touch()
        assert await attempt.ended() == Ended()

    stage(work)


def test_a_sink_that_is_slow_loses_nothing(stage):
    async def work(stage):
        attempt = stage.begin(stage.task("seq 1 200000"), sink=Sink(slow=True))
        assert await attempt.ended() == Ended()
        assert attempt.sink.pauses > 1
        assert attempt.sink.out == b"".join(b"%d\n" % number for number in range(1, 200_001))

    stage(work)


def test_what_holds_the_output_does_not_delay_the_end(stage):
    async def work(stage):
        began_at = time.monotonic()
        attempt = stage.begin(stage.task("$LONG & echo said"))
        ended = await attempt.ended()
        assert time.monotonic() - began_at < STOPPED_WITHIN_S
        assert (ended.failure, ended.stopped) == (None, False)
        assert ended.note
        assert attempt.sink.out == b"said\n"

    stage(work)


@pytest.mark.parametrize("last", ["exit 0", "exit 3", "kill -KILL $$"])
@pytest.mark.parametrize("leave", LEAVES)
def test_nothing_is_left_after_the_end(stage, leave, last):
    async def work(stage):
        ended = await stage.ended(f"{leave}\n{last}")
        assert (ended.failure is None) == (last == "exit 0")
        assert processes_of(stage.word) == {}

    stage(work)


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("leave", LEAVES)
def test_nothing_is_left_after_a_stop(stage, leave, kill):
    async def work(stage):
        attempt = stage.begin(stage.task(f"{leave}\necho ready\n$LONG"))
        await attempt.sink.said(b"ready\n")
        assert processes_of(stage.word) != {}
        attempt.stop.order(kill=kill)
        assert (await attempt.ended()).stopped
        assert processes_of(stage.word) == {}

    stage(work)


@pytest.mark.parametrize(
    ("script", "kill", "within_s"),
    [
        (POLITE, False, KILLED_WITHIN_S),
        (STUBBORN, False, STOPPED_WITHIN_S),
        (POLITE, True, KILLED_WITHIN_S),
        (STUBBORN, True, KILLED_WITHIN_S),
    ],
)
def test_an_order_ends_it_however_it_behaves(stage, script, kill, within_s):
    async def work(stage):
        attempt = stage.begin(stage.task(script))
        await attempt.sink.said(b"ready\n")
        began_at = time.monotonic()
        attempt.stop.order(kill=kill)
        assert await attempt.ended() == Ended(stopped=True)
        assert time.monotonic() - began_at < within_s
        assert attempt.sink.out == (b"ready\nbye\n" if script is POLITE and not kill else b"ready\n")
        assert processes_of(stage.word) == {}

    stage(work)


@pytest.mark.parametrize("kill", [False, True])
def test_an_order_that_comes_before_the_start_counts(stage, kill):
    async def work(stage):
        stop = Stop()
        stop.order(kill=kill)
        began_at = time.monotonic()
        assert await stage.begin(stage.task("$LONG"), stop=stop).ended() == Ended(stopped=True)
        assert time.monotonic() - began_at < STOPPED_WITHIN_S
        assert processes_of(stage.word) == {}

    stage(work)


def test_an_order_may_come_at_any_moment(stage):
    async def work(stage):
        for turns in range(30):
            attempt = stage.begin(stage.task("$LONG & sh -c '$LONG'"))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.stop.order(kill=turns % 2 == 0)
            ended = await attempt.ended()
            assert (ended.stopped, ended.failure) == (True, None)
        assert processes_of(stage.word) == {}

    stage(work)


def test_the_second_order_with_kill_means_at_once(stage):
    async def work(stage):
        attempt = stage.begin(stage.task(STUBBORN))
        await attempt.sink.said(b"ready\n")
        for _ in range(2):
            attempt.stop.order()
        began_at = time.monotonic()
        for _ in range(2):
            attempt.stop.order(kill=True)
            attempt.stop.order()
        assert await attempt.ended() == Ended(stopped=True)
        assert time.monotonic() - began_at < KILLED_WITHIN_S

    stage(work)


def test_an_order_after_the_end_is_harmless(stage):
    async def work(stage):
        attempt = stage.begin(stage.task("echo done"))
        assert await attempt.ended() == Ended()
        attempt.stop.order()
        attempt.stop.order(kill=True)
        assert await stage.ended("true") == Ended()

    stage(work)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 3", Failure(Reason.EXIT, "exit code 3", 3)),
        ("exit 255", Failure(Reason.EXIT, "exit code 255", 255)),
        ("false; echo not reached", Failure(Reason.EXIT, "exit code 1", 1)),
        ("no-such-command-of-ours 2> /dev/null", Failure(Reason.EXIT, "exit code 127", 127)),
        ("kill -KILL $$", Failure(Reason.SIGNAL, "killed by SIGKILL", 137)),
    ],
)
def test_what_goes_wrong_with_the_step_is_a_value(stage, script, failure):
    async def work(stage):
        attempt = stage.begin(stage.task(f"echo before; {script}"))
        assert await attempt.ended() == Ended(failure)
        assert attempt.sink.out == b"before\n"

    stage(work)


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"script": None, "argv": ["no-such-program-of-ours"]}, Reason.SPAWN, "no-such-program-of-ours"),
        ({"script": None, "argv": [""]}, Reason.SPAWN, "no command"),
        ({"cwd": "/no/such/directory"}, Reason.SPAWN, "/no/such/directory"),
        ({"env": {"BIG": "x" * (128 << 10)}}, Reason.SPAWN, "BIG"),
    ],
)
def test_what_can_not_be_started_is_a_value_too(stage, fields, reason, words):
    async def work(stage):
        task = stage.task("echo not reached", env=fields.get("env", {}))
        attempt = stage.begin(replace(task, **{name: fields[name] for name in fields if name != "env"}))
        failure = (await attempt.ended()).failure
        assert failure is not None
        assert (failure.reason, words in failure.message) == (reason, True)
        assert failure.exit_code in (126, 127)
        assert attempt.sink.out == b""

    stage(work)


def test_the_same_task_may_run_again(stage):
    async def work(stage):
        task = stage.task('test -e was || echo first=yes >> "$DAGNATS_OUTPUT"; echo runs; touch was')
        for outputs in ({"first": "yes"}, {}, {}):
            attempt = stage.begin(task)
            assert await attempt.ended() == Ended(outputs=outputs)
            assert attempt.sink.out == b"runs\n"

    stage(work)


def test_the_same_task_may_run_again_after_whoever_ran_it_was_cancelled(stage):
    async def work(stage):
        script = 'test -e was && exit 0; touch was; echo half=yes >> "$DAGNATS_OUTPUT"; echo ready; $LONG'
        task = stage.task(script)
        attempt = stage.begin(task)
        await attempt.sink.said(b"ready\n")
        attempt.stop.order(kill=True)
        attempt.end.cancel()
        await asyncio.wait([attempt.end])
        assert await stage.begin(task).ended() == Ended()

    stage(work)


def test_tasks_run_beside_each_other_and_keep_apart(stage):
    async def work(stage):
        script = (
            'touch here-$N; until test -e here-$((19-N)); do sleep 0.02; done; echo n=$N >> "$DAGNATS_OUTPUT"; echo $N'
        )
        attempts = [stage.begin(stage.task(script, step=f"s-{n}", env={"N": str(n)})) for n in range(20)]
        for number, attempt in enumerate(attempts):
            assert await attempt.ended() == Ended(outputs={"n": str(number)})
            assert attempt.sink.out == b"%d\n" % number

    stage(work)


DECLARED = {"count": {"type": "integer"}, "ok": {"type": "boolean"}, "needed": {"type": "string", "required": True}}


NOT_REGULAR = "$DAGNATS_OUTPUT is no regular file any more"


def test_the_file_of_outputs_is_there_from_the_start(stage):
    script = """
test -f "$DAGNATS_OUTPUT" -a -w "$DAGNATS_OUTPUT" -a ! -s "$DAGNATS_OUTPUT"
ls -l "$DAGNATS_OUTPUT" | cut -c 1-10
cat "$DAGNATS_OUTPUT"
echo needed=x > "$DAGNATS_OUTPUT.new"
mv "$DAGNATS_OUTPUT.new" "$DAGNATS_OUTPUT"
"""

    async def work(stage):
        attempt = stage.begin(stage.task(script, outputs=DECLARED))
        assert await attempt.ended() == Ended(outputs={"needed": "x"})
        assert attempt.sink.out == b"-rw-------\n"

    stage(work)


@pytest.mark.parametrize("place", ["outputs", "sh"])
def test_files_that_can_not_be_written_fail_the_step(stage, place):
    async def work(stage):
        attempt = stage.begin(stage.task('echo "${DAGNATS_OUTPUT%outputs}"'))
        assert await attempt.ended() == Ended()
        path = attempt.sink.out.decode().strip() + place
        await stage.ended(f"mkdir {path}")
        failure = (await stage.begin(attempt.task).ended()).failure
        assert failure == Failure(
            Reason.SPAWN, f"a file of the step can not be written: {path}: {os.strerror(errno.EISDIR)}", 126
        )

    stage(work)


def test_outputs_are_parsed(stage):
    script = """
echo count=3 >> "$DAGNATS_OUTPUT"
printf 'needed<<END\\none\\ntwo\\nEND\\nok=true\\nfree=x=y\\n' >> "$DAGNATS_OUTPUT"
"""

    async def work(stage):
        ended = await stage.ended(script, outputs=DECLARED)
        assert ended == Ended(outputs={"count": 3, "needed": "one\ntwo", "ok": True, "free": "x=y"})

    stage(work)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo needed=x >> $DAGNATS_OUTPUT; echo 'no entry' >> $DAGNATS_OUTPUT", "line 2"),
        ("echo needed=x >> $DAGNATS_OUTPUT; echo count=many >> $DAGNATS_OUTPUT", "`count` is declared as integer"),
        ("echo count=3 >> $DAGNATS_OUTPUT", "`needed` was not written"),
        ("rm $DAGNATS_OUTPUT", "`needed` was not written"),
        ("rm $DAGNATS_OUTPUT; mkfifo $DAGNATS_OUTPUT", NOT_REGULAR),
        ("rm $DAGNATS_OUTPUT; mkdir $DAGNATS_OUTPUT; touch $DAGNATS_OUTPUT/inner", NOT_REGULAR),
        ("rm $DAGNATS_OUTPUT; ln -s $DAGNATS_OUTPUT $DAGNATS_OUTPUT", NOT_REGULAR),
        ("ln -sf /dev/zero $DAGNATS_OUTPUT", NOT_REGULAR),
        ("head -c 2000000 /dev/zero >> $DAGNATS_OUTPUT", "the outputs are more than 1 MiB: "),
    ],
)
def test_outputs_that_can_not_be_used_fail_the_step(stage, script, words):
    async def work(stage):
        failure = (await stage.ended(script, outputs=DECLARED)).failure
        assert failure is not None
        assert (failure.reason, failure.exit_code) == (Reason.OUTPUT, 0)
        assert words in failure.message

    stage(work)


def test_a_step_that_fails_keeps_what_it_wrote(stage):
    async def work(stage):
        ended = await stage.ended('echo count=3 >> "$DAGNATS_OUTPUT"; exit 4', outputs=DECLARED)
        assert ended == Ended(Failure(Reason.EXIT, "exit code 4", 4), outputs={"count": 3})

    stage(work)


@pytest.mark.parametrize("limit", ["timeout", "idle_timeout"])
@pytest.mark.parametrize("behaviour", ["", "trap '' INT TERM HUP;", "setsid $LONG > /dev/null 2>&1 &"])
def test_what_takes_too_long_is_ended_with_all_that_it_started(stage, limit, behaviour):
    async def work(stage):
        script = f'{behaviour} echo count=3 >> "$DAGNATS_OUTPUT"; echo before; while :; do sleep 0.02; done'
        began_at = time.monotonic()
        attempt = stage.begin(stage.task(script, outputs=DECLARED, **{f"{limit}_s": 1.0}))
        ended = await attempt.ended()
        assert 1.0 <= time.monotonic() - began_at < 1.0 + STOPPED_WITHIN_S
        assert ended.failure is not None
        assert ended.failure.reason == Reason(limit)
        assert "1s" in ended.failure.message
        assert (ended.stopped, ended.outputs) == (False, {"count": 3})
        assert attempt.sink.out == b"before\n"
        assert processes_of(stage.word) == {}

    stage(work)


def test_who_prints_now_and_then_is_not_idle(stage):
    async def work(stage):
        script = "i=0; while [ $i -lt 30 ]; do echo $i; sleep 0.05; i=$((i+1)); done"
        began_at = time.monotonic()
        assert await stage.ended(script, idle_timeout_s=1.2) == Ended()
        assert time.monotonic() - began_at > 1.2

    stage(work)


def test_who_ends_in_time_is_not_too_late(stage):
    async def work(stage):
        assert await stage.ended("true", timeout_s=5.0, idle_timeout_s=5.0) == Ended()

    stage(work)


def test_an_order_after_a_timeout_leaves_the_cause(stage):
    """The first cause is the one that is told: a step that ran into its timeout did not end because of whoever stopped it later."""

    async def work(stage):
        attempt = stage.begin(
            stage.task("trap 'echo late' INT; trap '' TERM; while :; do sleep 0.02; done", timeout_s=1.0)
        )
        await attempt.sink.said(b"late\n")
        attempt.stop.order(kill=True)
        ended = await attempt.ended()
        assert ended.failure is not None
        assert ended.failure.reason is Reason.TIMEOUT

    stage(work)

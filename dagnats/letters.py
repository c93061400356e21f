"""What a person does with dead letters: looks at them, and has a task sent again that the run still wants."""

from collections.abc import Sequence
from datetime import datetime

from dagnats.bus import dead, journal
from dagnats.bus.dead import Letter
from dagnats.bus.link import Link
from dagnats.core.state import RunState, fold
from dagnats.core.text import encode_json
from dagnats.errors import UsageError

_TASK_SHOWN = 2000
NOTHING = "no dead letters: every task of the run could be carried out"


def as_text(letters: Sequence[Letter]) -> str:
    """Show letters to a person, one a block."""
    blocks = []
    for letter in letters:
        at = datetime.fromtimestamp(letter.at).astimezone().isoformat(sep=" ", timespec="seconds")
        whose = f"step {letter.step}, attempt {letter.attempt}" if letter.step else "of no step that could be read"
        task = letter.task[:_TASK_SHOWN].decode("utf-8", "backslashreplace")
        shown = "".join(char if char.isprintable() else "\ufffd" for char in task)
        more = f" … {len(letter.task):,} bytes in all" if len(letter.task) > _TASK_SHOWN else ""
        blocks.append(
            f"{letter.number}  {at}  {whose}, after event {letter.seq}\n   {letter.error}\n   {letter.subject}: {shown}{more}"
        )
    return "\n".join(blocks)


def as_json(letters: Sequence[Letter]) -> str:
    """Show letters to a program, as a list."""
    records = [
        {name: getattr(letter, name) for name in ("number", "at", "seq", "step", "attempt", "error", "subject")}
        | {"task": letter.task.decode("utf-8", "backslashreplace")}
        for letter in letters
    ]
    return encode_json(records)


async def replay(link: Link, run: str, number: int, *, is_live: bool) -> str:
    """Put a task into the queue again, and forget its letter; gives what was done. Raises UsageError when the run does not want it."""
    letters = await dead.read(link, run)
    letter = next((one for one in letters if one.number == number), None)
    if letter is None:
        kept = ", ".join(str(one.number) for one in letters) or "none"
        raise UsageError(f"run {run} has no dead letter {number}; there are: {kept}")
    state = fold([event async for commit in journal.read(link, run) for event in commit])
    problem = why_not(state, letter, is_live=is_live)
    if problem:
        raise UsageError(problem)
    link.publish(letter.subject, letter.task)
    await link.client.flush()
    await dead.forget(link, letter)
    return f"the task of step {letter.step}, attempt {letter.attempt}, is in the queue of run {run} again"


def why_not(state: RunState, letter: Letter, *, is_live: bool) -> str:
    """Say why a task is not sent again, and what to do instead; "" when the run waits for it."""
    run, step = state.run, state.steps.get(letter.step)
    if step is None:
        return f"dead letter {letter.number} says of no step of run {run} that it is its task: it can not be sent again"
    if state.finished is None and not is_live:
        return f"run {run} does not go on: `dagnats resume {run}` sends again what it waits for"
    if state.waits(letter.step, letter.attempt):
        return ""
    what = f"attempt {letter.attempt} of step {letter.step} is not wanted any more: the step is {step.status} in attempt {step.attempt}"
    return f"{what}; `dagnats rerun {run} --from {letter.step}` runs it again"

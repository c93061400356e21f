"""What the steps of a run wait for: a time, a signal, or somebody's word."""

import re

from dagnats.core.events import ApprovalDecided, SignalReceived, StepEvent, StepScheduled, StepSucceeded, StepWaiting
from dagnats.core.status import Status
from dagnats.core.step import StepState
from dagnats.core.text import token

Answer = SignalReceived | ApprovalDecided
SIGNAL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
SIGNAL_RULE = "at most 63 letters, digits, `_` and `-`, of which the first is a letter"
APPROVAL_OUTPUTS = ("by", "why")  # what a decision gives to later steps
PROMPT_MAX = 4000  # characters of what an approval asks
APPROVAL = "approval."


def is_signal(name: str) -> bool:
    """Whether signals may have such a name."""
    return SIGNAL.fullmatch(name) is not None


def approval_key(step: str) -> str:
    """Give the key under which an approval of a step is posted. Names of signals have no dot, and are their own keys."""
    return APPROVAL + token(step)


class Waits:
    """`open` holds the waits that go on, by step, and `answered` what was said to those that end by that, which is the next decision.

    `asked` names the steps that wait for what is posted under a key, the one that has waited longest first, and `taken` holds the revisions of the
    signals that a wait has got: each counts once.
    """

    def __init__(self) -> None:
        self.open: dict[str, StepWaiting] = {}
        self.answered: dict[str, Answer] = {}
        self.asked: dict[str, dict[str, None]] = {}
        self.taken: set[int] = set()

    def fits(self, state: StepState, event: StepEvent) -> bool:
        """Whether an event that the status allows fits to what the step waits for, if it is one that waits."""
        wait = self.open.get(state.step.id)
        match event:
            case StepWaiting():
                return wait is None and state.step.wait is not None and state.step.wait.kind == event.kind
            case StepScheduled():
                return state.step.wait is None
            case StepSucceeded() if state.status is Status.WAITING:
                return wait is not None and (wait.kind == "sleep" or state.step.id in self.answered)
            case SignalReceived() | ApprovalDecided():
                return wait is not None and self._answers(wait, event)
            case _:
                return True

    def _answers(self, wait: StepWaiting, event: Answer) -> bool:
        if event.attempt != wait.attempt or event.step in self.answered:
            return False
        if isinstance(event, ApprovalDecided):
            return wait.kind == "approval"
        return wait.kind == "signal" and wait.signal == event.signal and event.revision not in self.taken

    def apply(self, event: StepEvent) -> None:
        """Take an event into account that the table allows, and that fits."""
        if isinstance(event, StepWaiting):
            self.open[event.step] = event
            if event.kind != "sleep":
                self.asked.setdefault(_key(event), {})[event.step] = None
        elif event.step in self.open:
            self._forget(self.open[event.step])
            if isinstance(event, SignalReceived | ApprovalDecided):
                self.answered[event.step] = event
                if isinstance(event, SignalReceived):
                    self.taken.add(event.revision)
            else:
                del self.open[event.step]
                self.answered.pop(event.step, None)

    def _forget(self, wait: StepWaiting) -> None:
        """Give it nothing more of what is posted."""
        asking = self.asked.get(_key(wait))
        if asking is not None:
            asking.pop(wait.step, None)
            if not asking:
                del self.asked[_key(wait)]


def _key(wait: StepWaiting) -> str:
    return wait.signal if wait.kind == "signal" else approval_key(wait.step)

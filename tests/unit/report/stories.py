"""Runs for reports, told as events."""

from dagnats.core import events
from dagnats.core.events import AnyEvent, Outcome, Reason
from dagnats.core.pipeline import Pipeline, Step
from dagnats.core.state import RunState
from dagnats.report.record import Record


class Story:
    """Tells a run event by event, a second after each other."""

    def __init__(self, plan: Pipeline, max_parallel: int = 9):
        self.events: list[AnyEvent] = []
        started = events.RunStarted(
            seq=1, at=1000.0, run="brave-otter-3", plan=plan, max_parallel=max_parallel, workspace="/w"
        )
        self.state = RunState(started)
        self.events.append(started)

    def tell(self, cls, **fields):
        event = cls(seq=self.state.seq + 1, at=self.state.at + 1, **fields)
        self.state.apply(event)
        self.events.append(event)

    def start(self, step, attempt=1):
        self.tell(events.StepScheduled, step=step, attempt=attempt)
        self.tell(events.StepStarted, step=step, attempt=attempt, worker="w")

    def succeed(self, step, attempt=1, **more):
        self.tell(events.StepSucceeded, step=step, attempt=attempt, **more)

    def fail(self, step, message="exit code 3", attempt=1, reason=Reason.EXIT, **more):
        self.tell(events.StepFailed, step=step, attempt=attempt, reason=reason, message=message, exit_code=3, **more)

    def finish(self, outcome=Outcome.FAILED, **more):
        self.tell(events.RunFinished, outcome=outcome, **more)
        return self.record()

    def record(self) -> Record:
        return Record(self.events)


def failures(count: int, message: str = "exit code 3", printed: int = 1 << 20) -> Record:
    """A run of which all steps failed."""
    story = Story(
        Pipeline(name="p", file="p.yaml", steps=tuple(Step(id=f"step-{n}", run="false") for n in range(count)))
    )
    for number in range(count):
        story.start(f"step-{number}")
        story.fail(f"step-{number}", message, output_bytes=printed)
    return story.finish()

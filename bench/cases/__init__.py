"""The table of cases, in the order in which they are measured and shown."""

from collections.abc import Callable, Mapping

from bench.cases import container, durable, large, listed, mask, output, shown, sleeps, start, steps
from bench.rounds import Case
from bench.setting import Setting

CASES: Mapping[str, Callable[[Setting], Case]] = {
    "version": start.version,
    "validate": start.validate,
    "cold": start.cold,
    "chain": steps.chain,
    "fanout": steps.fanout,
    "large": large.large,
    "sleeps": sleeps.sleeps,
    "output": output.output,
    "slowdown": output.slowdown,
    "mask": mask.mask,
    "live": shown.live,
    "report": shown.report,
    "runs": listed.runs,
    "durability": durable.durability,
    "resume": durable.resume,
    "container": container.container,
}

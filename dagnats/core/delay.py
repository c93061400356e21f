"""How long the retry of a step waits."""

from dagnats.core.pipeline import Retry


def retry_delay_s(retry: Retry, attempt: int, jitter: float) -> float:
    """Give the wait after the failure of `attempt` (from 1): between half and all of it when the policy asks for jitter."""
    match retry.strategy:
        case "fixed":
            delay_s = retry.initial_delay_s
        case "linear":
            delay_s = retry.initial_delay_s * attempt
        case "exponential":
            # 64 doublings pass every bound; a larger power would only overflow
            delay_s = retry.initial_delay_s * retry.multiplier ** min(attempt - 1, 64)
    if retry.max_delay_s is not None:
        delay_s = min(delay_s, retry.max_delay_s)
    return delay_s * (0.5 + jitter / 2) if retry.jitter else delay_s

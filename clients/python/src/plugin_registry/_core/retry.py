"""Which failures are repeated, and when. One flow is one call: its Idempotency-Key is made once, outside the loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .errors import RegistryError, Unreachable, refused
from .http import KEY, Call, Failure, Flow, Request, Response, Send, Sleep, T

RETRIED = frozenset({408, 429, 502, 503, 504})
"""Never 409, 412 and 422: those are answers."""

DOUBTFUL = RETRIED - {429}

LONGEST_RETRY_AFTER = 120.0
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
JITTER = 0.25


def _chance() -> float:
    import random

    return random.random()


@dataclass(frozen=True)
class Policy:
    """How often, and for how long, a call is repeated."""

    retries: int = 4
    deadline: float = 60.0
    now: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = _chance


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of ``Retry-After``, which is a number or a date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def delay(attempt: int, response: Response | Failure, policy: Policy) -> float:
    """How long to wait after an attempt that failed; the first one is 0."""
    if isinstance(response, Response):
        named = retry_after(response.headers)
        if named is not None and named <= LONGEST_RETRY_AFTER:
            return named
    backoff = min(FIRST_DELAY * 2.0 ** min(attempt, 10), LONGEST_DELAY)
    return backoff * (1 - JITTER * policy.chance())


def may_repeat(request: Request, outcome: Response | Failure) -> bool:
    """Whether a repeat may help, and does no harm."""
    if isinstance(outcome, Failure):
        return request.repeatable or not outcome.sent
    if outcome.status == 429:
        return True
    return outcome.status in RETRIED and request.repeatable


def leaves_doubt(outcome: Response | Failure) -> bool:
    """Whether the registry may have done a write in spite of this outcome: a proxy answers for a registry that is late."""
    return outcome.sent if isinstance(outcome, Failure) else outcome.status in DOUBTFUL


def with_key(request: Request) -> Request:
    """The request with an Idempotency-Key of its own, if the operation takes one."""
    if not request.takes_key or KEY in request.headers:
        return request
    return replace(request, headers={**request.headers, KEY: os.urandom(16).hex()})


def attempts(request: Request, policy: Policy, server: str) -> Flow[Response]:
    """Sends a request until it is answered for good; raises the last error otherwise."""
    request = with_key(request)
    end = policy.now() + policy.deadline
    attempt, in_doubt = 0, False
    while True:
        outcome = yield Send(request)
        assert isinstance(outcome, (Response, Failure))
        if isinstance(outcome, Response) and outcome.status < 400:
            return outcome
        in_doubt = in_doubt or leaves_doubt(outcome)
        pause = delay(attempt, outcome, policy)
        if attempt >= policy.retries or not may_repeat(request, outcome) or policy.now() + pause > end:
            error = error_of(outcome, server)
            error.in_doubt = in_doubt
            raise error
        yield Sleep(pause)
        attempt += 1


def call(flow: Call[T], policy: Policy, server: str) -> Flow[T]:
    """Sends the request of a call, and reads its response."""
    return flow.read((yield from attempts(flow.request, policy, server)))


def error_of(outcome: Response | Failure, server: str) -> RegistryError:
    """The error of an outcome."""
    if isinstance(outcome, Response):
        return refused(outcome.status, outcome.headers, outcome.body)
    error = Unreachable(f"cannot reach the registry at {server}\n  {outcome.reason}")
    error.__cause__ = outcome.cause
    return error

"""The outcome table: what each answer asks for, and how long to wait."""

from __future__ import annotations

import pytest

from shared.model import Reason
from shared.publisher.responses import (
    Action,
    Response,
    ResponseAction,
    backoff,
    classify,
    cooldown,
)

TIME = "'time' should not be older than 30 minutes and not more than 4 minutes in the future\r\n"
HERE = "This endpoint : https://westeurope.monitoring.azure.com does not accept metrics for the "


def mismatch(rest: str) -> Response:
    return Response(400, "RegionMismatch", f"{HERE}{rest}")


def other_region(region: str | None) -> ResponseAction:
    return ResponseAction(Action.OTHER_REGION, region=region)


DEFER = ResponseAction(Action.DEFER)
RETRY = ResponseAction(Action.RETRY)
SPLIT = ResponseAction(Action.SPLIT, Reason.REJECTED_BY_AZURE)
TABLE = {
    **{
        f"published, {status}": (Response(status), ResponseAction(Action.PUBLISHED))
        for status in (200, 202, 204, 299)
    },
    "published, body not read": (
        Response(200, "", "unreadable body: x"),
        ResponseAction(Action.PUBLISHED),
    ),
    "rejected": (Response(400, "BadRequest", "no"), SPLIT),
    "rejected with another code": (Response(400, "UnsupportedMetric", "no"), SPLIT),
    "rejected without a body": (Response(400), SPLIT),
    "too old": (
        Response(400, "BadRequest", TIME),
        ResponseAction(Action.DROP_EXPIRED, Reason.EXPIRED),
    ),
    "region at the end": (
        mismatch("resource's region : northeurope "),
        other_region("northeurope"),
    ),
    "region within the text": (
        mismatch("resource's region : northeurope. Ensure you are sending to the right endpoint."),
        other_region("northeurope"),
    ),
    "region in another case": (mismatch("resource's region:WestUS2"), other_region("westus2")),
    "region as displayed": (mismatch("resource's region : West US 2."), other_region("westus2")),
    "region not named": (Response(400, "RegionMismatch", "no"), other_region(None)),
    "region too long": (mismatch(f"resource's region : {'n' * 41} "), other_region(None)),
    "token": (Response(401), ResponseAction(Action.RENEW_TOKEN)),
    "role": (
        Response(403, "AuthenticationFailed", "no"),
        ResponseAction(Action.DEFER, hint="grant Monitoring Metrics Publisher"),
    ),
    "not found": (Response(404), DEFER),
    "too large": (Response(413), ResponseAction(Action.SPLIT, Reason.TOO_LARGE)),
    **{
        f"retried, {status}": (Response(status), RETRY)
        for status in (408, 429, 500, 502, 503, 504)
    },
    **{f"deferred, {status}": (Response(status), DEFER) for status in (199, 300, 307, 415, 501)},
    "no answer": (Response(None, "ReadTimeout", "x"), RETRY),
    "no connection": (Response(None, "ConnectionError", "x"), RETRY),
    "no token": (Response(None, "TokenError", "x"), DEFER),
}  # fmt: skip


@pytest.mark.parametrize(("response", "action"), TABLE.values(), ids=TABLE)
def test_an_answer_asks_for_an_action(response: Response, action: ResponseAction) -> None:
    assert classify(response) == action


@pytest.mark.parametrize("text", ["evil.example/#", "evil.example. Ensure", "west-europe", "a@b"])
def test_a_part_of_another_name_is_not_taken_for_a_region(text: str) -> None:
    assert classify(mismatch(f"resource's region : {text} ")) == other_region(None)


def test_waits_grow_up_to_a_limit() -> None:
    waits = [backoff(attempt, 0.0, None) for attempt in range(1, 8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert [backoff(attempt, 1.0, None) for attempt in (1, 5)] == [0.5, 8.0]


RETRY_AFTER = {
    "obeyed": (1, 0.0, 30.0, 30.0),
    "with up to a tenth more": (1, 0.5, 30.0, 31.5),
    "not below the backoff": (5, 0.0, 1.0, 4.0),
    "none": (2, 0.0, 0.0, 0.5),
}


@pytest.mark.parametrize(
    ("attempt", "jitter", "asked", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER
)
def test_retry_after_is_obeyed(attempt: int, jitter: float, asked: float, seconds: float) -> None:
    assert backoff(attempt, jitter, asked) == seconds


COOLDOWNS = {
    "deferred": (DEFER, None, 15.0),
    "deferred, whatever it asks for": (DEFER, 100.0, 15.0),
    "another region": (other_region(None), None, 15.0),
    "token": (ResponseAction(Action.RENEW_TOKEN), None, 15.0),
    "retried in vain": (RETRY, None, 5.0),
    "shorter than the minimum": (RETRY, 4.0, 5.0),
    "as asked for": (RETRY, 100.0, 100.0),
    "longer than the maximum": (RETRY, 301.0, 300.0),
}


@pytest.mark.parametrize(("action", "asked", "seconds"), COOLDOWNS.values(), ids=COOLDOWNS)
def test_a_target_has_a_cooldown(
    action: ResponseAction, asked: float | None, seconds: float
) -> None:
    assert cooldown(action, asked) == seconds


TEXTS = {
    "status alone": (Response(404), "404"),
    "code and message": (Response(400, "BadRequest", "too old"), "400 BadRequest too old"),
    "message": (Response(500, "", "oops"), "500 oops"),
    "no answer": (Response(None, "ReadTimeout", "slow"), "no answer ReadTimeout slow"),
}


@pytest.mark.parametrize(("response", "text"), TEXTS.values(), ids=TEXTS)
def test_a_response_is_written(response: Response, text: str) -> None:
    assert str(response) == text

"""The outcome table: every answer, and what it means."""

from __future__ import annotations

import pytest

from shared.model import Reason
from shared.publisher.client import Answer
from shared.publisher.responses import Action, Ruling, judge

TIME = "'time' should not be older than 30 minutes and not more than 4 minutes in the future\r\n"
MISMATCH = (
    "This endpoint : https://westeurope.monitoring.azure.com does not accept metrics for the "
    "resource's region : {} "
)
DEFERRED = Ruling(Action.DEFER, pause=15)
ELSEWHERE = Ruling(Action.REROUTE, pause=15)
TABLE = {
    "published": (Answer(200), Ruling(Action.PUBLISHED)),
    "no content": (Answer(204), Ruling(Action.PUBLISHED)),
    "last of the good ones": (Answer(299), Ruling(Action.PUBLISHED)),
    "before the good ones": (Answer(199), DEFERRED),
    "multiple choices": (Answer(300), DEFERRED),
    "refused": (
        Answer(400, "BadRequest", "no"),
        Ruling(Action.HALVE, Reason.REJECTED_BY_AZURE),
    ),
    "refused under another code": (
        Answer(400, "UnsupportedMetric", "no"),
        Ruling(Action.HALVE, Reason.REJECTED_BY_AZURE),
    ),
    "refused without words": (Answer(400), Ruling(Action.HALVE, Reason.REJECTED_BY_AZURE)),
    "too old": (Answer(400, "BadRequest", TIME), Ruling(Action.EXPIRE, Reason.EXPIRED)),
    "another region": (
        Answer(400, "RegionMismatch", MISMATCH.format("northeurope")),
        Ruling(Action.REROUTE, pause=15, region="northeurope"),
    ),
    "another region, not said which": (Answer(400, "RegionMismatch", "no"), ELSEWHERE),
    "a region that is none": (
        Answer(400, "RegionMismatch", MISMATCH.format("n" * 41)),
        ELSEWHERE,
    ),
    "a region of a stranger": (
        Answer(400, "RegionMismatch", MISMATCH.format("evil.example/#")),
        ELSEWHERE,
    ),
    "a region in other letters": (
        Answer(400, "RegionMismatch", MISMATCH.format("westUS2")),
        ELSEWHERE,
    ),
    "a region of two words": (
        Answer(400, "RegionMismatch", MISMATCH.format("west europe")),
        ELSEWHERE,
    ),
    "token": (Answer(401), DEFERRED),
    "role": (
        Answer(403, "AuthenticationFailed", "no"),
        Ruling(Action.DEFER, pause=15, hint="grant Monitoring Metrics Publisher"),
    ),
    "not found": (Answer(404), DEFERRED),
    "time-out of the service": (Answer(408), Ruling(Action.RETRY)),
    "too large": (Answer(413), Ruling(Action.HALVE, Reason.TOO_LARGE)),
    "too many": (Answer(429, retry_after="5"), Ruling(Action.RETRY)),
    "broken": (Answer(500, "", "oops"), Ruling(Action.RETRY)),
    "bad gateway": (Answer(502), Ruling(Action.RETRY)),
    "unavailable": (Answer(503), Ruling(Action.RETRY)),
    "gateway time-out": (Answer(504), Ruling(Action.RETRY)),
    "not implemented": (Answer(501), DEFERRED),
    "redirect": (Answer(307), DEFERRED),
    "unsupported type": (Answer(415), DEFERRED),
    "no answer": (Answer(None, "ReadTimeout", "x"), Ruling(Action.RETRY)),
    "no connection": (Answer(None, "ConnectionError", "x"), Ruling(Action.RETRY)),
    "no token": (Answer(None, "NoToken", "x"), DEFERRED),
}


@pytest.mark.parametrize(("answer", "ruling"), TABLE.values(), ids=TABLE)
def test_what_an_answer_means(answer: Answer, ruling: Ruling) -> None:
    assert judge(answer) == ruling

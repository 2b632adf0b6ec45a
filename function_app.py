"""The Azure Functions app: two triggers, and the parts they share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, partial
from typing import NamedTuple

import azure.functions as func

from shared.clients.credentials import Tokens, make_credential
from shared.clients.http import open_session
from shared.clients.json_client import JsonClient
from shared.clients.queues import Queue
from shared.clients.rate_limiter import Gate
from shared.clients.storage import Patience, open_connection
from shared.messages.parser import Address
from shared.pipeline.admission import Intake
from shared.pipeline.dead_letters import Origin
from shared.pipeline.detours import Detours
from shared.pipeline.fence import Fence
from shared.pipeline.processor import Drain
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import Guard
from shared.publisher.batcher import Relay
from shared.publisher.client import Publisher
from shared.publisher.sender import Delivery
from shared.settings import Settings
from shared.sources import Context, load_sources
from shared.sources.sampler import Sampler
from shared.telemetry import Record, Telemetry, unrecorded

# POSTs under way at once, and connections kept to each region.
POST_THREADS = 32
# Queue requests under way at once, for dead letters and what is put back; the SDK keeps ten
# connections open.
QUEUE_THREADS = 8
# Requests of the sources under way at once to one account.
SOURCE_REQUESTS = 8
# Connections kept to each host of theirs; those of ARM are shared by all subscriptions.
SOURCE_CONNECTIONS = 32
# Look-ups of regions under way at once, and a second: ARM refills 25 reads a second for an
# identity, which the sources need too.
LOOK_UPS = 4
LOOK_UPS_PER_SECOND = 10.0
# Storage may be away for half a minute before a message that is half done is done again.
STORAGE_PATIENCE = Patience(retries=5)

LOG = logging.getLogger("metric_relay")

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="%METRICS_QUEUE%", connection="MetricsStorage")
async def drain_metrics(message: func.QueueMessage) -> None:
    """Publish the metrics of one message."""
    await parts().drain.message(message.get_body(), Origin(message.id, message.insertion_time))


@app.timer_trigger(arg_name="timer", schedule="%METRICS_SAMPLE_SCHEDULE%")
async def sample_sources(timer: func.TimerRequest) -> None:
    """Sample the sources of METRICS_SOURCES and publish what they gave."""
    if timer.past_due:
        LOG.warning("A tick was missed; sampling now, and as of now")
    await parts().sampler.sample(datetime.now(UTC))


class Parts(NamedTuple):
    """What the functions share."""

    drain: Drain
    sampler: Sampler


@cache
def parts() -> Parts:
    """Wire the app up, at its first invocation. Raises ConfigurationError."""
    settings = Settings.from_env(os.environ)
    context = _context(settings)
    now = partial(datetime.now, UTC)
    storage = cache(partial(open_connection, settings.storage, STORAGE_PATIENCE))
    queues = ThreadPoolExecutor(QUEUE_THREADS, thread_name_prefix="queue")
    regions = _regions(settings, context)
    guard = Guard(settings.max_active_series)
    detours = Detours()
    new_relay = _relays(settings, context, regions, detours)

    # On ways of its own: what the app says of itself passes no fence, is not counted as a
    # series of the users', and is not measured.
    aside = Intake(
        new_relay(unrecorded).submit, fence=Fence(), regions=regions, detours=detours, guard=None
    )
    telemetry = Telemetry(
        settings.own, aside.submit, gauges=guard.gauges, keep=settings.window.past, clock=now
    )
    if settings.own is None:
        LOG.warning("No metrics on the relay itself: METRICS_RESOURCE_ID is not set")

    relay = new_relay(telemetry.record)
    intake = Intake(
        relay.submit, fence=settings.fence, regions=regions, detours=detours, guard=guard
    )
    drain = Drain(
        submit=intake.submit,
        obstacle=intake.obstacle,
        ingress=Queue(lambda: storage().get_queue_client(settings.queue), queues),
        dead_letters=Queue(lambda: storage().get_queue_client(settings.dead_letter_queue), queues),
        defaults=Address(settings.namespace, settings.resource_id),
        window=settings.window,
        retry_delay=settings.retry_delay,
        clock=now,
        record=telemetry.record,
    )
    sources, problems = load_sources(settings.sources, context)
    for problem in problems:
        LOG.error("Not sampled: %s", problem)
    # A thread for each, so that none waits for one that hangs.
    samplers = ThreadPoolExecutor(max(1, len(sources)), thread_name_prefix="sample")
    sampler = Sampler(sources, drain.sample, samplers, report=telemetry.report, own=settings.own)
    return Parts(drain, sampler)


def _relays(
    settings: Settings, context: Context, regions: Regions, detours: Detours
) -> Callable[[Record], Relay]:
    """Makes relays that share publisher and threads, and record elsewhere."""
    publisher = Publisher(
        endpoint=settings.endpoint,
        tokens=context.tokens(settings.audience),
        session=open_session(POST_THREADS),
    )
    posts = ThreadPoolExecutor(POST_THREADS, thread_name_prefix="post")

    def new_relay(record: Record) -> Relay:
        delivery = Delivery(
            publisher,
            executor=posts,
            max_body_bytes=settings.max_body_bytes,
            window=settings.window,
            look_up=regions.find_again,
            detours=detours,
            record=record,
        )
        return Relay(delivery)

    return new_relay


def _regions(settings: Settings, context: Context) -> Regions:
    gate = Gate(at_once=LOOK_UPS, per_second=LOOK_UPS_PER_SECOND)
    client = JsonClient(context.session, gate, context.tokens(settings.arm_audience))
    return Regions(
        client,
        settings.arm_endpoint,
        ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="region"),
        resource_id=settings.resource_id,
        region=settings.region,
    )


def _context(settings: Settings) -> Context:
    """What sources may use; those of one account share its gate, those of one audience tokens."""
    credential = partial(make_credential, settings.credential, settings.client_id)

    @cache
    def tokens(audience: str) -> Tokens:
        return Tokens(credential, audience)

    @cache
    def gate(name: str, per_second: float) -> Gate:
        del name  # By which it is found again.
        return Gate(at_once=SOURCE_REQUESTS, per_second=per_second)

    return Context(
        connection=settings.connection,
        credential=credential,
        tokens=tokens,
        gate=gate,
        session=open_session(SOURCE_CONNECTIONS),
        arm_endpoint=settings.arm_endpoint,
        arm_audience=settings.arm_audience,
        namespace=settings.namespace,
    )

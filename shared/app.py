"""Wiring: settings -> the parts that both functions use."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NamedTuple

from shared.clients.credentials import TokenCache, make_credential
from shared.clients.json_client import JsonClient
from shared.clients.rate_limiter import RateLimiter
from shared.clients.sessions import open_session
from shared.clients.storage import Queue, open_queue_service
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.model import Submit
from shared.pipeline.admission import Admission
from shared.pipeline.processor import Processor
from shared.pipeline.regions import Regions
from shared.pipeline.series_limiter import SeriesLimiter
from shared.publisher.batcher import Batcher
from shared.publisher.circuit_breaker import MAX_POSTS_PER_REGION
from shared.publisher.client import AzureMonitorStore
from shared.publisher.sender import Sender, TargetStates, Timing
from shared.settings import Settings
from shared.sources import Context, load_sources
from shared.sources.sampler import Sampler
from shared.telemetry import Record, Telemetry, ignore

__all__ = ["App", "build_app", "build_context", "build_regions"]

# Threads for POSTs, made as they are needed: enough for 32 regions that hang at once, of which each
# holds MAX_POSTS_PER_REGION.
MAX_POSTS = 256
# Requests to the ingress and dead-letter queues at once; the SDK keeps ten connections open.
MAX_QUEUE_REQUESTS = 8
# Requests of the sources at once to one account.
MAX_SOURCE_REQUESTS = 8
# Connections that sources keep to each host; those of ARM are shared by all subscriptions.
MAX_SOURCE_CONNECTIONS = 32
# Look-ups of regions at once and a second: ARM refills 25 reads a second for an identity, which
# the sources need too.
MAX_LOOKUPS = 4
LOOKUPS_PER_SECOND = 10.0

LOG = logging.getLogger(__name__)


class App(NamedTuple):
    """What the functions share."""

    processor: Processor
    sampler: Sampler


def build_app(settings: Settings, timing: Timing | None = None) -> App:
    """Build the parts of the app; tests bring clocks of their own. Raises ConfigurationError."""
    timing = timing or Timing()
    context = build_context(settings, timing)
    regions = build_regions(settings, context, timing)
    series_limiter = SeriesLimiter(settings.max_active_series, clock=timing.clock)
    store = AzureMonitorStore(
        endpoint=settings.endpoint,
        max_body_bytes=settings.max_body_bytes,
        tokens=context.tokens(settings.audience),
        session=open_session(MAX_POSTS_PER_REGION),
        now=timing.now,
    )
    post_threads = ThreadPoolExecutor(MAX_POSTS, thread_name_prefix="post")
    queue_threads = ThreadPoolExecutor(MAX_QUEUE_REQUESTS, thread_name_prefix="queue")
    storage = cache(partial(open_queue_service, settings.storage))

    states = TargetStates(timing.clock)

    def submit(record: Record) -> Submit:
        sender = Sender(
            store,
            executor=post_threads,
            past=settings.time_window.past,
            correct_region=regions.correct,
            states=states,
            timing=timing,
            record=record,
        )
        return Batcher(sender.send).submit

    def queue(name: str) -> Queue:
        return Queue(lambda: storage().get_queue_client(name), queue_threads)

    # The relay's metrics on itself are not measured, and neither allowed scopes nor series limit
    # apply to them.
    telemetry = Telemetry(
        settings.own_target,
        partial(Admission(regions).publish, submit=submit(ignore)),
        gauges=series_limiter.gauges,
        past=settings.time_window.past,
        clock=timing.now,
    )
    if settings.own_target is None:
        LOG.warning("METRICS_RESOURCE_ID is not set: the relay publishes no metrics on itself")
    processor = Processor(
        # Without METRICS_REGION, which `Regions` applies to METRICS_RESOURCE_ID.
        parser=MessageParser(
            Defaults(settings.namespace, settings.resource_id), settings.time_window
        ),
        admission=Admission(regions, settings.allowed_scopes, series_limiter),
        submit=submit(telemetry.record),
        ingress=queue(settings.queue),
        dead_letters=queue(settings.dead_letter_queue),
        retry_delay=settings.retry_delay,
        clock=timing.now,
        sleep=timing.sleep,
        record=telemetry.record,
    )
    sources, errors = load_sources(settings.sources, context)
    for error in errors:
        LOG.error("Skipping a source: %s", error)
    sampler = Sampler(
        sources,
        processor.process_sample,
        # A thread for each source, so that none waits for one that hangs.
        ThreadPoolExecutor(max(1, len(sources)), thread_name_prefix="sample"),
        report=telemetry.report,
        own_target=settings.own_target,
    )
    return App(processor, sampler)


def build_regions(settings: Settings, context: Context, timing: Timing) -> Regions:
    """Build what looks up the regions of resources."""
    limiter = RateLimiter(max_concurrent=MAX_LOOKUPS, per_second=LOOKUPS_PER_SECOND)
    client = JsonClient(context.session, limiter, context.tokens(settings.arm_audience))
    return Regions(
        client,
        settings.arm_endpoint,
        ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="region"),
        resource_id=settings.resource_id,
        region=settings.region,
        clock=timing.clock,
    )


def build_context(settings: Settings, timing: Timing) -> Context:
    """Build what sources use: one rate limiter for each account, one token for each audience."""
    credential = partial(make_credential, settings.credential, settings.client_id)

    @cache
    def tokens(audience: str) -> TokenCache:
        return TokenCache(
            credential,
            audience,
            clock=lambda: timing.now().timestamp(),
            monotonic=timing.clock,
        )

    @cache
    def rate_limiter(account: str, per_second: float) -> RateLimiter:
        del account  # Each account has a limiter of its own.
        return RateLimiter(max_concurrent=MAX_SOURCE_REQUESTS, per_second=per_second)

    return Context(
        connection=settings.connection,
        credential=credential,
        tokens=tokens,
        rate_limiter=rate_limiter,
        session=open_session(MAX_SOURCE_CONNECTIONS),
        arm_endpoint=settings.arm_endpoint,
        arm_audience=settings.arm_audience,
        namespace=settings.namespace,
    )

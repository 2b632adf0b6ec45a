"""The Azure Functions app: two triggers."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from functools import cache

import azure.functions as func

from shared.app import App, build_app
from shared.model import Origin
from shared.settings import Settings

LOG = logging.getLogger("metric_relay")

app = func.FunctionApp()


# As BINARY, the host does not copy members of the body over the metadata of the message.
@app.queue_trigger(
    arg_name="message",
    queue_name="%METRICS_QUEUE%",
    connection="MetricsStorage",
    data_type=func.DataType.BINARY,
)
async def drain_metrics(message: func.QueueMessage) -> None:
    """Publish the metrics of one message."""
    origin = Origin(message.id, message.insertion_time)
    await parts().processor.process(message.get_body(), origin)


@app.timer_trigger(arg_name="timer", schedule="%METRICS_SAMPLE_SCHEDULE%")
async def sample_sources(timer: func.TimerRequest) -> None:
    """Sample the sources of METRICS_SOURCES and publish the samples."""
    if timer.past_due:
        LOG.warning("The timer missed a tick; sampling with the current time")
    await parts().sampler.sample(datetime.now(UTC))


@cache
def parts() -> App:
    """Build the app at its first invocation. Raises ConfigurationError."""
    return build_app(Settings.from_env(os.environ))

"""Send metrics to Metric Relay from a Python program.

    from metric_relay_client import MetricClient

    with MetricClient.connect(
        "https://STORAGE.queue.core.windows.net",
        resource_id="/subscriptions/…/providers/Microsoft.Web/sites/shop-api",
        region="westeurope",
    ) as metrics:
        metrics.send("Orders", 7, dimensions={"Country": "NL"})

`send` adds the value to a buffer and returns at once; a background thread puts what is buffered
into the ingress queue every ten seconds. What is buffered when the program ends is sent then.
"""

from __future__ import annotations

from ._client import MetricClient, NotSentError

__all__ = ["MetricClient", "NotSentError"]

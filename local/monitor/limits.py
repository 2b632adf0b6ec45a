"""List the limits of the service, each with its source, and those of the emulator."""

from __future__ import annotations

# Azure Monitor.
MAX_BODY_BYTES = 4_000_000  # Telegraf's limit. Before or after gzip is not known: held to both.
MAX_PAST_SECONDS = 30 * 60  # The service's own error; its documentation says 20 minutes.
MAX_FUTURE_SECONDS = 4 * 60  # The service's own error; its documentation says 5 minutes.
MAX_DIMENSIONS = 10  # Documentation; the service's error for 11 says "lesser than 10".
MAX_TEXT_LENGTH = 256  # Documentation, in characters: metric, namespace, dimension name, value.
MAX_COUNT = 2**31 - 1  # OpenAPI 2018-09-01-preview: count is an int32.
MAX_QUERY_METRICS = 20  # OpenAPI 2024-02-01: metric names of one query.
MAX_BATCH_RESOURCES = 50  # Documentation of metrics:getBatch: resource IDs of one query.

# Azure Resource Manager.
LIST_PAGE = 100  # Entities on a page of Service Bus, as its users saw; of resources, assumed.

# The emulator's own, which limit its memory.
KEPT_MINUTES = 24 * 60  # Older values are forgotten when newer ones come in.
MAX_VALUES = 1_000_000  # Of one series and minute each; beyond it those of the oldest minute go.
MAX_SPELLINGS = 100_000  # First spellings of names; when there are more, all are forgotten.
MAX_RESOURCES = 100_000  # Resources whose region was learned from a post.
MAX_FAULTS = 1_000  # Faults waiting at one time.
MAX_QUERY_VALUES = 1_000_000  # Values of an answer to a query, gaps among them.
MAX_DIMENSION_VALUES = 1_000  # Values of a dimension that the explorer offers.
PORTION_VALUES = 10_000  # Values read back before other requests have their turn.
LOGGED_REQUESTS = 1_000  # Requests in each log; the totals beside it are not bounded.

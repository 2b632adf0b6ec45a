"""The queue options of host.json, and the app settings that replace them; see docs/host.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from tools.doctor.context import Context
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Home

__all__ = ["FUNCTIONS", "check_host_json", "parse_json", "parse_time_span"]

FUNCTIONS = ("drain_metrics", "sample_sources")
# An app setting that begins so replaces an option. Source: "host.json reference".
_PREFIX = "AzureFunctionsJobHost__extensions__queues__"
# The options of extensions.queues, with their values in this project.
_OURS = {
    "messageEncoding": "none",
    "batchSize": "32",
    "newBatchThreshold": "256",
    "maxPollingInterval": "00:00:02",
    "visibilityTimeout": "00:00:30",
    "maxDequeueCount": "90",
}
# Defaults of the host that do not work. Source: "host.json reference".
_DEFAULTS = {"messageEncoding": "base64", "visibilityTimeout": "00:00:00", "maxDequeueCount": "5"}
_MAX_BATCH_SIZE = 32  # Messages. Source: "Get Messages".
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_TIME_SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)", re.ASCII)


class _Option(NamedTuple):
    """One option."""

    name: str  # As it is written.
    value: Any
    setting: str | None = None  # The app setting that replaces it.


def check_host_json(context: Context) -> list[Finding]:
    """Report options that lose points, delay them, or stop the host."""
    file = context.project / "host.json"
    try:
        options = read_options(file, context.environ)
    except (OSError, ValueError) as exc:
        return [failed(f"{file} cannot be read: {exc}", f"# Correct {file}.")]
    findings = list(_check_options(context, options))
    text = "The host accepts plain text, and retries last longer than the time window"
    return findings or [ok(text)]


def read_options(file: Path, environ: Mapping[str, str]) -> dict[str, _Option]:
    """Return the options by name in lower case. Raises OSError, or ValueError."""
    members = parse_json(file.read_text("utf-8-sig"))
    for path in ("extensions", "queues", None):
        if not isinstance(members, dict):
            raise ValueError("expected an object")  # noqa: TRY004 (as for invalid JSON)
        if path is not None:
            members = {name.lower(): value for name, value in members.items()}.get(path) or {}
    options = {
        name.lower(): _Option(name, value) for name, value in members.items() if value is not None
    }
    for setting, text in environ.items():
        if setting.lower().startswith(_PREFIX.lower()):
            name = setting[len(_PREFIX) :]
            options[name.lower()] = _Option(name, text, setting)
    return options


def parse_json(text: str) -> Any:
    """Return the value of JSON with comments and trailing commas. Raises ValueError."""
    for pattern in (_COMMENT, _TRAILING_COMMA):
        text = pattern.sub(lambda found: found[1] or " ", text)
    return json.loads(text)


def parse_time_span(text: str) -> timedelta | None:
    """Return the time span of a text hh:mm:ss, None for another form.

    .NET also reads other forms, not as people mean them: `30` and `24:00:00` are days.
    """
    match = _TIME_SPAN.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = map(float, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _check_options(context: Context, options: Mapping[str, _Option]) -> Iterator[Finding]:
    values = _OURS | _DEFAULTS
    names = {name.lower(): name for name in _OURS}
    for key, option in options.items():
        if key in names:
            values[names[key]] = str(option.value)
            continue
        meant = get_close_matches(option.name, _OURS, n=1)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        fix = [f"# In host.json, remove {option.name}."]
        if option.setting:
            fix = context.fixes.unset(option.setting)
        yield warning(f"The host ignores {option.name} of extensions.queues{hint}", *fix)
    settings = context.settings
    wrong = _find_wrong(values, settings.time_window.past + settings.time_window.future)
    for name, text in wrong.items():
        yield failed(f"{name} is {values[name]}: {text}", *_restore(context, options, name))
    visibility, delay = parse_time_span(values["visibilityTimeout"]), settings.retry_delay
    if not wrong and visibility != delay:
        shown = str(visibility).rjust(8, "0")
        yield warning(
            f"visibilityTimeout is {shown}, but the app hides the messages that it defers {delay}",
            "# Use the app setting, which host and app obey:",
            *context.fixes.set(f"{_PREFIX}visibilityTimeout", shown),
        )


def _find_wrong(values: Mapping[str, str], window: timedelta) -> dict[str, str]:
    """Return what is wrong, by option; retries must last longer than a time window."""
    wrong: dict[str, str] = {}
    if values["messageEncoding"].lower() != "none":
        wrong["messageEncoding"] = "the host moves messages in plain text to the poison queue"
    if (_parse_whole(values["batchSize"]) or 0) not in range(1, _MAX_BATCH_SIZE + 1):
        wrong["batchSize"] = f"expected a whole number from 1 to {_MAX_BATCH_SIZE}"
    counts = {name: _parse_whole(values[name]) for name in ("newBatchThreshold", "maxDequeueCount")}
    spans = {
        name: parse_time_span(values[name]) for name in ("maxPollingInterval", "visibilityTimeout")
    }
    wrong |= {name: "expected a whole number" for name, count in counts.items() if count is None}
    text = "expected hh:mm:ss, more than zero; the host reads other forms as days"
    wrong |= {name: text for name, span in spans.items() if not span}
    count, (polling, visibility) = counts["maxDequeueCount"], spans.values()
    if polling and polling > window:
        wrong["maxPollingInterval"] = f"points expire unread, after the time window of {window}"
    if count is not None and visibility and count * visibility <= window:
        name = "maxDequeueCount" if count < int(_OURS["maxDequeueCount"]) else "visibilityTimeout"
        wrong[name] = f"retries end after {count * visibility}, before the time window of {window}"
    return wrong


def _parse_whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text.strip()) else None


def _restore(context: Context, options: Mapping[str, _Option], name: str) -> list[str]:
    """Give an option the value that it has in the host.json of this project."""
    option = options.get(name.lower())
    if option and option.setting:
        return context.fixes.unset(option.setting)
    lines = [f"# In host.json, set extensions.queues.{name} to {_OURS[name]}."]
    if context.fixes.home is Home.APP:
        lines += ["# Or for this app alone:", *context.fixes.set(_PREFIX + name, _OURS[name])]
    return lines

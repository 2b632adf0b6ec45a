"""host.json, and the app settings that replace its values; docs/host.md says what is right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from shared.model import TimeWindow
from tools.doctor.context import Context
from tools.doctor.dotnet import PREFIX, Value, parse_time_span, read_host_json
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.fixes import Home

__all__ = ["FUNCTIONS", "check_host_json"]

FUNCTIONS = ("drain_metrics", "sample_sources")
_QUEUES = "extensions:queues:"
_Host = Mapping[str, Value]
# The widest window that the settings allow, if they cannot be read.
_MAX_WINDOW = TimeWindow(timedelta(minutes=30), timedelta(minutes=5))
# An invocation retries for 20 s and waits 30 s for the last answer; a tick takes up to 60 s.
_MIN_FUNCTION_TIMEOUT = timedelta(seconds=90)
# The first extension bundle whose queue extension knows messageEncoding.
_MIN_BUNDLE = 3


class _Option(NamedTuple):
    """A value of extensions.queues: limits, default of the host, value in this project."""

    minimum: Any  # An int, or a timedelta.
    maximum: Any
    expected: str
    default: str
    ours: str


_MAX = 2**31 - 1
# Sources: "host.json", queues; Put Message of the queue service, for the 7 days.
_OPTIONS = {
    "batchSize": _Option(1, 32, "a whole number from 1 to 32", "16", "32"),
    "newBatchThreshold": _Option(0, _MAX, "a whole number from 0", "8", "256"),
    "maxPollingInterval": _Option(
        timedelta(milliseconds=100), timedelta.max, "00:00:00.1 or more", "00:01:00", "00:00:02"
    ),
    "visibilityTimeout": _Option(
        timedelta(), timedelta(days=7), "hh:mm:ss, up to 7.00:00:00", "00:00:00", "00:00:30"
    ),
    "maxDequeueCount": _Option(1, _MAX, "a whole number from 1", "5", "90"),
}


def check_host_json(context: Context) -> Iterator[Finding]:
    """Report values that lose points, delay them, or stop the host."""
    file = context.options.project / "host.json"
    try:
        host = read_host_json(file, context.environ)
    except FileNotFoundError:
        yield failed(f"{file} does not exist", "# Name the folder of the project with --project.")
        return
    except (OSError, ValueError) as exc:
        yield failed(f"{file} cannot be read: {exc}", f"# Correct {file}.")
        return
    findings = [*_host(context, host), *_queues(context, host)]
    yield from findings or [ok("plain text is taken; retries last longer than the time window")]


def _queues(context: Context, host: _Host) -> Iterator[Finding]:
    encoding = host.get(f"{_QUEUES}messageencoding")
    if encoding is None or str(encoding.value).lower() != "none":
        yield failed(
            f"messageEncoding is {encoding.value if encoding else 'base64'}: the host moves "
            "messages in plain text to the poison queue without running the function; expected "
            "none",
            *_restore(context, host, "messageEncoding", "none"),
        )
    for path, found in host.items():
        known = {name.lower() for name in (*_OPTIONS, "messageEncoding")}
        if path.startswith(_QUEUES) and path.removeprefix(_QUEUES) not in known:
            meant = get_close_matches(found.name, _OPTIONS, n=1)
            hint = f"; did you mean {meant[0]}?" if meant else ""
            text = f"the host ignores {found.name} of extensions.queues{hint}"
            yield warning(text, *_remove(context, found))
    values: dict[str, Any] = {}
    for name, option in _OPTIONS.items():
        given = host.get(f"{_QUEUES}{name.lower()}")
        written = given.value if given else option.default
        values[name] = _parse(written, option)
        if values[name] is None:
            yield failed(
                f"{name} is {written!r}{_reading(written, option)}: expected {option.expected}; "
                "otherwise the host runs no function",
                *_restore(context, host, name, option.ours),
            )
    if None not in values.values():
        yield from _retries(context, host, values)


def _retries(context: Context, host: _Host, values: Mapping[str, Any]) -> Iterator[Finding]:
    visibility, count = values["visibilityTimeout"], values["maxDequeueCount"]
    settings = context.settings
    window = settings.time_window if settings else _MAX_WINDOW
    if count * visibility <= window.past + window.future:
        yield failed(
            f"maxDequeueCount {count} × visibilityTimeout {visibility} is {count * visibility}: "
            "points that are retried reach the poison queue before their time window of "
            f"{window.past + window.future} has passed",
            *(
                line
                for name in ("maxDequeueCount", "visibilityTimeout")
                if values[name] != _parse((option := _OPTIONS[name]).ours, option)
                for line in _restore(context, host, name, option.ours)
            ),
        )
    elif settings and visibility != settings.retry_delay:
        shown = str(visibility).rjust(8, "0")
        yield warning(
            f"visibilityTimeout is {shown} in host.json, but what the app itself puts back stays "
            f"invisible for {settings.retry_delay}",
            "# Use the app setting, which both obey:",
            *context.fixes.set(f"{PREFIX}extensions__queues__visibilityTimeout", shown),
        )
    if values["maxPollingInterval"] > timedelta(minutes=1):
        yield warning(
            f"maxPollingInterval is {values['maxPollingInterval']}: a message in an idle queue may "
            "wait as long; expected 00:00:02",
            *_restore(context, host, "maxPollingInterval", "00:00:02"),
        )


def _host(context: Context, host: _Host) -> Iterator[Finding]:
    version = host.get("version")
    if version is None or version.value != "2.0":
        yield failed('version is not "2.0"', '# In host.json, set "version": "2.0".')
    timeout = host.get("functiontimeout")
    span = parse_time_span(timeout.value) if timeout else None
    if timeout and span is None:
        text = f"functionTimeout is {timeout.value!r}: expected hh:mm:ss, or -1 for no limit"
        yield failed(text, *_remove(context, timeout))
    elif timeout and span and timedelta() < span < _MIN_FUNCTION_TIMEOUT:
        yield failed(
            f"functionTimeout is {timeout.value}: it ends invocations that wait for an answer, "
            "whose points are then counted twice; expected at least 00:01:30",
            *_remove(context, timeout),
        )
    elif timeout and span and span >= timedelta(days=1):
        text = f"functionTimeout is {timeout.value!r}, which .NET reads as {span}"
        yield warning(text, *_remove(context, timeout))
    retry = next((host[path] for path in host if path.startswith("retry:")), None)
    if retry:
        yield warning(
            "retry is set: it repeats an invocation within the host, in place of the queue's "
            "visibilityTimeout and maxDequeueCount",
            *_remove(context, retry._replace(name="retry")),
        )
    bundle = host.get("extensionbundle:version")
    lowest = re.match(r"[\[(]\s*(\d+)", str(bundle.value)) if bundle else None
    if lowest is None or int(lowest[1]) < _MIN_BUNDLE:
        yield failed(
            f"extensionBundle is {bundle.value if bundle else 'missing'}: without a bundle there "
            "is no queue trigger, and before version 3 no messageEncoding",
            '# In host.json, set "extensionBundle": {"id": '
            '"Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}',
        )
    listed = [host[path].value for path in host if path.startswith("functions:")]
    missing = [name for name in FUNCTIONS if name not in listed] if listed else []
    if missing:
        text = f"functions does not list {' and '.join(missing)}, so the host does not run it"
        yield failed(text, '# In host.json, remove "functions".')


def _parse(written: object, option: _Option) -> Any:
    """Return the value, or None if the host refuses it."""
    value: Any
    if isinstance(option.minimum, timedelta):
        value = parse_time_span(written)
    else:
        whole = not isinstance(written, bool) and re.fullmatch(r"\s*[+-]?\d{1,10}\s*", str(written))
        value = int(str(written)) if whole else None
    return value if value is not None and option.minimum <= value <= option.maximum else None


def _reading(written: object, option: _Option) -> str:
    """Say what .NET makes of a time span that has become days."""
    span = parse_time_span(written) if isinstance(option.minimum, timedelta) else None
    return f", which .NET reads as {span}" if span and span.days > 0 else ""


def _restore(context: Context, host: _Host, name: str, ours: str) -> list[str]:
    """Give an option the value that it has in the host.json of this project."""
    found = host.get(f"{_QUEUES}{name.lower()}")
    if found and found.setting:
        return context.fixes.unset(found.setting)
    lines = [f"# In host.json, set extensions.queues.{name} to {ours}."]
    if context.fixes.home is Home.APP:
        setting = f"{PREFIX}extensions__queues__{name}"
        lines += ["# Or for this app alone:", *context.fixes.set(setting, ours)]
    return lines


def _remove(context: Context, value: Value) -> list[str]:
    if value.setting:
        return context.fixes.unset(value.setting)
    return [f"# In host.json, remove {value.name}."]

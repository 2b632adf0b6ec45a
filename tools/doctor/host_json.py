"""host.json: values that would lose points, or hold them up; docs/host.md says what is right.

An app setting `AzureFunctionsJobHost__…` replaces a value, and is looked at as if it stood there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from local.functions.errors import ConfigurationError as HostError
from local.functions.host_json import QueueOptions, read, read_document
from shared.model import TimeWindow
from tools.doctor.findings import Finding, failed, ok, warning
from tools.doctor.patient import Patient

__all__ = ["check"]

_PREFIX = "AzureFunctionsJobHost__"
_QUEUES = "extensions__queues__"
# The longest window that the settings allow, where they cannot be read.
_LONGEST = TimeWindow(timedelta(minutes=30), timedelta(minutes=5))
# Seconds: an invocation retries for 20, and waits 30 for the last answer; a tick takes 40.
_LEAST_TIMEOUT = 90
# The first extension bundle with the version of the queue extension that knows messageEncoding.
_LEAST_BUNDLE = 3
_FUNCTIONS = {"drain_metrics", "sample_sources"}
# Values of host.json as it is delivered, and as numbers; see docs/host.md.
_OURS: Mapping[str, tuple[str, float]] = {
    "messageEncoding": ("none", 0),
    "maxPollingInterval": ("00:00:02", 2),
    "visibilityTimeout": ("00:00:30", 30),
    "maxDequeueCount": ("90", 90),
    "functionTimeout": ("00:10:00", 600),
}
_FETCH = "git checkout -- host.json"
_PUT_ASIDE = (
    "# Puts the changes to the file aside; git stash pop brings them back.",
    "git stash push -- host.json",
)


def check(patient: Patient) -> Iterator[Finding]:
    """Look at host.json in the project folder, and at what app settings replace of it."""
    file = patient.options.project / "host.json"
    if not file.exists():
        yield failed(f"there is no {file}: is this the project's folder?", _FETCH)
        return
    try:
        queues = read(patient.options.project, patient.environ)
        document = read_document(file)
    except HostError as exc:
        yield failed(str(exc), *_mend(str(exc), patient))
        return
    window = patient.settings.time_window if patient.settings else _LONGEST
    found = [
        *_of_queues(queues, window, patient),
        *_of_host(_replaced(document, patient.environ), patient),
    ]
    yield from found
    if not found:
        given_up = timedelta(seconds=queues.max_dequeue_count * queues.visibility_timeout)
        yield ok(
            f"takes plain text; tries for {given_up}, longer than the window of "
            f"{window.past + window.future}"
        )


def _of_queues(queues: QueueOptions, window: TimeWindow, patient: Patient) -> Iterator[Finding]:
    if queues.message_encoding != "none":
        yield failed(
            f"messageEncoding is {queues.message_encoding}: a message in plain text goes to the "
            "poison queue without the function ever running; expected none",
            *_mended("messageEncoding", patient),
        )
    tried = timedelta(seconds=queues.max_dequeue_count * queues.visibility_timeout)
    needed = window.past + window.future
    if tried <= needed:
        yield failed(
            f"maxDequeueCount {queues.max_dequeue_count} × visibilityTimeout "
            f"{timedelta(seconds=queues.visibility_timeout)} is {tried}: points that wait go to "
            f"the poison queue before their window of {needed} has passed",
            *(
                line
                for name, value in (
                    ("maxDequeueCount", queues.max_dequeue_count),
                    ("visibilityTimeout", queues.visibility_timeout),
                )
                if value != _OURS[name][1]
                for line in _mended(name, patient)
            ),
        )
    settings = patient.settings
    if settings and queues.visibility_timeout != settings.retry_delay.total_seconds():
        name = f"{_PREFIX}{_QUEUES}visibilityTimeout"
        shown = str(timedelta(seconds=queues.visibility_timeout)).rjust(8, "0")
        yield warning(
            f"visibilityTimeout is {shown} in host.json; what the app puts back stays unseen for "
            f"{settings.retry_delay}: only the app setting {name} changes both",
            patient.commands.set(name, shown),
        )
    if queues.max_polling_interval > 60:
        yield warning(
            f"maxPollingInterval is {timedelta(seconds=queues.max_polling_interval)}: a message "
            "may wait as long before it is seen; expected 00:00:02",
            *_mended("maxPollingInterval", patient),
        )


def _of_host(document: Mapping[str, Any], patient: Patient) -> Iterator[Finding]:
    timeout = _member(document, "functionTimeout")
    seconds = _seconds(timeout)
    if seconds is not None and 0 < seconds < _LEAST_TIMEOUT:
        yield failed(
            f"functionTimeout is {timeout}: it ends invocations that still wait for an answer, "
            "whose points are then counted twice; expected at least 00:01:30",
            *_mended("functionTimeout", patient, section=""),
        )
    if _member(document, "retry") is not None:
        yield warning(
            "retry is set: it repeats an invocation in place of the queue, whose visibilityTimeout "
            "and maxDequeueCount see to that",
            *_mend("retry", patient),
        )
    bundle = _member(document, "extensionBundle")
    version = str(_member(bundle, "version") or "") if isinstance(bundle, dict) else ""
    lowest = re.match(r"[\[(]\s*(\d+)", version)
    if lowest is None or int(lowest[1]) < _LEAST_BUNDLE:
        yield failed(
            f"extensionBundle is {version or 'missing'}: without a bundle the queue trigger is not "
            "there, and before version 3 it knows no messageEncoding; expected [4.*, 5.0.0)",
            *_mend("extensionBundle", patient),
        )
    only = _member(document, "functions")
    missing = sorted(_FUNCTIONS - set(only)) if isinstance(only, list) else []
    if missing:
        yield failed(
            f"functions leaves out {' and '.join(missing)}, so it does not run",
            *_mend("functions", patient),
        )


def _replaced(document: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The top members of the document, with those that app settings replace."""
    replaced = dict(document)
    for name, value in environ.items():
        member = name[len(_PREFIX) :]
        if name.startswith(_PREFIX) and "__" not in member:
            replaced[member] = value
    return replaced


def _member(document: Mapping[str, Any], name: str) -> Any:
    """A member; .NET compares their names without case."""
    return next((value for key, value in document.items() if key.lower() == name.lower()), None)


def _seconds(span: Any) -> float | None:
    """Seconds of a time span hh:mm:ss; None for what is none, such as -1 for no end."""
    parts = re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2})", span) if isinstance(span, str) else None
    if parts is None:
        return None
    hours, minutes, seconds = map(int, parts.groups())
    return (hours * 60.0 + minutes) * 60 + seconds


def _mended(name: str, patient: Patient, section: str = _QUEUES) -> list[str]:
    """How to bring a value back: as it stands in host.json, or by an app setting."""
    setting, (value, _) = f"{_PREFIX}{section}{name}", _OURS[name]
    if setting in patient.environ:
        return [patient.commands.unset(setting)]
    return [
        f"# {name}: {value} in host.json; or, for this app alone:",
        patient.commands.set(setting, value),
    ]


def _mend(complaint: str, patient: Patient) -> list[str]:
    """Take the app setting away that replaces what is complained of, or restore the file."""
    replacing = [
        name
        for name in sorted(patient.environ)
        if name.startswith(_PREFIX)
        and (name[len(_PREFIX) :] == complaint or f".{name.rpartition('__')[2]}:" in complaint)
    ]
    return [patient.commands.unset(name) for name in replacing] or [*_PUT_ASIDE]

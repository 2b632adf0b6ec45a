"""This machine's clock against those of the services that have answered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tools.doctor.findings import Finding, failed, ok, skipped, warning
from tools.doctor.patient import Patient, needed

__all__ = ["check"]

# Seconds; a Date has no fraction, and the way takes some time too.
_MUCH = 60.0
_REMEDY = (
    "# Linux, with systemd; on Windows: w32tm /resync",
    "sudo timedatectl set-ntp true",
)


def check(patient: Patient) -> Iterator[Finding]:
    """The greatest difference, against the window that the store takes values of."""
    settings = needed(patient.settings, "settings")
    clocks = list(patient.clocks)
    issued = patient.claims.issued if patient.claims else None
    # A token that was kept is old; one from the future tells of a clock that is behind.
    if issued is not None and issued > (now := patient.now().timestamp()):
        clocks.append(("the identity", now - issued))
    if not clocks:
        yield skipped("nobody answered who could tell the time")
        return
    whose, ahead = max(clocks, key=lambda clock: abs(clock[1]))
    way = "ahead of" if ahead > 0 else "behind"
    apart = timedelta(seconds=round(abs(ahead)))
    found = f"this machine is {apart} {way} {whose}"
    limit = settings.time_window.future if ahead > 0 else settings.time_window.past
    if apart > limit:
        yield failed(f"{found}: the store refuses what it stamps ({limit} at the most)", *_REMEDY)
    elif apart.total_seconds() > _MUCH:
        yield warning(found, *_REMEDY)
    else:
        yield ok(f"this machine and {whose} agree, to {apart.seconds or 1} s")

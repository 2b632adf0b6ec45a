"""What of a letter would be taken if it came now, and what would be refused again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.errors import ValidationError
from shared.messages.body import MAX_BODY_BYTES
from shared.messages.parser import MessageParser
from shared.messages.validation import Defaults
from shared.messages.writer import queued_size
from shared.model import Reason
from shared.resource_ids import is_in_scopes
from shared.settings import Settings
from tools.dead_letter.finding import Found
from tools.dead_letter.letters import Entry, entry_of, write_letter
from tools.ingress import Queues
from tools.pieces import Bundle, Piece, take_apart
from tools.wording import general

__all__ = ["Plan", "Rules", "rules_of"]

_CUT = "cannot be replayed: it was too long for a dead letter, which has only its beginning"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the app that decide what it takes."""

    parser: MessageParser
    allowed_scopes: tuple[str, ...] = ()


def rules_of(settings: Mapping[str, str], queues: Queues) -> Rules:
    """Read the rules from the app settings. Raises ConfigurationError."""
    names = {"METRICS_QUEUE": queues.ingress, "METRICS_DEAD_LETTER_QUEUE": queues.dead_letter}
    # Where the queues are is known already; Settings asks for it too.
    known = Settings.from_env({**settings, **names, "MetricsStorage": "UseDevelopmentStorage=true"})
    defaults = Defaults(known.namespace, known.resource_id)
    return Rules(MessageParser(defaults, known.time_window), known.allowed_scopes)


@dataclass(slots=True)
class Plan:
    """What a replay does with a letter: puts pieces back, leaves entries."""

    found: Found
    pieces: list[Piece] = field(default_factory=list)  # To be put back.
    touched: list[Entry] = field(default_factory=list)  # Those they come from.
    left: list[Entry] = field(default_factory=list)  # What the letter holds afterwards.
    stay: Counter[str] = field(default_factory=Counter)  # Why -> points that stay, of the chosen.
    restamped: int = 0

    @classmethod
    def of(
        cls, found: Found, chosen: Sequence[Entry], rules: Rules, now: datetime, *, restamp: bool
    ) -> Plan:
        """Judge the chosen entries of a letter; the others are left."""
        plan = cls(found)
        if found.broken:
            plan.left = list(found.letter.entries)
            plan.stay[found.broken] += len(chosen)
            return plan
        ours = {id(entry) for entry in chosen}
        for entry in found.letter.entries:
            if id(entry) in ours:
                plan._judge(entry, rules, now, restamp=restamp)
            else:
                plan.left.append(entry)
        if plan.pieces and not plan._has_room(now):
            left = list(found.letter.entries)
            stay = Counter({"the letter has no room for the mark of a replay": len(plan.pieces)})
            return cls(found, left=left, stay=stay)
        return plan

    def marked(self, now: datetime) -> str:
        """The text of the letter that says what is being put back."""
        ours = {id(entry) for entry in self.touched}
        entries = [
            replace(entry, in_doubt=now) if id(entry) in ours else entry
            for entry in self.found.letter.entries
        ]
        return write_letter(self.found.letter, entries)

    def settled(self) -> str:
        """The text of the letter once its points are put back; there must be something left."""
        return write_letter(self.found.letter, self.left)

    def _has_room(self, now: datetime) -> bool:
        """Whether the letter stays under the limit of a message, whatever is written of it."""
        texts = [self.marked(now), *([self.settled()] if self.left else [])]
        return all(len(text.encode()) <= MAX_BODY_BYTES for text in texts)

    def _judge(self, entry: Entry, rules: Rules, now: datetime, *, restamp: bool) -> None:
        if entry.whole_bytes is not None:
            self.left.append(entry)
            self.stay[_CUT] += 1
            return
        enqueued = entry.enqueued or self.found.letter.time
        try:
            pieces = list(take_apart(entry.content))
        except ValidationError as exc:
            self.left.append(entry)
            self.stay[general(str(exc))] += 1
            return
        good: list[Piece] = []
        bad = Bundle()
        stay: Counter[str] = Counter()
        restamped = 0
        for piece in pieces:
            timed, why, reason = _judged(piece, enqueued, rules, now)
            if reason is Reason.EXPIRED and restamp:
                timed, why, _ = _judged(piece.at(now), enqueued, rules, now)
                restamped += not why
            if why:
                bad.add(piece)
                stay[general(why)] += 1
            else:
                good.append(timed)
        self.stay += stay
        self.restamped += restamped
        if not good:
            self.left.append(entry)
            return
        self.pieces += good
        self.touched.append(entry)
        if stay:
            self.left.append(replace(entry_of(entry, bad.write()), in_doubt=None))


def _judged(
    piece: Piece, enqueued: datetime, rules: Rules, now: datetime
) -> tuple[Piece, str, Reason | None]:
    """The piece with its time; why it would be refused, and as what, or two of nothing."""
    parsed = rules.parser.parse(piece.alone(), enqueued=enqueued, now=now)
    for rejection in parsed.rejections:
        return piece, rejection.detail, rejection.reason
    (rollup,) = parsed.rollups
    resource_id = rollup.target.resource_id
    if not is_in_scopes(resource_id, rules.allowed_scopes):
        why = f"{resource_id} is outside METRICS_ALLOWED_SCOPES"
        return piece, why, Reason.FORBIDDEN_SCOPE
    timed = piece.at(enqueued) if piece.time is None else piece
    if queued_size(timed.alone()) > MAX_BODY_BYTES:
        return piece, "with its time it is too long for a message", Reason.INVALID
    return timed, "", None

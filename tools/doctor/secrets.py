"""Takes secrets out of what is about to be shown: the words of others may quote a setting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tools.doctor.commands import inside, quoted

__all__ = ["redact"]

# Whole connection strings; what follows a name in a URL or a header; JSON Web Tokens.
_SHAPES = re.compile(
    r"[^\s'\"]*(?:Account|Shared|SharedAccess)(?:Key|Signature)=[^\s'\"]*"
    r"|(?P<name>\bsig=|\bBearer )[^\s;&'\"]+"
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",
    re.IGNORECASE,
)
_OF_SECRETS = re.compile(r"SECRET|PASSWORD|KEY|TOKEN|IDENTITY_HEADER", re.IGNORECASE)
# Shorter ones would be found in innocent words.
_LEAST = 8


def redact(text: str, environ: Mapping[str, str]) -> str:
    """The text without anything that looks like a secret, or is the value of a secret setting."""
    text = _SHAPES.sub(lambda found: f"{found['name'] or ''}…", text)
    for name, value in environ.items():
        if len(value) >= _LEAST and _OF_SECRETS.search(name):
            for form in _forms(value):
                text = text.replace(form, "…")
    return text


def _forms(value: str) -> Iterator[str]:
    """The value as it is, and as it may stand in a command."""
    yield value
    yield inside(value)
    yield value.replace("'", "'\"'\"'")  # As shlex writes it.
    if (escaped := quoted(value)).startswith("$'"):
        yield escaped[2:-1]

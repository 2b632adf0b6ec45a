"""The command line that goes on where one ended: with all options that one had."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource

from shared.clients.storage import may_be_secret

__all__ = ["again"]

# What is not so, or said anew, the next time.
_OTHERS = {"from_line"}
# Shown in the place of what may be a secret.
_VARIABLES = {"connection": '"$CONNECTION_STRING"', "account": '"$ACCOUNT"'}


def again(context: click.Context) -> str:
    """The command and its options, without FILE, for a shell."""
    words = ["python -m tools", context.info_name or ""]
    for option in context.command.params:
        name = option.name or ""
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not typed or name in _OTHERS or not isinstance(option, click.Option):
            continue
        words.append(option.opts[0])
        if not option.is_flag:
            words.append(_shown(name, str(context.params[name])))
    return " ".join(words)


def _shown(name: str, value: str) -> str:
    if name in _VARIABLES and may_be_secret(value):
        return _VARIABLES[name]
    return shlex.quote(value)

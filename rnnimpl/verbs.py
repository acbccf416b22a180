"""Verbs of a command line whose help describes values alone: a flag has none, and Python's types are nobody's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperArgument, TyperGroup


class PlainVerbs(TyperGroup):
    """Verbs with a help in which no option is described as `<bool>`, nor an argument by a type beside its name."""

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # typer's signature
        """The verb of this name, with such a help."""
        verb: Any = super().get_command(ctx, cmd_name)
        if verb is not None:
            _describe_values_alone([*verb.params, verb.get_help_option(ctx)])
        return verb

    def get_help_option(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # as above
        """The option --help, and with it all others of the program itself."""
        option: Any = super().get_help_option(ctx)
        _describe_values_alone([*self.params, option])
        return option


def _describe_values_alone(parameters: Sequence[Any]) -> None:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif isinstance(parameter, TyperArgument):
            # Its name in the help is its form already.
            parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005

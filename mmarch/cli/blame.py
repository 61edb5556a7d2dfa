"""Which option an error is about: those who find a value wrong do not know where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperOption

from mmarch.errors import InputError

if TYPE_CHECKING:
    import typer


class Command(TyperCommand):
    """A command whose errors say which option they are about."""

    def invoke(self, ctx: Any) -> Any:
        """As ever."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            if place := _place(ctx, error):
                error.args = (f"{place}: {error}",)
            raise


def blamed(app: typer.Typer) -> typer.Typer:
    """The same, with such commands."""
    for info in app.registered_commands:
        info.cls = Command
    return app


def _place(context: typer.Context, error: InputError) -> str:
    """`--release`, `-c 'release=9'`, or empty if the value came from none."""
    parameter = error.parameter
    options = {item.name: item for item in context.command.params if isinstance(item, TyperOption)}
    if error.configuration in options and parameter == "release":  # --from and --to
        parameter = error.configuration
    elif text := _configuration(context, error):
        return f"-c {text!r}"
    if parameter not in options:
        return ""
    name = max(options[parameter].opts, key=len)
    source = context.get_parameter_source(parameter)
    if source and source.name == "DEFAULT_MAP":
        return f"{context.params['config']}, {name.removeprefix('--')}"
    return name if source and source.name != "DEFAULT" else ""


def _configuration(context: typer.Context, error: InputError) -> str:
    """The text of the configuration in which the value was given."""
    from mmarch.cli.configurations import parse_all

    texts = context.params.get("configuration") or []
    if error.configuration and len(texts) > 1:
        for text, (name, given) in zip(texts, parse_all(texts).items(), strict=True):
            if name == error.configuration and error.parameter in given:
                return str(text)
    return ""

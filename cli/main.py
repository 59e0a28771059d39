"""dlhw: a subcommand for each experiment, and a few that read what experiments left."""

from __future__ import annotations

import difflib
import gc
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import check, compare, experiment, report, signals, stored, tools, watch
from dlhw.errors import SYSTEM_REFUSES, DlhwWarning, RunError, UserError
from dlhw.runs import experiment as registry
from dlhw.runs.flags import with_flags
from dlhw.version import __version__


class _Group(TyperGroup):
    """Experiments are found in their folder and loaded only when named; errors are one line."""

    options: set[str] | None = None
    """Names of the arguments of the command that runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*registry.names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        listed = cmd_name in registry.names()
        return experiment.command(cmd_name, whole=False) if listed else super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in registry.names():
            command = experiment.command(args[0], whole=True)
            self.options = _names(command)
            return args[0], command, args[1:]
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}"
            raise UserError(f"no command {args[0]!r}; {hint}")
        name, command, others = super().resolve_command(ctx, args)
        self.options = None if command is None else _names(command)
        return name, command, others

    def main(  # type: ignore[override]
        self, args: Any = None, prog_name: str | None = None, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        # Imports make half a million objects that live to the end. The collector would walk through them again and
        # again, for a tenth of the time to start; an experiment turns it on once they are made.
        collecting = gc.isenabled()
        gc.disable()
        try:
            warnings.formatwarning = _format_warning
            with signals.terminable():
                status = super().main(args, prog_name, standalone_mode=False, **extra) or 0
                sys.stdout.flush()
            if status == signals.INTERRUPTED:  # Typer turns Ctrl-C into this status, without a word
                raise KeyboardInterrupt
            sys.exit(status)
        except UserError as error:
            _fail(str(error), options=self.options)
        except RunError as error:
            _fail(str(error), status=1, options=self.options)
        except (KeyboardInterrupt, typer.Abort):
            what, status = signals.cause()
            _fail(f"{what}; finished trainings are stored, and the same command resumes from them", status=status)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(1)
        except OSError as error:
            if error.errno not in SYSTEM_REFUSES:
                raise
            sys.stdout = None  # which may be the file that cannot be written
            _fail(f"{error.filename or 'output'} cannot be read or written: {error.strerror}", status=1)
        except Exception as error:
            if not hasattr(error, "format_message"):  # a usage error of the parser, whichever click Typer carries
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                sys.exit(2)
            _fail(" ".join(error.format_message().split()))
        finally:
            warnings.formatwarning = _format_of_python
            if collecting:
                gc.freeze()  # nor need it walk through them as the process ends
                gc.enable()


def _names(command: Any) -> set[str]:
    """Return the names by which messages call the arguments of a command: those of its options, and of parameters."""
    flags = {flag.lstrip("-").replace("-", "_") for p in command.params for flag in (*p.opts, *p.secondary_opts)}
    return flags | {p.name for p in command.params if p.name}


_format_of_python = warnings.formatwarning


def _format_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
    """Return a warning of dlhw as one line; those of other packages name the line of code, as Python does."""
    is_ours = issubclass(category, DlhwWarning)
    return f"dlhw: {with_flags(str(message))}\n" if is_ours else _format_of_python(message, category, *where, **more)


def _fail(message: str, status: int = 2, options: set[str] | None = None) -> None:
    print(f"dlhw: {with_flags(message, options)}", file=sys.stderr)
    sys.exit(status)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="How deep networks learn, measured: the classic experiments, one command each.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dlhw {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


_TOOLS: dict[str, Callable[..., None]] = {
    "design": tools.design,
    "data": tools.data,
    "devices": tools.devices,
    "measure": tools.measure,
    "list": stored.list_runs,
    "show": stored.show,
    "draw": stored.draw,
    "watch": watch.watch,
    "check": check.check,
    "report": report.report,
    "compare": compare.compare,
}
for _name, _function in _TOOLS.items():
    app.command(name=_name, rich_help_panel="Tools")(_function)

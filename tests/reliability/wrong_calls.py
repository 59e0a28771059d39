"""Wrong calls of every command and option, generated from the commands themselves; run as a program, it makes them.

In one process that cannot import TensorFlow. One line of JSON on stdout for each call.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path


def calls() -> list[list[str]]:
    """Return the words of every call."""
    import click
    import typer

    from cli.main import app

    group = typer.main.get_command(app)
    context = click.Context(group)
    result = [["nothing"], ["simulat"], ["--nothing"]]
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        result += [[name, "--nothing"], [name, "--nothing", "3"], [name, "--json=perhaps"]]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        if arguments and name not in ("sweep", "sweep-batch"):
            result += [[name, "missing"], [name, "", ""], [name]]
        elif name not in ("sweep", "sweep-batch"):
            result.append([name, "surplus"])
        for option in command.params:
            if option.param_type_name != "option" or option.is_flag:
                continue
            flag, metavar = option.opts[0], str(option.metavar or "")
            result.append([name, flag])
            if metavar in ("<int>", "<float>"):
                result += [[name, flag, word] for word in ("many", "", "1,5", "1e")]
                result += [[name, flag, "1.5"]] if metavar == "<int>" else [[name, flag, "0x10"]]
            elif "|" in metavar:
                result += [[name, flag, word] for word in ("nothing", "")]
    for name in ("simulate", "classify", "trajectory", "gradient-norm", "random-labels", "sweep-params", "interpolate"):
        for flag in ("--epochs", "--seeds", "--learning-rate"):
            result += [[name, flag, "0"], [name, flag, "-1"]]
        result += [[name, "--learning-rate", "nan"], [name, "--learning-rate", "inf"], [name, "--name", "../up"]]
        result += [[name, "--optimizer", "sdg"], [name, "--activation", "relo"], [name, "--init", "zero"]]
        result += [[name, "--out", "/dev/null/runs"], [name, "--jobs", "0"], [name, "--jobs", "-2"]]
    result += [["sweep-batch", *sizes] for sizes in (("0",), ("-1",), ("64", "64"), ("x",), ("64", "1.5"))]
    result += [
        ["sweep", "1", "1"],
        ["sweep", "1"],
        ["sweep", "--over", "widht"],
        ["sweep", "x", "1"],
        ["sweep", "-1", "1"],
    ]
    result += [["design", "--params", "0"], ["design", "--layers", "0"], ["design", "--inputs", "0"]]
    result += [["report", "--only", "nothing"], ["report", "--data", "nothing"], ["report", "--from-runs", "missing"]]
    result += [["simulate", "--func", "__import__('os')"], ["simulate", "--func", "sin("], ["simulate", "--func", ""]]
    result += [["landscape", "--of", "missing.keras"], ["measure", "missing.keras"], ["draw", "missing"]]
    return result


def main() -> None:
    """Make every call in an empty folder."""
    for name in ("tensorflow", "keras"):
        sys.modules[name] = None
    sys.argv[0] = "dlhw"
    from cli.main import app

    for words in calls():
        out, err, began, status = io.StringIO(), io.StringIO(), time.perf_counter(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                app(words)
            except SystemExit as ended:
                status = ended.code
            except BaseException as error:
                status = f"{type(error).__name__}: {error}"
        seconds, written = time.perf_counter() - began, sorted(str(p) for p in Path().rglob("*"))
        print(json.dumps([words, status, err.getvalue(), out.getvalue(), seconds, written]))


if __name__ == "__main__":
    main()

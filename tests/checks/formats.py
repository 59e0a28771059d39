"""Writers of one table in every format that `dlhw check` reads."""

from __future__ import annotations

import csv
import io
import json

import numpy as np


def separated(delimiter, *, decimal=".", bom=False, quote=csv.QUOTE_MINIMAL, ending="\n", before="", encoding="utf-8"):
    """Return a writer of text with a delimiter."""

    def write(path, columns):
        file = io.StringIO()
        writer = csv.writer(file, delimiter=delimiter, quoting=quote, lineterminator=ending)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([repr(float(v)).replace(".", decimal) for v in row])
        text = before + file.getvalue()
        path.write_bytes((("\ufeff" if bom else "") + text).encode(encoding))
        return path

    return write


def transposed(path, columns):
    """One row per quantity."""
    path.write_text("".join(",".join([name, *map(repr, map(float, v))]) + "\n" for name, v in columns.items()))
    return path


def long(path, columns):
    """One row per number, with the name of its quantity."""
    x, *others = columns
    rows = [(columns[x][k], name, columns[name][k]) for name in others for k in range(len(columns[x]))]
    path.write_text(f"{x},variable,value\n" + "".join(f"{float(a)!r},{n},{float(v)!r}\n" for a, n, v in rows))
    return path


def dict_of_lists(path, columns):
    """JSON by column."""
    path.write_text(json.dumps({name: list(map(float, v)) for name, v in columns.items()}))
    return path


def records(path, columns):
    """JSON by row."""
    rows = [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
    path.write_text(json.dumps(rows))
    return path


def of_pandas(path, columns):
    """JSON as `DataFrame.to_json` writes it."""
    path.write_text(json.dumps({n: {str(k): float(x) for k, x in enumerate(v)} for n, v in columns.items()}))
    return path


def split_of_pandas(path, columns):
    """JSON as `DataFrame.to_json(orient="split")` writes it."""
    rows = [list(map(float, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text(json.dumps({"columns": list(columns), "index": list(range(len(rows))), "data": rows}))
    return path


def nested(path, columns):
    """JSON one level deeper."""
    path.write_text(json.dumps({"first try": {name: list(map(float, v)) for name, v in columns.items()}}))
    return path


def npz(path, columns):
    """Arrays by name."""
    np.savez(path, **{name: np.asarray(v, float) for name, v in columns.items()})
    return path


def structured(path, columns):
    """One structured array."""
    array = np.zeros(len(next(iter(columns.values()))), [(name, "f8") for name in columns])
    for name, values in columns.items():
        array[name] = values
    np.save(path, array)
    return path


def savetxt(path, columns):
    """What `numpy.savetxt` writes, the header a comment."""
    np.savetxt(path, np.array(list(columns.values())).T, fmt="%r", header=" ".join(columns))
    return path


def html(columns, *, index=None):
    """A table as pandas shows it; index: the column that is the index."""
    names = [name for name in columns if name != index]
    head = "".join(f"<th>{name}</th>" for name in names)
    second = f"<tr><th>{index}</th>{'<th></th>' * len(names)}</tr>" if index else ""
    body = ""
    for k in range(len(next(iter(columns.values())))):
        label = columns[index][k] if index else k
        cells = "".join(f"<td>{float(columns[name][k])!r}</td>" for name in names)
        body += f"<tr><th>{label}</th>{cells}</tr>"
    top = f'<thead><tr style="text-align: right;"><th></th>{head}</tr>{second}</thead>'
    return f'<div><style scoped>.a {{}}</style><table border="1">{top}<tbody>{body}</tbody></table></div>'


def plain(columns, *, index=None):
    """The same as `DataFrame.to_string` prints it."""
    names = [name for name in columns if name != index]
    labels = [str(columns[index][k]) if index else str(k) for k in range(len(next(iter(columns.values()))))]
    texts = {name: [repr(float(v)) for v in columns[name]] for name in names}
    widths = {name: max(len(name), *map(len, texts[name])) for name in names}
    wide = max(len(label) for label in [*labels, index or ""])
    lines = [" " * wide + "".join("  " + name.rjust(widths[name]) for name in names)]
    lines += [index.ljust(wide) + " " * sum(w + 2 for w in widths.values())] if index else []
    for k, label in enumerate(labels):
        lines.append(label.ljust(wide) + "".join("  " + texts[name][k].rjust(widths[name]) for name in names))
    return "\n".join(lines) + "\n"


def markdown(columns):
    """A table between bars."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---:|" * len(columns)]
    lines += ["| " + " | ".join(repr(float(v)) for v in row) + " |" for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines) + "\n"


def notebook(path, *outputs):
    """A notebook with one cell per output: a text that was printed, {"html": ...}, or {"plain": ...}."""
    cells = [{"cell_type": "markdown", "source": ["# Title"]}]
    for output in outputs:
        if isinstance(output, str):
            made = [{"output_type": "stream", "name": "stdout", "text": output.splitlines(keepends=True)}]
        else:
            data = {"text/html": output.get("html", ""), "text/plain": output.get("plain", "")}
            made = [{"output_type": "execute_result", "data": {k: v for k, v in data.items() if v}, "metadata": {}}]
        cells.append({"cell_type": "code", "source": ["raise SystemExit"], "outputs": made, "execution_count": 1})
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    return path


def in_html(path, columns):
    """A notebook that shows a data frame."""
    return notebook(path, {"html": html(columns), "plain": plain(columns)})


def in_text(path, columns):
    """A notebook that prints a data frame."""
    return notebook(path, plain(columns))


def in_markdown(path, columns):
    """A notebook that prints a table between bars."""
    return notebook(path, markdown(columns))


def in_dict(path, columns):
    """A notebook that shows a dict of lists."""
    return notebook(path, {"plain": repr({name: list(map(float, v)) for name, v in columns.items()})})


def in_lists(path, columns):
    """A notebook that prints lists with their names."""
    return notebook(path, "".join(f"{name}: {list(map(float, v))}\n" for name, v in columns.items()))


FORMATS = {
    "commas": ("csv", separated(",")),
    "quotes": ("csv", separated(",", quote=csv.QUOTE_ALL)),
    "mark of UTF-8": ("csv", separated(",", bom=True, ending="\r\n")),
    "UTF-16": ("csv", separated("\t", encoding="utf-16")),
    "comments": ("csv", separated(",", before="# made by hand\n# twice\n\n")),
    "semicolons": ("csv", separated(";")),
    "decimal commas": ("csv", separated(";", decimal=",")),
    "tabs": ("tsv", separated("\t")),
    "tabs and decimal commas": ("txt", separated("\t", decimal=",")),
    "spaces": ("dat", separated(" ")),
    "transposed": ("csv", transposed),
    "long": ("csv", long),
    "savetxt": ("txt", savetxt),
    "dict of lists": ("json", dict_of_lists),
    "records": ("json", records),
    "pandas": ("json", of_pandas),
    "pandas, split": ("json", split_of_pandas),
    "nested": ("json", nested),
    "npz": ("npz", npz),
    "structured": ("npy", structured),
    "notebook, html": ("ipynb", in_html),
    "notebook, text": ("ipynb", in_text),
    "notebook, bars": ("ipynb", in_markdown),
    "notebook, dict": ("ipynb", in_dict),
    "notebook, lists": ("ipynb", in_lists),
}

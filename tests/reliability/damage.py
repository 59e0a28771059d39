"""Kinds of damage to a stored run, generated from a whole one."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dlhw.runs import record_file
from dlhw.storage import archives

Damage = Callable[[Path], object]
KINDS: dict[str, Damage] = {}


def record_of(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def sealed(run: Path, record: dict) -> None:
    """Write a record with the digests that belong to it, as a program would that knows them."""
    if isinstance(record.get("digests"), dict):
        record["digests"]["arrays.npz"] = record_file.files.digest((run / "arrays.npz").read_bytes())
        record["digests"]["record"] = record_file._digest(record)
    (run / "run.json").write_text(json.dumps(record))


def text(data: str | bytes) -> Damage:
    return lambda run: (run / "run.json").write_bytes(data if isinstance(data, bytes) else data.encode())


def part(data: Callable[[bytes], bytes], file: str = "run.json") -> Damage:
    return lambda run: (run / file).write_bytes(data((run / file).read_bytes()))


def changed(change: Callable[[dict], object], *, seal: bool = False) -> Damage:
    def damage(run):
        record = record_of(run)
        change(record)
        sealed(run, record) if seal else (run / "run.json").write_text(json.dumps(record))

    return damage


def arrays(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], *, seal: bool = True) -> Damage:
    """Other arrays in the file, with the digest that belongs to them unless seal is False."""

    def damage(run):
        np.savez_compressed(run / "arrays.npz", **change(archives.read_arrays(run / "arrays.npz")))
        if seal:
            sealed(run, record_of(run))

    return damage


def header(shape: tuple[int, ...], dtype: str = "<f8", data: bytes = b"") -> Damage:
    """An array whose header claims what is not there."""

    def damage(run):
        stored = archives.read_arrays(run / "arrays.npz")
        with zipfile.ZipFile(run / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in stored.items():
                buffer = io.BytesIO()
                if name == "loss":
                    described = {"descr": dtype, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(buffer, described)
                    buffer.write(data)
                else:
                    np.lib.format.write_array(buffer, array)
                archive.writestr(f"{name}.npy", buffer.getvalue())
        sealed(run, record_of(run))

    return damage


def replaced_by_folder(name: str) -> Damage:
    def damage(run):
        (run / name).unlink()
        (run / name).mkdir()

    return damage


def delete(key: str) -> Callable[[dict], object]:
    return lambda record: record.pop(key)


def put(value: object, *path: str) -> Callable[[dict], object]:
    def change(record):
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return change


SECTIONS = ("schema", "experiment", "settings", "environment", "numbers", "result", "digests")
DEEP = "[" * 100_000 + "]" * 100_000

KINDS |= {
    "empty record": text(""),
    "record of another format": text("a: 1\nb: 2\n"),
    "binary record": text(bytes(range(256))),
    "record of half its length": part(lambda data: data[: len(data) // 2]),
    "record without its last bracket": part(lambda data: data.rstrip()[:-1]),
    "record is a list": text("[]"),
    "record is a number": text("3"),
    "record is null": text("null"),
    "record nested deeply": text(DEEP),
    "settings nested deeply": part(
        lambda data: data.replace(b'"settings": {', b'"settings": ' + DEEP.encode() + b', "x": {')
    ),
    "nan in the record": part(lambda data: data.replace(b'"epochs": 3', b'"epochs": NaN')),
    "record is a folder": replaced_by_folder("run.json"),
    "no record": lambda run: (run / "run.json").unlink(),
}
KINDS |= {f"no {key}": changed(delete(key)) for key in SECTIONS}
KINDS |= {
    f"{key} is {json.dumps(value)}": changed(put(value, key), seal=True)
    for key in ("settings", "environment", "numbers", "result", "digests")
    for value in ([], 7, "x", None)
}
KINDS |= {f"schema {json.dumps(v)}": changed(put(v, "schema"), seal=True) for v in (0, 3, "2", None, 1.5, True)}
KINDS |= {f"experiment {json.dumps(v)}": changed(put(v, "experiment"), seal=True) for v in (7, [], "nothing", "", None)}
KINDS |= {
    "another experiment": changed(put("trajectory", "experiment"), seal=True),
    "a setting changed": changed(put(4, "settings", "epochs")),
    "a setting of another type": changed(put("many", "settings", "epochs"), seal=True),
    "an unknown setting": changed(put(1, "settings", "depth"), seal=True),
    "seeds of another run": changed(put(3, "settings", "seeds"), seal=True),
    "nets of another run": changed(put(["2", "3", "4"], "settings", "models"), seal=True),
    "a number changed": changed(put(0.5, "numbers", "nets")),
    "seconds changed": changed(put([1.0, 2.0], "result", "seconds")),
    "seconds of fewer nets": changed(put([1.0], "result", "seconds"), seal=True),
    "seconds in words": changed(put(["one", "two"], "result", "seconds"), seal=True),
    "no seconds": changed(lambda record: record["result"].pop("seconds"), seal=True),
    "another value in the result": changed(put(1, "result", "more"), seal=True),
    "device changed": changed(put("GPU", "environment", "device")),
    "no device": changed(lambda record: record["environment"].pop("device"), seal=True),
    "device is a list": changed(put([], "environment", "device"), seal=True),
    "versions is a number": changed(put(1, "environment", "versions"), seal=True),
    "wall time in words": changed(put("an hour", "environment", "wall_seconds"), seal=True),
    "no digest of the arrays": changed(lambda record: record["digests"].pop("arrays.npz")),
    "digest of the record changed": changed(put("0" * 64, "digests", "record")),
    "no arrays": lambda run: (run / "arrays.npz").unlink(),
    "empty arrays": lambda run: (run / "arrays.npz").write_bytes(b""),
    "arrays of half their length": part(lambda data: data[: len(data) // 2], "arrays.npz"),
    "arrays are text": lambda run: (run / "arrays.npz").write_text("no archive"),
    "arrays are a folder": replaced_by_folder("arrays.npz"),
    "arrays with one changed value": arrays(lambda a: a | {"loss": a["loss"] + 1e-3}, seal=False),
    "arrays written again": arrays(lambda a: a | {"loss": a["loss"] * 1.0000001}, seal=False),
    "arrays of integers": arrays(lambda a: a | {"loss": a["loss"].astype(int)}),
    "arrays of text": arrays(lambda a: a | {"loss": a["loss"].astype(str)}),
    "arrays of complex numbers": arrays(lambda a: a | {"loss": a["loss"].astype(complex)}),
    "arrays of objects": arrays(lambda a: a | {"loss": a["loss"].astype(object)}),
    "arrays with axes exchanged": arrays(lambda a: a | {"loss": a["loss"].T}),
    "arrays with an axis too many": arrays(lambda a: a | {"loss": a["loss"][None]}),
    "arrays of fewer epochs": arrays(lambda a: a | {"prediction": a["prediction"][..., 1:]}),
    "arrays of fewer nets": arrays(lambda a: {k: v if k in "xy" else v[:1] for k, v in a.items()}),
    "one array missing": arrays(lambda a: {k: v for k, v in a.items() if k != "loss"}),
    "one array too many": arrays(lambda a: a | {"more": a["loss"]}),
    "no array at all": arrays(lambda a: {}),
    "a header that claims 8 TB": header((10**12,)),
    "a header that claims 8 TB by its type": header((1,), "|V8000000000000"),
    "a header of negative size": header((-1, 4)),
    "a header that claims less": header((1,), data=bytes(80)),
}


def nested(levels: int) -> Damage:
    return changed(put(json.loads("[" * levels + "]" * levels), "settings", "models"))


def as_schema_1(**settings: object) -> Damage:
    """A run of an earlier version, which has no digests, with other settings."""

    def damage(run):
        record = record_of(run)
        del record["digests"]
        record["settings"] |= settings
        (run / "run.json").write_text(json.dumps(record | {"schema": 1}))

    return damage


KINDS |= {f"settings nested {n} levels": nested(n) for n in (90, 300, 900)}
KINDS |= {
    "a list for a function": changed(put([], "settings", "func"), seal=True),
    "no seconds at all": changed(put([], "result", "seconds"), seal=True),
    "schema 1 with digests": changed(put(1, "schema")),
    "schema 1 with nets of another run": as_schema_1(models=["2"]),
    "schema 1 with seeds of another run": as_schema_1(seeds=5),
}
for position in (0, 3, 40, 200, -30, -2):
    KINDS[f"byte {position} of the arrays flipped"] = part(
        lambda data, k=position: bytes(b ^ 255 if i == k % len(data) else b for i, b in enumerate(data)), "arrays.npz"
    )


def copy(run: Path, to: Path) -> Path:
    return Path(shutil.copytree(run, to))

"""The commands and the Python of Markdown pages, and what they need to run in seconds: smaller settings, files."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

from dlhw.runs.experiment import get, names

ROOT = Path(__file__).parent.parent
NAMES = names()
NOT_RUN = ("make ", "git ", "pip ", "python -m ", ".venv/bin/pip ", "source ", "cd ", "jupyter ", "srun ", "dask ")
"""How lines of console blocks begin that install, start servers or call what the tests call anyway."""
SMALLER = {
    "classify": ["--models", "8c3-p2-50"],
    "random-labels": ["--net", "8"],
    "sweep-batch": ["--net", "8"],
    "sweep": ["--net", "8"],
    "interpolate": ["--net", "8", "--by", "batch-size=20,50"],
    "landscape": ["--nets", "8", "--grid", "5", "--subset", "50"],
    "double-descent": ["--ratios", "0.5,1,2", "--net-ratios", "0.5,2"],
    "scoreboard": [
        *("--net", "4", "--batch-sizes", "20,50", "--learning-rates", "0.05", "--widths", "1,2", "--radii", "0"),
        *("--target-loss", "2.4", "--curvature-examples", "50"),
    ],
    "edge": ["--every", "2", "--net", "4"],
}
"""Options that are added to the command of an experiment, or take the place of its own."""
AS_GIVEN = ("--by", "--models", "--net", "--nets", "--net-ratios", "--ratios")
"""Those of them that a command keeps."""


def blocks(text: str) -> list[tuple[str, str]]:
    """Return language and content of the fenced blocks of a page in order, those in folded answers too."""
    found = re.findall(r"^( *)```(\w+)\n(.*?)^\1```", text, re.S | re.M)
    return [(language, textwrap.dedent(content)) for _, language, content in found]


def fenced(text: str, language: str) -> list[str]:
    """Return the different blocks of a language."""
    return list(dict.fromkeys(content for name, content in blocks(text) if name == language))


def commands(block: str) -> list[str]:
    """Return the commands of a console block, without comments; continued lines are joined."""
    lines = block.replace("\\\n", " ").splitlines()
    stripped = (line.partition("  #")[0].strip().removeprefix("$ ") for line in lines)
    return [line for line in stripped if line and not line.startswith(("#", *NOT_RUN))]


def smaller(line: str) -> list[str]:
    """Return the words behind `dlhw` of a command, with few epochs, one seed and small nets if it is an experiment."""
    program, *words = shlex.split(line)
    assert Path(program).name == "dlhw", f"{line!r} is no command of dlhw; name its beginning in NOT_RUN"
    name = words[0]
    if name == "sweep-batch":  # a hundred images do not fill a batch of 500
        words = [name, "20", "50", *words[1:][sum(w.isdigit() for w in _leading(words[1:])) :]]
    if "--replicas" in words:  # a process has one number of replicas, and other tests chose it; their own run apart
        at = words.index("--replicas")
        words = [w for w in words[:at] + words[at + 2 :] if w not in ("--strategy", "mirrored")]
    if "my-model.keras" in words:
        return words + (["--grid", "5"] if name == "landscape" else [])
    if name not in NAMES:
        return words
    settings = get(name).settings()
    seeds = "3" if "tsne" in words else "1"
    words += ["--epochs", "400" if "--until" in words else "4", "--seeds", seeds]
    images = hasattr(settings, "examples") and not (name == "edge" and "--data" not in words)
    if images:  # tests have no MNIST; the nets of the report do not all fit images of 8x8
        words += ["--data", "digits", "--examples", "100"]
        words += ["--batch-size", "20"] if "--batch-size" in words else []
    options = SMALLER.get(name, []) if images or name == "edge" else []
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option not in words:
            words += [] if option == "--net-ratios" and "--no-nets" in words else [option, value]
        elif option not in AS_GIVEN:
            words[words.index(option) + 1] = value
    return words


def _leading(words: list[str]) -> list[str]:
    """Return the words before the first option."""
    first = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first]


def a_model_of_ones_own(folder: Path) -> None:
    """Write the model and the data that pages call `my-model.keras` and `my-data.npz`."""
    import keras
    import numpy as np

    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    model.save(folder / "my-model.keras")
    np.savez(folder / "my-data.npz", x=np.ones((4, 3), "f"), y=np.ones((4, 1), "f"))


def a_training_of_ones_own(folder: Path) -> None:
    """Record the training that pages call `runs/mine`."""
    import keras
    import numpy as np

    from dlhw import Watch

    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, np.sin(3 * x), epochs=40, batch_size=16, verbose=0, callbacks=[Watch(folder / "runs" / "mine")])

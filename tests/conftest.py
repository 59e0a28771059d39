"""Fixtures shared by all tests."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if "TF_XLA_FLAGS" not in os.environ:  # else that of the process which started this one
    # What XLA has compiled is kept for all processes of these tests: the same programs recur hundreds of times.
    _programs = tempfile.mkdtemp(prefix="dlhw-xla-")
    os.environ["TF_XLA_FLAGS"] = f"--tf_xla_persistent_cache_directory={_programs}"
    atexit.register(shutil.rmtree, _programs, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _three_cpus():
    """Split the processor into three logical devices, on which tests of tf.distribute train; all else uses the first.

    It must be done before TensorFlow begins, hence for every test.
    """
    tf = pytest.importorskip("tensorflow")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    """Refuse every connection and every look-up of a name beyond this machine: no command may make one unasked."""
    patch = pytest.MonkeyPatch()
    local = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname()}
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(host):
        if (host.decode() if isinstance(host, bytes) else host) not in local:
            raise OSError(f"a test asked the network for {host}")

    def checked_connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address[0])
        return connect(self, address)

    def checked_look_up(host, *args, **kwargs):
        refuse(host)
        return look_up(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", checked_connect)
    patch.setattr(socket, "getaddrinfo", checked_look_up)
    yield
    patch.undo()


@pytest.fixture
def uncompiled(monkeypatch):
    """Run the functions of instruments one operation after the other: tracing a function takes longer than one call."""
    from dlhw._tf.compiled import Compiled

    compiled = Compiled.__call__

    def call(self, *arguments):
        # TensorFlow has this kind of Jacobian in graphs alone.
        return compiled(self, *arguments) if self.function.__name__ == "rows" else self.function(*arguments)

    monkeypatch.setattr(Compiled, "__call__", call)


@pytest.fixture(scope="session")
def tiny_run():
    """The tiny run of an experiment, made once for all tests: tiny_run("simulate") -> Run."""
    from dlhw.runs import experiment as registry
    from dlhw.runs import runner
    from dlhw.runs.context import Context

    return functools.cache(lambda name: runner.execute(name, registry.get(name).tiny, Context()))


@pytest.fixture
def keras_optimizer():
    """Keras's own rule: keras_optimizer("sgd", 0.01) -> keras.optimizers.SGD(0.01, momentum=0.9)."""
    import keras

    made = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}

    def build(name: str, rate: float):
        return (
            made[name](rate) if name in made else keras.optimizers.SGD(rate, momentum=0.9, nesterov=name == "nesterov")
        )

    return build


@pytest.fixture
def inside(tmp_path, monkeypatch, capfd):
    """Call the command line in this process, which has TensorFlow already: inside("simulate") -> (status, stdout).

    expect=2 is for commands that are refused: then the second is what stderr says.
    """

    def call(*args: object, expect: int = 0) -> tuple[int, str]:
        from cli.main import app

        monkeypatch.chdir(tmp_path)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            app([str(a) for a in args])
        said = capfd.readouterr()
        status = int(ended.value.code or 0)
        assert status == expect, said.err
        return status, said.err if expect else said.out

    return call


@pytest.fixture
def dlhw(tmp_path):
    """Call the command line as a process of its own: dlhw("simulate", "--epochs", 3) -> CompletedProcess.

    Blocked modules raise ImportError when imported: dlhw(..., block="tensorflow keras").
    """

    def call(*args: object, block: str = "", cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        hide = "; ".join(f"sys.modules[{name!r}] = None" for name in block.split()) or "pass"
        code = f"import sys; {hide}; sys.argv[0] = 'dlhw'; from cli.main import app; app()"
        command = [sys.executable, "-c", code, *map(str, args)]
        environment = os.environ | {"COLUMNS": "120"}
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment)

    return call

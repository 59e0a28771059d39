"""Parts of an experiment on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from dlhw.errors import RunError, UserError, require
from dlhw.experiments import _parts

Arrays = dict[str, np.ndarray]
ANSWER_SECONDS = 10


def connect(address: str) -> Any:
    """A client of the scheduler at `address`.

    Raises UserError for an address that is none, a scheduler that does not answer within ten seconds or has no
    workers, and where Dask is not installed.
    """
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    good = kind in ("tcp", "tls") and bool(host) and port.isdecimal()
    require(good, f"--scheduler {address} is no address; write tcp://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise UserError('--scheduler needs Dask: pip install "dlhw[cluster]"') from None
    try:
        client = Client(address, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        said = str(error).split("\n", 1)[0]
        raise UserError(f"--scheduler {address} does not answer within {ANSWER_SECONDS} s ({said})") from None
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        client.close()
    require(bool(workers), f"--scheduler {address} has no workers; start some with `dask worker {address}`")
    return client


def train(
    address: str, train: Callable[[_parts.Part], Arrays], names: Sequence[str], ended: Callable[[str, Arrays], None]
) -> None:
    """Send every part in `names` to the cluster; `ended` gets its arrays as soon as it ends, in any order.

    Dask sends a part whose worker died to another one, three times at most. When one part fails the others are called
    off; what has ended is kept.
    """
    from distributed import CancelledError, as_completed
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    with connect(address) as client:
        futures = {client.submit(_one, train, name, pure=False): name for name in names}
        left = dict(futures)
        try:
            for future in as_completed(futures):
                ended(left.pop(future), future.result())
        except (CommClosedError, CancelledError) as error:
            raise RunError(
                f"{address} was lost ({str(error) or type(error).__name__}); what had ended is kept, and the same "
                "command goes on from there"
            ) from None
        except KilledWorker:
            raise RunError(
                f"the workers of {address} died over one part again and again (memory?); what had ended is kept, and "
                "the same command goes on from there"
            ) from None
        finally:
            for future, name in left.items():
                if future.status == "finished":
                    ended(name, future.result())
            with suppress(CommClosedError, OSError, RuntimeError):
                client.cancel([f for f in left if not f.done()])


def _one(train: Callable[[_parts.Part], Arrays], name: str) -> Arrays:
    """Runs on a worker."""
    from distributed import get_worker

    import dlhw  # noqa: F401  (sets the backend of Keras before Keras is imported)

    _parts.limit_threads(get_worker().state.nthreads)
    return train(_parts.alone(name))

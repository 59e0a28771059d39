"""Tasks on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from dlhw.errors import RunError, UserError, require
from dlhw.runs.executors import limit_threads
from dlhw.runs.tasks import Arrays, Progress, Work, detached_task

ANSWER_SECONDS = 10


def connect(address: str) -> Any:
    """Return a client of the scheduler at `address`.

    Raises:
        UserError: for an invalid address, a scheduler that does not answer within ten seconds or has no workers, and
            where Dask is not installed.
    """
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    valid = kind in ("tcp", "tls") and bool(host) and port.isdecimal()
    require(valid, f"`scheduler` {address} is not an address; write tcp://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise UserError('`scheduler` needs Dask: pip install "dlhw[cluster]"') from None
    try:
        client = Client(address, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise UserError(f"`scheduler` {address} does not answer within {ANSWER_SECONDS} s ({reason})") from None
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        client.close()
    require(bool(workers), f"`scheduler` {address} has no workers; start some with `dask worker {address}`")
    return client


class Cluster:
    """Run tasks on the workers of the Dask scheduler at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __call__(
        self, work: Work, names: Sequence[str], finished: Callable[[str, Arrays], None], progress: Progress, among: int
    ) -> None:
        """Send every task in `names` to the cluster; see :class:`dlhw.runs.tasks.Executor`.

        Dask sends a task whose worker died to another one, three times at most. When one task fails the others are
        cancelled; what is finished is stored.

        Raises:
            RunError: where the cluster was lost.
        """
        from distributed import CancelledError, as_completed
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker

        with connect(self.address) as client:
            futures = {client.submit(_work_on_worker, work, name, pure=False): name for name in names}
            pending = dict(futures)
            try:
                for future in as_completed(futures):
                    finished(pending.pop(future), future.result())
            except (CommClosedError, CancelledError) as error:
                raise RunError(
                    f"{self.address} was lost ({str(error) or type(error).__name__}); finished trainings are stored, "
                    "and the same command resumes from them"
                ) from None
            except KilledWorker:
                raise RunError(
                    f"the workers of {self.address} died repeatedly during the same training (out of memory?); "
                    "finished trainings are stored, and the same command resumes from them"
                ) from None
            finally:
                for future, name in pending.items():
                    if future.status == "finished":
                        finished(name, future.result())
                with suppress(CommClosedError, OSError, RuntimeError):
                    client.cancel([f for f in pending if not f.done()])


def _work_on_worker(work: Work, name: str) -> Arrays:
    from distributed import get_worker

    import dlhw  # noqa: F401  (sets the backend of Keras before Keras is imported)

    limit_threads(get_worker().state.nthreads)
    return work(detached_task(name))

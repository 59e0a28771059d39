"""Tasks on threads of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from dlhw.runs.tasks import Arrays, Progress, Task, Work


class Threads:
    """Run tasks side by side on threads.

    Threads, not processes: TensorFlow releases the interpreter lock while it computes, the data are held once, and no
    process has to import TensorFlow again. joblib's threads cannot be waited for after Ctrl-C; these can.

    Args:
        workers: most tasks side by side.
        prepare: called once before the first task, such as to load the data.
        xla: whether the tasks are mostly programs of XLA.
    """

    def __init__(self, workers: int, prepare: Callable[[], None] | None = None, *, xla: bool = False) -> None:
        self.workers, self.prepare, self.xla = workers, prepare, xla

    def __call__(
        self, work: Work, names: Sequence[str], finished: Callable[[str, Arrays], None], progress: Progress, among: int
    ) -> None:
        """Run `work` for every task in `names`; see :class:`dlhw.runs.tasks.Executor`."""
        jobs = min(self.workers, among)
        limit_threads(jobs, xla=self.xla)
        from dlhw.training import Stopped

        if self.prepare is not None:
            self.prepare()

        def one(name: str) -> None:
            if not progress.stopped.is_set():
                finished(name, work(Task(name, progress)))

        with ThreadPoolExecutor(jobs, thread_name_prefix="dlhw") as pool:
            futures = [pool.submit(one, name) for name in names]
            try:
                waiting = set(futures)
                while waiting and not any(f.done() and f.exception() for f in futures):
                    waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION).not_done
            finally:
                progress.stopped.set()
                for future in futures:
                    future.cancel()
        errors = [f.exception() for f in futures if not f.cancelled()]
        for error in sorted((e for e in errors if e), key=lambda e: isinstance(e, Stopped)):
            raise error  # the first cause, not a task that stopped because of it


_limited = False
"""Whether the number of threads has been decided."""


def limit_threads(jobs: int, *, xla: bool = False) -> None:
    """Divide the cores among `jobs` tasks, once in a process: TensorFlow refuses to change after its first operation.

    Programs of XLA all run on the threads for operations, which have to be one for each task; TensorFlow's own kernels
    are faster if each has one thread.
    """
    import tensorflow as tf

    global _limited
    if _limited:
        return
    _limited, cores = True, os.cpu_count() or 1
    try:
        tf.config.threading.set_intra_op_parallelism_threads(cores if xla else max(1, cores // jobs))
        tf.config.threading.set_inter_op_parallelism_threads(jobs)
    except RuntimeError:
        return

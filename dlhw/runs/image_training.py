"""Train nets on images, side by side, from jobs to records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from dlhw.runs.base_settings import ImageSettings
from dlhw.runs.context import Context
from dlhw.runs.dask import Cluster
from dlhw.runs.executors import Threads
from dlhw.runs.image_trainer import ImageTrainer
from dlhw.runs.jobs import Job
from dlhw.runs.records import TrainingRecord
from dlhw.runs.tasks import Arrays, Executor, Task, run_tasks


def train(
    settings: ImageSettings,
    jobs: Mapping[str, Job],
    context: Context,
    trainer: ImageTrainer | None = None,
    among: int = 0,
) -> dict[str, TrainingRecord]:
    """Train every job, side by side, and return the records by name.

    What is finished, or half finished, in `context.checkpoints` is not trained again.

    Args:
        settings: what all trainings share.
        jobs: the trainings, by a name that is unique in the run.
        context: of the run; its provenance gets the plan.
        trainer: data and compiled functions, where the caller needs them afterwards.
        among: number of trainings that share the cores, if not these; see :func:`dlhw.runs.tasks.run_tasks`.

    Raises:
        UserError: for batches that the devices cannot share.
        RunError: where another machine was lost.
    """
    from dlhw.training.distributed import plan as plans
    from dlhw.training.distributed import workers

    trainer = trainer or ImageTrainer(settings, context, len(jobs))
    trainer.check_batches([job.batch_size for job in jobs.values()])
    plan = trainer.plan
    context.provenance.plan = plan
    if plan.kind == "multi-worker":
        shared = workers.SharedCheckpoints(context.checkpoints, plans.strategy(plan), plan.chief)
        context = replace(context, checkpoints=shared)
    if plan.synchronous:  # two trainings at once would sum their gradients in each other's place
        context = replace(context, jobs=1)
    elif len(plan.devices) > 1:  # one training per device
        context = replace(context, jobs=len(plan.devices))
    with workers.one_line_errors(plan):
        epochs = {name: job.epochs for name, job in jobs.items()}
        work = partial(_train_task, trainer, jobs)
        arrays = run_tasks(epochs, work, context, executor(context, trainer, jobs), among=among)
    records = {name: TrainingRecord.unpack(packed) for name, packed in arrays.items()}
    for name, record in records.items():
        taken = context.provenance.layouts.get(jobs[name].net, record.layout)
        context.provenance.layouts[jobs[name].net] = taken if taken == record.layout else "both"
    return records


def executor(context: Context, trainer: ImageTrainer, jobs: Mapping[str, Job]) -> Executor:
    """Return what runs the tasks of an experiment on images: a Dask cluster, or threads of this process.

    Args:
        context: of the run.
        trainer: of the tasks.
        jobs: all trainings of the run. They decide on the threads, also for tasks after them: a run that resumes when
            they are finished would round otherwise.
    """
    xla = any(trainer.wants_layout(job) for job in jobs.values())
    return Cluster(context.scheduler) if context.scheduler else Threads(context.workers, trainer.load_data, xla=xla)


def _train_task(trainer: ImageTrainer, jobs: Mapping[str, Job], task: Task) -> Arrays:
    return trainer.train(jobs[task.name], task)


def train_rows(
    settings: ImageSettings,
    rows: Mapping[str, Callable[[int], Job]],
    context: Context,
    *,
    seeds: Sequence[int] | None = None,
    among: int = 0,
) -> list[list[TrainingRecord]]:
    """Train every row (name -> job of a seed) from every seed; records in rows of seeds.

    Args:
        settings: what all trainings share.
        rows: the job of a seed, by the name of the row.
        context: of the run.
        seeds: default: those of the settings.
        among: see :func:`train`.
    """
    seeds = seeds or settings.seed_range
    names = {row: {s: f"{row} seed {s}" for s in seeds} for row in rows}
    jobs = {names[row][s]: job(s) for row, job in rows.items() for s in seeds}
    records = train(settings, jobs, context, among=among)
    return [[records[name] for name in row.values()] for row in names.values()]

"""From the settings of an experiment to a stored run.

- settings, base_settings, flags: options, what trainings share, and how they are written on the command line
- experiment: the registry of experiments; runner: `dlhw.run`; context: what a run is given besides its settings
- store: the run folder; run: a finished run; provenance: versions and devices in `run.json`
- function_training; jobs, image_training, image_trainer, image_recorder: train nets on a function, or on images
- tasks, executors, dask: trainings as tasks, in this process, in parallel processes, on a cluster
- records: what a training on images recorded; callbacks: measurements during it
- saved_models, measurements: Keras models from files, and what the instruments say of them
"""

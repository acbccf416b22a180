"""From a sweep to trials: the schedule, the worker processes, and one case from build to samples."""

"""The measuring of a sweep: the schedule, the worker processes, and one case from build to samples."""

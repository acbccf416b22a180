"""One visit to a case: the requests to its worker, and the trial that results."""

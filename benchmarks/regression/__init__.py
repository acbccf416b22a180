"""Is head slower than base? Two revisions, interleaved processes, a judgement whose error rates are known."""

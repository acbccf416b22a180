"""Whether head is slower than base: two revisions, interleaved processes, and a judgement with known error rates."""

"""The names of functions in `rnnimpl/native`, the C++ of `fused_cpu`, by which samples are attributed to kinds of work.

Functions of templates have mangled names, which follow those in the source. One that is renamed there needs its new
name here, next to the former one, which stored profiles have. Phases are exported under names of their own: see
`tracing.native_phases`.
"""

from __future__ import annotations

_TYPES = r"I[fd]NS\d*_\d+\w+?EE"
"""The types of a pass: the element and the cell."""

PRODUCTS = r"_ZN3rnn\d+multiply_|_ZN3rnn14WeightProducts|^rnn_phase_weight_gradients"
COPIES = r"_ZN3rnn\w*(pack|copy|transpose)"
BARRIERS = r"_ZN3rnn\d+(wait|Team|Pool|Meeting|Barrier)|atomic_wait"
PASSES = rf"3rnn(7Forward|8Backward){_TYPES}3runEv"
"""A pass outside of its phases: its threads claim steps and wait at barriers."""
ANY = r"_ZN\w*3rnn|^rnn_phase_"
"""Every function; what is none of the others is element-wise work."""

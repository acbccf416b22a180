"""The mangled names of functions in `rnnimpl/native`, the C++ of `fused_cpu`, to which samples are attributed.

A function that is renamed there needs its new name here, next to the former one, which stored profiles have. Until then
`tests/test_profile_sampled_traces.py` fails. Names are used because the phases are functions of templates: g++ 12
ignores the section attribute and an `asm` label of such a function, and calls clones of one that is exported.
"""

from __future__ import annotations

_TYPES = r"I[fd]NS\d*_\d+\w+?EE"
"""The types of a pass: the element and the cell."""

# Phases of the network; their functions are never inlined (`RNN_PHASE`).
PROJECTION = rf"7Forward{_TYPES}7project|8Backward{_TYPES}14multiply_input"
RECURRENCE = rf"7Forward{_TYPES}5recur|8Backward{_TYPES}10recur_back"
WEIGHT_GRADIENTS = r"14WeightProductsI[fd]E3run"

# Kinds of work.
PRODUCTS = r"_ZN3rnn\d+multiply_|_ZN3rnn14WeightProducts"
COPIES = r"_ZN3rnn\w*(pack|copy|transpose)"
BARRIERS = r"_ZN3rnn\d+(wait|Team|Pool|Meeting|Barrier)|atomic_wait"
PASSES = rf"3rnn(7Forward|8Backward){_TYPES}3runEv"
"""A pass outside of its phases: its threads claim steps and wait at barriers."""
ANY = r"_ZN\w*3rnn"
"""Every function; what is none of the others is element-wise work."""

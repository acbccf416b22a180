"""OpenVINO imported without its telemetry, which reports each import over the network from a process that it forks.

A measured process sends nothing and has no child. `openvino_telemetry` sends nothing where the variable `CI` is set
(https://docs.openvino.ai/2025/about-openvino/additional-resources/telemetry.html), so it is set during the import of
`openvino`. An import before this one has been reported.
"""

from __future__ import annotations

import os

_kept = os.environ.get("CI")
os.environ["CI"] = "true"
try:
    import openvino
    from openvino import opset5, properties
    from openvino.properties import hint
finally:
    if _kept is None:
        del os.environ["CI"]
    else:
        os.environ["CI"] = _kept

__all__ = ["hint", "openvino", "opset5", "properties"]

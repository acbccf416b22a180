"""OpenVINO without its telemetry: importing it reports the import over the network, from a process that it forks.

A process that is measured sends nothing and has no other beside it. `openvino_telemetry` sends nothing in continuous
integration (https://docs.openvino.ai/2025/about-openvino/additional-resources/telemetry.html), which it knows by the
variable `CI`, so that is set while `openvino` is imported. Where it was imported before, it has been sent.
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

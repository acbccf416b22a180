"""The process in which one implementation is profiled: a sweep's worker with two further requests.

    {"do": "profile", "seconds": 1.0}
    {"do": "count_and_trace", "folder": FOLDER, "stem": NAME, "passes": PASSES}

`benchmarks.measuring.processes.worker` says how it is started and what the other requests are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring.processes.worker import Bench, main

if TYPE_CHECKING:
    from benchmarks.measuring.processes.replies import Service


class ProfilingBench(Bench):
    """A bench that also profiles, counts and traces the case that is set up."""

    @staticmethod
    def service() -> Service:
        from benchmarks.profiling.replies import PROFILING

        return PROFILING

    def serve(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "profile":
                if self.subject.workload.device == "cuda":
                    from benchmarks.profiling.tracing.gpu_profile import profile_gpu as profile
                else:
                    from benchmarks.profiling.sampling.cpu_profile import profile_cpu as profile

                return profile(self.subject, request["seconds"])
            case "count_and_trace":
                from benchmarks.profiling.counts_and_traces import count_and_trace

                return count_and_trace(self.subject, Path(request["folder"]), request["stem"], request["passes"])
        return super().serve(request)


if __name__ == "__main__":
    main(ProfilingBench)

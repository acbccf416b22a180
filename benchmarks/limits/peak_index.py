"""The peaks of a run, found for a workload without looking at each: a merged run has thousands of products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.counts import products
from benchmarks.limits.peak import Peak, Settings, Shape, chain_shapes, measured_shape, settings
from benchmarks.workload import Workload


class PeakIndex:
    """The peaks of a run by the shapes of their products."""

    def __init__(self, peaks: Sequence[Peak]) -> None:
        self._peaks = peaks
        self._of_all: list[int] = []
        self._of_shape: dict[Shape, list[int]] = defaultdict(list)
        fastest: dict[tuple[str, Settings], int] = {}
        for at, peak in enumerate(peaks):
            if peak.flops_per_second is None or peak.M is None or peak.N is None or peak.K is None:
                self._of_all.append(at)
                continue
            self._of_shape[peak.M, peak.N, peak.K].append(at)
            kept = fastest.setdefault((peak.kind, settings(peak)), at)
            if peak.flops_per_second > (peaks[kept].flops_per_second or 0.0):
                fastest[peak.kind, settings(peak)] = at
        self._of_all += fastest.values()

    def of(self, workload: Workload) -> list[Peak]:
        """The peaks that the bounds of a workload follow from, in their order.

        They are those of the shapes of its products, the fastest product of each kind and setting, and all that are no
        products.
        """
        shapes = {measured_shape(product.shape, workload) for product in products(workload)}
        shapes |= {*chain_shapes(workload)}
        places = {*self._of_all, *(at for shape in shapes for at in self._of_shape.get(shape, ()))}
        return [self._peaks[at] for at in sorted(places)]

"""L6. Where the nodes of a directed graph stand when it is drawn in layers: longest paths, barycentres, then places.

After Sugiyama, Tagawa & Toda 1981: edges that span several layers get invisible nodes on the way, each layer is ordered by the mean place
of its neighbours, and the nodes are pulled towards these means as far as their widths allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


class Layout:
    """`places`: the centre of each node; `paths`: for each edge the points it passes; `width` and `height` of the whole."""

    def __init__(
        self, sizes: Sequence[Point], edges: Sequence[tuple[int, int]], gap: Point = (28, 46), margin: float = 16
    ) -> None:
        self.sizes, self.edges, self.gap = list(sizes), list(edges), gap
        self.layers = self._depths()
        self._routes()
        self._order()
        xs = self._columns()
        ys, self.height = self._rows(margin)
        left = min(x - w / 2 for x, (w, _) in zip(xs, self.sizes)) - margin
        centres = [(x - left, ys[d]) for x, d in zip(xs, self.depth)]
        self.width = max(x + w / 2 for (x, _), (w, _) in zip(centres, self.sizes)) + margin
        self.places = centres[: len(sizes)]
        self.paths = [[centres[k] for k in route] for route in self.routes]

    def _depths(self) -> list[list[int]]:
        """The layer of each node: below all that it is computed from, and just above its first user."""
        count = len(self.sizes)
        users: list[list[int]] = [[] for _ in range(count)]
        depth = [0] * count
        for a, b in sorted(self.edges):  # nodes are numbered inputs first
            users[a].append(b)
        for a in range(count):
            for b in users[a]:
                depth[b] = max(depth[b], depth[a] + 1)
        for a in reversed(range(count)):
            if users[a]:
                depth[a] = min(depth[b] for b in users[a]) - 1
        self.depth = depth
        return [[k for k in range(count) if depth[k] == d] for d in range(max(depth, default=0) + 1)]

    def _routes(self) -> None:
        """Each edge as a chain of nodes, one in each layer."""
        self.routes, self.links = [], []
        for a, b in self.edges:
            route = [a]
            for d in range(self.depth[a] + 1, self.depth[b]):
                self.sizes.append((8, 0))
                self.depth.append(d)
                self.layers[d].append(len(self.sizes) - 1)
                route.append(len(self.sizes) - 1)
            route.append(b)
            self.routes.append(route)
            self.links += list(pairwise(route))
        self.above: list[list[int]] = [[] for _ in self.sizes]
        self.below: list[list[int]] = [[] for _ in self.sizes]
        for a, b in self.links:
            self.above[b].append(a)
            self.below[a].append(b)

    def _order(self) -> None:
        """Sweeps down and up: each layer by the mean place of its neighbours."""
        place = {k: float(i) for layer in self.layers for i, k in enumerate(layer)}
        for turn in range(12):
            down = turn % 2 == 0
            neighbours = self.above if down else self.below
            for layer in self.layers if down else reversed(self.layers):
                layer.sort(key=lambda k: _mean([place[n] for n in neighbours[k]], place[k]))
                place.update({k: float(i) for i, k in enumerate(layer)})

    def _columns(self) -> list[float]:
        xs = [0.0] * len(self.sizes)
        for layer in self.layers:
            self._spread(layer, xs, [0.0] * len(layer))
        for turn in range(24):
            down = turn % 2 == 0
            neighbours = self.above if down else self.below
            for layer in self.layers if down else reversed(self.layers):
                self._spread(layer, xs, [_mean([xs[n] for n in neighbours[k]], xs[k]) for k in layer])
        return xs

    def _spread(self, layer: list[int], xs: list[float], wanted: list[float]) -> None:
        """Places a layer as near to the wanted places as widths allow: blocks that would overlap are merged and centred on their mean."""
        offset, offsets = 0.0, []
        for i, k in enumerate(layer):
            if i:
                offset += (self.sizes[layer[i - 1]][0] + self.sizes[k][0]) / 2 + self.gap[0]
            offsets.append(offset)
        blocks: list[tuple[float, int]] = []  # (mean of wanted − offset, how many)
        for w, off in zip(wanted, offsets):
            block = (w - off, 1)
            while blocks and blocks[-1][0] > block[0]:
                mean, n = blocks.pop()
                block = ((mean * n + block[0] * block[1]) / (n + block[1]), n + block[1])
            blocks.append(block)
        starts = [mean for mean, n in blocks for _ in range(n)]
        for k, start, off in zip(layer, starts, offsets):
            xs[k] = start + off

    def _rows(self, margin: float) -> tuple[list[float], float]:
        ys, y = [], margin
        for layer in self.layers:
            height = max(self.sizes[k][1] for k in layer)
            ys.append(y + height / 2)
            y += height + self.gap[1]
        return ys, y - self.gap[1] + margin


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default

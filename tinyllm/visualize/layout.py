"""Where boxes and edges of a layered drawing go (Sugiyama, Tagawa & Toda 1981), in plain Python.

Layers by longest path. Edges that go on over several layers pass between the boxes, those from the same box together,
as one trunk. Each layer is sorted by the mean place of its neighbours, so that few edges cross; places are then found
by least squares, keeping order and distance.
"""

from dataclasses import dataclass

__all__ = ["Layout", "layered"]

GAP_X, GAP_Y, MARGIN, TRUNK = 18.0, 34.0, 20.0, 6.0
SWEEPS = 12

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Where everything goes. A path's points are joined by a straight line, a curve, a straight line, and so on.

    corners  the left upper corners of the boxes
    trunks   by box, the path that its edges share over several layers
    paths    of each edge, from its box, or from where it leaves the trunk, to the upper side of the other
    """

    corners: list[Point]
    trunks: dict[int, list[Point]]
    paths: list[list[Point]]
    width: float
    height: float


def layered(sizes: list[Point], edges: list[tuple[int, int]]) -> Layout:
    """Lay out boxes of these sizes, from top to bottom. edges  pairs (i, j), i < j; the same pair may come twice."""
    rank = _ranks(len(sizes), edges)
    widths, ranks = [w for w, _ in sizes], list(rank)
    trunk: dict[tuple[int, int], int] = {}  # where the edges of box i pass through layer r
    above: list[list[int]] = [[] for _ in sizes]
    last = list(rank)
    for i, j in edges:
        last[i] = max(last[i], rank[j] - 1)
    for i, r in enumerate(rank):
        trunk[i, r] = i
        for passed in range(r + 1, last[i] + 1):
            trunk[i, passed] = len(widths)
            above.append([trunk[i, passed - 1]])
            widths.append(TRUNK)
            ranks.append(passed)
    for i, j in edges:
        above[j].append(trunk[i, rank[j] - 1])
    layers: list[list[int]] = [[] for _ in range(max(rank) + 1)]
    for v, r in enumerate(ranks):
        layers[r].append(v)
    x = _places(layers, above, widths, len(sizes))

    heights = [max(sizes[v][1] for v in layer if v < len(sizes)) for layer in layers]
    spread = [0.0] * len(layers)  # how far to the side the edges below a layer go
    for v, sources in enumerate(above):
        spread[ranks[v] - 1] = max([spread[ranks[v] - 1], *(abs(x[u] - x[v]) for u in sources)])
    middle, y = [], MARGIN
    for height, far in zip(heights, spread):
        middle.append(y + height / 2)
        y += height + GAP_Y + min(far / 10, GAP_Y)
    corners = [(x[v] - w / 2, middle[rank[v]] - h / 2) for v, (w, h) in enumerate(sizes)]
    ports = _ports(edges, [x[trunk[i, rank[j] - 1]] for i, j in edges], sizes, x)
    bottom = [m + h / 2 for m, h in zip(middle, heights)]
    trunks: dict[int, list[Point]] = {}
    for (i, r), v in trunk.items():
        if r == rank[i]:
            start = [(x[i], corners[i][1] + sizes[i][1]), (x[i], bottom[r])]
        else:
            trunks.setdefault(i, start).extend([(x[v], bottom[r] - heights[r]), (x[v], bottom[r])])
    paths = []
    for (i, j), port in zip(edges, ports):
        r = rank[j] - 1
        here = x[trunk[i, r]]
        leaves = bottom[r] if r > rank[i] else corners[i][1] + sizes[i][1]
        top = bottom[r + 1] - heights[r + 1]
        paths.append([(here, leaves), (here, bottom[r]), (port, top), (port, corners[j][1])])
    right = max(x[v] + w / 2 for v, w in enumerate(widths))
    return Layout(corners, trunks, paths, right + MARGIN, y - GAP_Y + MARGIN)


def _ranks(n: int, edges: list[tuple[int, int]]) -> list[int]:
    """The layer of each box: below all its inputs; a box without inputs just above the first that uses it."""
    rank, below = [0] * n, [n] * n
    for i, j in edges:  # sorted by j
        rank[j] = max(rank[j], rank[i] + 1)
    for i, j in edges:
        below[i] = min(below[i], rank[j] - 1)
    targets = {j for _, j in edges}
    return [r if i in targets or below[i] == n else below[i] for i, r in enumerate(rank)]


def _places(layers: list[list[int]], above: list[list[int]], widths: list[float], boxes: int) -> list[float]:
    """The middle of every box and trunk, the leftmost at the margin."""
    below: list[list[int]] = [[] for _ in above]
    for v, sources in enumerate(above):
        for u in sources:
            below[u].append(v)
    x = [0.0] * len(widths)
    for layer in layers:
        _set_apart(layer, dict.fromkeys(layer, 0.0), widths, [1] * len(x), x)
    weights = [100 if sources else 1 for sources in above]  # what has no inputs gives way: the main line stays straight
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            wanted = {}
            for v in layer:
                near = above[v] if down else below[v]
                wanted[v] = sum(x[u] for u in near) / len(near) if near else x[v]
            if sweep < SWEEPS - 2:
                layer.sort(key=wanted.__getitem__)
            _set_apart(layer, wanted, widths, weights, x)
    left = min(x[v] - w / 2 for v, w in enumerate(widths))
    return [each - left + MARGIN for each in x]


def _set_apart(
    layer: list[int], wanted: dict[int, float], widths: list[float], weights: list[int], x: list[float]
) -> None:
    """Put a layer as near as possible to the wanted places (least squares) without overlap, in its order.

    With the distances taken off it is isotonic regression: neighbours out of order move together to their mean.
    """
    offset, offsets = 0.0, []
    for k, v in enumerate(layer):
        offset += (widths[layer[k - 1]] + widths[v]) / 2 + GAP_X if k else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int, int]] = []  # weighted sum of places, weight, how many
    for v, off in zip(layer, offsets):
        total, weight, size = weights[v] * (wanted[v] - off), weights[v], 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / weight:
            before, heavy, several = blocks.pop()
            total, weight, size = total + before, weight + heavy, size + several
        blocks.append((total, weight, size))
    free = [total / weight for total, weight, size in blocks for _ in range(size)]
    for v, place, off in zip(layer, free, offsets):
        x[v] = place + off


def _ports(edges: list[tuple[int, int]], origins: list[float], sizes: list[Point], x: list[float]) -> list[float]:
    """Where each edge enters its box: side by side along the upper side, in the order in which they come."""
    entering: dict[int, list[int]] = {}
    for e, (_, j) in enumerate(edges):
        entering.setdefault(j, []).append(e)
    ports = [0.0] * len(edges)
    for j, group in entering.items():
        group.sort(key=origins.__getitem__)
        step = min(22.0, (sizes[j][0] - 24) / max(len(group) - 1, 1))
        for k, e in enumerate(group):
            ports[e] = x[j] + (k - (len(group) - 1) / 2) * step
    return ports

"""Where boxes and edges of a layered drawing go (Sugiyama, Tagawa & Toda 1981), in plain Python.

Layers by longest path; an edge over several layers passes each between the boxes, through a place of its own that all
edges from the same box share; crossings fewer by sorting each layer by the mean place of its neighbours; places by least
squares, keeping order and distance.
"""

from dataclasses import dataclass

__all__ = ["Layout", "layered"]

GAP_X, GAP_Y, MARGIN, TRUNK = 18.0, 34.0, 20.0, 6.0
SWEEPS = 12

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """Left upper corners of the boxes; for each edge its points, which a drawing joins by a straight line to the
    second, a curve to the third, a straight line to the fourth, and so on; and the size of the whole."""

    corners: list[Point]
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
    paths = []
    for (i, j), port in zip(edges, ports):
        points = [(x[i], corners[i][1] + sizes[i][1])]
        for r in range(rank[i], rank[j]):
            here = x[trunk[i, r]]
            points += [(here, middle[r] - heights[r] / 2)] * (r > rank[i]) + [(here, middle[r] + heights[r] / 2)]
        paths.append([*points, (port, middle[rank[j]] - heights[rank[j]] / 2), (port, corners[j][1])])
    right = max(x[v] + w / 2 for v, w in enumerate(widths))
    return Layout(corners, paths, right + MARGIN, y - GAP_Y + MARGIN)


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
    weights = [8 if sources else 1 for sources in above]  # what has no inputs gives way: the main line stays straight
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

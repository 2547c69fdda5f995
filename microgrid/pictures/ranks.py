"""Ranks of a graph's boxes: the network simplex of Gansner et al., "A technique for drawing directed graphs" (1993)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

Edge = tuple[int, int]


def topological(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the boxes in topological order, the lowest number first; a cycle is opened at its lowest number."""
    heads: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for tail, head in edges:
        heads[tail].append(head)
        missing[head] += 1
    ready = [v for v in range(count) if not missing[v]]
    order: list[int] = []
    done = [False] * count
    lowest = 0
    while len(order) < count:
        while done[lowest]:
            lowest += 1
        v = heapq.heappop(ready) if ready else lowest
        if done[v]:
            continue
        done[v] = True
        order.append(v)
        for head in heads[v]:
            missing[head] -= 1
            if not missing[head]:
                heapq.heappush(ready, head)
    return order


def shortest_ranks(order: Sequence[int], edges: Sequence[Edge]) -> list[int]:
    """Return the ranks with the least sum of the edges' lengths, by the network simplex on a tree of tight edges.

    All last boxes have an edge without weight to one more node, the tree's root. `flow[v]` is the number of edges that
    leave the subtree of v, less those that enter it, so it is the cut value of the edge to v's parent, or its
    negative. Edges that cross the cut are those of the subtree's nodes: a step costs as much as what it moves.
    """
    count = len(order)
    root = count
    ends = [*edges]
    outs: list[list[int]] = [[] for _ in range(count + 1)]
    ins: list[list[int]] = [[] for _ in range(count + 1)]
    for e, (tail, head) in enumerate(ends):
        outs[tail].append(e)
        ins[head].append(e)
    flow = [len(outs[v]) - len(ins[v]) for v in range(count + 1)]
    for v in order:
        if not outs[v]:
            outs[v].append(len(ends))
            ins[root].append(len(ends))
            ends.append((v, root))
    rank = [0] * (count + 1)
    up = [0] * count  # of each node, the edge to its parent
    below: list[set[int]] = [set() for _ in range(count + 1)]
    for v in reversed(order):  # as late as possible
        up[v] = min(outs[v], key=lambda e: rank[ends[e][1]])
        parent = ends[up[v]][1]
        rank[v] = rank[parent] - 1
        below[parent].add(v)
    for v in order:
        flow[ends[up[v]][1]] += flow[v]

    quiet = 0  # nodes in turn whose edge need not leave the tree
    turn = 0
    for _ in range(50 * count):
        if quiet == count:
            break
        v = turn = (turn + 1) % count
        leaving = up[v]
        away = ends[leaving][0] == v
        if (flow[v] if away else -flow[v]) >= 0:
            quiet += 1
            continue
        quiet = 0
        part = [v]
        inside = {v}
        for u in part:
            part += below[u]
            inside |= below[u]
        entering, slack = -1, 0
        for u in part:
            for e in ins[u] if away else outs[u]:
                tail, head = ends[e]
                if (tail if away else head) not in inside:
                    spare = rank[head] - rank[tail] - 1
                    if entering < 0 or (spare, e) < (slack, entering):
                        entering, slack = e, spare
        for u in part:
            rank[u] += -slack if away else slack
        tail, head = ends[entering]
        near, far = (head, tail) if away else (tail, head)
        moved = flow[v]
        u = ends[leaving][0] + ends[leaving][1] - v
        below[u].discard(v)
        while u != root:
            flow[u] -= moved
            u = ends[up[u]][0] + ends[up[u]][1] - u
        u, edge, kept = near, entering, 0
        while True:  # the subtree now hangs by its node `near`
            old, own = up[u], flow[u]
            parent = ends[old][0] + ends[old][1] - u
            up[u], flow[u] = edge, moved - kept
            below[ends[edge][0] + ends[edge][1] - u].add(u)
            if u == v:
                break
            below[parent].discard(u)
            u, edge, kept = parent, old, own
        u = far
        while u != root:
            flow[u] += moved
            u = ends[up[u]][0] + ends[up[u]][1] - u
    return _settled(order, edges, rank[:count])


def _settled(order: Sequence[int], edges: Sequence[Edge], rank: list[int]) -> list[int]:
    """Return ranks of the same length from 0 on, in which what is alike stands in one rank."""
    outs = [0] * len(rank)
    tails: list[list[int]] = [[] for _ in rank]
    for tail, head in edges:
        outs[tail] += 1
        tails[head].append(tail)
    beside = [outs[v] == 1 and not tails[v] for v in range(len(rank))]
    for v in order:
        before = [tail for tail in tails[v] if not beside[tail]]
        if before and len(before) == outs[v]:
            rank[v] = max(rank[tail] for tail in before) + 1
    for tail, head in edges:
        if beside[tail]:
            rank[tail] = rank[head] - 1
    first = min(rank)
    return [r - first for r in rank]

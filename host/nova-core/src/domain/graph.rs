//! Graphs of tasks as pure arithmetic over indices.
//!
//! Owns cycles, orders and longest paths. Knows no task: callers map ids to `0..nodes` and back.
//! Every algorithm is linear in nodes and edges (times a logarithm for the stable order) and none
//! recurses, so that the depth of a graph is bounded by memory alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A directed graph over `0..nodes`; an edge `(from, to)` says that `to` waits for `from`.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Successors of node `n` are `targets[offsets[n]..offsets[n + 1]]`.
    offsets: Vec<u32>,
    targets: Vec<u32>,
    incoming: Vec<u32>,
}

impl Graph {
    /// A graph over `0..nodes`. Every index in `edges` must be below `nodes`.
    pub fn new(nodes: usize, edges: &[(u32, u32)]) -> Self {
        let mut offsets = vec![0; nodes + 1];
        let mut incoming = vec![0; nodes];
        for (from, to) in edges {
            offsets[*from as usize + 1] += 1;
            incoming[*to as usize] += 1;
        }
        for node in 0..nodes {
            offsets[node + 1] += offsets[node];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; edges.len()];
        for (from, to) in edges {
            let place = &mut next[*from as usize];
            targets[*place as usize] = *to;
            *place += 1;
        }
        Self {
            offsets,
            targets,
            incoming,
        }
    }

    /// How many nodes it has.
    pub fn nodes(&self) -> usize {
        self.incoming.len()
    }

    /// The nodes that wait for `node`.
    pub fn successors(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }

    /// An order in which every node comes after all that it waits for (Kahn, "Topological
    /// sorting of large networks", CACM 5(11), 1962); among those that may come next, the lowest
    /// index first, so that a list already in order stays as it is.
    ///
    /// # Errors
    /// One cycle when there is no such order: each node waits for the one before it, the first
    /// is repeated at the end, and it begins at its lowest index.
    pub fn order(&self) -> Result<Vec<u32>, Vec<u32>> {
        let mut open = self.incoming.clone();
        let free = (0..self.nodes() as u32).filter(|n| open[*n as usize] == 0);
        let mut queue: BinaryHeap<Reverse<u32>> = free.map(Reverse).collect();
        let mut order = Vec::with_capacity(self.nodes());
        while let Some(Reverse(node)) = queue.pop() {
            order.push(node);
            for to in self.successors(node) {
                open[*to as usize] -= 1;
                if open[*to as usize] == 0 {
                    queue.push(Reverse(*to));
                }
            }
        }
        if order.len() == self.nodes() {
            Ok(order)
        } else {
            Err(self.cycle_among(&open))
        }
    }

    /// One cycle, as [`Graph::order`] names it; none when there is none.
    pub fn cycle(&self) -> Option<Vec<u32>> {
        self.order().err()
    }

    /// A cycle among the nodes that still wait (`open > 0`). Each of them waits for another one
    /// of them, so that a walk backwards must come back to where it was.
    fn cycle_among(&self, open: &[u32]) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let mut before = vec![NONE; self.nodes()];
        let waiting = || (0..self.nodes() as u32).filter(|n| open[*n as usize] > 0);
        for from in waiting() {
            for to in self.successors(from) {
                if before[*to as usize] == NONE {
                    before[*to as usize] = from;
                }
            }
        }
        let mut seen_at = vec![usize::MAX; self.nodes()];
        let mut walk = Vec::new();
        let mut node = waiting().next().unwrap_or(NONE);
        while node != NONE && seen_at[node as usize] == usize::MAX {
            seen_at[node as usize] = walk.len();
            walk.push(node);
            node = before[node as usize];
        }
        if node == NONE {
            return Vec::new();
        }
        let mut cycle = walk.split_off(seen_at[node as usize]);
        cycle.reverse();
        let lowest = (0..cycle.len()).min_by_key(|i| cycle[*i]).unwrap_or(0);
        cycle.rotate_left(lowest);
        cycle.push(cycle[0]);
        cycle
    }

    /// The heaviest path (the critical path of Kelley and Walker, 1959) where node `n` weighs
    /// `weight[n]`: its nodes in order and its weight. Empty and 0 for a graph without nodes;
    /// none when there is a cycle.
    pub fn critical_path(&self, weight: &[f64]) -> Option<(Vec<u32>, f64)> {
        let order = self.order().ok()?;
        // The heaviest path that begins at each node, and where it goes on.
        let mut tail = weight.to_vec();
        let mut next: Vec<Option<u32>> = vec![None; self.nodes()];
        for node in order.iter().rev() {
            let best = self
                .successors(*node)
                .iter()
                .copied()
                .reduce(|best, other| {
                    if tail[other as usize] > tail[best as usize] {
                        other
                    } else {
                        best
                    }
                });
            if let Some(best) = best {
                tail[*node as usize] += tail[best as usize];
                next[*node as usize] = Some(best);
            }
        }
        let heavier = |best: u32, other: u32| {
            if tail[other as usize] > tail[best as usize] {
                other
            } else {
                best
            }
        };
        let Some(first) = order.iter().copied().reduce(heavier) else {
            return Some((Vec::new(), 0.0));
        };
        let path = std::iter::successors(Some(first), |node| next[*node as usize]).collect();
        Some((path, tail[first as usize]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cycles_are_named_from_their_lowest_node() {
        type Case<'a> = (usize, &'a [(u32, u32)], Option<&'a [u32]>);
        let cases: [Case; 7] = [
            (0, &[], None),
            (3, &[(0, 1), (1, 2), (0, 2)], None),
            (1, &[(0, 0)], Some(&[0, 0])),
            (2, &[(1, 0), (0, 1)], Some(&[0, 1, 0])),
            // A tail after the cycle and a head before it are no part of it.
            (
                5,
                &[(0, 3), (3, 2), (2, 1), (1, 3), (1, 4)],
                Some(&[1, 3, 2, 1]),
            ),
            (4, &[(2, 3), (3, 2), (0, 1)], Some(&[2, 3, 2])),
            (3, &[(0, 1), (0, 1), (1, 2), (2, 0)], Some(&[0, 1, 2, 0])),
        ];
        for (nodes, edges, expected) in cases {
            assert_eq!(
                Graph::new(nodes, edges).cycle().as_deref(),
                expected,
                "{edges:?}"
            );
        }
    }

    #[test]
    fn the_order_is_stable() {
        assert_eq!(
            Graph::new(4, &[(0, 1), (2, 3)]).order().unwrap(),
            [0, 1, 2, 3]
        );
        assert_eq!(
            Graph::new(4, &[(3, 0), (1, 0)]).order().unwrap(),
            [1, 2, 3, 0]
        );
    }

    #[test]
    fn the_critical_path_is_the_heaviest() {
        let g = Graph::new(5, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let (path, length) = g.critical_path(&[1.0, 2.0, 5.0, 1.0, 6.5]).unwrap();
        assert_eq!((path.as_slice(), length), ([0, 2, 3].as_slice(), 7.0));
        assert_eq!(Graph::new(0, &[]).critical_path(&[]), Some((vec![], 0.0)));
        assert_eq!(Graph::new(1, &[(0, 0)]).critical_path(&[1.0]), None);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<(u32, u32)> = (0..200_000).map(|n| (n, n + 1)).collect();
        let (path, length) = Graph::new(200_001, &edges)
            .critical_path(&vec![1.0; 200_001])
            .unwrap();
        assert_eq!((path.len(), length), (200_001, 200_001.0));
    }

    proptest! {
        #[test]
        fn an_order_keeps_every_edge_and_a_cycle_is_made_of_edges(
            edges in prop::collection::vec((0u32..12, 0u32..12), 0..30)
        ) {
            match Graph::new(12, &edges).order() {
                Ok(order) => {
                    let at = |n: u32| order.iter().position(|o| *o == n).unwrap();
                    prop_assert!(edges.iter().all(|(from, to)| at(*from) < at(*to)));
                }
                Err(cycle) => {
                    prop_assert!(cycle.len() >= 2 && cycle.first() == cycle.last());
                    prop_assert!(cycle.windows(2).all(|w| edges.contains(&(w[0], w[1]))));
                }
            }
        }
    }
}

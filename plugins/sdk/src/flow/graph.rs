//! The dependencies as adjacency lists, and their order.

use super::Dependencies;
use crate::{InfeasibleReason, StrategyError, strategy::infeasible};

/// The other end of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The task at the other end.
    pub task: u32,
    /// Index of the dependency in the problem's columns.
    pub edge: u32,
}

/// For each task its neighbours in one direction, in the order of the problem's columns
/// (compressed sparse rows).
#[derive(Clone, Debug)]
pub struct Adjacency {
    offset: Vec<u32>,
    links: Vec<Link>,
}

impl Adjacency {
    /// Rows by `keys[edge]`, each holding `ends[edge]`.
    fn new(tasks: usize, keys: &[u32], ends: &[u32]) -> Self {
        // Ends of the rows first; filling each row from its end leaves its beginning.
        let mut offset = vec![0u32; tasks + 1];
        for &key in keys {
            offset[key as usize] += 1;
        }
        let mut end = 0;
        for row in &mut offset {
            end += *row;
            *row = end;
        }
        let mut links = vec![Link { task: 0, edge: 0 }; keys.len()];
        for (edge, (&key, &task)) in keys.iter().zip(ends).enumerate().rev() {
            let at = &mut offset[key as usize];
            *at -= 1;
            links[*at as usize] = Link {
                task,
                edge: edge as u32,
            };
        }
        Adjacency { offset, links }
    }

    /// The neighbours of `task`.
    #[inline]
    pub fn of(&self, task: usize) -> &[Link] {
        &self.links[self.offset[task] as usize..self.offset[task + 1] as usize]
    }
}

/// Both directions and a topological order.
pub(super) struct Graph {
    pub(super) predecessors: Adjacency,
    pub(super) successors: Adjacency,
    pub(super) order: Vec<u32>,
}

impl Graph {
    /// # Errors
    /// [`InfeasibleReason::Cycle`] naming the tasks of one cycle.
    pub(super) fn new(tasks: usize, edges: &Dependencies) -> Result<Self, StrategyError> {
        let predecessors = Adjacency::new(tasks, &edges.to, &edges.from);
        let successors = Adjacency::new(tasks, &edges.from, &edges.to);
        // Kahn 1962; the order vector is its own queue.
        let mut missing: Vec<u32> = (0..tasks)
            .map(|task| predecessors.of(task).len() as u32)
            .collect();
        let mut order: Vec<u32> = Vec::with_capacity(tasks);
        order.extend((0..tasks as u32).filter(|&task| missing[task as usize] == 0));
        let mut done = 0;
        while done < order.len() {
            for link in successors.of(order[done] as usize) {
                let left = &mut missing[link.task as usize];
                *left -= 1;
                if *left == 0 {
                    order.push(link.task);
                }
            }
            done += 1;
        }
        if order.len() < tasks {
            return Err(cycle(&predecessors, &missing));
        }
        Ok(Graph {
            predecessors,
            successors,
            order,
        })
    }
}

/// Every task that still misses a predecessor has one that does too: walking backwards
/// among them must meet itself.
fn cycle(predecessors: &Adjacency, missing: &[u32]) -> StrategyError {
    let mut at = missing.iter().position(|&left| left > 0).unwrap_or(0);
    let mut step_of = vec![usize::MAX; missing.len()];
    let mut walk = Vec::new();
    while step_of[at] == usize::MAX {
        step_of[at] = walk.len();
        walk.push(at);
        at = predecessors
            .of(at)
            .iter()
            .map(|link| link.task as usize)
            .find(|&task| missing[task] > 0)
            .unwrap_or(at);
    }
    let tasks = &mut walk[step_of[at]..];
    tasks.reverse();
    let lowest = (0..tasks.len()).min_by_key(|&i| tasks[i]).unwrap_or(0);
    tasks.rotate_left(lowest);
    let mut text = String::from("the dependencies form a cycle: ");
    for task in tasks.iter() {
        text += &format!("{{task:{task}}} → ");
    }
    text += &format!("{{task:{}}}", tasks[0]);
    infeasible(InfeasibleReason::Cycle, Some(tasks[0]), text)
}

//! Turns: which guests that have run for longer than a tick run now.
//!
//! Short calls need no turn. A guest that is still running at a tick gives its processor up and waits for the
//! next turn: there are as many as there are worker threads, so that however many guests run for long, not
//! more of them are ever in line at the async runtime than it has threads, and whoever comes anew waits for
//! about a tick. The turns go round by plugin, then by call: what one plugin runs, were it endless loops at
//! full concurrency, takes from another no more than one plugin's share.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// All turns of an engine.
pub(crate) struct Turns {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Plugins that wait, the next one first; each with its calls, the longest waiting first.
    waiting: VecDeque<(Arc<str>, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A guest may run until the next tick; given back when dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(free: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: free.max(1),
                waiting: VecDeque::new(),
            }),
        })
    }

    /// Waits until it is this plugin's turn.
    pub(crate) async fn next(self: &Arc<Self>, plugin: &Arc<str>) -> Option<Turn> {
        let turn = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Some(self.turn());
            }
            let (give, turn) = oneshot::channel();
            match state.waiting.iter_mut().find(|(name, _)| name == plugin) {
                Some((_, calls)) => calls.push_back(give),
                None => state
                    .waiting
                    .push_back((Arc::clone(plugin), VecDeque::from([give]))),
            }
            turn
        };
        // The sender is only dropped with the turns themselves.
        turn.await.ok()
    }

    fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            turns: Arc::clone(self),
        }
    }

    /// The next call in line; its plugin goes to the end of the line.
    fn pass_on(&self) -> Option<oneshot::Sender<Turn>> {
        let mut state = self.state.lock();
        while let Some((plugin, mut calls)) = state.waiting.pop_front() {
            let next = calls.pop_front();
            if !calls.is_empty() {
                state.waiting.push_back((plugin, calls));
            }
            if next.as_ref().is_some_and(|call| !call.is_closed()) {
                return next;
            }
        }
        state.free += 1;
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.turns.pass_on() {
            // One that has gone away meanwhile gives it back by dropping it.
            drop(next.send(self.turns.turn()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    async fn waiting(turns: &Turns, calls: usize) {
        while turns
            .state
            .lock()
            .waiting
            .iter()
            .map(|(_, c)| c.len())
            .sum::<usize>()
            < calls
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn turns_go_round_by_plugin_and_come_back() {
        let turns = Turns::new(1);
        let (many, one): (Arc<str>, Arc<str>) = ("many".into(), "one".into());
        let first = turns.next(&many).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut calls = Vec::new();
        for (n, (plugin, name)) in [(&many, "m1"), (&many, "m2"), (&many, "m3"), (&one, "o1")]
            .into_iter()
            .enumerate()
        {
            let (line, plugin, order) = (turns.clone(), Arc::clone(plugin), order.clone());
            calls.push(tokio::spawn(async move {
                let _turn = line.next(&plugin).await;
                order.lock().push(name);
                tokio::task::yield_now().await;
            }));
            // In line before the next one comes.
            waiting(&turns, n + 1).await;
        }
        // One that goes away is passed over.
        calls[1].abort();
        drop(first);
        for call in calls {
            drop(call.await);
        }
        assert_eq!(*order.lock(), ["m1", "o1", "m3"]);
        assert_eq!(turns.state.lock().free, 1, "every turn came back");
        assert!(turns.state.lock().waiting.is_empty());
    }
}

//! Interning: ids become dense indices for a guest, and indices in its answers become ids again.
//!
//! One set of names lives as long as the analytics processor it serves: an index means the same
//! id for that whole time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use nova_core::domain::TaskId;
use nova_core::strategy::analytics::Scope;

/// One column's ids, in the order of their first appearance.
#[derive(Debug)]
pub(crate) struct Column<T> {
    index: HashMap<T, u32>,
    names: Vec<T>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self {
            index: HashMap::new(),
            names: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Column<T> {
    /// The index of an id; a new one gets the next. (The four thousand millionth shares the last
    /// index before the word for "none"; memory ends long before.)
    pub(crate) fn index<Q>(&mut self, name: &Q) -> u32
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let next = u32::try_from(self.names.len())
            .unwrap_or(u32::MAX)
            .min(u32::MAX - 1);
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), next);
        next
    }

    /// The id of an index.
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.names.get(index)
    }
}

impl Column<String> {
    /// The id of an index that a guest gave.
    pub(crate) fn name(&self, index: u32) -> Option<&str> {
        self.names.get(index as usize).map(String::as_str)
    }
}

/// All columns of one processor.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) tasks: Column<TaskId>,
    pub(crate) flows: Column<String>,
    pub(crate) agents: Column<String>,
    pub(crate) resources: Column<String>,
    pub(crate) metrics: Column<String>,
}

impl Names {
    /// The subjects of a scope.
    pub(crate) fn of_scope(&self, scope: Scope) -> &Column<String> {
        match scope {
            Scope::Flows => &self.flows,
            Scope::Agents => &self.agents,
            Scope::Resources => &self.resources,
        }
    }

    /// As [`Names::of_scope`], for ids that may be new.
    pub(crate) fn of_scope_mut(&mut self, scope: Scope) -> &mut Column<String> {
        match scope {
            Scope::Flows => &mut self.flows,
            Scope::Agents => &mut self.agents,
            Scope::Resources => &mut self.resources,
        }
    }

    /// The id behind a placeholder such as `{task:3}` in a guest's text.
    pub(crate) fn by_word(&self, word: &str, index: usize) -> Option<String> {
        match word {
            "task" => self.tasks.get(index).map(TaskId::to_string),
            "flow" => self.flows.get(index).cloned(),
            "agent" => self.agents.get(index).cloned(),
            "resource" => self.resources.get(index).cloned(),
            "metric" => self.metrics.get(index).cloned(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_dense_rising_and_stable() {
        let mut names = Names::default();
        assert_eq!(names.flows.index("a"), 0);
        assert_eq!(names.flows.index("b"), 1);
        assert_eq!(names.flows.index("a"), 0);
        assert_eq!(names.agents.index("a"), 0, "each column counts for itself");
        assert_eq!(names.of_scope(Scope::Flows).name(1), Some("b"));
        assert_eq!(names.of_scope(Scope::Flows).name(2), None);
        assert_eq!(names.by_word("agent", 0).as_deref(), Some("a"));
        assert_eq!(names.by_word("claim", 0), None);
    }
}

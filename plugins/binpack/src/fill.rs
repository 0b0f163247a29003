//! Filling one node as full as can be: a subset of items of the greatest size that fits.
//!
//! Depth-first over the items, largest first, with a bound by what is left of them and a
//! limit of steps: exact for small sets, good for large ones.

/// A thing to be packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    /// Whose it is.
    pub(crate) id: usize,
    /// What is to be great in sum.
    pub(crate) size: f64,
    /// By dimension.
    pub(crate) need: &'a [f64],
}

/// The memory of the search, kept from call to call.
#[derive(Debug, Default)]
pub(crate) struct Filler {
    dimensions: usize,
    chosen: Vec<usize>,
    best: Vec<usize>,
    best_size: f64,
    /// Sum of sizes from an item on.
    rest: Vec<f64>,
    /// Free space at each depth, by dimension.
    free: Vec<f64>,
    steps: u64,
    /// Steps of all calls.
    pub(crate) spent: u64,
}

impl Filler {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            ..Self::default()
        }
    }

    /// Indices into `items`, which are in descending order of size, of a subset that fits
    /// into `free` and is as great as was found within `steps`. With `first` the first item
    /// that fits at all is part of it.
    pub(crate) fn fill(
        &mut self,
        items: &[Item<'_>],
        free: &[f64],
        slack: &[f64],
        first: bool,
        steps: u64,
    ) -> &[usize] {
        self.chosen.clear();
        self.best.clear();
        self.best_size = 0.0;
        self.steps = steps;
        self.rest.clear();
        self.rest.resize(items.len() + 1, 0.0);
        for k in (0..items.len()).rev() {
            self.rest[k] = self.rest[k + 1] + items[k].size;
        }
        self.free.clear();
        self.free.extend(free.iter().zip(slack).map(|(f, s)| f + s));
        let fits = |item: &Item<'_>| {
            let room = free.iter().zip(slack);
            item.need.iter().zip(room).all(|(n, (f, s))| *n <= f + s)
        };
        let begin = items.iter().position(fits).unwrap_or(items.len());
        if first && begin < items.len() {
            self.descend(items, begin, items[begin].size);
        } else {
            self.deepen(items, begin, 0.0);
        }
        self.spent += steps - self.steps;
        &self.best
    }

    /// Takes item `k` and goes on behind it.
    fn descend(&mut self, items: &[Item<'_>], k: usize, size: f64) {
        let depth = self.free.len();
        let above = depth - self.dimensions;
        for (d, need) in items[k].need.iter().enumerate() {
            let left = self.free[above + d] - need;
            self.free.push(left);
        }
        self.chosen.push(k);
        if size > self.best_size {
            self.best_size = size;
            self.best.clone_from(&self.chosen);
        }
        self.deepen(items, k + 1, size);
        self.chosen.pop();
        self.free.truncate(depth);
    }

    fn deepen(&mut self, items: &[Item<'_>], from: usize, size: f64) {
        let above = self.free.len() - self.dimensions;
        let mut failed: Option<usize> = None;
        for k in from..items.len() {
            if self.steps == 0 || size + self.rest[k] <= self.best_size {
                return;
            }
            self.steps -= 1;
            // An equal item in the same place leads to what was seen already.
            if failed.is_some_and(|f| items[f].need == items[k].need) {
                continue;
            }
            failed = Some(k);
            let room = &self.free[above..];
            if items[k].need.iter().zip(room).all(|(n, f)| n <= f) {
                self.descend(items, k, size + items[k].size);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_fullest_subset() {
        let needs: Vec<[f64; 1]> = [70.0, 50.0, 31.0, 29.5, 19.0].map(|n| [n]).to_vec();
        let items: Vec<Item<'_>> = needs
            .iter()
            .enumerate()
            .map(|(id, need)| Item {
                id,
                size: need[0],
                need,
            })
            .collect();
        let mut filler = Filler::new(1);
        assert_eq!(
            filler.fill(&items, &[100.0], &[0.0], false, 1000),
            [1, 2, 4]
        );
        assert_eq!(filler.fill(&items, &[100.0], &[0.0], true, 1000), [0, 3]);
        assert_eq!(
            filler.fill(&items, &[10.0], &[0.0], true, 1000),
            [0_usize; 0]
        );
    }
}

//! Rows of numbers of one length, one after another.

/// Rows of a block: what is there is never copied again when further ones come.
const BLOCK: usize = 1024;

/// See the module.
pub(super) struct Rows<T> {
    length: usize,
    blocks: Vec<Vec<T>>,
}

impl<T: Copy + Default> Rows<T> {
    /// None yet, of this length each.
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            blocks: Vec::new(),
        }
    }

    /// One of the rows to be written; it may be the next after the last.
    pub(super) fn row_mut(&mut self, at: usize) -> &mut [T] {
        let (block, from) = (at / BLOCK, at % BLOCK * self.length);
        if block == self.blocks.len() {
            self.blocks.push(Vec::new());
        }
        let (block, to) = (&mut self.blocks[block], from + self.length);
        if block.len() < to {
            block.resize(to, T::default());
        }
        &mut block[from..to]
    }

    /// One of the rows.
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> &[T] {
        let from = at % BLOCK * self.length;
        &self.blocks[at / BLOCK][from..from + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_across_blocks() {
        let mut rows = Rows::new(3);
        for at in 0..2 * BLOCK + 5 {
            rows.row_mut(at).copy_from_slice(&[at, at + 1, at + 2]);
        }
        rows.row_mut(BLOCK).fill(7);
        for at in [0, BLOCK - 1, BLOCK + 1, 2 * BLOCK + 4] {
            assert_eq!(rows.row(at), [at, at + 1, at + 2]);
        }
        assert_eq!(rows.row(BLOCK), [7, 7, 7]);
    }
}

//! A set of documents, one bit each.

/// Documents from 0 to a length.
#[derive(Clone, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    /// None of so many.
    pub(super) fn none(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(64)],
            length,
        }
    }

    /// All of so many.
    pub(super) fn all(length: usize) -> Self {
        let mut all = Self {
            words: vec![u64::MAX; length.div_ceil(64)],
            length,
        };
        all.trim();
        all
    }

    /// Adds the next document.
    pub(super) fn push(&mut self, on: bool) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        self.length += 1;
        self.set(self.length as u32 - 1, on);
    }

    pub(super) fn set(&mut self, document: u32, on: bool) {
        let (word, bit) = (document as usize / 64, document % 64);
        if let Some(word) = self.words.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(on) << bit;
        }
    }

    /// Adds the documents of which the value passes; the fastest where they rise.
    pub(super) fn add_where<T: Copy>(&mut self, values: &[(T, u32)], pass: impl Fn(T) -> bool) {
        let (mut at, mut word) = (0, 0);
        for (value, document) in values {
            let place = *document as usize / 64;
            if place != at {
                self.add_word(at, word);
                (at, word) = (place, 0);
            }
            word |= u64::from(pass(*value)) << (document % 64);
        }
        self.add_word(at, word);
    }

    fn add_word(&mut self, at: usize, documents: u64) {
        if let Some(word) = self.words.get_mut(at) {
            *word |= documents;
        }
    }

    pub(super) fn has(&self, document: u32) -> bool {
        let word = self.words.get(document as usize / 64);
        word.is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Bit `i` of word `n` is the document `64 n + i`; bits past the length are 0.
    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Keeps those of which the column's value passes.
    pub(super) fn keep<T: Copy>(&mut self, column: &[T], pass: impl Fn(T) -> bool) {
        for (word, values) in self.words.iter_mut().zip(column.chunks(64)) {
            let mut passing = 0;
            for (bit, value) in values.iter().enumerate() {
                passing |= u64::from(pass(*value)) << bit;
            }
            *word &= passing;
        }
    }

    pub(super) fn and(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    pub(super) fn or(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Those that are not in it.
    pub(super) fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.trim();
    }

    fn trim(&mut self) {
        let used = self.length % 64;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }
}

/// Calls `each` with the number of every bit that is set, ascending.
#[inline(always)]
pub(super) fn each_bit(word: u64, mut each: impl FnMut(u32)) {
    let mut left = word;
    while left != 0 {
        each(left.trailing_zeros());
        left &= left - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_joined_and_turned_around() {
        let mut even = Bits::default();
        (0..130).for_each(|d| even.push(d % 2 == 0));
        assert_eq!(
            (even.count(), even.has(128), even.has(129)),
            (65, true, false)
        );
        let mut odd = even.clone();
        odd.invert();
        assert_eq!((odd.count(), odd.has(129), odd.has(130)), (65, true, false));
        let mut all = even.clone();
        all.or(&odd);
        assert_eq!(all.count(), Bits::all(130).count());
        all.and(&odd);
        all.set(1, false);
        all.add_where(&[(true, 0), (false, 2), (true, 129), (true, 64)], |on| on);
        assert_eq!((all.count(), all.has(0), all.has(1)), (66, true, false));
        let mut each = Vec::new();
        for (at, word) in all.words().iter().enumerate() {
            each_bit(*word, |bit| each.push(at as u32 * 64 + bit));
        }
        assert_eq!(
            (each.len(), &each[..3], each[65]),
            (66, &[0, 3, 5][..], 129)
        );
        let column: Vec<usize> = (0..130).collect();
        all.keep(&column, |value| value < 4);
        assert_eq!(all.count(), 2, "0 and 3");
    }
}

//! The vector leg: exact search over one model's vectors.
//!
//! Each vector is kept as one sign bit and one byte a dimension. Few are scored by the bytes; of many the bits tell the
//! nearest (Hamming distance), and the nearest are scored anew by the bytes, as in binary quantization
//! with rescoring (Yamada et al., "Efficient Passage Retrieval with Hashing", 2021).

use super::bits::{Bits, each_bit};
use super::leg::{Leg, Spread};
use super::rows::Rows;

/// Up to so many documents that pass are scored by the bytes alone.
const EXACT_MAX: usize = 20_000;
/// Vectors that the bits let through to the bytes, at least.
const RESCORED: usize = 1000;
/// Vectors that tell the mean and the spread of all scores.
const SAMPLE: usize = 1024;
/// Documents that are gone through at once, in words of 64.
const CHUNK: usize = 64;
/// Sums that are made side by side.
const LANES: usize = 16;
const NONE: u32 = u32::MAX;

/// Vectors of one model.
pub(super) struct Vectors {
    dimensions: usize,
    /// Sign bits, `dimensions.div_ceil(64)` words a vector.
    bits: Rows<u64>,
    /// The vector scaled to ±127.
    bytes: Rows<i8>,
    /// What one step of a byte is worth.
    scales: Vec<f32>,
    /// Place → document.
    documents: Vec<u32>,
    /// Document → place, or [`NONE`].
    places: Vec<u32>,
}

/// A query against one model's vectors.
pub(super) struct VectorQuery {
    bits: Vec<u64>,
    numbers: Vec<f32>,
}

/// The nearest by the bits, while the documents that pass go by.
struct Nearest {
    wanted: usize,
    /// How many lie at each distance up to the bound.
    counts: Vec<usize>,
    /// All of these together.
    within: usize,
    /// Beyond it are at least `wanted` others nearer.
    bound: usize,
    /// Distances and places; some of the early ones lie beyond the bound.
    found: Vec<(usize, u32)>,
}

impl Nearest {
    fn new(wanted: usize, dimensions: usize) -> Self {
        Self {
            wanted,
            counts: vec![0; dimensions + 1],
            within: 0,
            bound: dimensions,
            found: Vec::with_capacity(8 * wanted),
        }
    }

    #[inline(always)]
    fn meet(&mut self, distance: usize, place: u32) {
        if distance > self.bound {
            return;
        }
        self.found.push((distance, place));
        self.counts[distance] += 1;
        self.within += 1;
        while self.within - self.counts[self.bound] >= self.wanted {
            self.within -= self.counts[self.bound];
            self.bound -= 1;
        }
    }

    /// The places of the `wanted` nearest, and of those as near as the last of these.
    fn places(self) -> Vec<u32> {
        let found = self.found.into_iter();
        let near = found.filter(|(distance, _)| *distance <= self.bound);
        near.map(|(_, place)| place).collect()
    }
}

impl Vectors {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            bits: Rows::new(dimensions.div_ceil(64)),
            bytes: Rows::new(dimensions),
            scales: Vec::new(),
            documents: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Adds a document's vector, in the place of the one before; it has the right length. One without a direction is left
    /// out.
    pub(super) fn put(&mut self, document: u32, vector: &[f32]) {
        let Some(norm) = norm(vector) else { return };
        let at = document as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, NONE);
        }
        if self.places[at] == NONE {
            self.places[at] = self.documents.len() as u32;
            self.documents.push(document);
            self.scales.push(0.0);
        }
        let place = self.places[at] as usize;
        signs(vector, self.bits.row_mut(place));
        self.scales[place] = to_bytes(vector, self.bytes.row_mut(place)) / norm;
    }

    /// Takes a document's vector out, if it has one; the last moves to where it was.
    pub(super) fn remove(&mut self, document: u32) {
        if !self.has(document) {
            return;
        }
        let place = std::mem::replace(&mut self.places[document as usize], NONE) as usize;
        self.documents.swap_remove(place);
        self.scales.swap_remove(place);
        if let Some(moved) = self.documents.get(place) {
            self.places[*moved as usize] = place as u32;
            let last = self.documents.len();
            let (bits, bytes) = (self.bits.row(last).to_vec(), self.bytes.row(last).to_vec());
            self.bits.row_mut(place).copy_from_slice(&bits);
            self.bytes.row_mut(place).copy_from_slice(&bytes);
        }
    }

    /// Whether a document has a vector.
    pub(super) fn has(&self, document: u32) -> bool {
        let place = self.places.get(document as usize);
        place.is_some_and(|place| *place != NONE)
    }

    /// Prepares a query; none where its length differs or it has no direction.
    pub(super) fn query(&self, vector: &[f32]) -> Option<VectorQuery> {
        if vector.len() != self.dimensions {
            return None;
        }
        let norm = norm(vector)?;
        let mut bits = vec![0; self.dimensions.div_ceil(64)];
        signs(vector, &mut bits);
        Some(VectorQuery {
            bits,
            numbers: vector.iter().map(|x| x / norm).collect(),
        })
    }

    /// One document's cosine, where it has a vector.
    pub(super) fn cosine(&self, query: &VectorQuery, document: u32) -> Option<f32> {
        let place = *self.places.get(document as usize)?;
        (place != NONE).then(|| self.at(query, place as usize))
    }

    #[inline(always)]
    fn at(&self, query: &VectorQuery, place: usize) -> f32 {
        let bytes = self.bytes.row(place);
        // Sums side by side, so that the compiler can use the machine's vectors.
        let mut sums = [0.0f32; LANES];
        let (chunks, rest) = bytes.as_chunks::<LANES>();
        let (numbers, numbers_rest) = query.numbers.as_chunks::<LANES>();
        for (b, q) in chunks.iter().zip(numbers) {
            for i in 0..LANES {
                sums[i] += f32::from(b[i]) * q[i];
            }
        }
        let tail = rest.iter().zip(numbers_rest);
        let tail: f32 = tail.map(|(b, q)| f32::from(*b) * q).sum();
        (sums.iter().sum::<f32>() + tail) * self.scales[place]
    }

    /// The cosines at these places, by the best instructions that the machine has.
    fn cosines(&self, query: &VectorQuery, places: &[u32]) -> Vec<f32> {
        let mut cosines = vec![0.0; places.len()];
        let pairs = cosines.iter_mut().zip(places);
        pulp::Arch::new().dispatch(
            // It consumes what it takes: else the compiler makes a function of it, without the instructions.
            #[inline(always)]
            || {
                for (cosine, place) in pairs {
                    *cosine = self.at(query, *place as usize);
                }
            },
        );
        cosines
    }

    /// In how many bits each of these vectors differs from the query's, by the best instructions that the machine has.
    fn distances(&self, query: &VectorQuery, places: &[u32], distances: &mut Vec<u32>) {
        distances.resize(places.len(), 0);
        let distances = distances.iter_mut().zip(places);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || match query.bits.as_slice() {
                // The bundled model's length, unrolled.
                [a, b, c, d] => {
                    for (distance, place) in distances {
                        if let [e, f, g, h] = self.bits.row(*place as usize) {
                            let (first, last) = (differ(*a, *e) + differ(*b, *f), differ(*d, *h));
                            *distance = first + differ(*c, *g) + last;
                        }
                    }
                }
                bits => {
                    for (distance, place) in distances {
                        let pairs = self.bits.row(*place as usize).iter().zip(bits);
                        *distance = pairs.map(|(a, b)| differ(*a, *b)).sum();
                    }
                }
            },
        );
    }

    /// The places of the vectors nearest by their bits, and of every so many-th of all that pass.
    fn nearest(
        &self,
        query: &VectorQuery,
        pass: &Bits,
        wanted: usize,
        step: usize,
    ) -> (Vec<u32>, Vec<u32>) {
        let mut nearest = Nearest::new(wanted, self.dimensions);
        let (mut sample, mut skip) = (Vec::with_capacity(2 * SAMPLE), 0);
        let (mut places, mut distances) = (Vec::new(), Vec::new());
        for (at, words) in pass.words().chunks(CHUNK).enumerate() {
            places.clear();
            self.places_of(at * CHUNK, words, &mut places);
            self.distances(query, &places, &mut distances);
            for (place, distance) in places.iter().zip(&distances) {
                nearest.meet(*distance as usize, *place);
            }
            sample.extend(places.iter().skip(skip).step_by(step));
            let taken = places.len().saturating_sub(skip).div_ceil(step);
            skip = skip + taken * step - places.len();
        }
        (nearest.places(), sample)
    }

    /// Adds where the vectors of documents are, of those that have one.
    fn places_of(&self, first_word: usize, words: &[u64], found: &mut Vec<u32>) {
        for (at, word) in (first_word..).zip(words) {
            let places = self.places.get(at * 64..).unwrap_or_default();
            each_bit(*word, |bit| match places.get(bit as usize) {
                None | Some(&NONE) => {}
                Some(place) => found.push(*place),
            });
        }
    }

    /// The nearest documents of those that pass, at most `limit`. Of many a sample tells how they are spread.
    pub(super) fn scan(&self, query: &VectorQuery, pass: &Bits, limit: usize) -> Leg {
        let passing = pass.count().min(self.documents.len());
        let (near, sample) = if passing <= EXACT_MAX {
            let mut all = Vec::with_capacity(passing);
            self.places_of(0, pass.words(), &mut all);
            (all, None)
        } else {
            let wanted = RESCORED.max(4 * limit);
            let (near, sample) = self.nearest(query, pass, wanted, passing / SAMPLE);
            (near, Some(sample))
        };
        let cosines = self.cosines(query, &near);
        let spread = match sample {
            None => spread(&cosines),
            Some(sample) => spread(&self.cosines(query, &sample)),
        };
        let mut best: Vec<(f32, u32)> = cosines.into_iter().zip(near).collect();
        if best.len() > limit {
            best.select_nth_unstable_by(limit, |a, b| b.0.total_cmp(&a.0));
            best.truncate(limit);
        }
        let best = best.into_iter();
        Leg {
            best: best
                .map(|(_, place)| self.documents[place as usize])
                .collect(),
            spread,
        }
    }

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        let old = std::mem::replace(self, Self::new(self.dimensions));
        for (place, document) in old.documents.iter().enumerate() {
            let Some(number) = new[*document as usize] else {
                continue;
            };
            if self.places.len() <= number as usize {
                self.places.resize(number as usize + 1, NONE);
            }
            let next = self.documents.len();
            self.places[number as usize] = next as u32;
            self.documents.push(number);
            self.scales.push(old.scales[place]);
            self.bits.row_mut(next).copy_from_slice(old.bits.row(place));
            self.bytes
                .row_mut(next)
                .copy_from_slice(old.bytes.row(place));
        }
    }
}

#[inline(always)]
fn differ(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

fn spread(scores: &[f32]) -> Spread {
    let (mut sum, mut squares) = (0.0, 0.0);
    for score in scores {
        let score = f64::from(*score);
        sum += score;
        squares += score * score;
    }
    Spread::of(scores.len(), sum, squares)
}

/// The length of a vector that has a direction.
fn norm(vector: &[f32]) -> Option<f32> {
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = vector.as_chunks::<LANES>();
    for numbers in chunks {
        for i in 0..LANES {
            sums[i] += numbers[i] * numbers[i];
        }
    }
    let rest: f32 = rest.iter().map(|x| x * x).sum();
    let norm = (sums.iter().sum::<f32>() + rest).sqrt();
    (norm.is_finite() && norm > 0.0).then_some(norm)
}

/// Scales a vector to ±127; gives what one step is worth.
fn to_bytes(vector: &[f32], bytes: &mut [i8]) -> f32 {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let most = vector.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let steps = 127.0 / most;
            for (byte, x) in bytes.iter_mut().zip(vector) {
                *byte = (x * steps).round_ties_even() as i8;
            }
            most / 127.0
        },
    )
}

fn signs(vector: &[f32], words: &mut [u64]) {
    for (word, numbers) in words.iter_mut().zip(vector.chunks(64)) {
        let bits = numbers.iter().enumerate();
        *word = bits.fold(0, |word, (i, x)| word | (u64::from(*x > 0.0) << i));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn random(seed: &mut u64) -> f32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((*seed >> 33) as f32) / (1u64 << 31) as f32 - 0.5
    }

    fn vector(dimensions: usize, seed: &mut u64) -> Vec<f32> {
        (0..dimensions).map(|_| random(seed)).collect()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        product / norm(a).unwrap() / norm(b).unwrap()
    }

    /// Many that pass go by the bits first, few by the bytes alone; both find what the numbers find.
    #[test]
    fn bits_and_bytes_find_what_the_numbers_find() {
        let (dimensions, count, mut seed) = (96, EXACT_MAX + 5000, 7);
        let mut vectors = Vectors::new(dimensions);
        let all: Vec<Vec<f32>> = (0..count).map(|_| vector(dimensions, &mut seed)).collect();
        for (document, vector) in (0..).zip(&all) {
            vectors.put(document, vector);
        }
        let asked = vector(dimensions, &mut seed);
        let query = vectors.query(&asked).unwrap();
        for (of, least) in [(10, 8), (2, 9)] {
            let mut pass = Bits::all(count);
            (0..count as u32)
                .step_by(of)
                .for_each(|document| pass.set(document, false));
            assert_eq!(pass.count() > EXACT_MAX, of == 10);
            let found = vectors.scan(&query, &pass, 10);
            let mut truth: Vec<(u32, f32)> = (0..count as u32)
                .filter(|document| pass.has(*document))
                .map(|document| (document, cosine(&all[document as usize], &asked)))
                .collect();
            let mean = truth.iter().map(|(_, c)| c).sum::<f32>() / truth.len() as f32;
            assert!(found.spread.z(mean.into()).abs() < 0.1, "the mean is near");
            truth.sort_by(|a, b| b.1.total_cmp(&a.1));
            let hits = truth[..10].iter().filter(|(d, _)| found.best.contains(d));
            let hits = hits.count();
            assert!(hits >= least, "{hits} of the 10 nearest");
            assert_eq!(found.best.len(), 10);
            assert!(found.best.iter().all(|d| pass.has(*d)), "the filter holds");
            let (nearest, expected) = truth[0];
            let cosine = vectors.cosine(&query, nearest).unwrap();
            assert!(found.best.contains(&nearest) && (cosine - expected).abs() < 0.02);
        }
    }

    #[test]
    fn the_nearest_are_all_up_to_the_last_wanted() {
        let mut seed = 3;
        for (wanted, spread) in [(1, 90.0), (100, 90.0), (100, 3.0), (5000, 90.0)] {
            let distances: Vec<usize> = (0..2000)
                .map(|_| ((random(&mut seed) + 0.5) * spread) as usize)
                .collect();
            let mut nearest = Nearest::new(wanted, 96);
            for (place, distance) in (0..).zip(&distances) {
                nearest.meet(*distance, place);
            }
            let mut sorted = distances.clone();
            sorted.sort_unstable();
            let bound = sorted[wanted.min(sorted.len()) - 1];
            let expected = (0..).zip(&distances).filter(|(_, d)| **d <= bound);
            let expected: Vec<u32> = expected.map(|(place, _)| place).collect();
            assert_eq!(nearest.places(), expected, "{wanted} {spread}");
        }
    }

    #[test]
    fn a_newer_vector_takes_the_place_of_the_one_before() {
        let mut vectors = Vectors::new(2);
        vectors.put(3, &[1.0, 0.0]);
        vectors.put(1, &[0.0, 1.0]);
        vectors.put(3, &[0.0, 5.0]);
        vectors.put(3, &[0.0, 0.0]);
        let query = vectors.query(&[0.0, 2.0]).unwrap();
        let near = |document| {
            vectors
                .cosine(&query, document)
                .map(|c| (c * 100.0).round())
        };
        assert_eq!(
            [near(0), near(1), near(3), near(4)],
            [None, Some(100.0), Some(100.0), None]
        );
        assert_eq!(vectors.documents, [3, 1]);
        vectors.remove(3);
        vectors.remove(3);
        assert_eq!(vectors.documents, [1], "the last moves to where it was");
        assert!(!vectors.has(3) && vectors.cosine(&query, 1).is_some());
        vectors.put(3, &[0.0, 1.0]);
        vectors.renumber(&[None, Some(0), None, None]);
        assert_eq!(
            (
                vectors.documents.as_slice(),
                vectors.cosine(&query, 0).is_some()
            ),
            (&[0][..], true)
        );
    }
}

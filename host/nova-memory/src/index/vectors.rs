//! The vector leg: exact search over one model's vectors.
//!
//! Each vector is kept as one sign bit and one byte a dimension. Small collections are scanned by the bytes; larger
//! ones by the bits (Hamming distance), and the nearest are scored anew by the bytes, as in binary quantization
//! with rescoring (Yamada et al., "Efficient Passage Retrieval with Hashing", 2021).

/// Collections up to this many vectors are scanned by the bytes alone.
const EXACT_MAX: usize = 20_000;
/// Vectors that the bits let through to the bytes, at least.
const RESCORED: usize = 1000;
/// Vectors that tell the mean and the spread of all scores.
const SAMPLE: usize = 2048;
/// Sums that are made side by side.
const LANES: usize = 16;
const NONE: u32 = u32::MAX;

/// Vectors of one model.
pub(super) struct Vectors {
    dimensions: usize,
    /// Sign bits, `dimensions.div_ceil(64)` words a vector.
    bits: Vec<u64>,
    /// The vector scaled to ±127.
    bytes: Vec<i8>,
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

/// What a scan found.
pub(super) struct VectorScores {
    /// Documents with their cosines, best first.
    pub(super) best: Vec<(u32, f32)>,
    /// The mean of all scores.
    pub(super) mean: f32,
    /// Their standard deviation.
    pub(super) deviation: f32,
}

impl Vectors {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            bits: Vec::new(),
            bytes: Vec::new(),
            scales: Vec::new(),
            documents: Vec::new(),
            places: Vec::new(),
        }
    }

    fn words(&self) -> usize {
        self.dimensions.div_ceil(64)
    }

    /// Adds a document's vector; it has the right length and a direction.
    pub(super) fn push(&mut self, document: u32, vector: &[f32]) {
        let Some(unit) = unit(vector) else { return };
        let most = unit.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let scale = most / 127.0;
        let at = document as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, NONE);
        }
        self.places[at] = self.documents.len() as u32;
        self.documents.push(document);
        self.bits.extend(signs(&unit));
        self.bytes
            .extend(unit.iter().map(|x| (x / scale).round() as i8));
        self.scales.push(scale);
    }

    /// Prepares a query; none where its length differs or it has no direction.
    pub(super) fn query(&self, vector: &[f32]) -> Option<VectorQuery> {
        if vector.len() != self.dimensions {
            return None;
        }
        let numbers = unit(vector)?;
        Some(VectorQuery {
            bits: signs(&numbers),
            numbers,
        })
    }

    /// One document's cosine, where it has a vector.
    pub(super) fn cosine(&self, query: &VectorQuery, document: u32) -> Option<f32> {
        let place = *self.places.get(document as usize)?;
        (place != NONE).then(|| self.at(query, place as usize))
    }

    #[inline(always)]
    fn at(&self, query: &VectorQuery, place: usize) -> f32 {
        let from = place * self.dimensions;
        let bytes = &self.bytes[from..from + self.dimensions];
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
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (cosine, place) in cosines.iter_mut().zip(places) {
                    *cosine = self.at(query, *place as usize);
                }
            },
        );
        cosines
    }

    /// In how many bits each vector differs from the query's.
    fn distances(&self, query: &VectorQuery) -> Vec<u16> {
        let mut distances = vec![0; self.documents.len()];
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || match query.bits.as_slice() {
                // The bundled model's length, unrolled.
                [a, b, c, d] => {
                    let vectors = self.bits.as_chunks::<4>().0;
                    for (distance, [e, f, g, h]) in distances.iter_mut().zip(vectors) {
                        let (first, last) = (differ(*a, *e) + differ(*b, *f), differ(*d, *h));
                        *distance = (first + differ(*c, *g) + last) as u16;
                    }
                }
                bits => {
                    let vectors = self.bits.chunks_exact(bits.len().max(1));
                    for (distance, vector) in distances.iter_mut().zip(vectors) {
                        let pairs = vector.iter().zip(bits);
                        *distance = pairs.map(|(a, b)| differ(*a, *b)).sum::<u32>() as u16;
                    }
                }
            },
        );
        distances
    }

    /// The best documents that pass, and how all that pass are spread.
    pub(super) fn scan(
        &self,
        query: &VectorQuery,
        pass: impl Fn(u32) -> bool,
        limit: usize,
    ) -> VectorScores {
        let passing = (0..self.documents.len() as u32).filter(|place| {
            let document = self.documents[*place as usize];
            // A vector that was replaced has left its place.
            self.places[document as usize] == *place && pass(document)
        });
        let scored = |places: &[u32]| -> Vec<(u32, f32)> {
            let documents = places.iter().map(|place| self.documents[*place as usize]);
            documents.zip(self.cosines(query, places)).collect()
        };
        if self.documents.len() <= EXACT_MAX {
            let places: Vec<u32> = passing.collect();
            let scored = scored(&places);
            return finish(scored.iter().map(|(_, s)| *s), scored.clone(), limit);
        }
        let distances = self.distances(query);
        let near: Vec<u32> = passing.collect();
        let wanted = RESCORED.max(4 * limit).min(near.len());
        let bound = nth_distance(&near, &distances, wanted, self.dimensions);
        let nearest = near.iter().copied();
        let nearest: Vec<u32> = nearest
            .filter(|place| distances[*place as usize] <= bound)
            .collect();
        let step = (near.len() / SAMPLE).max(1);
        let sample: Vec<u32> = near.iter().copied().step_by(step).collect();
        let spread = self.cosines(query, &sample);
        finish(spread.into_iter(), scored(&nearest), limit)
    }

    /// Drops documents without a new number and gives the others theirs.
    pub(super) fn renumber(&mut self, new: &[Option<u32>]) {
        let old = std::mem::replace(self, Self::new(self.dimensions));
        let words = old.words();
        for (place, document) in old.documents.iter().enumerate() {
            // A vector that was replaced has left its place.
            let current = old.places[*document as usize] as usize == place;
            let Some(number) = new[*document as usize].filter(|_| current) else {
                continue;
            };
            if self.places.len() <= number as usize {
                self.places.resize(number as usize + 1, NONE);
            }
            self.places[number as usize] = self.documents.len() as u32;
            self.documents.push(number);
            self.bits
                .extend(&old.bits[place * words..(place + 1) * words]);
            let from = place * self.dimensions;
            self.bytes.extend(&old.bytes[from..from + self.dimensions]);
            self.scales.push(old.scales[place]);
        }
    }
}

#[inline(always)]
fn differ(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

/// The distance within which `wanted` of the places lie.
fn nth_distance(near: &[u32], distances: &[u16], wanted: usize, most: usize) -> u16 {
    let mut counts = vec![0usize; most + 65];
    for place in near {
        counts[distances[*place as usize] as usize] += 1;
    }
    let mut seen = 0;
    for (distance, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted {
            return distance as u16;
        }
    }
    u16::MAX
}

fn finish(
    spread: impl Iterator<Item = f32>,
    mut best: Vec<(u32, f32)>,
    limit: usize,
) -> VectorScores {
    let (mut n, mut sum, mut squares) = (0.0f64, 0.0f64, 0.0f64);
    for score in spread {
        let score = f64::from(score);
        n += 1.0;
        sum += score;
        squares += score * score;
    }
    let mean = sum / n.max(1.0);
    let variance = (squares / n.max(1.0) - mean * mean).max(0.0);
    if best.len() > limit {
        best.select_nth_unstable_by(limit, |a, b| b.1.total_cmp(&a.1));
        best.truncate(limit);
    }
    best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
    VectorScores {
        best,
        mean: mean as f32,
        deviation: variance.sqrt() as f32,
    }
}

fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    (norm.is_finite() && norm > 0.0).then(|| vector.iter().map(|x| x / norm).collect())
}

fn signs(vector: &[f32]) -> Vec<u64> {
    let word = |chunk: &[f32]| {
        let bits = chunk.iter().enumerate();
        bits.fold(0u64, |word, (i, x)| word | (u64::from(*x > 0.0) << i))
    };
    vector.chunks(64).map(word).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn random(seed: &mut u64) -> f32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((*seed >> 33) as f32) / (1u64 << 31) as f32 - 0.5
    }

    #[test]
    fn bits_and_bytes_find_what_the_numbers_find() {
        let (dimensions, count, mut seed) = (96, EXACT_MAX + 5000, 7);
        let mut vectors = Vectors::new(dimensions);
        let mut all = Vec::new();
        for document in 0..count {
            let vector: Vec<f32> = (0..dimensions).map(|_| random(&mut seed)).collect();
            vectors.push(document as u32, &vector);
            all.push(unit(&vector).unwrap());
        }
        let asked: Vec<f32> = (0..dimensions).map(|_| random(&mut seed)).collect();
        let query = vectors.query(&asked).unwrap();
        let found = vectors.scan(&query, |d| d % 2 == 0, 10).best;
        let mut truth: Vec<(u32, f32)> = (0..count as u32)
            .step_by(2)
            .map(|d| {
                let cosine = all[d as usize].iter().zip(&query.numbers);
                (d, cosine.map(|(a, b)| a * b).sum())
            })
            .collect();
        truth.sort_by(|a, b| b.1.total_cmp(&a.1));
        let hits = truth[..10]
            .iter()
            .filter(|(d, _)| found.iter().any(|(f, _)| f == d))
            .count();
        assert!(hits >= 8, "{hits} of the 10 nearest");
        assert!(found.iter().all(|(d, _)| d % 2 == 0), "the filter holds");
        assert!((found[0].1 - truth[0].1).abs() < 0.02);
    }
}

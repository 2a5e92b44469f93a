//! Randomness that comes out the same for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};

use postroom_provider::Randomness;

/// `SplitMix64`: one step.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that depends on all of these and looks random.
#[must_use]
pub fn hash(parts: &[u64]) -> u64 {
    let mut state = 0;
    for part in parts {
        state = mix(state ^ part.wrapping_add(GAMMA));
    }
    state
}

/// Draws for the generator of scenarios.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Draws of a seed; `stream` keeps those for different purposes apart.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(hash(&[seed, stream]))
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `bound`; zero where the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.number() % bound }
    }

    /// A position in something of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Whether something happens that happens so many times of a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.index(of.len());
        &of[index]
    }

    /// The place of one of these weights.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if at < *weight {
                return place;
            }
            at -= weight;
        }
        0
    }
}

/// What the engine and the store take for random.
#[derive(Debug)]
pub struct SimRandomness(AtomicU64);

impl SimRandomness {
    /// Randomness of a seed; `stream` keeps engine and store apart.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(AtomicU64::new(hash(&[seed, stream, 1])))
    }
}

impl Randomness for SimRandomness {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = mix(self
                .0
                .fetch_add(GAMMA, Ordering::Relaxed)
                .wrapping_add(GAMMA));
            let bytes = number.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

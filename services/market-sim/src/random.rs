use chrono::{Datelike, NaiveDate};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A stream of random numbers of its own for everything that is random, so that neither the choice of tickers nor the
/// order of requests changes a market.
pub(crate) fn stream(seed: u64, what: &str, date: Option<NaiveDate>) -> ChaCha8Rng {
    let day = date.map_or(0, |date| date.num_days_from_ce());
    let mut key = [0; 32];
    let parts = [
        seed.to_le_bytes(),
        hash(what).to_le_bytes(),
        i64::from(day).to_le_bytes(),
    ];
    for (place, byte) in key.iter_mut().zip(parts.into_iter().flatten()) {
        *place = byte;
    }
    ChaCha8Rng::from_seed(key)
}

/// FNV-1a: the same for ever, unlike the standard library's hasher.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

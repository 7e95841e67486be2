#![doc = include_str!("../README.md")]

mod proxy;

use std::path::{Path, PathBuf};

pub use proxy::HushingProxy;

/// The path of a shared file or folder, such as `golden/indicators_talib.csv.gz`; `None`, said on standard error, when
/// it is absent.
///
/// Looked for when the test runs, not where it was compiled: checkouts may share their build folder.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TANDEM_SHARED_DIR")
        .filter(|value| !value.is_empty())
        .map_or_else(beside_the_checkout, PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!(
        "skipped: {} is absent; TANDEM_SHARED_DIR names the folder of shared data",
        found.display()
    );
    None
}

/// cargo runs a test in its crate's folder, two below the checkout.
fn beside_the_checkout() -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(PathBuf::new, PathBuf::from);
    root.ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .join("../shared")
}

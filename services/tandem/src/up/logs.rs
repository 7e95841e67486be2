//! The logs of this run and of those before it.

use std::{
    fs::File,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// Runs whose logs are kept beside the present one's: `logs.1` is the one before.
const KEPT: usize = 5;

/// Sets the logs of the last run aside, and makes an empty folder for this one.
///
/// # Errors
/// When the market's folder cannot be written to.
pub(super) fn begin(market: &Path) -> anyhow::Result<PathBuf> {
    let logs = market.join("logs");
    set_aside(market, &logs)
        .and_then(|()| std::fs::create_dir_all(&logs))
        .with_context(|| format!("failed to set the last logs aside in {}", market.display()))?;
    Ok(logs)
}

fn set_aside(market: &Path, logs: &Path) -> io::Result<()> {
    match std::fs::read_dir(logs).map(|mut entries| entries.next().is_none()) {
        // A start that came to nothing leaves the earlier ones where they are.
        Ok(true) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        _ => (),
    }
    let older = |age: usize| market.join(format!("logs.{age}"));
    match std::fs::remove_dir_all(older(KEPT)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    for age in (1..KEPT).rev() {
        match std::fs::rename(older(age), older(age + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => (),
        }
    }
    std::fs::rename(logs, older(1))
}

/// The log of a program, to be written on.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open(logs: &Path, name: &str) -> anyhow::Result<File> {
    let path = path(logs, name);
    File::options()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("failed to open the log {}", path.display()))
}

/// Where a program's log lies.
pub(super) fn path(logs: &Path, name: &str) -> PathBuf {
    logs.join(format!("{name}.log"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_runs_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let market = folder.path();
        for run in 1..=8 {
            let logs = begin(market).unwrap();
            assert_eq!(begin(market).unwrap(), logs, "an empty one is not kept");
            for part in ["crashed", "started again"] {
                writeln!(open(&logs, "api").unwrap(), "run {run} {part}").unwrap();
            }
        }
        let said = |logs: &str| std::fs::read_to_string(path(&market.join(logs), "api")).unwrap();
        assert_eq!(said("logs"), "run 8 crashed\nrun 8 started again\n");
        assert_eq!(said("logs.1"), "run 7 crashed\nrun 7 started again\n");
        assert_eq!(said("logs.5"), "run 3 crashed\nrun 3 started again\n");
        assert!(!market.join("logs.6").exists());
    }
}

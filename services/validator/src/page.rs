//! The night's page.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use evaluation::ValidationReport;

/// Writes the report as JSON and as a page into the night's folder, and gives the page's path. A dry run leaves the night's
/// own report alone.
pub(crate) fn write(folder: &Path, report: &ValidationReport) -> anyhow::Result<PathBuf> {
    let name = if report.dry_run {
        "validation-dry-run"
    } else {
        "validation"
    };
    let json = serde_json::to_vec_pretty(report).context("failed to write the report as JSON")?;
    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create the folder {}", folder.display()))?;
    replace(&folder.join(format!("{name}.json")), &json)?;
    let page = folder.join(format!("{name}.html"));
    replace(&page, report.to_html().as_bytes())?;
    Ok(page)
}

/// A reader sees the file of before or the new one, and never half of one.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_added_extension(format!("{}.new", std::process::id()));
    let written = File::create(&fresh)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, path));
    written.with_context(|| {
        // What there is of it is of no use, and may be what the disk lacks.
        let _ = fs::remove_file(&fresh);
        format!(
            "failed to write {}, so the champions stay as they are",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("validation.json");
        replace(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        // A folder of that name cannot be replaced by a file.
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("full")).unwrap();
        let error = replace(&taken, b"x").unwrap_err().to_string();
        assert!(
            error.contains("taken") && error.contains("champions stay"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

/// The version of this code: the crates' version, and the commit where the build was told it.
///
/// `TANDEM_COMMIT` is read when this crate is compiled, not asked of git: a build that follows git's head would compile
/// the training and all that uses it again at each commit, and would call a changed checkout by the commit below it.
pub(crate) fn code_version() -> String {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    match option_env!("TANDEM_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("{VERSION}+{commit}"),
        _ => VERSION.to_owned(),
    }
}

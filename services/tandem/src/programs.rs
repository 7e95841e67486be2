//! The other programs of this system, which lie beside this one.

use std::{
    convert::Infallible, env, os::unix::process::CommandExt, path::PathBuf, process::Command,
};

use anyhow::{Context, bail};

/// Returns where a program of this system lies.
///
/// # Errors
/// When it is not there.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("failed to find the path of this program")?;
    let path = own.with_file_name(name);
    if !path.is_file() {
        bail!(
            "{} is missing: it may still be compiled (./scripts/run says so), else build all of Tandem (cargo build --workspace)",
            path.display()
        );
    }
    Ok(path)
}

/// Becomes the program of the research commands, with the arguments of this one: output and exit code are its own.
///
/// # Errors
/// When it is not there, or cannot be started.
pub(crate) fn hand_over_to_research() -> anyhow::Result<()> {
    become_program(Command::new(sibling("tandem-research")?).args(env::args_os().skip(1)))
        .map(|never| match never {})
}

/// Becomes another program.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn become_program(command: &mut Command) -> anyhow::Result<Infallible> {
    let failed = command.exec();
    Err(failed).with_context(|| format!("failed to start {}", command.get_program().display()))
}

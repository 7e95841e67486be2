//! `tandem nightly`: the night's steps by hand.

use std::process::Command;

use anyhow::bail;

use service_kit::LocalSystem;

use crate::{
    cli::NightlyArguments,
    programs::{become_program, sibling},
};

/// Becomes the program `nightly`, with the environment of the chosen system: signals, output and exit code are its own.
///
/// # Errors
/// When the system cannot be found, or does not run and has the vendors with it, or the program cannot be started.
pub(crate) fn run(arguments: &NightlyArguments) -> anyhow::Result<()> {
    let mut command = Command::new(sibling("nightly")?);
    command.args(&arguments.options);
    let only_looks = arguments.options.iter().any(|option| option == "--list");
    match LocalSystem::chosen(&arguments.system)? {
        Some(system) => {
            command.envs(system.environment_now(!only_looks)?);
            eprintln!("night of the market in {}", system.folder().display());
        }
        None if service_kit::database_url().is_err() => bail!(
            "DATABASE_URL is not set: set it, or name the folder of a running system, such as --state-dir .local"
        ),
        None => (),
    }
    become_program(&mut command).map(|never| match never {})
}

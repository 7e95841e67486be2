//! `tandem nightly`: the night's steps by hand.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, bail};

use crate::{cli::NightlyArguments, system::System, up::sibling};

/// Becomes the program `nightly`, with the environment of the chosen system: signals, output and exit code are its own.
///
/// # Errors
/// When the system cannot be found, or does not run and has the vendors with it, or the program cannot be started.
pub(crate) fn run(arguments: &NightlyArguments) -> anyhow::Result<()> {
    let mut command = Command::new(sibling("nightly")?.as_path());
    command.args(&arguments.options);
    let only_looks = arguments.options.iter().any(|option| option == "--list");
    match System::chosen(&arguments.system)? {
        Some(system) => {
            let folder = system.folder().display();
            if !system.is_running()? {
                if !only_looks && system.variable("TANDEM_VENDOR_ADDRESS").is_some() {
                    bail!(
                        "the market in {folder} does not run, and its vendors are simulated: start it first (./scripts/run)"
                    );
                }
                eprintln!("the market in {folder} does not run at the moment; its database must");
            }
            eprintln!("night of the market in {folder}");
            command.envs(system.environment());
        }
        None if service_kit::database_url().is_err() => bail!(
            "DATABASE_URL is not set: set it, or name the folder of a running system, such as --state-dir .local"
        ),
        None => (),
    }
    let failed = command.exec();
    Err(failed).with_context(|| format!("failed to start {}", command.get_program().display()))
}

use std::{error::Error, process::ExitCode};

use anyhow::Context;

/// Exit code of a program that failed in a way that may pass by itself, so that calling it again may help: `EX_TEMPFAIL`
/// of BSD's `sysexits.h`. Any other failure is final.
pub const EXIT_PASSING: u8 = 75;

/// A failure that may pass by itself, for those that no other error says it of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Passing(pub String);

/// Ends a program that ends by itself: prints its error as `main` would, and answers the exit code. It is
/// [`EXIT_PASSING`] if a cause is [`Passing`] or `may_pass` says so of it.
pub fn exit_code(
    result: Result<(), anyhow::Error>,
    may_pass: impl Fn(&(dyn Error + 'static)) -> bool,
) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("Error: {error:?}");
    if error
        .chain()
        .any(|cause| cause.is::<Passing>() || may_pass(cause))
    {
        EXIT_PASSING.into()
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a command that waits for network or database.
///
/// # Errors
/// The work's own, or when the async runtime cannot be started.
pub fn block_on<T>(
    work: impl Future<Output = Result<T, anyhow::Error>>,
) -> Result<T, anyhow::Error> {
    tokio::runtime::Runtime::new()
        .context("failed to start the async runtime")?
        .block_on(work)
}

/// Number of the night's run that this program is a step of, from `TANDEM_RUN_ID`; nothing when a person started it.
pub fn run_id() -> Option<i64> {
    let text = std::env::var("TANDEM_RUN_ID")
        .ok()
        .filter(|text| !text.is_empty())?;
    let run_id = text.parse().ok();
    if run_id.is_none() {
        tracing::warn!("TANDEM_RUN_ID={text:?} is no number of a run: nothing is reported to one");
    }
    run_id
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_that_may_pass_decides_the_exit_code() {
        let timed_out = |cause: &(dyn Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        let code = |result: anyhow::Result<()>| format!("{:?}", exit_code(result, timed_out));
        let passing = format!("{:?}", ExitCode::from(EXIT_PASSING));
        let failed =
            |kind: io::ErrorKind| Err(io::Error::from(kind)).context("failed to ask the vendor");
        assert_eq!(code(Ok(())), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(code(failed(io::ErrorKind::TimedOut)), passing);
        assert_eq!(
            code(failed(io::ErrorKind::NotFound)),
            format!("{:?}", ExitCode::FAILURE)
        );
        let told = Err(Passing("later".to_owned())).context("AAPL was not fetched");
        assert_eq!(code(told), passing);
    }
}

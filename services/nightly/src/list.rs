//! The newest runs, for a person at a terminal.

use std::io::Write;

use storage::{PgPool, PipelineRun};

/// How many runs are shown.
const RUNS: u32 = 10;

/// Prints the newest runs with their steps, the newest first.
///
/// # Errors
/// When the database is lost.
pub(crate) async fn print(pool: &PgPool) -> anyhow::Result<()> {
    let runs = storage::recent_runs(pool, RUNS).await?;
    let mut output = std::io::stdout().lock();
    if runs.is_empty() {
        writeln!(output, "no night has been run on this database")?;
    }
    for run in &runs {
        writeln!(output, "{}", heading(run))?;
        for step in &run.steps {
            write!(
                output,
                "  {:<18} {:<8} {}",
                step.step,
                step.state.name(),
                step.message
            )?;
            if let Some(next) = step.next_attempt_at {
                write!(
                    output,
                    " (tried again at {})",
                    next.format("%Y-%m-%d %H:%M:%S UTC")
                )?;
            }
            writeln!(output)?;
        }
    }
    Ok(())
}

fn heading(run: &PipelineRun) -> String {
    let fate = if run.abandoned {
        " (its program died; nightly goes on with it)"
    } else {
        ""
    };
    format!(
        "run {} of the night of {}, began {}: {}{fate}",
        run.run_id,
        run.night,
        run.started_at.format("%Y-%m-%d %H:%M UTC"),
        run.state
    )
}

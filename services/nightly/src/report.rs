//! What a night came to, for people and for programs.

use std::{fmt::Write as _, path::Path};

use anyhow::Context;
use serde_json::{Value, json};
use storage::{PipelineRun, PipelineStep, ValidationReport};

use crate::{child::Ended, conduct::Conductor, steps::Step};

/// Writes `report.json` and `report.txt` into the night's folder.
pub(crate) async fn write(night: &Conductor, run_id: i64) -> Ended {
    let run = match night.read(run_id).await {
        Ok(run) => run,
        Err(error) => return Ended::Failed(format!("{error:#}")),
    };
    let validations = match storage::validation_reports_of_run(&night.pool, run_id).await {
        Ok(reports) => reports,
        Err(error) if error.is_retryable() => return Ended::Passing(error.to_string()),
        Err(error) => return Ended::Failed(error.to_string()),
    };
    let folder = night.folder();
    let written = write_file(
        &folder,
        "report.json",
        &as_json(&run, &validations).to_string(),
    )
    .and_then(|()| write_file(&folder, "report.txt", &as_text(&run, &validations)));
    match written {
        Ok(()) => Ended::Done(folder.join("report.txt").display().to_string()),
        Err(error) => Ended::Failed(format!("{error:#}")),
    }
}

/// Half a report is never seen under its name.
fn write_file(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    let fresh = folder.join(format!("{name}.new"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&fresh, text))
        .and_then(|()| std::fs::rename(&fresh, &path))
        .with_context(|| format!("failed to write {}", path.display()))
}

/// All steps but the report itself, which is still under way.
fn steps(run: &PipelineRun) -> impl Iterator<Item = &PipelineStep> {
    run.steps
        .iter()
        .filter(|step| step.step != Step::Report.name())
}

fn seconds(step: &PipelineStep) -> Option<i64> {
    Some((step.ended_at? - step.started_at?).num_seconds())
}

fn as_json(run: &PipelineRun, validations: &[ValidationReport]) -> Value {
    let steps = steps(run).map(|step| {
        let failed = step.failed_tickers().map(|row| {
            json!({ "ticker": row.ticker.as_str(), "attempts": row.attempts, "message": row.message })
        });
        json!({
            "step": step.step,
            "state": step.state.name(),
            "attempts": step.attempts,
            "started_at": step.started_at,
            "ended_at": step.ended_at,
            "message": step.message,
            "tickers": step.tickers.len(),
            "failed_tickers": failed.collect::<Vec<_>>(),
        })
    });
    let validations = validations.iter().map(|report| {
        json!({
            "kind": report.kind,
            "champion": report.champion,
            "challenger": report.challenger,
            "verdict": report.verdict.name(),
            "report": report.report,
        })
    });
    json!({
        "run_id": run.run_id,
        "night": run.night,
        "started_at": run.started_at,
        "steps": steps.collect::<Vec<_>>(),
        "validations": validations.collect::<Vec<_>>(),
    })
}

fn as_text(run: &PipelineRun, validations: &[ValidationReport]) -> String {
    let mut text = format!("Night of {}, run {}\n\n", run.night, run.run_id);
    for step in steps(run) {
        let took = seconds(step).map_or_else(String::new, |seconds| format!("{seconds} s"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<18} {:<8} {took:>7}  {}",
            step.step,
            step.state.name(),
            step.message
        );
    }
    for report in validations {
        let champion = report.champion.as_ref().map_or("none", |id| id.as_str());
        let _ = write!(
            text,
            "\n{}: challenger {}, champion {champion}: {}\n",
            report.kind,
            report.challenger,
            report.verdict.name()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use domain::{ModelId, ModelKind, Ticker};
    use storage::{PipelineState, StepTicker, ValidationVerdict, Worker};

    use super::*;

    fn night() -> (PipelineRun, ValidationReport) {
        let at = |text: &str| text.parse().unwrap();
        let step = |name: &str, state, message: &str| PipelineStep {
            step: name.to_owned(),
            state,
            attempts: 1,
            started_at: Some(at("2018-03-27T05:30:00Z")),
            ended_at: Some(at("2018-03-27T05:31:15Z")),
            message: message.to_owned(),
            next_attempt_at: None,
            tickers: Vec::new(),
        };
        let mut gaps = step(
            "gaps",
            PipelineState::Success,
            "1 of 2 stocks failed: AAPL: 404",
        );
        gaps.tickers.push(StepTicker {
            ticker: Ticker::parse("AAPL").unwrap(),
            state: PipelineState::Failed,
            attempts: 2,
            ended_at: None,
            message: "404".to_owned(),
        });
        let run = PipelineRun {
            run_id: 7,
            night: "2018-03-26".parse().unwrap(),
            state: PipelineState::Running,
            abandoned: false,
            started_at: at("2018-03-27T05:30:00Z"),
            ended_at: None,
            worker: Worker {
                host: "here".to_owned(),
                pid: 1,
            },
            steps: vec![
                gaps,
                step("train", PipelineState::Failed, "one class only"),
                step("report", PipelineState::Running, ""),
            ],
        };
        let validation = ValidationReport {
            run_id: Some(7),
            night: run.night,
            kind: ModelKind::Lstm,
            champion: None,
            challenger: ModelId::parse("lstm-2").unwrap(),
            verdict: ValidationVerdict::CannotTell,
            report: json!({ "sessions": 5 }),
            created_at: run.started_at,
        };
        (run, validation)
    }

    #[test]
    fn a_report_says_how_each_step_ended() {
        let (run, validation) = night();
        let text = as_text(&run, std::slice::from_ref(&validation));
        assert_eq!(
            text,
            "Night of 2018-03-26, run 7\n\n\
             gaps               SUCCESS     75 s  1 of 2 stocks failed: AAPL: 404\n\
             train              FAILED      75 s  one class only\n\n\
             lstm: challenger lstm-2, champion none: cannot_tell\n"
        );
        let value = as_json(&run, &[validation]);
        assert_eq!(value["steps"].as_array().unwrap().len(), 2);
        assert_eq!(value["steps"][0]["failed_tickers"][0]["ticker"], "AAPL");
        assert_eq!(value["validations"][0]["report"]["sessions"], 5);
    }
}

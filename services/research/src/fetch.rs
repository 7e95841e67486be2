#![expect(clippy::print_stdout, reason = "what this command says is its output")]

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sentiment::{Hub, Installed, KNOWN_MODELS, KnownModel};

use crate::cli::FetchArguments;

/// `tandem models fetch`: brings a sentiment model to this machine.
pub(crate) fn run(arguments: &FetchArguments) -> anyhow::Result<()> {
    let models_dir = service_kit::sentiment_dir();
    let installed = match &arguments.from {
        Some(folder) => sentiment::import(folder, &arguments.name, &models_dir)?,
        None => {
            let Some(model) = KnownModel::named(&arguments.name) else {
                let names: Vec<_> = KNOWN_MODELS.iter().map(|model| model.name).collect();
                bail!(
                    "no model {:?} is known: expected {}, or --from with a folder",
                    arguments.name,
                    names.join(" or ")
                );
            };
            eprintln!("{}: {}", model.name, model.about);
            download(model, &models_dir)?
        }
    };
    let Installed {
        dir,
        model,
        was_there,
        taken_on_trust,
    } = installed;
    let state = if was_there {
        "was there already"
    } else {
        "is ready"
    };
    println!("{model} {state} in {}", dir.display());
    if !taken_on_trust.is_empty() {
        println!(
            "no checksum was known for {}: what arrived is remembered, and any later change will be noticed",
            taken_on_trust.join(", ")
        );
    }
    println!("restart news-ingestor to score with it");
    Ok(())
}

fn download(model: &'static KnownModel, models_dir: &std::path::Path) -> anyhow::Result<Installed> {
    let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bytes_per_sec}")
        .context("failed to set up the progress display")?;
    let bar = ProgressBar::no_length().with_style(style);
    let installed = service_kit::block_on(async {
        let show = |progress: sentiment::Progress| {
            bar.set_message(progress.file);
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.bytes);
        };
        Ok(sentiment::fetch(model, models_dir, &Hub::default(), show).await?)
    });
    bar.finish_and_clear();
    installed
}

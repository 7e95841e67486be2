//! `tandem up`: starts every part on this machine, in the order in which they need each other, keeps them running, and
//! ends them together.

mod child;
mod market;
mod scenario;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::Utc;
use service_kit::Shutdown;
use tokio_util::sync::CancellationToken;

pub(crate) use self::scenario::ask_yahoo;
use self::{
    child::{Program, Service},
    scenario::Scenario,
};
use crate::{cli::UpArguments, system};

/// How long a part may take to answer on its port after its start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the system until Ctrl-C.
///
/// # Errors
/// What keeps the system from starting, with the remedy. A part that fails later is started again instead.
pub(crate) fn run(arguments: UpArguments) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()
        .context("failed to start the async runtime")?
        .block_on(up(arguments))
}

async fn up(arguments: UpArguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let token = Shutdown::on_signals()
        .context("failed to listen for Ctrl-C")?
        .token();
    let api_address = free_address(arguments.port)?;
    let Some(scenario) = token
        .run_until_cancelled(Scenario::choose(&arguments))
        .await
    else {
        return Ok(());
    };
    let mut scenario = scenario?;
    eprintln!("{}", scenario.announcement());

    let Some(database_url) = token.run_until_cancelled(scenario.database()).await else {
        return Ok(());
    };
    let database_url = database_url?;
    let mut environment = scenario.environment(&database_url)?;
    environment.push(("TANDEM_API_ADDRESS", api_address.to_string()));
    let logs = scenario.folder.join("logs");
    std::fs::create_dir_all(&logs)
        .with_context(|| format!("failed to create {}", logs.display()))?;

    let mut services = Vec::new();
    let outcome = async {
        if let Some(simulator) = &scenario.simulator {
            let address = free_address(0)?;
            let certificate = scenario.folder.join("simulator-ca.pem");
            environment.push(("TANDEM_VENDOR_ADDRESS", address.to_string()));
            environment.push(("TANDEM_VENDOR_CA", certificate.display().to_string()));
            let program = Program::new(
                "market-sim",
                simulator.arguments(address, &certificate),
                &environment,
            );
            services.push(Service::start(program, None, &logs, &token));
            answers(address, "market-sim", &logs, &token).await?;
        }
        system::remember(&scenario.folder, &environment)?;
        services.push(Service::start(
            Program::new("api", vec![], &environment),
            None,
            &logs,
            &token,
        ));
        answers(api_address, "api", &logs, &token).await?;
        eprintln!(
            "dashboard: http://{api_address} (logs in {})",
            logs.display()
        );

        // A vendor that refuses for hours keeps nobody from what is stored, and the ingestor goes on trying.
        let history = Program::new("price-ingestor", vec!["--once".into()], &environment);
        match history.run_to_end(&token).await {
            Err(error) if !error.is::<Interrupted>() => {
                eprintln!("history is incomplete: {error:#}")
            }
            fetched => fetched?,
        }
        for (name, what) in [
            ("corporate-actions", "splits and dividends are"),
            ("macro-ingestor", "the economic series are"),
        ] {
            let step = Program::new(name, vec!["--once".into()], &environment);
            match step.run_to_end(&token).await {
                Err(error) if !error.is::<Interrupted>() => {
                    eprintln!("{what} incomplete: {error:#}")
                }
                fetched => fetched?,
            }
        }
        for (name, arguments) in [
            ("price-ingestor", vec![]),
            ("news-ingestor", vec![]),
            ("macro-ingestor", vec![]),
            ("corporate-actions", vec!["--daemon".into()]),
        ] {
            // Every start of the simulator makes a new certificate, which an ingestor reads at its start.
            let ingestor = Service::start(
                Program::new(name, arguments, &environment),
                services.first().filter(|_| scenario.simulator.is_some()),
                &logs,
                &token,
            );
            services.push(ingestor);
        }
        if scenario.has_champions() {
            eprintln!("champions: as of the last start");
        } else {
            eprintln!("no champions: training both models on the bars so far");
            let preset = if arguments.full_training {
                vec![]
            } else {
                vec!["--quick".into()]
            };
            // Prices are worth showing without models, and the next start tries again.
            match Program::new("trainer", preset, &environment)
                .run_to_end(&token)
                .await
            {
                Err(error) if !error.is::<Interrupted>() => {
                    eprintln!("no models, so no analyses: {error:#}")
                }
                trained => trained?,
            }
        }
        services.push(Service::start(
            Program::new("drift-monitor", vec![], &environment),
            None,
            &logs,
            &token,
        ));
        let market = scenario.start_market()?;
        eprintln!("running; Ctrl-C stops everything");
        market::watch(market.as_ref(), &token).await;
        anyhow::Ok(())
    }
    .await;

    token.cancel();
    let ended = Utc::now();
    while let Some(service) = services.pop() {
        service.ended().await;
    }
    let remembered = scenario.remember_market(ended);
    eprintln!("stopped");
    match outcome {
        Err(error) if !error.is::<Interrupted>() => Err(error),
        _ => remembered,
    }
}

/// Ctrl-C came before the system was up: no failure.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
struct Interrupted;

/// A loopback address nobody listens on; `port` 0 lets the system choose.
fn free_address(port: u16) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
        format!("port {port} of 127.0.0.1 cannot be used: end the program that has it, or choose another with --port")
    })?;
    Ok(listener.local_addr()?)
}

/// Waits until a part accepts connections.
async fn answers(
    address: SocketAddr,
    name: &str,
    logs: &Path,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    let connect = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = token.cancelled() => Err(Interrupted.into()),
        answered = tokio::time::timeout(START_TIMEOUT, connect) => match answered {
            Ok(()) => Ok(()),
            Err(_) => bail!("{name} does not answer on {address}; see {}", logs.join(format!("{name}.log")).display()),
        },
    }
}

/// Where a program of this system lies: beside this one.
pub(crate) fn sibling(name: &str) -> anyhow::Result<Arc<PathBuf>> {
    let own = std::env::current_exe().context("failed to find the path of this program")?;
    let path = own.with_file_name(name);
    if !path.is_file() {
        bail!(
            "{} is missing: build all of Tandem first (cargo build --workspace)",
            path.display()
        );
    }
    Ok(Arc::new(path))
}

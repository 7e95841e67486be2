//! `tandem up`: starts every part on this machine, in the order in which they need each other, keeps them running, and
//! ends them together.

mod build;
mod child;
mod demo_models;
mod logs;
mod market;
mod nights;
mod scenario;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::Utc;
use service_kit::Shutdown;
use tokio_util::sync::CancellationToken;

pub(crate) use self::scenario::ask_yahoo;
use self::{
    build::Build,
    child::{Program, Service},
    scenario::Scenario,
};
use crate::{cli::UpArguments, settings_check::ensure_settings};

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
    match token.run_until_cancelled(ensure_settings()).await {
        Some(checked) => checked?,
        None => return Ok(()),
    }
    service_kit::configure_calendar()?;
    let api_address = free_address(arguments.port)?;
    let build = Build::from_environment();
    let Some(scenario) = token
        .run_until_cancelled(Scenario::choose(&arguments, &build))
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
    let logs = logs::begin(&scenario.folder)?;

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
            services.push(Service::start(program, None, None, &logs, &token));
            answers(address, "market-sim", &logs, &token).await?;
        }
        service_kit::remember_system(&scenario.folder, &environment)?;
        let had_champions = scenario.has_champions();
        let has_champions =
            had_champions || (!arguments.full_training && scenario.install_demo_models());
        match (had_champions, has_champions) {
            (true, _) => eprintln!("champions: as of the last start"),
            (false, true) => eprintln!("champions: the demo's own, trained on simulated prices"),
            (false, false) => (),
        }
        services.push(Service::start(
            Program::new("api", vec![], &environment),
            None,
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
        match history.run_to_end(&logs, &token).await {
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
            match step.run_to_end(&logs, &token).await {
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
                Some(&build).filter(|_| name == "news-ingestor"),
                services.first().filter(|_| scenario.simulator.is_some()),
                &logs,
                &token,
            );
            services.push(ingestor);
        }
        if !has_champions {
            train(&arguments, &build, &environment, &logs, &token).await?;
        }
        services.push(Service::start(
            Program::new("drift-monitor", vec![], &environment),
            Some(&build),
            None,
            &logs,
            &token,
        ));
        let market = scenario.start_market()?;
        eprintln!("running; Ctrl-C stops everything");
        let nights = async {
            if scenario.is_live() {
                // Without champions of an earlier start there was no night to miss.
                nights::run(&environment, had_champions, &build, &logs, &token).await;
            }
        };
        let compiled = async {
            if build.is_running() {
                tokio::select! { () = token.cancelled() => (), () = build.ended() => eprintln!("the other programs are compiled, or failed to be: the page says which") }
            }
        };
        let night = market::Night {
            environment: &environment,
            build: &build,
            logs: &logs,
            quick: !arguments.full_training,
        };
        tokio::join!(market::watch(market.as_ref(), &night, &token), nights, compiled);
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

/// Trains the first champions; prices are worth showing without, and the next start tries again.
async fn train(
    arguments: &UpArguments,
    build: &Build,
    environment: &[(&'static str, String)],
    logs: &Path,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    if build.is_running() {
        eprintln!("no champions: training begins when its program is compiled");
        tokio::select! { () = token.cancelled() => return Err(Interrupted.into()), () = build.ended() => () }
    }
    eprintln!("no champions: training both models on the bars so far");
    let preset = if arguments.full_training {
        vec![]
    } else {
        vec!["--quick".into()]
    };
    match Program::new("trainer", preset, environment)
        .run_to_end(logs, token)
        .await
    {
        Err(error) if !error.is::<Interrupted>() => {
            eprintln!("no models, so no analyses: {error:#}");
            Ok(())
        }
        trained => trained,
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

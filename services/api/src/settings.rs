use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use alerts::{AlertSettings, Alerts};
use anyhow::{Context as _, bail};
use domain::{InvalidSettings, Policy, SettingsCheck, SettingsSection, Universe};
use serde::{Deserialize, Serialize};
use service_kit::SettingsProblems;
use utoipa::ToSchema;

/// Everything the api needs to know from outside.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens: `TANDEM_API_ADDRESS`, by default 127.0.0.1:8080, reachable from this machine only.
    pub address: SocketAddr,
    /// The dashboard's static export: `TANDEM_FRONTEND_DIR`, by default `frontend/out`.
    pub frontend_dir: PathBuf,
    /// Where the artifacts lie: `TANDEM_MODELS_DIR`, by default `models`.
    pub models_dir: PathBuf,
    /// The champions' file: `TANDEM_MODEL_CONFIG`, by default `config/model_config.json`.
    pub model_config: PathBuf,
    /// What clients are told about the origin of prices: `TANDEM_SOURCE`, by default `live`.
    pub source: Source,
    /// Where the compilation that a first start leaves running tells how far it is: `TANDEM_BUILD_FILE`; none when
    /// nothing is compiled.
    pub build_file: Option<PathBuf>,
    /// Who is told when an open market sends no bars: the variables of the crate `alerts`.
    pub alerts: Alerts,
    /// Section `[universe]`.
    pub universe: Universe,
    /// Section `[policy]`.
    pub policy: Policy,
    /// Section `[api]`.
    pub timing: Timing,
}

/// Where prices come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The real market, now.
    #[default]
    Live,
    /// An invented market.
    Simulated,
    /// A recorded market.
    Replay,
}

impl Source {
    /// What users must know of prices that are not the market's of today.
    pub(crate) const fn note(self) -> Option<&'static str> {
        match self {
            Self::Live => None,
            Self::Simulated => Some(domain::PLANTED_EFFECT),
            Self::Replay => Some("Recorded prices of the past, not those of today."),
        }
    }
}

/// Section `[api]` of the settings: intervals of system time, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// A silent WebSocket client is pinged this often.
    pub ping_seconds: f64,
    /// A WebSocket client that answered nothing for this long, or accepted nothing, is disconnected.
    pub client_timeout_seconds: f64,
    /// The newest bars are read this often even if the database notified nothing.
    pub safety_seconds: f64,
    /// The champions' file and artifacts are looked at this often.
    pub reload_seconds: f64,
    /// The status is repeated this often even if nothing changed.
    pub status_seconds: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_seconds: 20.0,
            client_timeout_seconds: 60.0,
            safety_seconds: 15.0,
            reload_seconds: 1.0,
            status_seconds: 5.0,
        }
    }
}

impl SettingsSection for Timing {
    const SECTION: &'static str = "api";

    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = SettingsCheck::new(Self::SECTION);
        for (field, seconds) in [
            ("ping_seconds", self.ping_seconds),
            ("client_timeout_seconds", self.client_timeout_seconds),
            ("safety_seconds", self.safety_seconds),
            ("reload_seconds", self.reload_seconds),
            ("status_seconds", self.status_seconds),
        ] {
            check = check.number(field, seconds, 0.01, 86_400.0);
        }
        let (ping, timeout) = (self.ping_seconds, self.client_timeout_seconds);
        check
            .field(
                "client_timeout_seconds",
                timeout,
                timeout > ping,
                format!("more than ping_seconds = {ping}: whoever is never asked cannot answer"),
            )
            .end()
    }
}

impl Timing {
    /// Seconds as a duration; what is no sensible interval becomes a short one.
    pub(crate) fn interval(seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds)
            .unwrap_or_default()
            .max(Duration::from_millis(10))
    }
}

/// The default of `TANDEM_API_ADDRESS`.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

impl Settings {
    /// Reads the environment and the settings file; notes every variable, and file, section and field, that cannot be
    /// used.
    pub fn load(problems: &mut SettingsProblems) -> Option<Self> {
        let policy = problems.section();
        let universe = problems.section();
        let timing = problems.section();
        let address = problems.note(address(variable("TANDEM_API_ADDRESS").as_deref()));
        let source = problems.note(source(variable("TANDEM_SOURCE").as_deref()));
        let alerts = problems.note(Alerts::new(AlertSettings::from_environment()));
        Some(Self {
            address: address?,
            frontend_dir: service_kit::frontend_dir(),
            models_dir: service_kit::models_dir(),
            model_config: service_kit::model_config_path(),
            source: source?,
            build_file: variable("TANDEM_BUILD_FILE")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            alerts: alerts?,
            universe: universe?,
            policy: policy?,
            timing: timing?,
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn address(value: Option<&str>) -> anyhow::Result<SocketAddr> {
    match value {
        None | Some("") => Ok(DEFAULT_ADDRESS),
        Some(text) => text.parse().with_context(|| {
            format!(
                "TANDEM_API_ADDRESS={text:?} is not an address and port such as {DEFAULT_ADDRESS}"
            )
        }),
    }
}

fn source(value: Option<&str>) -> anyhow::Result<Source> {
    match value {
        None | Some("" | "live") => Ok(Source::Live),
        Some("simulated") => Ok(Source::Simulated),
        Some("replay") => Ok(Source::Replay),
        Some(text) => bail!("TANDEM_SOURCE={text:?} is none of live, simulated and replay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_on_this_machine_only_by_default() {
        assert!(address(None).unwrap().ip().is_loopback());
        assert_eq!(address(Some("0.0.0.0:9000")).unwrap().port(), 9000);
        assert!(
            address(Some("localhost"))
                .unwrap_err()
                .to_string()
                .contains("TANDEM_API_ADDRESS=\"localhost\"")
        );
    }

    #[test]
    fn intervals_that_cannot_work_are_named() {
        Timing::default().check().unwrap();
        let wrong = |timing: Timing| timing.check().unwrap_err().to_string();
        let never = wrong(Timing {
            reload_seconds: f64::INFINITY,
            ..Timing::default()
        });
        assert!(never.contains("[api] reload_seconds = inf"), "{never}");
        let unasked = wrong(Timing {
            client_timeout_seconds: 20.0,
            ..Timing::default()
        });
        assert!(
            unasked.contains("[api] client_timeout_seconds = 20"),
            "{unasked}"
        );
    }

    #[test]
    fn an_unknown_source_is_named() {
        assert_eq!(source(Some("replay")).unwrap(), Source::Replay);
        assert!(
            source(Some("tape"))
                .unwrap_err()
                .to_string()
                .contains("\"tape\"")
        );
    }
}

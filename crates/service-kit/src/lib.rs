#![doc = include_str!("../README.md")]

mod clock;
mod job;
mod settings;
mod shutdown;
mod telemetry;

pub use clock::{Clock, ClockError, ReplayClock};
pub use job::{EXIT_PASSING, Passing, exit_code, run_id};
pub use settings::{
    SettingsError, config_path, database_url, frontend_dir, load_settings, load_settings_from,
    model_config_path, models_dir, nights_dir, sentiment_dir,
};
pub use shutdown::Shutdown;
pub use telemetry::{TelemetryError, init_telemetry};

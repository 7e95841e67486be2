#![doc = include_str!("../README.md")]

mod build_progress;
mod clock;
mod command_line;
mod job;
mod keep_running;
mod local_system;
mod settings;
mod shutdown;
mod task_progress;
mod telemetry;

pub use build_progress::{BuildProgress, BuildState};
pub use clock::{Clock, ClockError, ReplayClock};
pub use command_line::{
    CheckArguments, MOMENT_HELP, check_settings, environment_help, parse_moment,
};
pub use job::{EXIT_PASSING, Passing, block_on, exit_code, run_id};
pub use keep_running::keep_running;
pub use local_system::{LOCK_FILE, LocalSystem, SystemArguments, enter_system, remember_system};
pub use settings::{
    SettingsError, SettingsProblems, config_path, configure_calendar, database_url,
    demo_models_dir, frontend_dir, load_settings, load_settings_from, model_config_path,
    models_dir, nights_dir, sentiment_dir,
};
pub use shutdown::Shutdown;
pub use task_progress::TaskProgress;
pub use telemetry::{TelemetryError, init_telemetry};

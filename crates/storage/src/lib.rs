#![doc = include_str!("../README.md")]

mod analyses;
mod bars;
mod error;
mod gaps;
mod history;
mod listener;
mod model_events;
mod pool;
mod quarantine;

pub use analyses::{
    StoredAnalysis, StoredCounts, latest_analyses, predictions_page, store_analyses,
};
pub use bars::{
    LastClose, UpsertCounts, VendorBar, bar_range, bars_between, last_bar_starts, last_closes,
    newest_bars, upsert_bars,
};
pub use error::StorageError;
pub use gaps::{Gap, close_gap, count_gap_attempt, open_gaps, record_gaps};
pub use history::{HistoryPage, HistoryRequest, Interval, UnknownInterval, history_page};
pub use listener::{Channel, FormingPrice, Listener, Notice, notify_forming_prices};
pub use model_events::{ModelEvent, ModelEventKind, recent_model_events, record_model_event};
pub use pool::{DatabaseSettings, MIGRATOR, connect, drop_database, ensure_database, migrate};
pub use quarantine::{QuarantineCount, RefusedRow, quarantine, quarantine_counts};
pub use sqlx::{PgExecutor, PgPool};

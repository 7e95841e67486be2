#![doc = include_str!("../README.md")]

mod analyses;
mod bars;
mod corporate_actions;
mod drift;
mod economy;
mod error;
mod gaps;
mod history;
mod listener;
mod missed;
mod model_events;
mod news;
mod outcomes;
mod pipeline;
mod pool;
mod quality;
mod quarantine;
mod revisions;
mod server;
mod stories;
mod timescale;
mod transaction;
mod validation;
mod vendor_usage;

pub use analyses::{
    StoredAnalysis, StoredCounts, latest_analyses, predictions_page, store_analyses,
    store_late_analyses,
};
pub use bars::{
    LastClose, StoredBar, UpsertCounts, VendorBar, bar_range, bar_starts_between, bars_between,
    correct_share_basis, last_bar_starts, last_closes, newest_bars, stored_bars, upsert_bars,
    write_bars,
};
pub use corporate_actions::{
    ActionCounts, ActionKind, StoredAction, UnknownActionKind, actions_since, corporate_actions,
    dividend_factors, lock_corporate_actions, remove_corporate_action, restore_corporate_action,
    upsert_corporate_actions, write_corporate_actions,
};
pub use drift::{
    DriftEpisode, DriftReport, DriftState, EpisodeAction, begin_drift_episode,
    carry_out_retraining, claim_episode_action, end_drift_episode, newest_drift_episode,
    recent_drift_reports, retraining_requests, store_drift_report,
};
pub use economy::{
    ObservationCounts, latest_observations, macro_observations, recent_observations,
    store_observations,
};
pub use error::StorageError;
pub use gaps::{
    Gap, GapOutcome, GapReason, close_gap, count_gap_attempt, gaps_between, open_gaps, record_gaps,
};
pub use history::{HistoryPage, HistoryRequest, Interval, UnknownInterval, history_page};
pub use listener::{Channel, FormingPrice, Listener, Notice, notify_forming_prices};
pub use missed::{bars_without_analysis, first_analysed_bar};
pub use model_events::{
    ModelEvent, ModelEventKind, last_model_event, model_events_of, recent_model_events,
    record_model_event,
};
pub use news::{
    ArticleCounts, ArticleSentiment, NewsScore, StoredArticle, Story, UnscoredArticle, news_events,
    news_page, store_articles, store_sentiments, unscored_articles,
};
pub use outcomes::{
    ModelRecord, Outcome, RecordBin, ResolvedPrediction, models_of_predictions,
    resolved_predictions, resolved_signals, store_outcomes, track_record, unresolved_predictions,
};
pub use pipeline::{
    NightLock, PipelineRun, PipelineState, PipelineStep, StepTicker, UnknownPipelineState, Worker,
    begin_run, finish_run, finish_step, newest_run, recent_runs, record_step_ticker, reopen_run,
    start_step, step_tickers,
};
pub use pool::{
    DatabaseSettings, MIGRATOR, connect, database_name, drop_database, ensure_database, migrate,
    open,
};
pub use quality::{
    Finding, SessionVolume, SoundCheck, findings_between, session_volumes, store_findings,
    withdraw_findings,
};
pub use quarantine::{QuarantineCount, RefusedRow, quarantine, quarantine_counts};
pub use revisions::{BarRevision, bar_revisions};
pub use server::{ServerReport, server_report};
pub use sqlx::{PgExecutor, PgPool, postgres::PgTransaction};
pub use stories::{KnownStory, known_stories, unread_articles};
pub use timescale::{
    RetentionSettings, TimescaleState, apply_retention, convert_to_hypertables, timescale_state,
};
pub use transaction::{begin, commit};
pub use validation::{
    ValidationPrediction, ValidationReport, ValidationVerdict, count_trials,
    keep_validation_predictions_of, recent_validation_reports, store_validation_predictions,
    store_validation_report, validation_predictions, validation_reports_of_run,
};
pub use vendor_usage::{requests_spent, spend_request};

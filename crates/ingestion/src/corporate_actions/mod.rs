mod adjustment;
mod settle;

use std::error::Error;

use chrono::{Days, NaiveDate};
use chrono_tz::America::New_York;
use domain::{CorporateAction, ShareChange, Ticker};
use futures_util::future::join_all;
use market_data::{Gate, GateClosed, MarketTime, VendorError, YahooClient};
use storage::{ActionCounts, ActionKind, PgPool, StoredAction};

pub use self::adjustment::{SplitFactor, split_factor, without_dividends};
pub(crate) use self::settle::{
    SHARE_BASIS, Settled, ex_date, not_applied_once, not_in_prices, settle,
};
use crate::IngestError;

/// Name under which Yahoo's reports are stored.
const SOURCE: &str = "yahoo";

/// How far back actions are asked for at least: what happened while no bars were stored is no matter, what happened
/// since a year ago is shown.
const LOOK_BACK: Days = Days::new(400);

/// Requests for one ticker before it is left for the next run.
const ATTEMPTS: u32 = 3;

/// What became of an update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ActionReport {
    /// What was stored.
    pub counts: ActionCounts,
    /// What is new or has other figures than before, by ticker and ex-date.
    pub changes: Vec<ActionChange>,
    /// What is reported and contradicted by prices, which go on across it as if it were none. It is not stored.
    pub contradicted: Vec<CorporateAction>,
    /// What is stored and no longer reported. It goes on adjusting prices: a person decides, with
    /// [`storage::remove_corporate_action`].
    pub vanished: Vec<StoredAction>,
    /// Tickers that the vendor does not know, or of which nothing was traded for long.
    pub unknown: Vec<Ticker>,
    /// Tickers whose actions could not be fetched this time. Theirs are as they were.
    pub failed: Vec<Ticker>,
}

/// An action that was not stored like this before.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionChange {
    /// As it is reported now.
    pub action: CorporateAction,
    /// As it was stored before on that day, if it was.
    pub before: Option<ShareChange>,
}

/// Brings the corporate actions of the tickers up to date with Yahoo's, as far back as bars are stored.
///
/// All that was fetched is stored in one transaction: killed before, nothing has changed; twice is the same as once. A
/// ticker that cannot be fetched leaves the others alone, and is in the report.
///
/// # Errors
/// When the database is lost. The vendor's troubles are in the report and in the log.
pub async fn update_corporate_actions(
    vendor: &YahooClient,
    gate: &Gate,
    pool: &PgPool,
    time: &MarketTime,
    tickers: &[Ticker],
) -> Result<ActionReport, IngestError> {
    // Before the requests: what the vendor sends later may carry more splits, never fewer.
    let fetched_at = time.now();
    let today = fetched_at.with_timezone(&New_York).date_naive();
    let (from, to) = (first_day(pool, today).await?, today);
    let answers = join_all(tickers.iter().map(|ticker| async move {
        let answer = fetch(vendor, gate, ticker, from, to).await;
        (ticker, answer)
    }))
    .await;

    let mut report = ActionReport::default();
    let mut reported = Vec::new();
    let mut findings = Vec::new();
    let mut transaction = storage::begin(pool).await?;
    storage::lock_corporate_actions(&mut transaction).await?;
    for (ticker, answer) in answers {
        let mut actions = match answer {
            Ok(actions) => actions,
            Err(error) => {
                log_failure(ticker, &error);
                match error {
                    NotFetched::Failed(
                        VendorError::UnknownSymbol { .. } | VendorError::NoData { .. },
                    ) => report.unknown.push(ticker.clone()),
                    _ => report.failed.push(ticker.clone()),
                }
                continue;
            }
        };
        let stored = storage::corporate_actions(&mut *transaction, ticker).await?;
        let known: Vec<&StoredAction> = stored.iter().collect();
        let settled = settle(
            &mut transaction,
            ticker,
            &actions,
            &known,
            fetched_at,
            None,
            None,
        )
        .await?;
        for (action, step) in settled.contradicted {
            findings.push(not_in_prices(&action, step, fetched_at));
            actions.retain(|told| *told != action);
            report.contradicted.push(action);
        }
        report.changes.extend(changes(&stored, &actions));
        report.vanished.extend(
            vanished(&stored, &actions)
                .filter(|row| (from..=to).contains(&row.action.ex_date))
                .cloned(),
        );
        reported.extend(actions);
    }
    report.counts =
        storage::write_corporate_actions(&mut transaction, &reported, SOURCE, fetched_at).await?;
    storage::store_findings(&mut *transaction, &findings).await?;
    storage::commit(transaction).await?;
    Ok(report)
}

/// A ticker's actions were not fetched.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Failed(#[from] VendorError),
    #[error(transparent)]
    HeldBack(#[from] GateClosed),
}

async fn first_day(pool: &PgPool, today: NaiveDate) -> Result<NaiveDate, IngestError> {
    let stored = storage::bar_range(pool).await?;
    let first_bar = stored.map(|(first, _)| first.with_timezone(&New_York).date_naive());
    let look_back = today.checked_sub_days(LOOK_BACK).unwrap_or(today);
    Ok(first_bar.map_or(look_back, |first| first.min(look_back)))
}

async fn fetch(
    vendor: &YahooClient,
    gate: &Gate,
    ticker: &Ticker,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<CorporateAction>, NotFetched> {
    let mut attempt = 1;
    loop {
        let turn = gate.turn().await?;
        let answer = vendor
            .corporate_actions(ticker, from, to, calendar::nyse())
            .await;
        gate.note(&answer);
        drop(turn);
        match answer {
            Err(error) if error.is_retryable() && attempt < ATTEMPTS => attempt += 1,
            answer => return Ok(answer?),
        }
    }
}

/// What of the reported actions is not stored like this.
fn changes(stored: &[StoredAction], reported: &[CorporateAction]) -> Vec<ActionChange> {
    let before = |action: &CorporateAction| {
        let is_dividend = |change| ActionKind::of(change) == ActionKind::Dividend;
        stored
            .iter()
            .map(|row| &row.action)
            .find(|known| {
                known.ex_date == action.ex_date
                    && is_dividend(known.change) == is_dividend(action.change)
            })
            .map(|known| known.change)
    };
    reported
        .iter()
        .map(|action| ActionChange {
            action: action.clone(),
            before: before(action),
        })
        .filter(|change| change.before != Some(change.action.change))
        .collect()
}

/// What is stored of this vendor, counts, and is not reported any more, as this or another kind.
fn vanished<'a>(
    stored: &'a [StoredAction],
    reported: &'a [CorporateAction],
) -> impl Iterator<Item = &'a StoredAction> {
    stored.iter().filter(|row| {
        let is_dividend = |change| ActionKind::of(change) == ActionKind::Dividend;
        row.source == SOURCE
            && row.removed_at.is_none()
            && !reported.iter().any(|action| {
                action.ex_date == row.action.ex_date
                    && is_dividend(action.change) == is_dividend(row.action.change)
            })
    })
}

fn log_failure(ticker: &Ticker, error: &NotFetched) {
    tracing::warn!(
        instrument.symbol = %ticker,
        error = error as &dyn Error,
        "the corporate actions of {ticker} were not fetched"
    );
}

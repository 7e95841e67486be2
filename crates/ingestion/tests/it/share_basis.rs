//! Splits and spin-offs by vendors that are right, early, late, do not adjust or adjust twice, and tell of it at any
//! time: prices end up the same, and what is wrong is found.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, ShareChange, Ticker};
use flate2::read::GzDecoder;
use ingestion::{IngestSettings, Ingestor, MarketTime, QualitySettings, update_corporate_actions};
use market_data::{Gate, GateLimits, Vendor, YahooClient};
use sqlx::PgPool;

use crate::{
    market::{at, ticker},
    vendor_server::{Answer, Call, VendorServer},
};

/// Minutes between two trades of these stocks.
const RHYTHM: usize = 5;

/// What was done to the shares.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Open of the ex-date.
    at: DateTime<Utc>,
    /// New shares for old, `n:m` as the vendor writes it.
    numerator: f64,
    denominator: f64,
    is_spin_off: bool,
}

impl Change {
    fn price(&self) -> f64 {
        self.numerator / self.denominator
    }

    fn shares(&self) -> f64 {
        if self.is_spin_off { 1.0 } else { self.price() }
    }
}

/// How a vendor adjusts the prices before a change.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Right,
    /// In the night before the open.
    Early,
    /// In the evening before the open, when the last session on the old basis has closed.
    Evening,
    /// So many hours after the open.
    Late(i64),
    Never,
    Twice,
}

/// One stock of the vendor.
#[derive(Clone, Debug)]
struct Stock {
    /// Start, price and shares of each minute with trades, as traded.
    trades: Vec<(DateTime<Utc>, f64, f64)>,
    changes: Vec<Change>,
    manner: Manner,
    /// From how many hours after the open on it tells of a change; before the open where negative, then in every answer.
    told_after: i64,
    /// What is told although it never happened.
    bogus: Vec<Change>,
}

impl Stock {
    /// How often a change is applied to what is sent at a moment.
    fn times(&self, change: &Change, now: DateTime<Utc>) -> i32 {
        let since = |hours: i64| i32::from(change.at + TimeDelta::hours(hours) <= now);
        match self.manner {
            Manner::Right => since(0),
            Manner::Early => since(-9),
            Manner::Evening => since(-17),
            Manner::Late(hours) => since(hours),
            Manner::Never => 0,
            Manner::Twice => 2 * since(0),
        }
    }

    /// Price and shares of a minute as the vendor sends them.
    fn sent(
        &self,
        (start, price, shares): (DateTime<Utc>, f64, f64),
        now: DateTime<Utc>,
    ) -> (f64, f64) {
        let later = self.changes.iter().filter(|change| start < change.at);
        later.fold((price, shares), |(price, shares), change| {
            let times = self.times(change, now);
            (
                price / change.price().powi(times),
                shares * change.shares().powi(times),
            )
        })
    }

    /// Price and shares of a minute as they are right at a moment.
    fn right(
        &self,
        (start, price, shares): (DateTime<Utc>, f64, f64),
        now: DateTime<Utc>,
    ) -> (f64, f64) {
        let later = self.changes.iter();
        let later = later.filter(|change| start < change.at && change.at <= now);
        later.fold((price, shares), |(price, shares), change| {
            (price / change.price(), shares * change.shares())
        })
    }

    /// The vendor's answer, by the minute or by the day.
    fn chart(&self, call: &Call, now: DateTime<Utc>) -> String {
        let (from, to) = call.period;
        let is_daily = to - from > 8 * 86_400;
        let (mut times, mut prices, mut volumes) = (String::new(), String::new(), String::new());
        let mut push = |time: DateTime<Utc>, price: f64, shares: f64| {
            let comma = if times.is_empty() { "" } else { "," };
            write!(times, "{comma}{}", time.timestamp()).unwrap();
            write!(prices, "{comma}{price}").unwrap();
            write!(volumes, "{comma}{shares}").unwrap();
        };
        let in_window = |time: DateTime<Utc>| (from..=to).contains(&time.timestamp());
        for trade in self.trades.iter().filter(|trade| trade.0 < now) {
            let is_last_of_day = calendar::nyse().session_at(trade.0).is_some_and(|session| {
                session.close - trade.0 <= TimeDelta::minutes(RHYTHM as i64)
            });
            if in_window(trade.0) && (!is_daily || is_last_of_day) {
                let (price, shares) = self.sent(*trade, now);
                push(trade.0, price, shares);
            }
        }
        let open = calendar::nyse().session_at(now).is_some();
        let last = self.trades.iter().rfind(|trade| trade.0 <= now);
        if let Some(trade) = last.filter(|_| open && !is_daily && in_window(now)) {
            push(now, self.sent(*trade, now).0, 0.0);
        }
        let mut splits = String::new();
        for change in self.changes.iter().chain(&self.bogus) {
            let is_told = change.at + TimeDelta::hours(self.told_after) <= now;
            if is_told && (in_window(change.at) || change.at > now) {
                let comma = if splits.is_empty() { "" } else { "," };
                let (time, numerator, denominator) =
                    (change.at.timestamp(), change.numerator, change.denominator);
                write!(
                    splits,
                    r#"{comma}"{time}":{{"date":{time},"numerator":{numerator},"denominator":{denominator},
                    "splitRatio":"{numerator}:{denominator}"}}"#
                )
                .unwrap();
            }
        }
        let interval = if is_daily { "1d" } else { "1m" };
        format!(
            r#"{{"chart":{{"result":[{{"meta":{{"currency":"USD","symbol":"{}","exchangeName":"NMS",
            "fullExchangeName":"NasdaqGS","instrumentType":"EQUITY","regularMarketTime":{},
            "hasPrePostMarketData":true,"gmtoffset":-14400,"timezone":"EDT","exchangeTimezoneName":"America/New_York",
            "priceHint":2,"dataGranularity":"{interval}","range":""}},"timestamp":[{times}],
            "events":{{"splits":{{{splits}}}}},"indicators":{{"quote":[{{"open":[{prices}],"high":[{prices}],
            "low":[{prices}],"close":[{prices}],"volume":[{volumes}]}}]}}}}],"error":null}}}}"#,
            call.ticker,
            now.timestamp()
        )
    }
}

struct Market {
    server: VendorServer,
    state: Arc<Mutex<State>>,
}

struct State {
    now: DateTime<Utc>,
    stocks: BTreeMap<String, Stock>,
    /// Whole answers that were made for a ticker, in place of its own.
    answers: BTreeMap<String, String>,
}

impl Market {
    async fn open(now: DateTime<Utc>, stocks: BTreeMap<String, Stock>) -> Self {
        let answers = BTreeMap::new();
        let state = Arc::new(Mutex::new(State {
            now,
            stocks,
            answers,
        }));
        let shared = Arc::clone(&state);
        let server = VendorServer::start(move |call| {
            let state = shared.lock().unwrap();
            if let Some(answer) = state.answers.get(&call.ticker) {
                let is_daily = call.period.1 - call.period.0 > 8 * 86_400;
                let interval = if is_daily { "1d" } else { "1m" };
                return Answer::json(answer.replace(r#""1m""#, &format!("{interval:?}")));
            }
            Answer::json(state.stocks[&call.ticker].chart(call, state.now))
        })
        .await;
        Self { server, state }
    }

    fn set_now(&self, now: DateTime<Utc>) {
        self.state.lock().unwrap().now = now;
    }

    fn now(&self) -> DateTime<Utc> {
        self.state.lock().unwrap().now
    }

    fn tickers(&self) -> Vec<Ticker> {
        let state = self.state.lock().unwrap();
        let symbols = state.stocks.keys().chain(state.answers.keys());
        symbols.map(|symbol| ticker(symbol)).collect()
    }

    fn time(&self) -> MarketTime {
        let state = Arc::clone(&self.state);
        MarketTime::new(move || state.lock().unwrap().now, || 10_000.0)
    }

    async fn ingestor(&self, pool: &PgPool) -> Ingestor {
        Ingestor::new(
            YahooClient::new(&self.server.connection).unwrap(),
            pool.clone(),
            calendar::nyse(),
            self.time(),
            IngestSettings::default(),
            &self.tickers(),
        )
        .await
        .unwrap()
    }

    async fn update_actions(&self, pool: &PgPool) {
        let client = YahooClient::new(&self.server.connection).unwrap();
        let time = self.time();
        let gate = Gate::new("Yahoo", time.clone(), GateLimits::of(Vendor::Yahoo));
        update_corporate_actions(&client, &gate, pool, &time, &self.tickers())
            .await
            .unwrap();
    }

    /// What is stored of a ticker, on today's basis.
    async fn stored(&self, pool: &PgPool, symbol: &str) -> Vec<Bar> {
        let (from, to) = (at(1, 0, 0, 0), at(31, 0, 0, 0));
        storage::bars_between(pool, &ticker(symbol), from, to)
            .await
            .unwrap()
    }

    /// Everything there is, right now, and nothing else.
    async fn assert_right(&self, pool: &PgPool, symbol: &str, situation: &str) {
        let stored = self.stored(pool, symbol).await;
        let (now, stock) = {
            let state = self.state.lock().unwrap();
            (state.now, state.stocks[symbol].clone())
        };
        let grace = TimeDelta::seconds(61);
        let expected: Vec<_> = stock
            .trades
            .iter()
            .filter(|trade| trade.0 + grace <= now)
            .collect();
        let starts: Vec<_> = stored.iter().map(|bar| bar.start).collect();
        let all: Vec<_> = expected.iter().map(|trade| trade.0).collect();
        assert_eq!(starts, all, "{symbol}, {situation}: {stock:?}");
        for (bar, trade) in stored.iter().zip(expected) {
            let (price, shares) = stock.right(*trade, now);
            let error = (bar.close.get() / price - 1.0).abs();
            assert!(
                error < 1e-9 && (bar.volume / shares - 1.0).abs() < 1e-9,
                "{symbol} at {now}, {situation}: {bar:?}, not {price} and {shares}, {:?} {:?} {}",
                stock.manner,
                stock.changes,
                stock.told_after
            );
        }
    }
}

fn largest_step(bars: &[Bar]) -> f64 {
    bars.windows(2)
        .map(|pair| (pair[1].open.get() / pair[0].close.get()).ln().abs())
        .fold(0.0, f64::max)
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.below(choices.len() as u64);
        choices[usize::try_from(place).unwrap()]
    }

    /// From minus to plus a half.
    fn centred(&mut self) -> f64 {
        self.below(1_000_001) as f64 / 1e6 - 0.5
    }
}

fn session_days() -> [u32; 6] {
    // 2018-03-19 is a Monday.
    [19, 20, 21, 22, 23, 26]
}

fn open_of(day: u32) -> DateTime<Utc> {
    at(day, 13, 30, 0)
}

fn change(day: u32, (numerator, denominator): (f64, f64), is_spin_off: bool) -> Change {
    Change {
        at: open_of(day),
        numerator,
        denominator,
        is_spin_off,
    }
}

/// Six sessions of prices that wander, moved by the changes as a market moves them, and before the second day, if no
/// change follows at once, by a night that takes or gives as much as a small split. Where the bars on its two sides came
/// apart in the last hours before a change, nothing tells the two from each other.
fn stock(dice: &mut Dice, changes: Vec<Change>, manner: Manner, told_after: i64) -> Stock {
    let mut price = 40.0 + dice.below(200) as f64;
    let mut trades = Vec::new();
    for day in session_days() {
        let open = open_of(day);
        price *= 1.0 + 0.02 * dice.centred();
        if day == 20 && changes.iter().all(|change| change.at != open_of(21)) {
            price *= dice.of(&[0.8, 0.83, 1.0, 1.2, 1.25]);
        }
        for change in changes.iter().filter(|change| change.at == open) {
            price /= change.price();
        }
        let session = calendar::nyse().session_on(open.date_naive()).unwrap();
        for minute in (0..session.minutes()).step_by(RHYTHM) {
            price *= 1.0 + 0.002 * dice.centred();
            let start = open + TimeDelta::minutes(minute.into());
            let shares = 1_000.0 + dice.below(9_000) as f64;
            trades.push((start, price, shares));
        }
    }
    Stock {
        trades,
        changes,
        manner,
        told_after,
        bogus: Vec::new(),
    }
}

/// One stock with one split of four for one on Thursday, 2018-03-22.
async fn one_split(manner: Manner, told_after: i64) -> Market {
    let mut dice = Dice(7);
    let stock = stock(
        &mut dice,
        vec![change(22, (4.0, 1.0), false)],
        manner,
        told_after,
    );
    let stocks = BTreeMap::from([("NVDA".to_owned(), stock)]);
    Market::open(at(21, 21, 0, 0), stocks).await
}

async fn findings(pool: &PgPool, symbol: &str) -> Vec<(String, NaiveDate, f64)> {
    sqlx::query_as(
        "select check_name, session, observed from data_quality_finding \
         where ticker = $1 and withdrawn_at is null order by check_name, session",
    )
    .bind(symbol)
    .fetch_all(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_split_that_a_price_answer_tells_of_on_the_day_applies_to_all_bars_at_once(pool: PgPool) {
    let market = one_split(Manner::Right, 0).await;
    let mut ingestor = market.ingestor(&pool).await;
    ingestor.backfill().await.unwrap();
    market
        .assert_right(&pool, "NVDA", "the evening before")
        .await;
    // The poll for the first forming price, before any bar of the day has closed.
    market.set_now(at(22, 13, 30, 2));
    ingestor.poll().await.unwrap();
    market.assert_right(&pool, "NVDA", "at the open").await;
    for minute in 31..50 {
        market.set_now(at(22, 13, minute, 2));
        ingestor.poll().await.unwrap();
        market.assert_right(&pool, "NVDA", "after the open").await;
    }
    let stored = storage::corporate_actions(&pool, &ticker("NVDA"))
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].action.change, ShareChange::Split { ratio: 4.0 });
    let quarantined: i64 = sqlx::query_scalar("select count(*) from quarantine")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(quarantined, 0);
    assert_eq!(findings(&pool, "NVDA").await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_told_days_ahead_changes_nothing_before_its_open(pool: PgPool) {
    let market = one_split(Manner::Right, -72).await;
    let mut ingestor = market.ingestor(&pool).await;
    ingestor.backfill().await.unwrap();
    let before = market.stored(&pool, "NVDA").await;
    let beyond: i64 = sqlx::query_scalar("select count(*) from price_data where fetched_at > $1")
        .bind(market.now())
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(beyond, 0, "no bar carries what comes after its fetch");
    // The check of the morning announces it.
    market.set_now(at(22, 12, 30, 0));
    market.update_actions(&pool).await;
    ingestor.poll().await.unwrap();
    assert_eq!(market.stored(&pool, "NVDA").await, before);
    // Whoever told of it, the first prices after its open bring it into effect.
    market
        .state
        .lock()
        .unwrap()
        .stocks
        .get_mut("NVDA")
        .unwrap()
        .told_after = 1_000;
    market.set_now(at(22, 13, 31, 2));
    ingestor.poll().await.unwrap();
    market.assert_right(&pool, "NVDA", "announced").await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_action_that_is_told_a_day_late_puts_everything_right(pool: PgPool) {
    for (manner, symbol) in [(Manner::Right, "NVDA"), (Manner::Never, "NVDA")] {
        sqlx::query("truncate price_data, corporate_actions, data_quality_finding, quarantine")
            .execute(&pool)
            .await
            .unwrap();
        let market = one_split(manner, 22).await;
        let mut ingestor = market.ingestor(&pool).await;
        ingestor.backfill().await.unwrap();
        for minute in 31..59 {
            market.set_now(at(22, 13, minute, 2));
            ingestor.poll().await.unwrap();
        }
        market.set_now(at(22, 20, 16, 0));
        ingestor.poll().await.unwrap();
        let quality = QualitySettings::default();
        ingestor.refetch(at(19, 0, 0, 0)).await.unwrap();
        ingestor.check_quality(&quality).await.unwrap();
        if manner == Manner::Never {
            let step = ("price_step".to_owned(), at(22, 0, 0, 0).date_naive());
            let found = findings(&pool, symbol).await;
            assert!(
                found.iter().any(|row| (row.0.clone(), row.1) == step),
                "a step that nothing explains yet is found: {found:?}"
            );
        }
        market.set_now(at(23, 12, 30, 0));
        market.update_actions(&pool).await;
        market
            .assert_right(&pool, symbol, &format!("{manner:?}, told late"))
            .await;
        ingestor.check_quality(&quality).await.unwrap();
        let found = findings(&pool, symbol).await;
        assert!(
            found.iter().all(|row| row.0 != "price_step"),
            "explained by now: {found:?}"
        );
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_split_that_is_not_in_the_prices_is_not_applied_and_found(pool: PgPool) {
    let mut dice = Dice(11);
    let mut plain = stock(&mut dice, Vec::new(), Manner::Right, 0);
    plain.bogus = vec![change(22, (4.0, 1.0), false)];
    let stocks = BTreeMap::from([("MSFT".to_owned(), plain)]);
    // While the shares of the day before are still traded: in its evening a vendor may have restated them.
    let market = Market::open(at(21, 19, 0, 0), stocks).await;
    let mut ingestor = market.ingestor(&pool).await;
    ingestor.backfill().await.unwrap();
    market.set_now(at(22, 13, 36, 2));
    ingestor.poll().await.unwrap();
    market.update_actions(&pool).await;
    market
        .assert_right(&pool, "MSFT", "a split that never was")
        .await;
    let found = findings(&pool, "MSFT").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "share_basis");
    assert!((found[0].2 - 1.0).abs() < 0.05, "{found:?}");
    // Nobody tells of it any more: the review of the night sees it.
    for stock in market.state.lock().unwrap().stocks.values_mut() {
        stock.bogus.clear();
    }
    market.set_now(at(22, 20, 16, 0));
    ingestor.refetch(at(19, 0, 0, 0)).await.unwrap();
    assert_eq!(findings(&pool, "MSFT").await, []);
}

/// The whole of an answer, unpacked.
fn answer_of(name: &str) -> Option<String> {
    let path = test_support::shared(&format!("faults/inputs/{name}.json.gz"))?;
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    Some(text)
}

/// Takes an answer in as history, a review and a check of the actions; the stored bars on today's basis.
async fn taken_in(pool: &PgPool, symbol: &str, name: &str) -> Option<Vec<Bar>> {
    let market = Market::open(at(2, 21, 30, 0), BTreeMap::new()).await;
    let answer = answer_of(name)?;
    market
        .state
        .lock()
        .unwrap()
        .answers
        .insert(symbol.to_owned(), answer);
    let mut ingestor = market.ingestor(pool).await;
    ingestor.backfill().await.unwrap();
    ingestor.refetch(at(1, 0, 0, 0)).await.unwrap();
    ingestor
        .check_quality(&QualitySettings::default())
        .await
        .unwrap();
    market.update_actions(pool).await;
    let from = "2018-02-01T00:00:00Z".parse().unwrap();
    let stored = storage::bars_between(pool, &ticker(symbol), from, at(31, 0, 0, 0)).await;
    Some(stored.unwrap())
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bars_before_a_split_that_were_not_adjusted_or_twice_are_adjusted_once_and_found(
    pool: PgPool,
) {
    for (symbol, name, times) in [
        ("SPLITRAW", "yahoo_split_told_bars_before_unadjusted", 0.0),
        ("SPLITTWICE", "yahoo_split_bars_before_adjusted_twice", 2.0),
    ] {
        let Some(bars) = taken_in(&pool, symbol, name).await else {
            return;
        };
        assert_eq!(bars.len(), 3_510, "{symbol}");
        let step = largest_step(&bars);
        assert!(step < 0.05, "{symbol} steps by {step}");
        let found = findings(&pool, symbol).await;
        let ex_date = "2018-02-26".parse().unwrap();
        assert_eq!(found, [("share_basis".to_owned(), ex_date, times)]);
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_odd_event_costs_no_price_and_is_counted(pool: PgPool) {
    for (symbol, name) in [
        ("DIVNULL", "yahoo_dividend_amount_null"),
        ("DIVSTR", "yahoo_dividend_amount_text_nan"),
        ("SPLITNULL", "yahoo_split_numerator_null"),
    ] {
        let Some(bars) = taken_in(&pool, symbol, name).await else {
            return;
        };
        assert_eq!(bars.len(), 3_510, "{symbol}");
        let (rows, reason): (i64, String) =
            sqlx::query_as("select count(*), min(reason) from quarantine where ticker = $1")
                .bind(symbol)
                .fetch_one(&pool)
                .await
                .unwrap();
        assert_eq!(rows, 1, "{symbol}");
        assert!(reason.contains("above zero"), "{reason}");
        let stored = storage::corporate_actions(&pool, &ticker(symbol)).await;
        assert_eq!(stored.unwrap(), []);
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_dividend_paid_in_shares_is_a_split(pool: PgPool) {
    let name = "yahoo_stock_dividend_1037_for_1000";
    if taken_in(&pool, "STOCKDIV", name).await.is_some() {
        let stored = storage::corporate_actions(&pool, &ticker("STOCKDIV")).await;
        let changes: Vec<_> = stored
            .unwrap()
            .iter()
            .map(|row| row.action.change)
            .collect();
        assert_eq!(changes, [ShareChange::Split { ratio: 1.037 }]);
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn another_company_under_the_same_ticker_is_found_and_stays_found(pool: PgPool) {
    let mut dice = Dice(5);
    let mut reused = stock(&mut dice, Vec::new(), Manner::Right, 0);
    for trade in reused
        .trades
        .iter_mut()
        .filter(|trade| trade.0 >= open_of(22))
    {
        trade.1 *= 14.0;
    }
    let stocks = BTreeMap::from([("FB".to_owned(), reused)]);
    let market = Market::open(at(23, 21, 0, 0), stocks).await;
    let mut ingestor = market.ingestor(&pool).await;
    ingestor.backfill().await.unwrap();
    for _ in 0..2 {
        ingestor.refetch(at(19, 0, 0, 0)).await.unwrap();
        ingestor
            .check_quality(&QualitySettings::default())
            .await
            .unwrap();
        let found = findings(&pool, "FB").await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "price_step");
        assert!(found[0].2 > 10.0, "{found:?}");
    }
}

/// Every kind of vendor, several stocks at a time, in an order of fetches and kills that the seed decides.
async fn history_of(pool: &PgPool, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let ratios: [((f64, f64), bool); 11] = [
        ((5.0, 4.0), false),
        ((6.0, 5.0), false),
        ((4.0, 1.0), false),
        ((2.0, 1.0), false),
        ((3.0, 2.0), false),
        ((20.0, 1.0), false),
        ((1.0, 8.0), false),
        ((1.0, 2.0), false),
        ((7.0, 1.0), false),
        ((1_324.0, 1_000.0), true),
        ((1_998.0, 1_000.0), true),
    ];
    let manners = [
        Manner::Right,
        Manner::Early,
        Manner::Evening,
        Manner::Late(3),
        Manner::Late(26),
        Manner::Never,
        Manner::Twice,
    ];
    let mut stocks = BTreeMap::new();
    for place in 0..5 {
        let mut changes = Vec::new();
        // The last day stays without, so that everything is told in time for the last look.
        for day in [21, 22, 23] {
            if dice.below(5) < 2 {
                let (ratio, is_spin_off) = dice.of(&ratios);
                changes.push(change(day, ratio, is_spin_off));
            }
        }
        let manner = dice.of(&manners);
        let told_after = dice.of(&[-72, -5, 0, 0, 2, 20]);
        let symbol = format!("S{seed}X{place}");
        stocks.insert(symbol, stock(&mut dice, changes, manner, told_after));
    }
    let market = Market::open(at(20, 21, 0, 0), stocks).await;
    let mut ingestor = market.ingestor(pool).await;
    let week_ago = at(19, 0, 0, 0);
    for day in [21, 22, 23, 26] {
        let mut minutes: Vec<i64> = (0..5)
            .map(|_| i64::try_from(dice.below(8 * 60)).unwrap() - 60)
            .collect();
        // Nobody sleeps through the open, and everybody looks at the session after it.
        minutes.extend([1, 6, 410]);
        minutes.sort_unstable();
        for minute in minutes {
            let seconds = 2 + i64::try_from(dice.below(30)).unwrap();
            market.set_now(open_of(day) + TimeDelta::minutes(minute) + TimeDelta::seconds(seconds));
            let act = dice.below(10);
            let work = async {
                match act {
                    0 => {
                        ingestor.backfill().await.unwrap();
                    }
                    1 | 2 => {
                        ingestor.refetch(week_ago).await.unwrap();
                    }
                    3 => market.update_actions(pool).await,
                    _ => {
                        ingestor.poll().await.unwrap();
                    }
                }
            };
            if dice.below(4) == 0 {
                // Killed on its way, as by kill -9, and started anew.
                let moment = Duration::from_micros(dice.below(12_000));
                let _ = tokio::time::timeout(moment, work).await;
                ingestor = market.ingestor(pool).await;
            } else {
                work.await;
            }
        }
    }
    market.set_now(at(26, 20, 30, 0));
    market.update_actions(pool).await;
    let all = ingestor.backfill_between(week_ago, market.now()).await;
    assert_eq!(all.unwrap().unfinished, []);
    for symbol in market.tickers() {
        market
            .assert_right(pool, symbol.as_str(), &format!("seed {seed}"))
            .await;
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn whoever_tells_what_and_when_the_adjusted_series_is_the_same(pool: PgPool) {
    for seed in 1..=6 {
        history_of(&pool, seed).await;
    }
}

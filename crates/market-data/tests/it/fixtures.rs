//! Every recorded answer of every vendor, sent over the wire to the client that would meet it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use chrono::{NaiveDate, TimeDelta};
use domain::{SeriesId, ShareChange, Ticker};
use market_data::{
    AlphaVantageClient, FinnhubClient, FredClient, MonthRequest, NewsApiClient, VendorConnection,
    VendorError, YahooClient,
};
use serde_json::Value;

use crate::{
    at, request,
    vendor_server::{Answer, VendorServer},
};

/// The key in the recorded message that echoes one.
const KEY: &str = "DEMOKEY000000000";

/// What is asked when the recorded answer comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asking {
    /// One-minute bars, as of Unix seconds.
    Minutes(i64),
    Days,
    Headlines,
    Observations,
    NewsApi,
    Finnhub,
    AlphaBars,
    AlphaNews,
}
use Asking::{AlphaBars, AlphaNews, Days, Finnhub, Headlines, Minutes, NewsApi, Observations};

/// What comes of it: so many bars, stories or observations, or an error's variant.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Data(usize),
    Fails(&'static str),
}
use Outcome::{Data, Fails};

const NOW: i64 = 1_791_208_710; // 2026-10-05

const FIXTURES: [(&str, Asking, Outcome); 106] = [
    (
        "alphavantage/errors/information_1_per_second.json",
        AlphaNews,
        Fails("RateLimited"),
    ),
    (
        "alphavantage/errors/information_25_per_day.json",
        AlphaNews,
        Fails("BudgetSpent"),
    ),
    (
        "alphavantage/errors/information_25_per_day_echoes_key.json",
        AlphaBars,
        Fails("BudgetSpent"),
    ),
    (
        "alphavantage/errors/note_5_per_minute.json",
        AlphaBars,
        Fails("RateLimited"),
    ),
    (
        "alphavantage/global_quote_MSFT_2018.json",
        AlphaBars,
        Fails("Shape"),
    ),
    (
        "alphavantage/news_sentiment_2024-07-16.json",
        AlphaNews,
        Data(50),
    ),
    (
        "alphavantage/news_sentiment_2024-07-19.json",
        AlphaNews,
        Data(50),
    ),
    (
        "alphavantage/news_sentiment_AAPL_2024-07.json",
        AlphaNews,
        Data(50),
    ),
    (
        "alphavantage/time_series_daily_adjusted_IBM_2024-06-07.json",
        AlphaBars,
        Fails("Granularity"),
    ),
    // Early in an afternoon: nothing in it tells starts from ends.
    (
        "alphavantage/time_series_intraday_1min_MSFT_2017-12-18.json",
        AlphaBars,
        Fails("Stamps"),
    ),
    (
        "alphavantage/time_series_intraday_extended_2020-12.csv.gz",
        AlphaBars,
        Data(7230),
    ),
    (
        "finnhub/company_news_AAPL_2020-12-08.json",
        Finnhub,
        Data(10),
    ),
    (
        "finnhub/errors/429_limit.json",
        Finnhub,
        Fails("RateLimited"),
    ),
    (
        "fred/errors/400_api_key_not_registered.json",
        Observations,
        Fails("KeyRefused"),
    ),
    ("fred/series_GDP.json", Observations, Fails("Shape")),
    (
        "fred/series_observations_GDP_2024-10-30.json",
        Observations,
        Data(315),
    ),
    (
        "fred/series_observations_GDP_all_vintages.json.gz",
        Observations,
        Data(3199),
    ),
    (
        "fred/series_observations_GDP_headers.json",
        Observations,
        Fails("Shape"),
    ),
    (
        "fred/series_observations_GDP_initial_release_output_type4.json.gz",
        Observations,
        Data(132),
    ),
    (
        "fred/series_observations_PAYEMS_2023-05-05.json",
        Observations,
        Data(294),
    ),
    ("fred/series_release_GDP.json", Observations, Fails("Shape")),
    (
        "fred/series_vintagedates_GDP.json",
        Observations,
        Fails("Shape"),
    ),
    (
        "newsapi/errors/401_apiKeyMissing.json",
        NewsApi,
        Fails("KeyRefused"),
    ),
    (
        "newsapi/errors/426_parameterInvalid_too_far_in_past.json",
        NewsApi,
        Fails("Period"),
    ),
    (
        "newsapi/errors/429_rateLimited.json",
        NewsApi,
        Fails("BudgetSpent"),
    ),
    ("newsapi/everything_2020-05.json", NewsApi, Data(20)),
    ("newsapi/everything_2021-07_tesla.json", NewsApi, Data(20)),
    (
        "yahoo/chart/2330.TW_empty_range_200.json",
        Days,
        Fails("NoData"),
    ),
    // The fifth day was still running.
    (
        "yahoo/chart/AAPL_1d_5d_2026-07-24_forming_day.json",
        Days,
        Data(4),
    ),
    (
        "yahoo/chart/APPL_misspelled_meta_only_200.json",
        Days,
        Fails("UnknownSymbol"),
    ),
    (
        "yahoo/chart/chart-0P000071W8.TO-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-AAPL-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-AAPL-2020-08-31-to-2020-11-07.json",
        Days,
        Data(49),
    ),
    (
        "yahoo/chart/chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json",
        Minutes(NOW),
        Fails("NoData"),
    ),
    ("yahoo/chart/chart-AAPL.json", Days, Data(1)),
    (
        "yahoo/chart/chart-ABBV-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-AFRAF-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-AMZN-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-AZT.OL-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-BABA-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-BTC-USD-2020-01-01-to-2020-01-03.json",
        Days,
        Data(3),
    ),
    (
        "yahoo/chart/chart-CRON-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-EPAC-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-EURUSD=X-2020-01-01-to-2020-01-03.json",
        Days,
        Data(3),
    ),
    (
        "yahoo/chart/chart-GC=F-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-GOOG-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-OCDO.L-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-ORSTED.CO-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-QQQ-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-SPOT-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-TSLA-2025-01-01-to-2025-01-02-interval-1h.fake.json",
        Days,
        Fails("Granularity"),
    ),
    (
        "yahoo/chart/chart-WSKT.JK-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/chart-WSU.DE-2023-08-04-to-2023-08-09.json",
        Days,
        Data(3),
    ),
    (
        "yahoo/chart/chart-notimestamp-quotes-length.fake.json",
        Days,
        Fails("NoData"),
    ),
    (
        "yahoo/chart/chart-notimestamp-weird-quote.fake.json",
        Days,
        Fails("NoData"),
    ),
    (
        "yahoo/chart/historical-via-chart-0P000071W8.TO-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-0P0000XTS7-2024-09-12-to-2024-09-16.json",
        Days,
        Data(2),
    ),
    (
        "yahoo/chart/historical-via-chart-AAPL-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-ABBV-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-AFRAF-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-AMZN-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-AZT.OL-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-BABA-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-BTC-USD-2020-01-01-to-2020-01-03.json",
        Days,
        Data(3),
    ),
    (
        "yahoo/chart/historical-via-chart-CRON-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-EPAC-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-EURUSD=X-2020-01-01-to-2020-01-03.json",
        Days,
        Data(3),
    ),
    (
        "yahoo/chart/historical-via-chart-GC=F-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-GOOG-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json",
        Days,
        Data(252),
    ),
    (
        "yahoo/chart/historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json",
        Days,
        Data(252),
    ),
    (
        "yahoo/chart/historical-via-chart-OCDO.L-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-ORSTED.CO-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-QQQ-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-SPOT-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-WSKT.JK-2020-01-01-to-2020-01-03.json",
        Days,
        Data(1),
    ),
    (
        "yahoo/chart/historical-via-chart-dividends-TSLA-no-dividends.json",
        Days,
        Data(3303),
    ),
    (
        "yahoo/chart_1m/AAPL_1m_2021-01-11_live_ok.json",
        Minutes(1_610_389_815),
        Data(240),
    ),
    (
        "yahoo/chart_1m/AAPL_1m_2021-01-11_live_ragged_arrays.json",
        Minutes(1_610_389_815),
        Fails("Ragged"),
    ),
    // London's afternoon minute lies before New York's open.
    (
        "yahoo/chart_1m/BARC.L_1m_nulls_GBp_2017.json",
        Minutes(NOW),
        Data(0),
    ),
    (
        "yahoo/chart_1m/GRND3.SA_1m_empty_arrays.json",
        Minutes(NOW),
        Fails("NoData"),
    ),
    // São Paulo before New York's open.
    (
        "yahoo/chart_1m/PETR4.SA_1m_null_and_unaligned_last.json",
        Minutes(NOW),
        Data(0),
    ),
    (
        "yahoo/chart_intraday/7203.T_5m_lunch_nulls_cut.json",
        Minutes(NOW),
        Fails("Granularity"),
    ),
    (
        "yahoo/chart_intraday/AAPL_5m_2026-10-05_live_last_tick.json",
        Minutes(NOW),
        Fails("Granularity"),
    ),
    (
        "yahoo/chart_intraday/NVDA_1h_2024-05-03_closing_tick.json",
        Minutes(NOW),
        Fails("Granularity"),
    ),
    // A crumb where a chart was expected, and two redirects towards the page that asks for consent.
    (
        "yahoo/crumb/getCrumb-getcrumb.json",
        Days,
        Fails("Truncated"),
    ),
    (
        "yahoo/crumb/getCrumb-quote-AAPL-consent.html.json",
        Days,
        Fails("Refused"),
    ),
    (
        "yahoo/crumb/getCrumb-quote-AAPL.json",
        Days,
        Fails("Refused"),
    ),
    (
        "yahoo/errors/400_invalid_interval.json",
        Days,
        Fails("Refused"),
    ),
    (
        "yahoo/errors/401_invalid_crumb.json",
        Days,
        Fails("Unauthorised"),
    ),
    (
        "yahoo/errors/401_invalid_crumb_2024.json",
        Headlines,
        Fails("Unauthorised"),
    ),
    (
        "yahoo/errors/401_quote_without_crumb_2026.json",
        Days,
        Fails("Unauthorised"),
    ),
    (
        "yahoo/errors/404_not_found.json",
        Days,
        Fails("UnknownSymbol"),
    ),
    (
        "yahoo/errors/422_1m_more_than_7_days.json",
        Minutes(NOW),
        Fails("Period"),
    ),
    (
        "yahoo/errors/422_1m_older_than_30_days.json",
        Minutes(NOW),
        Fails("Period"),
    ),
    (
        "yahoo/errors/422_5m_older_than_60_days.json",
        Minutes(NOW),
        Fails("Period"),
    ),
    (
        "yahoo/errors/429_edge_plain_text.json",
        Headlines,
        Fails("RateLimited"),
    ),
    (
        "yahoo/errors/429_getcrumb_plain_text.json",
        Days,
        Fails("RateLimited"),
    ),
    ("yahoo/other/quote-AAPL-BABA.json", Days, Fails("Shape")),
    ("yahoo/other/quote-AAPL.json", Days, Fails("Shape")),
    ("yahoo/other/quote-ADH.json", Days, Fails("Shape")),
    (
        "yahoo/other/quoteSummary-assetProfile-ADH.json",
        Days,
        Fails("UnknownSymbol"),
    ),
    (
        "yahoo/other/quoteSummary-assetProfile-EURUSD=X.json",
        Days,
        Fails("UnknownSymbol"),
    ),
    ("yahoo/other/search-AAPL.json", Headlines, Data(4)),
    ("yahoo/other/search-AMZN.json", Headlines, Data(4)),
    (
        "yahoo/other/search-badResult.fake.json",
        Headlines,
        Fails("Shape"),
    ),
];

/// A vendor that answers everything with one recording at a time, and every client of it.
struct Recorder {
    server: VendorServer,
    now: Arc<Mutex<Answer>>,
    yahoo: YahooClient,
    fred: FredClient,
    news_api: NewsApiClient,
    finnhub: FinnhubClient,
    alpha: AlphaVantageClient,
}

impl Recorder {
    async fn start() -> Self {
        let now = Arc::new(Mutex::new(Answer::json("")));
        let answer = Arc::clone(&now);
        let server = VendorServer::start(move |_| answer.lock().unwrap().clone()).await;
        let connection: &VendorConnection = &server.connection;
        let key = || KEY.to_owned().into();
        Self {
            yahoo: YahooClient::new(connection).unwrap(),
            fred: FredClient::new(connection, Some(key())).unwrap(),
            news_api: NewsApiClient::new(connection, key()).unwrap(),
            finnhub: FinnhubClient::new(connection, key()).unwrap(),
            alpha: AlphaVantageClient::new(connection, key()).unwrap(),
            now,
            server,
        }
    }

    fn play(&self, path: &Path) {
        *self.now.lock().unwrap() = recorded_answer(path);
    }

    async fn ask(&self, asking: Asking) -> Result<usize, VendorError> {
        let ticker = &Ticker::parse("AAPL").unwrap();
        let calendar = calendar::nyse();
        let (from, to) = (day(2000, 1, 1), day(2027, 1, 1));
        Ok(match asking {
            Minutes(as_of) => {
                let request = request("AAPL", as_of);
                self.yahoo
                    .minute_bars(&request, calendar)
                    .await?
                    .closed
                    .len()
            }
            Days => {
                let bars = self.yahoo.daily_bars(ticker, from, to, calendar).await?;
                self.yahoo
                    .corporate_actions(ticker, from, to, calendar)
                    .await?;
                bars.len()
            }
            Headlines => self.yahoo.headlines(ticker).await?.len(),
            Observations => self.fred.observations(&gdp()).await?.len(),
            NewsApi => {
                let articles = self.news_api.articles(ticker, "Apple", at(0), at(NOW));
                articles.await?.len()
            }
            Finnhub => self.finnhub.company_news(ticker, from, to).await?.len(),
            AlphaBars => self.alpha_bars().await?.closed.len(),
            AlphaNews => self.alpha.news(ticker, at(0)).await?.len(),
        })
    }

    async fn alpha_bars(&self) -> Result<market_data::FetchedBars, VendorError> {
        let request = MonthRequest {
            ticker: Ticker::parse("MSFT").unwrap(),
            month_of: day(2020, 12, 1),
            as_of: at(NOW),
            grace: TimeDelta::seconds(1),
        };
        self.alpha.intraday_bars(&request, calendar::nyse()).await
    }
}

/// A recording as it went over the wire: bare, unpacked, or taken out of what wraps it.
fn recorded_answer(path: &Path) -> Answer {
    let name = path.to_string_lossy();
    let mut text = String::new();
    if name.ends_with(".gz") {
        let mut packed = flate2::read::GzDecoder::new(File::open(path).unwrap());
        packed.read_to_string(&mut text).unwrap();
    } else {
        text = std::fs::read_to_string(path).unwrap();
    }
    let Ok(json) = serde_json::from_str::<Value>(&text) else {
        return Answer::status(200, "text/csv", text);
    };
    if let (Some(status), Some(body)) = (json["http_status"].as_u64(), json["body"].as_str()) {
        return Answer::status(status as u16, "text/plain", body);
    }
    if let Some(status) = json["response"]["status"].as_u64() {
        let response = &json["response"];
        let body = match &response["bodyJson"] {
            Value::Null => response["bodyText"].as_str().unwrap().to_owned(),
            body => body.to_string(),
        };
        return Answer::status(status as u16, "application/json", body);
    }
    Answer::json(text)
}

fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn gdp() -> SeriesId {
    SeriesId::parse("GDP").unwrap()
}

fn files_below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, root, found);
        } else if path != root.join("INDEX.md") {
            let name = path.strip_prefix(root).unwrap();
            found.insert(name.to_string_lossy().into_owned());
        }
    }
}

#[test]
fn every_recorded_answer_is_in_the_table() {
    let Some(folder) = test_support::shared("data/api_fixtures") else {
        return;
    };
    let mut found = BTreeSet::new();
    files_below(&folder, &folder, &mut found);
    let listed: BTreeSet<String> = FIXTURES
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(found, listed);
    assert_eq!(listed.len(), FIXTURES.len(), "no file is listed twice");
}

#[tokio::test]
async fn every_recorded_answer_gives_its_data_or_the_right_error() {
    let Some(folder) = test_support::shared("data/api_fixtures") else {
        return;
    };
    let recorder = Recorder::start().await;
    let mut wrong = Vec::new();
    for (name, asking, expected) in FIXTURES {
        recorder.play(&folder.join(name));
        let result = recorder.ask(asking).await;
        let is_right = match (&result, expected) {
            (Ok(count), Data(wanted)) => *count == wanted,
            (Err(error), Fails(variant)) => {
                format!("{error:?}").starts_with(&format!("{variant} "))
            }
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{name}: {result:?} instead of {expected:?}"));
        }
        if let Err(error) = result {
            assert!(
                !format!("{error} {error:?}").contains(KEY),
                "{name} gives the key away"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn recorded_splits_and_dividends_have_date_open_and_amount() {
    let Some(folder) = test_support::shared("data/api_fixtures/yahoo/chart") else {
        return;
    };
    let recorder = Recorder::start().await;
    let ticker = Ticker::parse("AAPL").unwrap();
    let actions = async |name: &str, from, to| {
        recorder.play(&folder.join(name));
        let calendar = calendar::nyse();
        let actions = recorder
            .yahoo
            .corporate_actions(&ticker, from, to, calendar);
        let actions = actions.await.unwrap().into_iter();
        actions
            .map(|action| (action.ex_date, action.effective_at, action.change))
            .collect::<Vec<_>>()
    };
    let (from, to) = (day(2000, 1, 1), day(2027, 1, 1));
    let apple = "chart-AAPL-2020-08-31-to-2020-11-07.json";
    let split = (
        day(2020, 8, 31),
        at(1_598_880_600),
        ShareChange::Split { ratio: 4.0 },
    );
    let dividend = (
        day(2020, 11, 6),
        at(1_604_673_000),
        ShareChange::Dividend { amount: 0.205 },
    );
    assert_eq!(actions(apple, from, to).await, [split, dividend]);
    assert_eq!(actions(apple, from, day(2020, 11, 5)).await, [split]);
    let microsoft = "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json";
    let paid: Vec<_> = actions(microsoft, from, to).await;
    let amounts: Vec<_> = paid
        .iter()
        .map(|(date, _, change)| (date.to_string(), *change))
        .collect();
    let paid = |date: &str, amount| (date.to_owned(), ShareChange::Dividend { amount });
    assert_eq!(
        amounts,
        [
            paid("2021-02-17", 0.56),
            paid("2021-05-19", 0.56),
            paid("2021-08-18", 0.56),
            paid("2021-11-17", 0.62)
        ]
    );
}

#[tokio::test]
async fn recorded_days_carry_both_closes() {
    let Some(folder) = test_support::shared("data/api_fixtures/yahoo/chart") else {
        return;
    };
    let recorder = Recorder::start().await;
    recorder.play(&folder.join("chart-AAPL-2020-01-01-to-2020-01-03.json"));
    let ticker = Ticker::parse("AAPL").unwrap();
    let (from, to) = (day(2020, 1, 1), day(2020, 1, 2));
    let calendar = calendar::nyse();
    let bars = recorder.yahoo.daily_bars(&ticker, from, to, calendar);
    let bar = bars.await.unwrap()[0];
    assert_eq!(bar.session, day(2020, 1, 2));
    assert_eq!((bar.close.get(), bar.volume), (75.0875, 135_480_400.0));
    let adjusted = bar.adjusted_close.unwrap().get();
    assert!((adjusted / 72.716_07 - 1.0).abs() < 1e-6, "{adjusted}");
    let calls = recorder.server.calls.lock().unwrap();
    // New York's midnights, 2020-01-01 and 2020-01-03.
    assert_eq!(calls[0].period, (1_577_854_800, 1_578_027_600));
}

#[tokio::test]
async fn bars_recorded_with_end_stamps_are_stamped_at_their_start() {
    let Some(folder) = test_support::shared("data/api_fixtures/alphavantage") else {
        return;
    };
    let recorder = Recorder::start().await;
    recorder.play(&folder.join("time_series_intraday_extended_2020-12.csv.gz"));
    let fetched = recorder.alpha_bars().await.unwrap();
    let first = fetched.closed[0];
    // 09:31 in the recording, with the volume of the opening minute.
    assert_eq!(first.start.to_rfc3339(), "2020-11-23T14:30:00+00:00");
    assert_eq!((first.open.get(), first.volume), (210.95, 499_756.0));
    let last = fetched.closed.last().unwrap();
    assert_eq!(last.start.to_rfc3339(), "2020-12-18T20:59:00+00:00");
    assert_eq!((fetched.rejected.len(), fetched.forming), (0, None));
    assert_eq!(fetched.closed.len() + fetched.outside_session, 11_190);
}

#[tokio::test]
async fn recorded_stories_are_read_whole() {
    let Some(folder) = test_support::shared("data/api_fixtures") else {
        return;
    };
    let recorder = Recorder::start().await;
    let ticker = Ticker::parse("AAPL").unwrap();
    recorder.play(&folder.join("yahoo/other/search-AAPL.json"));
    let yahoo = recorder.yahoo.headlines(&ticker).await.unwrap();
    assert_eq!(yahoo[0].vendor_id, "57ea9c09-0c99-3adf-9062-fecfdbe472cc");
    assert_eq!(yahoo[0].publisher.as_deref(), Some("Yahoo Finance Video"));
    assert_eq!(yahoo[0].published_at, at(1_740_442_800));

    recorder.play(&folder.join("finnhub/company_news_AAPL_2020-12-08.json"));
    let finnhub = recorder
        .finnhub
        .company_news(&ticker, day(2020, 12, 1), day(2020, 12, 8));
    let finnhub = finnhub.await.unwrap();
    let titles: BTreeSet<&str> = finnhub
        .iter()
        .map(|article| article.title.as_str())
        .collect();
    assert_eq!(
        titles.len(),
        8,
        "repeated headlines are the ingestor's to merge"
    );
    assert_eq!(finnhub[0].published_at, at(1_607_418_000));

    recorder.play(&folder.join("alphavantage/news_sentiment_AAPL_2024-07.json"));
    let alpha = recorder.alpha.news(&ticker, at(0)).await.unwrap();
    let tickers: Vec<&str> = alpha[0].tickers.iter().map(Ticker::as_str).collect();
    assert_eq!(tickers, ["NFLX", "AAPL", "BCS"]);
    assert_eq!(
        alpha[0].published_at.to_rfc3339(),
        "2024-07-22T14:57:14+00:00"
    );
    assert!(
        alpha[0]
            .title
            .starts_with("Apple Adjusts Hollywood Approach")
    );

    recorder.play(&folder.join("newsapi/everything_2020-05.json"));
    let articles = recorder.news_api.articles(&ticker, "Apple", at(0), at(1));
    let news_api = articles.await.unwrap();
    assert_eq!(news_api[0].publisher.as_deref(), Some("Mashable"));
    assert_eq!(
        news_api[0].url.as_deref(),
        Some("https://mashable.com/shopping/may-3-weekend-deals/")
    );
}

#[tokio::test]
async fn recorded_vintages_keep_their_first_day_and_dots_are_no_value() {
    let Some(folder) = test_support::shared("data/api_fixtures/fred") else {
        return;
    };
    let recorder = Recorder::start().await;
    recorder.play(&folder.join("series_observations_GDP_all_vintages.json.gz"));
    let rows = recorder.fred.observations(&gdp()).await.unwrap();
    let first: Vec<_> = rows[..4]
        .iter()
        .map(|row| (row.realtime_start.unwrap().to_string(), row.value))
        .collect();
    let row = |start: &str, value| (start.to_owned(), value);
    assert_eq!(
        first,
        [
            row("1992-12-22", Some(199.7)),
            row("1996-01-19", None),
            row("1997-05-07", Some(210.4)),
            row("1999-10-28", None)
        ]
    );
    assert!(rows[..4].iter().all(|row| row.period == day(1946, 1, 1)));
}

//! Yahoo's answers as they go over the wire. Names, order and quirks follow recorded answers.

use std::collections::BTreeMap;

use serde::Serialize;

/// `/v8/finance/chart/{symbol}`.
#[derive(Debug, Serialize)]
pub(crate) struct ChartAnswer {
    pub(crate) chart: Chart,
}

#[derive(Debug, Serialize)]
pub(crate) struct Chart {
    pub(crate) result: [ChartResult; 1],
    pub(crate) error: Option<()>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChartResult {
    pub(crate) meta: Meta,
    /// Absent when there is nothing in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Events>,
    pub(crate) indicators: Indicators,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Meta {
    pub(crate) currency: &'static str,
    pub(crate) symbol: String,
    pub(crate) exchange_name: &'static str,
    pub(crate) full_exchange_name: &'static str,
    pub(crate) instrument_type: &'static str,
    pub(crate) first_trade_date: i64,
    pub(crate) regular_market_time: i64,
    pub(crate) has_pre_post_market_data: bool,
    pub(crate) gmtoffset: i32,
    pub(crate) timezone: &'static str,
    pub(crate) exchange_timezone_name: &'static str,
    pub(crate) regular_market_price: f64,
    pub(crate) fifty_two_week_high: f64,
    pub(crate) fifty_two_week_low: f64,
    pub(crate) regular_market_day_high: f64,
    pub(crate) regular_market_day_low: f64,
    pub(crate) regular_market_volume: Shares,
    pub(crate) long_name: String,
    pub(crate) short_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chart_previous_close: Option<f64>,
    /// With minutes only, like `scale` and `tradingPeriods`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) previous_close: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<u8>,
    pub(crate) price_hint: u8,
    pub(crate) current_trading_period: TradingPeriod<PeriodInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trading_periods: Option<TradingPeriods>,
    pub(crate) data_granularity: &'static str,
    /// Empty when the window was given by its ends.
    pub(crate) range: String,
    pub(crate) valid_ranges: [&'static str; 11],
}

#[derive(Debug, Serialize)]
pub(crate) struct TradingPeriod<T> {
    pub(crate) pre: T,
    pub(crate) regular: T,
    pub(crate) post: T,
}

/// A list of days, each a list of one; with extended hours three such lists.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum TradingPeriods {
    Regular(Vec<[PeriodInfo; 1]>),
    Extended(TradingPeriod<Vec<[PeriodInfo; 1]>>),
}

#[derive(Debug, Serialize)]
pub(crate) struct PeriodInfo {
    pub(crate) timezone: &'static str,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) gmtoffset: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Events {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) dividends: BTreeMap<i64, DividendEvent>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) splits: BTreeMap<i64, SplitEvent>,
}

#[derive(Debug, Serialize)]
pub(crate) struct DividendEvent {
    pub(crate) amount: f64,
    pub(crate) date: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SplitEvent {
    pub(crate) date: i64,
    pub(crate) numerator: f64,
    pub(crate) denominator: f64,
    pub(crate) split_ratio: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Indicators {
    pub(crate) quote: [Quote; 1],
    /// With days only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) adjclose: Option<[AdjustedClose; 1]>,
}

/// Columns of equal length, empty cells are `null`; no columns when there is nothing in the window.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Quote {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) close: Option<Vec<Option<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) volume: Option<Vec<Option<Shares>>>,
}

/// A number of shares: whole ones go out without a fraction, as Yahoo writes them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Shares(#[serde(serialize_with = "domain::serialize_volume")] pub(crate) f64);

#[derive(Debug, Default, Serialize)]
pub(crate) struct AdjustedClose {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) adjclose: Option<Vec<f64>>,
}

/// `/v10/finance/quoteSummary/{symbol}` with the modules that the simulator has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SummaryAnswer {
    pub(crate) quote_summary: Summary,
}

#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) result: [SummaryModules; 1],
    pub(crate) error: Option<()>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SummaryModules {
    pub(crate) asset_profile: AssetProfile,
    pub(crate) quote_type: QuoteType,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssetProfile {
    pub(crate) sector: &'static str,
    pub(crate) company_officers: [(); 0],
    pub(crate) max_age: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuoteType {
    pub(crate) exchange: &'static str,
    pub(crate) quote_type: &'static str,
    pub(crate) symbol: String,
    pub(crate) underlying_symbol: String,
    pub(crate) short_name: String,
    pub(crate) long_name: String,
    pub(crate) time_zone_full_name: &'static str,
    pub(crate) max_age: u32,
}

/// A refusal in Yahoo's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The key under which the error sits: `chart`, or `finance` where the session is at fault.
    pub(crate) root: &'static str,
    pub(crate) code: &'static str,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            self.root: { "result": null, "error": { "code": self.code, "description": self.description } }
        })
    }

    pub(crate) fn bad_request(description: String) -> Self {
        Self {
            status: 400,
            root: "chart",
            code: "Bad Request",
            description,
        }
    }

    pub(crate) fn unprocessable(description: String) -> Self {
        Self {
            status: 422,
            root: "chart",
            code: "Unprocessable Entity",
            description,
        }
    }

    pub(crate) fn unknown_symbol() -> Self {
        let description = "No data found, symbol may be delisted".to_owned();
        Self {
            status: 404,
            root: "chart",
            code: "Not Found",
            description,
        }
    }

    pub(crate) fn no_summary(symbol: &str) -> Self {
        let description = format!("Quote not found for symbol: {symbol}");
        Self {
            status: 404,
            root: "quoteSummary",
            code: "Not Found",
            description,
        }
    }

    pub(crate) fn unauthorized(what: &str) -> Self {
        Self {
            status: 401,
            root: "finance",
            code: "Unauthorized",
            description: what.to_owned(),
        }
    }
}

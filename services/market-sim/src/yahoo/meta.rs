//! The block that introduces every answer.

use std::{iter, ops::Range};

use calendar::{Calendar, Session};
use chrono::{DateTime, Offset, TimeDelta, Utc};
use chrono_tz::America::New_York;

use super::{
    chart::RANGES,
    wire::{Meta, PeriodInfo, Shares, TradingPeriod, TradingPeriods},
};
use crate::{
    market::Stock,
    tape::{Latest, extended_hours},
};

/// What the block repeats of the request.
pub(crate) struct Asked {
    /// Minutes rather than days.
    pub(crate) minutes: bool,
    /// First moment of the window, UTC.
    pub(crate) start: DateTime<Utc>,
    /// The window's name, if it was given by one.
    pub(crate) range: Option<String>,
    /// With extended hours.
    pub(crate) extended: bool,
}

/// Prices in this block have at most three digits.
fn rounded(price: f64) -> f64 {
    (price * 1000.0).round() / 1000.0
}

/// The block as of `now`; `traded` are the sessions that have rows in the answer, none for days.
pub(crate) fn meta(
    stock: Stock<'_>,
    calendar: &Calendar,
    latest: &Latest,
    traded: &[Session],
    asked: Asked,
    now: DateTime<Utc>,
) -> Meta {
    let profile = stock.profile();
    let sessions = stock.sessions();
    let minutes = asked.minutes;
    let close_before = |session: usize| {
        let over = sessions.partition_point(|session| session.close <= now);
        stock
            .daily(session.min(over).checked_sub(1)?)
            .map(|daily| rounded(daily.close))
    };
    let first_in_window = sessions.partition_point(|session| session.close <= asked.start);
    let year = sessions.partition_point(|session| session.open <= now - TimeDelta::days(365))
        ..latest.session;
    let (high, low) = year
        .filter_map(|session| stock.daily(session))
        .chain(iter::once(latest.day))
        .fold((f64::MIN, f64::MAX), |(high, low), day| {
            (high.max(day.high), low.min(day.low))
        });
    let (timezone, gmtoffset) = zone(now);
    let current = calendar
        .session_on(now.with_timezone(&New_York).date_naive())
        .or_else(|| calendar.next_open(now));
    let current = current.or_else(|| sessions.last().copied());
    Meta {
        currency: "USD",
        symbol: profile.ticker.to_string(),
        exchange_name: profile.exchange.code(),
        full_exchange_name: profile.exchange.name(),
        instrument_type: "EQUITY",
        first_trade_date: sessions
            .first()
            .map_or(0, |session| session.open.timestamp()),
        regular_market_time: latest.time.timestamp(),
        has_pre_post_market_data: true,
        gmtoffset,
        timezone,
        exchange_timezone_name: "America/New_York",
        regular_market_price: rounded(latest.price),
        fifty_two_week_high: rounded(high),
        fifty_two_week_low: rounded(low),
        regular_market_day_high: rounded(latest.day.high),
        regular_market_day_low: rounded(latest.day.low),
        regular_market_volume: Shares(latest.day.volume),
        long_name: profile.name.clone(),
        short_name: profile.name.clone(),
        chart_previous_close: close_before(first_in_window),
        previous_close: minutes.then(|| close_before(latest.session)).flatten(),
        scale: minutes.then_some(3),
        price_hint: 2,
        current_trading_period: current.map_or_else(
            || TradingPeriod {
                pre: period(now..now),
                regular: period(now..now),
                post: period(now..now),
            },
            |session| trading_period(&session),
        ),
        trading_periods: trading_periods(traded, asked.extended),
        data_granularity: if minutes { "1m" } else { "1d" },
        range: asked.range.unwrap_or_default(),
        valid_ranges: RANGES,
    }
}

fn trading_periods(sessions: &[Session], extended: bool) -> Option<TradingPeriods> {
    let days = |part: fn(TradingPeriod<PeriodInfo>) -> PeriodInfo| {
        sessions
            .iter()
            .map(|session| [part(trading_period(session))])
            .collect()
    };
    match (sessions.is_empty(), extended) {
        (true, _) => None,
        (false, false) => Some(TradingPeriods::Regular(days(|day| day.regular))),
        (false, true) => Some(TradingPeriods::Extended(TradingPeriod {
            pre: days(|day| day.pre),
            regular: days(|day| day.regular),
            post: days(|day| day.post),
        })),
    }
}

fn trading_period(session: &Session) -> TradingPeriod<PeriodInfo> {
    let hours = extended_hours(session);
    TradingPeriod {
        pre: period(hours.start..session.open),
        regular: period(session.open..session.close),
        post: period(session.close..hours.end),
    }
}

fn period(times: Range<DateTime<Utc>>) -> PeriodInfo {
    let (timezone, gmtoffset) = zone(times.start);
    PeriodInfo {
        timezone,
        start: times.start.timestamp(),
        end: times.end.timestamp(),
        gmtoffset,
    }
}

/// `EST` or `EDT`, and its seconds from UTC.
fn zone(time: DateTime<Utc>) -> (&'static str, i32) {
    let offset = *time.with_timezone(&New_York).offset();
    let seconds = offset.fix().local_minus_utc();
    (if seconds == -18_000 { "EST" } else { "EDT" }, seconds)
}

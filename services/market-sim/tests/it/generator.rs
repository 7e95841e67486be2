//! Is the invented market believable, and is it the same every time?

use std::time::{Duration, Instant};

use chrono::NaiveDate;
use domain::{Bar, Price};
use market_sim::{
    Market,
    market::{DEFAULT_TICKERS, Stock},
};

use crate::{ask, ticker};

fn market(seed: u64) -> Market {
    Market::generated(seed, &[], calendar::nyse())
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn stock<'a>(market: &'a Market, symbol: &str) -> Stock<'a> {
    market.stock(&ticker(symbol)).unwrap()
}

/// Bars of every session between two dates.
fn days(stock: Stock<'_>, from: NaiveDate, to: NaiveDate) -> Vec<Vec<Bar>> {
    let within = |index: &usize| (from..=to).contains(&stock.sessions()[*index].date);
    (0..stock.sessions().len())
        .filter(within)
        .map(|index| stock.bars(index).to_vec())
        .collect()
}

/// Log returns from close to close within each day: 389 a day.
fn minute_returns(days: &[Vec<Bar>]) -> Vec<Vec<f64>> {
    let log_return = |pair: &[Bar]| (pair[1].close.get() / pair[0].close.get()).ln();
    days.iter()
        .map(|bars| bars.windows(2).map(log_return).collect())
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let (left_mean, right_mean) = (mean(left), mean(right));
    let covariance = |a: &[f64], a_mean: f64, b: &[f64], b_mean: f64| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - a_mean) * (b - b_mean))
            .sum()
    };
    covariance(left, left_mean, right, right_mean)
        / (covariance(left, left_mean, left, left_mean)
            * covariance(right, right_mean, right, right_mean))
        .sqrt()
}

/// Correlation of each day's values with those `lag` later, over all days.
fn autocorrelation(days: &[Vec<f64>], lag: usize) -> f64 {
    let earlier: Vec<f64> = days
        .iter()
        .flat_map(|day| &day[..day.len() - lag])
        .copied()
        .collect();
    let later: Vec<f64> = days.iter().flat_map(|day| &day[lag..]).copied().collect();
    correlation(&earlier, &later)
}

#[test]
fn every_session_is_full_of_valid_bars_in_whole_cents() {
    let market = market(1);
    for symbol in DEFAULT_TICKERS {
        let stock = stock(&market, symbol);
        // With Thanksgiving and two half days.
        for bars in days(stock, date(2025, 11, 20), date(2025, 12, 31)) {
            let session = calendar::nyse().session_at(bars[0].start).unwrap();
            assert_eq!(
                bars.len(),
                session.minutes() as usize,
                "{symbol} {}",
                session.date
            );
            for bar in &bars {
                let prices = [bar.open, bar.high, bar.low, bar.close].map(Price::get);
                assert!(
                    Bar::new(
                        bar.start, prices[0], prices[1], prices[2], prices[3], bar.volume
                    )
                    .is_ok()
                );
                assert!(
                    prices
                        .iter()
                        .all(|price| ((price * 100.0).round() - price * 100.0).abs() < 1e-6),
                    "{bar:?}"
                );
            }
            // No cracks between minutes: each opens within 1 % of the last close.
            let crack = bars
                .windows(2)
                .map(|pair| (pair[1].open.get() / pair[0].close.get() - 1.0).abs());
            assert!(crack.fold(0.0, f64::max) < 0.01);
        }
    }
}

#[test]
fn volatility_clusters_and_tails_are_heavy_but_returns_are_hard_to_foretell() {
    let market = market(1);
    for symbol in ["AAPL", "JPM", "KO", "TSLA"] {
        let returns = minute_returns(&days(
            stock(&market, symbol),
            date(2025, 6, 1),
            date(2025, 9, 30),
        ));
        // Without the day's shape, which is no clustering.
        let usual: Vec<f64> = (0..389)
            .map(|minute| {
                mean(
                    &returns
                        .iter()
                        .filter_map(|day| day.get(minute))
                        .map(|r| r.abs())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let shaped: Vec<Vec<f64>> = returns
            .iter()
            .map(|day| day.iter().zip(&usual).map(|(r, usual)| r / usual).collect())
            .collect();
        let sizes: Vec<Vec<f64>> = shaped
            .iter()
            .map(|day| day.iter().map(|r| r.abs()).collect())
            .collect();
        let (of_returns, of_sizes) = (autocorrelation(&shaped, 1), autocorrelation(&sizes, 1));
        let later = autocorrelation(&sizes, 30);
        let all: Vec<f64> = returns.concat();
        let variance = mean(&all.iter().map(|r| r * r).collect::<Vec<_>>());
        let kurtosis =
            mean(&all.iter().map(|r| r.powi(4)).collect::<Vec<_>>()) / (variance * variance);
        eprintln!(
            "{symbol}: r {of_returns:.3}, |r| {of_sizes:.3}, |r| after 30 {later:.3}, kurtosis {kurtosis:.1}, bp {:.1}",
            1e4 * variance.sqrt()
        );
        assert!(
            of_sizes > 0.08 && of_sizes > 2.0 * of_returns.abs(),
            "{symbol}: {of_sizes} {of_returns}"
        );
        assert!(later > 0.03 && later < of_sizes, "{symbol}: {later}");
        assert!(of_returns.abs() < 0.05, "{symbol}: {of_returns}");
        assert!(kurtosis > 4.5, "{symbol}: {kurtosis}");
    }
}

/// The planted effect is there for whoever looks back: a stock that was traded by far more than usual goes on as it went.
#[test]
fn what_is_planted_can_be_found() {
    let market = market(1);
    let (mut crowded, mut quiet) = (Vec::new(), Vec::new());
    for symbol in DEFAULT_TICKERS {
        let days = days(stock(&market, symbol), date(2025, 8, 1), date(2025, 9, 30));
        for window in days.windows(6) {
            let [before @ .., today] = window else {
                continue;
            };
            let shares = |day: &[Bar], minutes: std::ops::Range<usize>| -> f64 {
                day[minutes].iter().map(|bar| bar.volume).sum()
            };
            for minute in (60..360).step_by(15) {
                let last = minute - 15..minute;
                let usual = mean(
                    &before
                        .iter()
                        .map(|day| shares(day, last.clone()))
                        .collect::<Vec<_>>(),
                );
                let moved =
                    |from: usize, to: usize| (today[to].close.get() / today[from].close.get()).ln();
                // What somebody earns who goes with the last 25 minutes for the next 20.
                let earned = moved(minute, minute + 20) * moved(minute - 25, minute).signum();
                if shares(today, last) > 2.0 * usual {
                    crowded.push(1e4 * earned);
                } else {
                    quiet.push(1e4 * earned);
                }
            }
        }
    }
    let share = crowded.len() as f64 / (crowded.len() + quiet.len()) as f64;
    let right =
        crowded.iter().filter(|earned| **earned > 0.0).count() as f64 / crowded.len() as f64;
    eprintln!(
        "crowded {:.1} %: {:+.1} bp, right {:.1} %; else {:+.1} bp",
        100.0 * share,
        mean(&crowded),
        100.0 * right,
        mean(&quiet)
    );
    assert!((0.03..0.25).contains(&share), "{share}");
    assert!(mean(&crowded) > 5.0 && mean(&quiet).abs() < 2.0);
    // Nobody is always right.
    assert!((0.55..0.8).contains(&right), "{right}");
}

#[test]
fn an_invented_market_says_what_is_planted_in_it() {
    let market = market(1);
    assert!(market.planted_effect().unwrap().contains("planted"));
    let recorded = Market::recorded(
        crate::staircase(&crate::THREE_DAYS, &[]),
        &[],
        calendar::nyse(),
    );
    assert_eq!(recorded.unwrap().planted_effect(), None);
}

#[test]
fn written_bars_are_those_that_are_served() {
    let market = Market::generated(1, &[ticker("KO"), ticker("AAPL")], calendar::nyse());
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let (from, to) = (date(2025, 7, 2), date(2025, 7, 7));
    let written = market.write_bars(from, to, file.as_file()).unwrap();
    let read = bar_files::read_bars(file.path()).unwrap();
    assert!(read.report.is_clean(), "{}", read.report);
    // A whole day, a half one before the holiday, and the Monday after it.
    assert_eq!(written, 2 * (390 + 210 + 390));
    for symbol in ["AAPL", "KO"] {
        let served = days(stock(&market, symbol), from, to).concat();
        assert_eq!(read.bars[&ticker(symbol)], served);
    }
}

#[test]
fn the_day_has_its_shape() {
    let market = market(1);
    let days = days(stock(&market, "MSFT"), date(2025, 6, 1), date(2025, 9, 30));
    let full: Vec<&Vec<Bar>> = days.iter().filter(|day| day.len() == 390).collect();
    let volume = |minutes: std::ops::Range<usize>| {
        mean(
            &full
                .iter()
                .flat_map(|day| &day[minutes.clone()])
                .map(|bar| bar.volume)
                .collect::<Vec<_>>(),
        )
    };
    let range = |minutes: std::ops::Range<usize>| {
        let ranges = full
            .iter()
            .flat_map(|day| &day[minutes.clone()])
            .map(|bar| bar.high.get() / bar.low.get() - 1.0);
        mean(&ranges.collect::<Vec<_>>())
    };
    eprintln!(
        "volume: {:.0} {:.0} {:.0}",
        volume(0..30),
        volume(180..210),
        volume(360..390)
    );
    // Episodes, which add to the volume, have seldom begun in the first half hour.
    assert!(volume(0..30) > 1.8 * volume(180..210) && volume(360..390) > 1.8 * volume(180..210));
    assert!(
        volume(389..390) > 5.0 * volume(180..210),
        "the closing auction"
    );
    assert!(range(0..30) > 1.4 * range(180..210), "a restless opening");
    let daily: Vec<f64> = full
        .iter()
        .map(|day| day.iter().map(|bar| bar.volume).sum())
        .collect();
    assert!(
        (0.5..2.0).contains(&(mean(&daily) / 22e6)),
        "{}",
        mean(&daily)
    );
}

#[test]
fn stocks_move_together_and_most_within_a_sector() {
    let market = market(1);
    let returns: Vec<(&str, Vec<f64>)> = DEFAULT_TICKERS
        .into_iter()
        .map(|symbol| {
            let stock = stock(&market, symbol);
            let days = minute_returns(&days(stock, date(2025, 8, 1), date(2025, 9, 30)));
            (stock.profile().sector, days.concat())
        })
        .collect();
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for (index, (sector, left)) in returns.iter().enumerate() {
        for (other_sector, right) in &returns[index + 1..] {
            let found = correlation(left, right);
            assert!(found > 0.02, "{found}");
            if sector == other_sector {
                same.push(found)
            } else {
                other.push(found)
            }
        }
    }
    eprintln!("same sector {:.2}, other {:.2}", mean(&same), mean(&other));
    assert!(mean(&same) > mean(&other) + 0.05 && mean(&other) > 0.1);
}

#[test]
fn days_gap_overnight_and_move_like_stocks() {
    let market = market(1);
    for symbol in DEFAULT_TICKERS {
        let stock = stock(&market, symbol);
        let first = stock
            .sessions()
            .iter()
            .position(|session| session.date >= date(2024, 1, 1))
            .unwrap();
        let daily: Vec<_> = (first..first + 250)
            .map(|index| stock.daily(index).unwrap())
            .collect();
        let gaps: Vec<f64> = daily
            .windows(2)
            .map(|pair| (pair[1].open / pair[0].close).ln())
            .collect();
        let returns: Vec<f64> = daily
            .windows(2)
            .map(|pair| (pair[1].close / pair[0].close).ln())
            .collect();
        let deviation = |values: &[f64]| {
            mean(&values.iter().map(|value| value * value).collect::<Vec<_>>()).sqrt()
        };
        let yearly = deviation(&returns) * 252f64.sqrt();
        eprintln!(
            "{symbol}: {:.0} % a year, gaps {:.2} %, close {}",
            100.0 * yearly,
            100.0 * deviation(&gaps),
            daily[249].close
        );
        assert!((0.08..0.9).contains(&yearly), "{symbol}: {yearly}");
        let share = (deviation(&gaps) / deviation(&returns)).powi(2);
        assert!((0.15..0.5).contains(&share), "{symbol}: {share}");
    }
}

#[test]
fn prices_stay_plausible_in_all_years() {
    for seed in [1, 2, 3] {
        let market = market(seed);
        for symbol in DEFAULT_TICKERS {
            let stock = stock(&market, symbol);
            let closes = (0..stock.sessions().len())
                .step_by(100)
                .map(|index| stock.bars(index)[0].close.get());
            for close in closes {
                assert!((3.0..4_000.0).contains(&close), "{symbol} {close}");
            }
        }
    }
}

#[test]
fn the_same_seed_is_the_same_market_in_any_order_with_any_tickers() {
    let (all, again, other) = (market(1), market(1), market(2));
    let alone = Market::generated(1, &[ticker("KO"), ticker("XYZ")], calendar::nyse());
    let some = [0, 1, 777, 2_500, 5_000];
    let bars = |market: &Market, index: usize| stock(market, "KO").bars(index);
    for index in some {
        assert_eq!(bars(&all, index), bars(&alone, index));
        assert_ne!(bars(&all, index), bars(&other, index));
    }
    for index in some.into_iter().rev() {
        assert_eq!(bars(&again, index), bars(&all, index));
        assert_eq!(
            stock(&again, "KO").daily(index),
            stock(&all, "KO").daily(index)
        );
    }
    assert_eq!(stock(&alone, "XYZ").profile().name, "XYZ");
    // This market must not change by accident: champions are trained on it.
    let close = stock(&all, "AAPL").bars(5_000).last().unwrap().close.get();
    eprintln!("AAPL of seed 1 closes session 5000 at {close}");
}

#[test]
fn answers_are_fast() {
    let started = Instant::now();
    let market = market(1);
    eprintln!("market made in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(2));
    for (what, request) in [
        ("5 days of minutes", [("interval", "1m"), ("range", "5d")]),
        ("10 years of days", [("interval", "1d"), ("range", "10y")]),
    ] {
        let mut took = [Duration::ZERO; 3];
        for time in &mut took {
            let started = Instant::now();
            ask(&market, "AAPL", &request, "2026-06-15T15:00:00Z");
            *time = started.elapsed();
        }
        eprintln!("{what}: first {:?}, then {:?}", took[0], took[2]);
        assert!(took[2] < Duration::from_millis(200), "{took:?}");
    }
}

//! No answer makes a parser panic: small answers of each kind, cut off and spoilt at random.

use chrono::{DateTime, NaiveDate, TimeDelta};
use domain::{SeriesId, Ticker};
use proptest::prelude::*;

use crate::{
    Asked, MinuteRequest, MonthRequest, Vendor, alpha_vantage, finnhub, fred, http::Answer,
    news_api, yahoo,
};

/// One small answer of each kind that a parser meets.
const ANSWERS: [&str; 10] = [
    r#"{"chart":{"result":[{"meta":{"currency":"USD","instrumentType":"EQUITY","regularMarketTime":1522071137,
    "dataGranularity":"1m"},"timestamp":[1522071000,1522071060],"events":{"splits":{"1":{"date":1522071000,
    "numerator":4.0,"denominator":1.0}},"dividends":{"1":{"date":1522071000,"amount":0.5}}},"indicators":{"quote":
    [{"open":[1.5,null],"high":[2,3],"low":[1,"NaN"],"close":[1.5,2],"volume":[10,0]}],"adjclose":[{"adjclose":
    [1.5,null]}]}}],"error":null}}"#,
    r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found"}}}"#,
    r#"{"news":[{"uuid":"1","title":"A &amp; B &#x41;","publisher":"P","link":"https://a.b","providerPublishTime":
    1740442800,"relatedTickers":["AAPL"]}]}"#,
    r#"{"count":2,"observations":[{"realtime_start":"1992-12-22","realtime_end":"9999-12-31","date":"1946-01-01",
    "value":"199.7"},{"realtime_start":"1996-01-19","realtime_end":"9999-12-31","date":"1946-01-01","value":"."}]}"#,
    "observation_date,GDP\n1946-01-01,199.7\n1946-04-01,.\n1946-07-01,\n",
    r#"{"status":"ok","totalResults":1,"articles":[{"source":{"id":null,"name":"M"},"title":"T","description":"<b>d",
    "url":"https://a.b","publishedAt":"2020-05-03T09:00:00Z"}]}"#,
    r#"[{"id":1,"datetime":1607418000,"headline":"H","related":"AAPL,MSFT","source":"S","summary":"","url":"https://a"}]"#,
    r#"{"Meta Data":{"4. Interval":"1min","6. Time Zone":"US/Eastern"},"Time Series (1min)":{"2017-12-18 09:30:00":
    {"1. open":"86.4","2. high":"86.5","3. low":"86.3","4. close":"86.5","5. volume":"10494"}}}"#,
    "time,open,high,low,close,volume\n2020-12-18 16:00:00,218.7,218.8,218.7,218.7,1102\n2020-12-18 09:31:00,1,2,1,2,5\n",
    r#"{"items":"1","feed":[{"title":"T","url":"https://a.b","time_published":"20240722T145714","summary":"s","source":
    "B","ticker_sentiment":[{"ticker":"AAPL"},{"ticker":"FOREX:USD"}]}]}"#,
];

/// Shows an answer to every parser.
fn read_by_all(status: u16, body: String) {
    let ticker = Ticker::parse("AAPL").unwrap();
    let series = SeriesId::parse("GDP").unwrap();
    let asked = Asked::new(Vendor::Yahoo, &ticker);
    let calendar = calendar::nyse();
    let as_of = DateTime::from_timestamp(1_900_000_000, 0).unwrap();
    let (start, end, grace) = (as_of, as_of, TimeDelta::seconds(1));
    let minutes = MinuteRequest {
        ticker: ticker.clone(),
        start,
        end,
        as_of,
        grace,
    };
    let month = MonthRequest {
        ticker: ticker.clone(),
        month_of: NaiveDate::MAX,
        as_of,
        grace,
    };
    let _ = yahoo::parse_minute_chart(body.as_bytes(), &minutes, |_| true);
    for interval in ["1m", "1d"] {
        let daily = body.replace(r#""1m""#, &format!("{interval:?}"));
        yahoo::read_days(daily.as_bytes(), &ticker, calendar);
    }
    let _ = fred::parse::graph(&body, &series, &asked);
    let answer = Answer {
        status,
        retry_after: None,
        body,
    };
    let _ = yahoo::read_headlines(&answer, &ticker);
    let _ = fred::read_observations(&answer, &series, &asked);
    let _ = news_api::parse::articles_of(&answer, &ticker, &asked);
    let _ = finnhub::parse::articles_of(&answer, &ticker, &asked);
    let _ = alpha_vantage::parse::bars_of(&answer, &month, calendar, &asked);
    let _ = alpha_vantage::parse::articles_of(&answer, &ticker, &asked);
}

#[test]
fn the_answers_themselves_are_read() {
    let read = |place: usize| Answer {
        status: 200,
        retry_after: None,
        body: ANSWERS[place].to_owned(),
    };
    let ticker = Ticker::parse("AAPL").unwrap();
    let series = SeriesId::parse("GDP").unwrap();
    let asked = Asked::new(Vendor::Yahoo, &ticker);
    assert_eq!(
        yahoo::read_headlines(&read(2), &ticker).unwrap()[0].title,
        "A & B A"
    );
    assert_eq!(
        fred::read_observations(&read(3), &series, &asked)
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        fred::parse::graph(ANSWERS[4], &series, &asked)
            .unwrap()
            .len(),
        3
    );
    let news_api = news_api::parse::articles_of(&read(5), &ticker, &asked).unwrap();
    assert_eq!(news_api[0].summary.as_deref(), Some("d"));
    let finnhub = finnhub::parse::articles_of(&read(6), &ticker, &asked).unwrap();
    assert_eq!(
        (finnhub[0].tickers.len(), finnhub[0].summary.as_deref()),
        (2, None)
    );
    let month = MonthRequest {
        ticker: ticker.clone(),
        month_of: NaiveDate::MIN,
        as_of: DateTime::from_timestamp(1_900_000_000, 0).unwrap(),
        grace: TimeDelta::zero(),
    };
    let bars = |place| {
        alpha_vantage::parse::bars_of(&read(place), &month, calendar::nyse(), &asked)
            .unwrap()
            .closed
            .iter()
            .map(|bar| bar.start.to_rfc3339())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bars(7),
        ["2017-12-18T14:30:00+00:00"],
        "stamped at the start"
    );
    assert_eq!(
        bars(8),
        ["2020-12-18T14:30:00+00:00", "2020-12-18T20:59:00+00:00"],
        "stamped at the end"
    );
    let alpha = alpha_vantage::parse::articles_of(&read(9), &ticker, &asked).unwrap();
    assert_eq!(alpha[0].tickers, [ticker]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_spoilt_answer_makes_a_parser_panic(
        place in 0..ANSWERS.len(),
        status in prop::sample::select(vec![200_u16, 302, 400, 401, 404, 422, 429, 500]),
        cut in 0_usize..700,
        changes in prop::collection::vec((0_usize..700, any::<u8>()), 0..4),
        swaps in prop::collection::vec((0_usize..700, prop::sample::select(vec![
            "null", "\"\"", "-1", "8210266876799", "-8334601228800", "1e308", "[]", "{}", "é", "99999999999999999999", "&#", "0",
        ])), 0..3),
    ) {
        let mut bytes = ANSWERS[place].as_bytes().to_vec();
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        for (at, text) in swaps {
            // In place of a number or word, so that the answer stays whole.
            let Some(start) = (at..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else {
                continue;
            };
            let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            bytes.splice(start..start + length, text.bytes());
        }
        let whole = String::from_utf8_lossy(&bytes).into_owned();
        bytes.truncate(cut);
        read_by_all(status, String::from_utf8_lossy(&bytes).into_owned());
        read_by_all(status, whole);
    }
}

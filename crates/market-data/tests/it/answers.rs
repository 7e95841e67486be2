//! Answers over the wire, through TLS.

use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use domain::Ticker;
use market_data::{AlphaVantageClient, MonthRequest, NewsApiClient, VendorError, YahooClient};

use crate::{
    at, recording, request,
    vendor_server::{Answer, VendorServer},
};

const OPEN: i64 = 1_522_071_000; // 2018-03-26 13:30 UTC, a Monday

/// A chart with the given columns; `meta` as Yahoo sends it today.
fn chart(times: &str, columns: [&str; 5]) -> String {
    let [open, high, low, close, volume] = columns;
    format!(
        r#"{{"chart":{{"result":[{{"meta":{{"currency":"USD","symbol":"AAPL","exchangeName":"NMS",
        "fullExchangeName":"NasdaqGS","instrumentType":"EQUITY","firstTradeDate":345479400,
        "regularMarketTime":1522071137,"hasPrePostMarketData":true,"gmtoffset":-14400,"timezone":"EDT",
        "exchangeTimezoneName":"America/New_York","priceHint":2,"dataGranularity":"1m","range":""}},
        "timestamp":{times},"events":{{"splits":{{"1522071000":{{"date":1522071000,"numerator":4.0,
        "denominator":1.0,"splitRatio":"4:1"}}}}}},"indicators":{{"quote":[{{"open":{open},"high":{high},"low":{low},
        "close":{close},"volume":{volume}}}]}}}}],"error":null}}}}"#
    )
}

/// Two minutes of trading.
const TWO_MINUTES: [&str; 5] = [
    "[168.1,168.3]",
    "[168.5,168.4]",
    "[168.0,168.2]",
    "[168.3,168.3]",
    "[120000,90000]",
];

async fn fetch(answer: Answer) -> Result<market_data::FetchedBars, VendorError> {
    let server = VendorServer::start(move |_| answer.clone()).await;
    let client = YahooClient::new(&server.connection).unwrap();
    client
        .minute_bars(&request("AAPL", OPEN + 140), calendar::nyse())
        .await
}

#[tokio::test]
async fn bars_come_through_the_named_address_and_root() {
    let body = chart(
        "[1522071000,1522071060,1522071120,1522071137]",
        [
            "[168.1,168.3,168.0,168.2]",
            "[168.5,168.4,168.1,168.2]",
            "[168.0,168.2,167.9,168.2]",
            "[168.3,168.3,168.05,168.2]",
            "[120000,90000,40000,0]",
        ],
    );
    let server = VendorServer::start(move |_| Answer::json(body.clone())).await;
    let client = YahooClient::new(&server.connection).unwrap();
    let asked = request("AAPL", OPEN + 140);
    let fetched = client.minute_bars(&asked, calendar::nyse()).await.unwrap();
    assert_eq!(
        fetched
            .closed
            .iter()
            .map(|bar| bar.start)
            .collect::<Vec<_>>(),
        [at(OPEN), at(OPEN + 60)]
    );
    assert_eq!(fetched.closed[0].volume, 120_000.0);
    let forming = fetched.forming.unwrap();
    assert_eq!((forming.time, forming.price.get()), (at(OPEN + 137), 168.2));
    let split = &fetched.actions[0];
    assert_eq!(split.effective_at, at(OPEN));
    assert_eq!(split.change, domain::ShareChange::Split { ratio: 4.0 });

    let calls = server.calls.lock().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        calls[0].host, "query1.finance.yahoo.com",
        "the vendor's own name is asked for"
    );
    assert!(calls[0].user_agent.starts_with("Mozilla/5.0"));
    assert_eq!(
        (calls[0].ticker.as_str(), calls[0].period),
        ("AAPL", (asked.start.timestamp(), asked.end.timestamp()))
    );
}

#[tokio::test]
async fn bad_rows_are_rejected_with_their_reason_and_the_rest_is_kept() {
    let body = chart(
        "[1522071000,1522071020,1522071060]",
        [
            "[168.1,168.1,null]",
            "[160.0,168.1,168.4]",
            "[168.0,168.1,168.2]",
            "[168.3,168.1,168.3]",
            "[120000,5,90000]",
        ],
    );
    let fetched = fetch(Answer::json(body)).await.unwrap();
    let reasons: Vec<String> = fetched
        .rejected
        .iter()
        .map(|rejected| rejected.fault.to_string())
        .collect();
    assert!(fetched.closed.is_empty());
    assert_eq!(reasons[0], "high 160 is below low 168");
    assert!(
        reasons[1].ends_with("is not on the minute"),
        "{}",
        reasons[1]
    );
    assert!(reasons[2].starts_with("open: NaN"), "{}", reasons[2]);
    assert_eq!(fetched.rejected[2].row.open, None);
}

#[tokio::test]
async fn an_odd_event_costs_nothing_but_itself() {
    let body = chart("[1522071000,1522071060]", TWO_MINUTES);
    for odd in ["null", "\"NaN\"", "0", "-4", "[]"] {
        let body = body
            .replace("\"numerator\":4.0", &format!("\"numerator\":{odd}"))
            .replace("\"4:1\"", odd);
        let fetched = fetch(Answer::json(body)).await.unwrap();
        assert_eq!(fetched.closed.len(), 2, "{odd}");
        assert_eq!(fetched.actions, [], "{odd}");
        assert_eq!(fetched.rejected_events.len(), 1, "{odd}");
        assert_eq!(fetched.rejected_events[0].time, Some(at(OPEN)));
    }
}

#[tokio::test]
async fn an_odd_time_costs_its_own_row_at_the_most() {
    for (odd, bars) in [
        ("1522071060.5", 2),
        ("\"1522071060\"", 2),
        ("\"2018-03-26\"", 1),
        ("null", 1),
        ("true", 1),
        ("1e300", 1),
        ("[]", 1),
    ] {
        let body = chart(&format!("[1522071000,{odd}]"), TWO_MINUTES);
        let fetched = fetch(Answer::json(body)).await.unwrap();
        assert_eq!(fetched.closed.len(), bars, "{odd}");
        let left_out: Vec<_> = fetched
            .rejected_events
            .iter()
            .map(|row| (row.time, row.reason, row.event["close"].as_f64()))
            .collect();
        let expected = (None, "a row without a time", Some(168.3));
        assert_eq!(left_out, vec![expected; 2 - bars], "{odd}");
    }
    for times in ["[null,\"soon\"]", "{}", "7"] {
        let error = fetch(Answer::json(chart(times, TWO_MINUTES)))
            .await
            .unwrap_err();
        assert!(matches!(error, VendorError::Shape { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn odd_fields_beside_the_prices_cost_no_bar() {
    let body = chart("[1522071000,1522071060]", TWO_MINUTES);
    let adjusted = |odd: &str| {
        let indicators = format!("\"indicators\":{{\"adjclose\":{odd},");
        ("\"indicators\":{", indicators)
    };
    let market_time = |odd: &str| {
        let field = format!("\"regularMarketTime\":{odd}");
        ("\"regularMarketTime\":1522071137", field)
    };
    for (field, odd) in [
        market_time("1522071137.5"),
        market_time("null"),
        market_time("\"soon\""),
        market_time("-1"),
        market_time("{}"),
        adjusted("null"),
        adjusted("7"),
        adjusted("[7]"),
        adjusted("[{\"adjclose\":7}]"),
        adjusted("[{\"adjclose\":[168.1]}]"),
        adjusted("[{\"adjclose\":[168.1,168.2,168.3]}]"),
        adjusted("[{\"adjclose\":[\"NaN\",null]}]"),
        ("\"currency\":\"USD\"", "\"currency\":7".to_owned()),
        ("\"priceHint\":2", "\"priceHint\":\"2\"".to_owned()),
        (
            "\"instrumentType\":\"EQUITY\"",
            "\"instrumentType\":null".to_owned(),
        ),
        ("\"error\":null", "\"error\":\"none\"".to_owned()),
    ] {
        let body = body.replace(field, &odd);
        let fetched = fetch(Answer::json(body)).await.unwrap();
        assert_eq!(fetched.closed.len(), 2, "{odd}");
        let left_out = (fetched.rejected.len(), fetched.rejected_events.len());
        assert_eq!(left_out, (0, 0), "{odd}");
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_once_whatever_its_shape() {
    let body = chart("[1522071000,1522071060]", TWO_MINUTES);
    let without_metadata = body.replace("\"fullExchangeName\":\"NasdaqGS\",", "");
    let odd_event = body.replace("\"numerator\":4.0", "\"numerator\":null");
    let no_chart = "{\"chart\":7}".to_owned();
    for (body, is_read) in [
        (without_metadata, true),
        (odd_event, true),
        (no_chart, false),
        ("{}".to_owned(), false),
    ] {
        let answer = Answer::json(body.clone());
        let server = VendorServer::start(move |_| answer.clone()).await;
        let client = YahooClient::new(&server.connection).unwrap();
        let fetched = client
            .minute_bars(&request("AAPL", OPEN + 140), calendar::nyse())
            .await;
        match fetched {
            Ok(fetched) => assert!(is_read && fetched.closed.len() == 2, "{body}"),
            Err(error) => assert!(
                !is_read && matches!(error, VendorError::Shape { .. }),
                "{body}: {error:?}"
            ),
        }
        assert_eq!(server.calls.lock().unwrap().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn adjusted_closes_stay_with_their_rows() {
    for (adjusted, expected) in [("[150.0,151.0]", Some(151.0)), ("[150.0]", None)] {
        let indicators = format!("\"indicators\":{{\"adjclose\":[{{\"adjclose\":{adjusted}}}],");
        let body = chart("[null,1522071000]", TWO_MINUTES)
            .replace("\"1m\"", "\"1d\"")
            .replace("\"indicators\":{", &indicators)
            // The session is over.
            .replace("1522071137", "1522094405");
        let server = VendorServer::start(move |_| Answer::json(body.clone())).await;
        let client = YahooClient::new(&server.connection).unwrap();
        let ticker = Ticker::parse("AAPL").unwrap();
        let day = NaiveDate::from_ymd_opt(2018, 3, 26).unwrap();
        let days = client.daily_bars(&ticker, day, day, calendar::nyse());
        let days = days.await.unwrap();
        let closes: Vec<_> = days
            .iter()
            .map(|day| (day.close.get(), day.adjusted_close.map(|close| close.get())))
            .collect();
        assert_eq!(closes, [(168.3, expected)], "{adjusted}");
    }
}

#[tokio::test]
async fn an_odd_row_of_alpha_vantage_costs_nothing_but_itself() {
    async fn fetch(body: String) -> Result<market_data::FetchedBars, VendorError> {
        let server = VendorServer::start(move |_| Answer::json(body.clone())).await;
        let key = "some-key-of-alpha".to_owned();
        let client = AlphaVantageClient::new(&server.connection, key.into()).unwrap();
        let request = MonthRequest {
            ticker: Ticker::parse("MSFT").unwrap(),
            month_of: NaiveDate::from_ymd_opt(2017, 12, 1).unwrap(),
            as_of: at(1_600_000_000),
            grace: TimeDelta::seconds(1),
        };
        client.intraday_bars(&request, calendar::nyse()).await
    }
    let row = |open: &str| {
        format!(
            r#"{{"1. open":{open},"2. high":"86.5","3. low":"86.3","4. close":"86.5","5. volume":"10494"}}"#
        )
    };
    let table = |rows: &str| {
        format!(
            r#"{{"Meta Data":{{"1. Information":null,"4. Interval":"1min","6. Time Zone":"US/Eastern"}},
            "Time Series (1min)":{{{rows}}}}}"#
        )
    };
    let good = row("\"86.4\"");
    for (odd, bars) in [
        (row("86.4"), 2),
        (row("null"), 1),
        (row("\"NaN\""), 1),
        (row("[]"), 1),
        ("null".to_owned(), 1),
        ("7".to_owned(), 1),
    ] {
        let rows =
            format!(r#""2017-12-18 09:30:00":{good},"2017-12-18 09:31:00":{odd},"soon":{good}"#);
        let fetched = fetch(table(&rows)).await.unwrap();
        assert_eq!(
            (fetched.closed.len(), fetched.rejected.len()),
            (bars, 2 - bars),
            "{odd}"
        );
        assert_eq!(fetched.rejected_events.len(), 1, "{odd}");
    }
    let csv = "time,open,high,low,close,volume\n2017-12-18 16:00:00,86.4,86.5,86.3,86.5,1102\n\
               soon,86.4,86.5,86.3,86.5,1102\n2017-12-18 15:59:00,86.4\n";
    let fetched = fetch(csv.to_owned()).await.unwrap();
    assert_eq!((fetched.closed.len(), fetched.rejected.len()), (1, 1));
    assert_eq!(fetched.rejected_events.len(), 1);
    let error = fetch(table(&format!("\"soon\":{good}"))).await.unwrap_err();
    assert!(matches!(error, VendorError::Shape { .. }), "{error:?}");
}

#[tokio::test]
async fn words_of_no_refusal_cost_no_story() {
    let body = r#"{"status":"ok","code":null,"message":null,"totalResults":2,"articles":[7,{"source":{"name":"M"},
        "title":"T","url":"https://a.b","publishedAt":"2020-05-03T09:00:00Z"}]}"#;
    let server = VendorServer::start(move |_| Answer::json(body)).await;
    let client = NewsApiClient::new(&server.connection, "some-key-of-news".to_owned().into());
    let ticker = Ticker::parse("AAPL").unwrap();
    let client = client.unwrap();
    let stories = client.articles(&ticker, "Apple", at(0), at(1)).await;
    assert_eq!(stories.unwrap().len(), 1);
}

#[tokio::test]
async fn the_entry_at_the_close_is_dropped() {
    // 2018-03-26 20:00 UTC, the session's end.
    let close = OPEN + 390 * 60;
    let body = chart(
        &format!("[{},{close}]", close - 60),
        [
            "[172.1,172.77]",
            "[172.9,172.77]",
            "[172.0,172.77]",
            "[172.8,172.77]",
            "[4000000,0]",
        ],
    );
    let server = VendorServer::start(move |_| Answer::json(body.clone())).await;
    let client = YahooClient::new(&server.connection).unwrap();
    let fetched = client
        .minute_bars(&request("AAPL", close + 300), calendar::nyse())
        .await
        .unwrap();
    assert_eq!(
        fetched
            .closed
            .iter()
            .map(|bar| bar.start)
            .collect::<Vec<_>>(),
        [at(close - 60)]
    );
    assert_eq!((fetched.forming, fetched.outside_session), (None, 1));
}

#[tokio::test]
async fn a_trade_in_the_first_second_of_a_minute_is_no_bar() {
    // An old last trade, stamped on the minute: by its age alone it would be a closed bar.
    let body = chart("[1522071000,1522071060]", ["[168.1,168.2]"; 5])
        .replace("\"volume\":[168.1,168.2]", "\"volume\":[100,0]");
    let body = body.replace("1522071137", "1522071060");
    let fetched = fetch(Answer::json(body)).await.unwrap();
    assert_eq!(fetched.closed.len(), 1);
    assert_eq!(fetched.forming.unwrap().time, at(OPEN + 60));
}

#[tokio::test]
async fn each_recorded_refusal_is_recognised() {
    type Check = fn(&VendorError) -> bool;
    let cases: [(&str, Check, bool); 9] = [
        (
            "429_edge_plain_text",
            |error| matches!(error, VendorError::RateLimited { .. }),
            true,
        ),
        (
            "429_getcrumb_plain_text",
            |error| matches!(error, VendorError::RateLimited { .. }),
            true,
        ),
        (
            "401_invalid_crumb",
            |error| matches!(error, VendorError::Unauthorised { .. }),
            true,
        ),
        (
            "401_invalid_crumb_2024",
            |error| matches!(error, VendorError::Unauthorised { .. }),
            true,
        ),
        (
            "401_quote_without_crumb_2026",
            |error| matches!(error, VendorError::Unauthorised { .. }),
            true,
        ),
        (
            "404_not_found",
            |error| matches!(error, VendorError::UnknownSymbol { .. }),
            false,
        ),
        (
            "400_invalid_interval",
            |error| matches!(error, VendorError::Refused { .. }),
            false,
        ),
        (
            "422_1m_more_than_7_days",
            |error| matches!(error, VendorError::Period { .. }),
            false,
        ),
        (
            "422_1m_older_than_30_days",
            |error| matches!(error, VendorError::Period { .. }),
            false,
        ),
    ];
    for (name, is_right, is_retryable) in cases {
        let Some(recorded) = recording(&format!("errors/{name}.json")) else {
            return;
        };
        let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
        let status = recorded["http_status"].as_u64().unwrap() as u16;
        let answer = Answer::status(status, "text/plain", recorded["body"].as_str().unwrap());
        let error = fetch(answer).await.unwrap_err();
        assert!(is_right(&error), "{name}: {error:?}");
        assert_eq!(error.is_retryable(), is_retryable, "{name}");
        assert_eq!(
            error.retry_after().is_some(),
            name.starts_with("429"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_words_too_many_requests_are_a_rate_limit_even_with_status_200() {
    let error = fetch(Answer::status(200, "text/plain", "Too Many Requests\r\n"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, VendorError::RateLimited { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn each_empty_shape_is_no_data() {
    let without_times = chart("[]", ["[]"; 5]).replace("\"timestamp\":[],", "");
    let empty_columns = chart("[]", ["[]"; 5]);
    let nulls = chart("[1522071000,1522071060]", ["[null,null]"; 5]);
    let nothing = r#"{"chart":{"result":[],"error":null}}"#.to_owned();
    for body in [without_times, empty_columns, nulls, nothing] {
        let error = fetch(Answer::json(body.clone())).await.unwrap_err();
        assert!(
            matches!(error, VendorError::NoData { .. }),
            "{body}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_misspelt_symbol_is_found_out_over_the_wire() {
    let Some(body) = recording("chart/APPL_misspelled_meta_only_200.json") else {
        return;
    };
    let error = fetch(Answer::json(body)).await.unwrap_err();
    assert!(
        matches!(error, VendorError::UnknownSymbol { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_without_todays_metadata_is_read_all_the_same() {
    let Some(body) = recording("chart_1m/AAPL_1m_2021-01-11_live_ok.json") else {
        return;
    };
    let server = VendorServer::start(move |_| Answer::json(body.clone())).await;
    let client = YahooClient::new(&server.connection).unwrap();
    let fetched = client
        .minute_bars(&request("AAPL", 1_610_389_815), calendar::nyse())
        .await
        .unwrap();
    assert_eq!(fetched.closed.len(), 240);
}

#[tokio::test]
async fn outages_can_be_retried() {
    let cut = chart("[1522071000]", ["[168.1]"; 5]);
    let cut = Answer::json(&cut[..cut.len() / 2]);
    let error = fetch(cut).await.unwrap_err();
    assert!(
        matches!(error, VendorError::Truncated { .. }) && error.is_retryable(),
        "{error:?}"
    );
    for answer in [
        Answer::status(503, "text/plain", "upstream connect error"),
        Answer::status(200, "text/html", "<html>Will be right back</html>"),
        Answer::status(200, "application/json", ""),
        Answer::status(
            503,
            "application/json",
            r#"{"chart":{"result":null,"error":{"code":"Unavailable","description":"later"}}}"#,
        ),
    ] {
        let error = fetch(answer).await.unwrap_err();
        assert!(
            matches!(error, VendorError::Server { .. }) && error.is_retryable(),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_answer_times_out() {
    let slow = Answer {
        delay: Duration::from_secs(30),
        ..Answer::json("{}")
    };
    let mut server = VendorServer::start(move |_| slow.clone()).await;
    server.connection.request_timeout = Duration::from_millis(200);
    let client = YahooClient::new(&server.connection).unwrap();
    let error = client
        .minute_bars(&request("AAPL", OPEN), calendar::nyse())
        .await
        .unwrap_err();
    assert!(
        matches!(error, VendorError::Timeout { .. }) && error.is_retryable(),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_vendor_that_is_not_there_or_not_trusted_is_a_lost_connection() {
    let server = VendorServer::start(|_| Answer::json("{}")).await;
    let mut connection = server.connection.clone();
    connection.address = Some("127.0.0.1:1".to_owned());
    let absent = YahooClient::new(&connection).unwrap();
    let error = absent
        .minute_bars(&request("AAPL", OPEN), calendar::nyse())
        .await
        .unwrap_err();
    assert!(
        matches!(error, VendorError::Connection { .. }) && error.is_retryable(),
        "{error:?}"
    );

    let other = VendorServer::start(|_| Answer::json("{}")).await;
    let mut connection = server.connection.clone();
    connection.certificate = other.connection.certificate.clone();
    let distrusting = YahooClient::new(&connection).unwrap();
    let error = distrusting
        .minute_bars(&request("AAPL", OPEN), calendar::nyse())
        .await
        .unwrap_err();
    assert!(matches!(error, VendorError::Connection { .. }), "{error:?}");
    assert!(server.calls.lock().unwrap().is_empty());
}

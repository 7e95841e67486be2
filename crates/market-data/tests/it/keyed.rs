//! Where keys go, and where they do not.

use std::{
    error::Error,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{NaiveDate, TimeDelta};
use domain::{SeriesId, Ticker};
use market_data::{
    AlphaVantageClient, FinnhubClient, FredClient, MonthRequest, NewsApiClient, VendorConnection,
    VendorError, YahooClient,
};

use crate::{at, vendor_server::serve};

const KEY: &str = "open-sesame-0123456789";

#[derive(Clone, Debug)]
struct Call {
    address: String,
    headers: HeaderMap,
}

/// A vendor that answers everything alike and remembers what it was asked.
async fn vendor(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (VendorConnection, Arc<Mutex<Vec<Call>>>, tempfile::TempDir) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let router = Router::new().fallback(move |request: Request| {
        log.lock().unwrap().push(Call {
            address: request.uri().to_string(),
            headers: request.headers().clone(),
        });
        let answer = answer();
        async move { answer }
    });
    let (connection, folder) = serve(router).await;
    (connection, calls, folder)
}

/// Asks every vendor that has a key.
async fn ask_all(connection: &VendorConnection) -> Vec<VendorError> {
    let ticker = Ticker::parse("AAPL").unwrap();
    let day = NaiveDate::from_ymd_opt(2026, 3, 9).unwrap();
    let key = || KEY.to_owned().into();
    let fred = FredClient::new(connection, Some(key())).unwrap();
    let news_api = NewsApiClient::new(connection, key()).unwrap();
    let finnhub = FinnhubClient::new(connection, key()).unwrap();
    let alpha = AlphaVantageClient::new(connection, key()).unwrap();
    let month = MonthRequest {
        ticker: ticker.clone(),
        month_of: day,
        as_of: at(1_773_100_000),
        grace: TimeDelta::seconds(1),
    };
    let series = SeriesId::parse("GDP").unwrap();
    vec![
        fred.observations(&series).await.unwrap_err(),
        news_api
            .articles(&ticker, "Apple", at(0), at(1))
            .await
            .unwrap_err(),
        finnhub.company_news(&ticker, day, day).await.unwrap_err(),
        alpha
            .intraday_bars(&month, calendar::nyse())
            .await
            .unwrap_err(),
        alpha.news(&ticker, at(0)).await.unwrap_err(),
    ]
}

/// All that a log could show of an error.
fn everything_about(error: &VendorError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn each_key_goes_where_its_vendor_wants_it_and_nowhere_else() {
    let (connection, calls, _folder) = vendor(|| "{}".into_response()).await;
    ask_all(&connection).await;
    let calls = calls.lock().unwrap().clone();
    let host = |call: &Call| {
        let named = call.headers.get(header::HOST).cloned();
        named.map_or_else(
            || call.address.clone(),
            |host| host.to_str().unwrap().to_owned(),
        )
    };
    for call in &calls {
        let in_address = call.address.contains(KEY);
        let in_headers = call.headers.values().filter(|value| *value == KEY).count();
        let host = host(call);
        if host.contains("stlouisfed") {
            assert!(call.address.contains(&format!("api_key={KEY}")), "{call:?}");
            assert_eq!(in_headers, 0);
        } else if host.contains("alphavantage") {
            assert!(call.address.contains(&format!("apikey={KEY}")), "{call:?}");
            assert_eq!(in_headers, 0);
        } else {
            let name = if host.contains("finnhub") {
                "x-finnhub-token"
            } else {
                "x-api-key"
            };
            assert_eq!(call.headers[name], KEY);
            assert!(!in_address && in_headers == 1, "{call:?}");
        }
        let agent = call.headers[header::USER_AGENT].to_str().unwrap();
        assert!(agent.starts_with("Tandem/"), "{agent}");
        assert_eq!(call.headers[header::ACCEPT_ENCODING], "gzip");
    }
    assert_eq!(calls.len(), 5);
}

#[tokio::test]
async fn no_error_gives_the_key_away() {
    // Nobody there.
    let (mut connection, _, _folder) = vendor(|| "{}".into_response()).await;
    connection.address = Some("127.0.0.1:1".to_owned());
    let mut errors = ask_all(&connection).await;
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, VendorError::Connection { .. }))
    );
    // Vendors that echo it, in every place where it might be repeated.
    let echoes: [fn() -> Response; 6] = [
        || {
            (
                StatusCode::UNAUTHORIZED,
                format!(r#"{{"error":"{KEY} is bad"}}"#),
            )
                .into_response()
        },
        || {
            let words = format!("The value {KEY} for variable api_key is not registered");
            (
                StatusCode::BAD_REQUEST,
                format!(r#"{{"error_message":"{words}"}}"#),
            )
                .into_response()
        },
        || {
            format!(r#"{{"Error Message":"the parameter apikey {KEY} is invalid"}}"#)
                .into_response()
        },
        || format!(r#"{{"status":"error","code":"{KEY}","message":"{KEY}"}}"#).into_response(),
        || format!(r#"{{"count":"{KEY}","feed":"{KEY}"}}"#).into_response(),
        || format!("<html>{KEY}").into_response(),
    ];
    for echo in echoes {
        let (connection, _, _folder) = vendor(echo).await;
        errors.extend(ask_all(&connection).await);
    }
    for error in errors {
        let text = everything_about(&error);
        assert!(!text.contains(KEY) && !text.contains("sesame"), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_does_not_take_the_key_along() {
    let (connection, calls, _folder) = vendor(|| {
        let to = [(header::LOCATION, "https://newsapi.org/elsewhere")];
        (StatusCode::FOUND, to).into_response()
    })
    .await;
    ask_all(&connection).await;
    let calls = calls.lock().unwrap();
    assert!(calls.iter().all(|call| !call.address.contains("elsewhere")));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let (connection, _, _folder) = vendor(|| StatusCode::FORBIDDEN.into_response()).await;
    let variables = [
        "FRED_API_KEY",
        "NEWSAPI_API_KEY",
        "FINNHUB_API_KEY",
        "ALPHA_VANTAGE_API_KEY",
        "ALPHA_VANTAGE_API_KEY",
    ];
    for (error, variable) in ask_all(&connection).await.iter().zip(variables) {
        if error.asked().vendor.name() == "NewsAPI" {
            // Its refusals are in the body; without one the status speaks.
            assert!(matches!(error, VendorError::KeyRefused { .. }), "{error:?}");
        }
        let remedy = error.remedy().unwrap();
        assert!(remedy.contains(variable), "{error:?}: {remedy}");
    }
}

#[tokio::test]
async fn a_vendor_may_name_its_own_pause() {
    let (connection, _, _folder) = vendor(|| {
        (
            StatusCode::TOO_MANY_REQUESTS,
            [(header::RETRY_AFTER, "120")],
            "{}",
        )
            .into_response()
    })
    .await;
    let yahoo = YahooClient::new(&connection).unwrap();
    let error = yahoo
        .headlines(&Ticker::parse("AAPL").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.retry_after().unwrap().as_secs(), 120);
    for error in ask_all(&connection).await {
        let after = error.retry_after().map(|after| after.as_secs());
        assert!(after == Some(120), "{error:?}");
    }
}

#[tokio::test]
async fn each_check_is_one_cheap_request() {
    let (connection, calls, _folder) =
        vendor(|| StatusCode::TOO_MANY_REQUESTS.into_response()).await;
    let key = || KEY.to_owned().into();
    let checks = [
        YahooClient::new(&connection).unwrap().check().await,
        FredClient::new(&connection, None).unwrap().check().await,
        FredClient::new(&connection, Some(key()))
            .unwrap()
            .check()
            .await,
        NewsApiClient::new(&connection, key())
            .unwrap()
            .check()
            .await,
        AlphaVantageClient::new(&connection, key())
            .unwrap()
            .check()
            .await,
        FinnhubClient::new(&connection, key())
            .unwrap()
            .check(NaiveDate::from_ymd_opt(2026, 3, 9).unwrap())
            .await,
    ];
    for check in &checks {
        assert!(
            matches!(check, Err(VendorError::RateLimited { .. })),
            "{check:?}"
        );
    }
    assert_eq!(calls.lock().unwrap().len(), checks.len());
}

use std::time::{Duration, Instant};

use secrecy::SecretString;
use storage::{DatabaseSettings, StorageError, connect};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

fn settings(url: String, connect_timeout: Duration) -> DatabaseSettings {
    DatabaseSettings {
        connect_timeout,
        ..DatabaseSettings::new(SecretString::from(url))
    }
}

/// A port of this machine on which nothing listens.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The error and all its causes, as a service logs them.
fn chain(error: &StorageError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_dead_port_is_named_in_time_and_the_password_is_not() {
    let port = free_port().await;
    let started = Instant::now();
    let url = format!("postgres://tandem:secret@127.0.0.1:{port}/stocks");
    let error = connect(&settings(url, Duration::from_secs(1)))
        .await
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "no PostgreSQL answers at 127.0.0.1:{port} (database stocks) after 1 s: start it, or correct DATABASE_URL"
        )
    );
    let chain = chain(&error);
    assert!(
        chain.contains("refused") && !chain.contains("secret"),
        "{chain}"
    );
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_port_that_accepts_and_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://tandem@127.0.0.1:{port}/stocks");
    let settings = settings(url, Duration::from_millis(500));
    let attempt = connect(&settings);
    let error = timeout(Duration::from_secs(2), attempt)
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(error, StorageError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_said_at_once() {
    for url in ["", "stocks", "postgres://tandem:secret@host:port/stocks"] {
        let error = connect(&settings(url.to_owned(), Duration::from_secs(60)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StorageError::InvalidUrl { .. }),
            "{url}: {error:?}"
        );
        assert!(!chain(&error).contains("secret"));
    }
}

#[tokio::test]
async fn a_wrong_database_is_refused_at_once() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let wrong = format!("{server}/no_such_database");
    let error = connect(&settings(wrong, Duration::from_secs(60)))
        .await
        .unwrap_err();
    assert!(!error.is_retryable());
    assert!(
        error
            .to_string()
            .contains("refuses the connection to database no_such_database")
    );
    assert!(chain(&error).contains("does not exist"));
}

#[tokio::test]
async fn a_database_that_comes_up_late_is_waited_for() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let (user, rest) = url.rsplit_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let server = server.to_owned();
    let port = free_port().await;
    // A server that starts to listen after a while, and passes everything on to the real one.
    let late = tokio::spawn(async move {
        sleep(Duration::from_millis(700)).await;
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let url = format!("{user}@127.0.0.1:{port}/{database}");
    let pool = connect(&settings(url, Duration::from_secs(20)))
        .await
        .unwrap();
    let one: i32 = sqlx::query_scalar("select 1")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(one, 1);
    late.abort();
}

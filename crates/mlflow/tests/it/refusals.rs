use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use mlflow::{Mlflow, MlflowError, export};
use model_registry::Champions;

use crate::{settings, settings_with};

/// A server that gives this one answer: its address, and the head of the request that it got.
fn server(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
        stream.write_all(answer.as_bytes()).unwrap();
        head
    });
    (address, thread)
}

async fn refused(mlflow: &Mlflow) -> MlflowError {
    let models_dir = tempfile::tempdir().unwrap();
    export(mlflow, models_dir.path(), &Champions::default(), &[], None)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_does_not() {
    for (answer, may_pass) in [
        (
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy",
            true,
        ),
        (
            "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nwait",
            true,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", true),
    ] {
        let (address, thread) = server(answer);
        let error = refused(&Mlflow::new(settings(&address)).unwrap()).await;
        assert_eq!(error.is_retryable(), may_pass, "{error}");
        assert!(
            error.to_string().contains("find the experiment tandem"),
            "{error}"
        );
        thread.join().unwrap();
    }
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = refused(&Mlflow::new(settings(&nobody)).unwrap()).await;
    assert!(
        error.is_retryable() && error.to_string().contains(&nobody),
        "{error}"
    );
}

#[tokio::test]
async fn the_login_is_sent_and_shown_to_nobody_else() {
    let answer = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
    for (variables, header) in [
        // quant:hush in base64.
        (
            [
                ("MLFLOW_TRACKING_USERNAME", "quant"),
                ("MLFLOW_TRACKING_PASSWORD", "hush"),
            ],
            "authorization: Basic cXVhbnQ6aHVzaA==",
        ),
        (
            [
                ("MLFLOW_TRACKING_TOKEN", "hush"),
                ("MLFLOW_TRACKING_USERNAME", ""),
            ],
            "authorization: Bearer hush",
        ),
    ] {
        let (address, thread) = server(answer);
        let mut variables = variables.to_vec();
        variables.push(("MLFLOW_TRACKING_URI", &address));
        let mlflow = Mlflow::new(settings_with(&variables)).unwrap();
        let error = refused(&mlflow).await;
        let head = thread.join().unwrap();
        assert!(
            head.to_lowercase().contains(&header.to_lowercase()),
            "{head}"
        );
        assert!(!format!("{error:?} {mlflow:?}").contains("hush"));
    }
}

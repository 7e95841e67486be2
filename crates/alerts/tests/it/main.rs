//! Real conversations with a local webhook and a local mail server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
};

use alerts::{Alert, AlertError, AlertSettings, Alerts};

fn alert() -> Alert {
    Alert {
        subject: "night of 2018-03-26: train failed".to_owned(),
        text: "the loss is <NaN> & stays so\nlook at train.log".to_owned(),
    }
}

/// Takes one request, answers with this status line, and gives the body.
fn webhook(status: &'static str) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/services/SECRET", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0);
        }
        let length = head
            .lines()
            .find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            })
            .unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        (head, String::from_utf8(body).unwrap())
    });
    (address, server)
}

fn serve_mail(stream: &TcpStream) -> Vec<String> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let mut seen = Vec::new();
    let mut in_data = false;
    write!(writer, "220 sink\r\n").unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return seen;
        }
        let line = line.trim_end().to_owned();
        let answer = match line.as_str() {
            "." if in_data => {
                in_data = false;
                "250 kept\r\n"
            }
            _ if in_data => "",
            "DATA" => {
                in_data = true;
                "354 go on\r\n"
            }
            "QUIT" => "221 bye\r\n",
            // Lists what it can do, which is nothing.
            line if line.starts_with("EHLO") => "250-sink\r\n250 8BITMIME\r\n",
            _ => "250 ok\r\n",
        };
        write!(writer, "{answer}").unwrap();
        seen.push(line);
    }
}

/// A mail server that takes one conversation and gives its lines.
fn mail_server() -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("smtp://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || serve_mail(&listener.accept().unwrap().0));
    (address, server)
}

#[tokio::test]
async fn both_ways_carry_the_alert() {
    let (webhook, posts) = webhook("200 OK");
    let (smtp_url, mails) = mail_server();
    let alerts = Alerts::new(AlertSettings {
        webhook: Some(webhook.into()),
        smtp_url: Some(smtp_url.into()),
        to: Some("quant@example.com, Night Watch <watch@example.com>".to_owned()),
        from: Some("tandem@example.com".to_owned()),
    })
    .unwrap();
    assert!(alerts.is_set());
    assert!(alerts.send(&alert()).await);

    let (head, body) = posts.join().unwrap();
    assert!(head.starts_with("POST /services/SECRET "), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "text": "*night of 2018-03-26: train failed*\nthe loss is &lt;NaN&gt; &amp; stays so\nlook at train.log"
        })
    );

    drop(alerts);
    let lines = mails.join().unwrap();
    let has = |wanted: &str| lines.iter().any(|line| line == wanted);
    for wanted in [
        "RCPT TO:<quant@example.com>",
        "RCPT TO:<watch@example.com>",
        "Subject: night of 2018-03-26: train failed",
        "the loss is <NaN> & stays so",
        "look at train.log",
    ] {
        assert!(has(wanted), "{wanted} is not in {lines:#?}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("MAIL FROM:<tandem@example.com>"))
    );
}

#[tokio::test]
async fn a_way_that_fails_stops_no_other() {
    let (webhook, posts) = webhook("500 Internal Server Error");
    let (smtp_url, mails) = mail_server();
    let alerts = Alerts::new(AlertSettings {
        webhook: Some(webhook.into()),
        smtp_url: Some(smtp_url.into()),
        to: Some("quant@example.com".to_owned()),
        from: None,
    })
    .unwrap();
    assert!(alerts.send(&alert()).await);
    posts.join().unwrap();
    drop(alerts);
    assert!(mails.join().unwrap().iter().any(|line| line == "DATA"));

    // Nobody listens on either.
    let silent = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let alerts = Alerts::new(AlertSettings {
        webhook: Some(format!("http://{silent}/x").into()),
        smtp_url: Some(format!("smtp://{silent}").into()),
        to: Some("quant@example.com".to_owned()),
        from: None,
    })
    .unwrap();
    assert!(!alerts.send(&alert()).await);

    let nobody = Alerts::new(AlertSettings::default()).unwrap();
    assert!(!nobody.is_set());
    assert!(!nobody.send(&alert()).await);
}

#[test]
fn wrong_settings_are_refused_without_their_secrets() {
    let settings =
        |webhook: Option<&str>, smtp_url: Option<&str>, to: Option<&str>| AlertSettings {
            webhook: webhook.map(Into::into),
            smtp_url: smtp_url.map(Into::into),
            to: to.map(str::to_owned),
            from: None,
        };
    let refused = |settings| {
        let error = Alerts::new(settings).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
        error
    };
    assert!(matches!(
        refused(settings(Some("hunter2"), None, None)),
        AlertError::Webhook
    ));
    assert!(matches!(
        refused(settings(Some("ftp://x/hunter2"), None, None)),
        AlertError::Webhook
    ));
    assert!(matches!(
        refused(settings(
            None,
            Some("imap://me:hunter2@host"),
            Some("a@b.c")
        )),
        AlertError::MailServer
    ));
    assert!(matches!(
        refused(settings(None, Some("smtps://me:hunter2@host"), None)),
        AlertError::Incomplete {
            missing: "TANDEM_ALERT_TO"
        }
    ));
    assert!(matches!(
        refused(settings(None, None, Some("a@b.c"))),
        AlertError::Incomplete {
            missing: "TANDEM_ALERT_SMTP_URL"
        }
    ));
    assert!(matches!(
        refused(settings(
            None,
            Some("smtps://me:hunter2@host"),
            Some("nobody")
        )),
        AlertError::Address {
            variable: "TANDEM_ALERT_TO",
            ..
        }
    ));
    let whole = Alerts::new(settings(
        Some("https://host/hunter2"),
        Some("smtps://me:hunter2@host"),
        Some("a@b.c"),
    ))
    .unwrap();
    let text = format!("{whole:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

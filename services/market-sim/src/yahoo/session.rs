use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::RngExt;

use super::wire::Refusal;
use crate::Simulator;

/// The one cookie and crumb of a run.
pub(crate) struct Session {
    cookie: String,
    crumb: String,
}

impl Session {
    pub(crate) fn new() -> Self {
        let mut rng = rand::rng();
        let mut letters = |count| -> String {
            (0..count)
                .map(|_| char::from(rng.random_range(b'a'..=b'z')))
                .collect()
        };
        Self {
            cookie: format!("A3=d={}&S={}", letters(24), letters(12)),
            crumb: letters(11),
        }
    }

    pub(super) fn is_crumb(&self, text: &str) -> bool {
        self.crumb == text
    }

    pub(super) fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|value| value.split(';'))
            .any(|cookie| cookie.trim() == self.cookie)
    }
}

/// `https://fc.yahoo.com/` sets the cookie and says 404, as the real one does.
pub(super) async fn cookie(State(simulator): State<Arc<Simulator>>) -> Response {
    let cookie = format!(
        "{}; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure; HttpOnly",
        simulator.session.cookie
    );
    (StatusCode::NOT_FOUND, [(header::SET_COOKIE, cookie)], "").into_response()
}

pub(super) async fn crumb(State(simulator): State<Arc<Simulator>>, headers: HeaderMap) -> Response {
    if simulator.session.has_cookie(&headers) {
        (
            [(header::CONTENT_TYPE, "text/plain;charset=utf-8")],
            simulator.session.crumb.clone(),
        )
            .into_response()
    } else {
        Refusal::unauthorized("Invalid Cookie").into_response()
    }
}

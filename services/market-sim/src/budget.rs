use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

/// So many requests with a key in each span of market time, as vendors allow on their free plans.
#[derive(Debug)]
pub(crate) struct Budget {
    requests: u32,
    span: TimeDelta,
    /// Per key: number of the span, and requests in it.
    used: Mutex<HashMap<String, (i64, u32)>>,
}

impl Budget {
    pub(crate) fn new(requests: u32, span: TimeDelta) -> Self {
        Self {
            requests,
            span,
            used: Mutex::default(),
        }
    }

    /// False when the span's requests are used up.
    pub(crate) fn take(&self, key: &str, now: DateTime<Utc>) -> bool {
        let span = now.timestamp().div_euclid(self.span.num_seconds().max(1));
        // Counters only: a panic while counting leaves nothing torn.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, count) = used.entry(key.to_owned()).or_default();
        if *last != span {
            (*last, *count) = (span, 0);
        }
        *count += 1;
        *count <= self.requests
    }
}

/// What a vendor makes of a key: any will do, but not `bad`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Missing,
    Wrong,
    Good(String),
}

impl Key {
    pub(crate) fn of(text: Option<String>) -> Self {
        match text {
            None => Self::Missing,
            Some(text) if text.trim().is_empty() => Self::Missing,
            Some(text) if text == "bad" => Self::Wrong,
            Some(text) => Self::Good(text),
        }
    }
}

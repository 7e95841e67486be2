//! What every client should know right now: one immutable view, replaced by the engine, read by everybody else.
//!
//! There is no queue anywhere. Each message of the view carries the version at which it was published; a client
//! remembers the version it has seen and, when woken, sends what is newer. A client that was slow finds the newest
//! message of each kind and ticker and has skipped the rest, so it costs no memory and delays nobody.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{DISCLAIMER, Listing, Standing, Ticker};
use serde::Serialize;
use tokio::sync::watch;

use crate::body::{
    AnalysisBody, BarBody, PriceBody, Quote, SnapshotBody, StatusBody, StatusMessageBody,
    StockBody, StocksBody,
};

/// Holds the current [`View`]; the writing side.
#[derive(Debug)]
pub(crate) struct Board {
    view: watch::Sender<Arc<View>>,
    places: HashMap<Ticker, usize>,
}

/// The state of all tickers at one version.
#[derive(Clone, Debug)]
pub(crate) struct View {
    version: u64,
    status: Arc<StatusBody>,
    status_message: Message,
    tickers: Vec<Arc<TickerView>>,
}

#[derive(Clone, Debug)]
struct TickerView {
    stock: StockBody,
    /// Close of the newest bar, UTC.
    newest_close: Option<DateTime<Utc>>,
    /// Newest closed bar, newest price inside a minute, newest analysis.
    messages: [Option<Message>; 3],
}

const BAR: usize = 0;
const FORMING: usize = 1;
const ANALYSIS: usize = 2;

/// What changed for one ticker.
#[derive(Debug)]
pub(crate) enum Update {
    /// A closed bar.
    Bar {
        ticker: Ticker,
        quote: Quote,
        bar: BarBody,
    },
    /// A price inside a minute that is not over.
    Forming { ticker: Ticker, quote: Quote },
    /// An analysis.
    Analysis(Arc<AnalysisBody>),
}

/// A message that is serialised once for all clients; only the sequence number is each client's own.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    version: u64,
    kind: &'static str,
    /// Everything that follows the sequence number.
    rest: Arc<str>,
}

impl Message {
    fn new(kind: &'static str, version: u64, body: &impl Serialize) -> Self {
        Self {
            version,
            kind,
            rest: rest(body).into(),
        }
    }

    /// The text for one client.
    pub(crate) fn text(&self, sequence: u64) -> String {
        text(self.kind, sequence, &self.rest)
    }
}

/// The text of a message that is for one client only.
pub(crate) fn single_message(kind: &str, sequence: u64, body: &impl Serialize) -> String {
    text(kind, sequence, &rest(body))
}

fn text(kind: &str, sequence: u64, rest: &str) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(kind.len() + rest.len() + 48);
    // Writing to a string cannot fail.
    let _ = write!(text, r#"{{"type":"{kind}","seq":{sequence},"#);
    text.push_str(rest);
    text
}

/// The body's JSON without its opening brace.
fn rest(body: &impl Serialize) -> String {
    match serde_json::to_string(body) {
        Ok(mut json) => {
            json.remove(0);
            json
        }
        // Bodies are plain structs with string keys: serialisation has no way to fail.
        Err(error) => {
            tracing::error!(%error, "a message could not be written as JSON");
            "\"malformed\":true}".to_owned()
        }
    }
}

impl Board {
    /// A board without prices.
    pub(crate) fn new(listings: &[Listing], status: StatusBody) -> Self {
        let status = Arc::new(status);
        let tickers = listings
            .iter()
            .map(|listing| Arc::new(TickerView::new(listing)))
            .collect();
        let places = listings
            .iter()
            .enumerate()
            .map(|(place, listing)| (listing.ticker.clone(), place))
            .collect();
        let status_message = Message::new(
            "status",
            0,
            &StatusMessageBody {
                status: Arc::clone(&status),
            },
        );
        let view = View {
            version: 0,
            status,
            status_message,
            tickers,
        };
        Self {
            view: watch::Sender::new(Arc::new(view)),
            places,
        }
    }

    /// A reader, woken by each publication.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// The current view.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// How many tickers are watched.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Where the ticker stands, if it is watched.
    pub(crate) fn place(&self, ticker: &Ticker) -> Option<usize> {
        self.places.get(ticker).copied()
    }

    /// Replaces what is known of these tickers and wakes all readers once.
    pub(crate) fn publish(&self, updates: Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            for update in updates {
                let place = self.place(update.ticker());
                if let Some(ticker) = place.and_then(|place| view.tickers.get_mut(place)) {
                    view.version += 1;
                    Arc::make_mut(ticker).apply(update, view.version);
                }
            }
        });
    }

    /// Shows each newest analysis beside the standing that `standing` gives its rule now, and wakes all readers if any is
    /// another than before.
    pub(crate) fn publish_standings(&self, standing: impl Fn(&AnalysisBody) -> Option<Standing>) {
        self.view.send_if_modified(|view| {
            let moved: Vec<(usize, Arc<AnalysisBody>)> = view
                .tickers
                .iter()
                .enumerate()
                .filter_map(|(place, ticker)| {
                    let analysis = ticker.stock.analysis.as_deref()?;
                    Some((place, Arc::new(analysis.with_standing(standing(analysis))?)))
                })
                .collect();
            let any = !moved.is_empty();
            for (place, analysis) in moved {
                let view = Arc::make_mut(view);
                if let Some(ticker) = view.tickers.get_mut(place) {
                    view.version += 1;
                    Arc::make_mut(ticker).apply(Update::Analysis(analysis), view.version);
                }
            }
            any
        });
    }

    /// Replaces the status and wakes all readers.
    pub(crate) fn publish_status(&self, status: StatusBody) {
        let status = Arc::new(status);
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.version += 1;
            let body = StatusMessageBody {
                status: Arc::clone(&status),
            };
            view.status_message = Message::new("status", view.version, &body);
            view.status = status;
        });
    }
}

impl Update {
    fn ticker(&self) -> &Ticker {
        match self {
            Self::Bar { ticker, .. } | Self::Forming { ticker, .. } => ticker,
            Self::Analysis(analysis) => &analysis.ticker,
        }
    }
}

impl TickerView {
    fn new(listing: &Listing) -> Self {
        let stock = StockBody {
            ticker: listing.ticker.clone(),
            name: listing.name.clone(),
            sector: listing.sector.clone(),
            price: None,
            price_time: None,
            previous_close: None,
            change: None,
            change_percent: None,
            analysis: None,
        };
        Self {
            stock,
            newest_close: None,
            messages: [None, None, None],
        }
    }

    fn apply(&mut self, update: Update, version: u64) {
        match update {
            Update::Bar { ticker, quote, bar } => {
                self.set_quote(&quote);
                self.newest_close = Some(quote.time);
                let body = PriceBody::new(ticker, &quote, Some(bar));
                self.messages[BAR] = Some(Message::new("price", version, &body));
                // The minute that this price belonged to is over.
                self.messages[FORMING] = None;
            }
            Update::Forming { ticker, quote } => {
                self.set_quote(&quote);
                let body = PriceBody::new(ticker, &quote, None);
                self.messages[FORMING] = Some(Message::new("price", version, &body));
            }
            Update::Analysis(analysis) => {
                self.messages[ANALYSIS] = Some(Message::new("analysis", version, &*analysis));
                self.stock.analysis = Some(analysis);
            }
        }
    }

    fn set_quote(&mut self, quote: &Quote) {
        self.stock.price = Some(quote.price);
        self.stock.price_time = Some(quote.time);
        self.stock.previous_close = quote.previous_close;
        self.stock.change = quote.change();
        self.stock.change_percent = quote.change_percent();
    }
}

impl View {
    /// Counts publications.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The newest status.
    pub(crate) fn status(&self) -> &StatusBody {
        &self.status
    }

    /// All tickers, in order.
    pub(crate) fn tickers(&self) -> Vec<Ticker> {
        self.tickers
            .iter()
            .map(|ticker| ticker.stock.ticker.clone())
            .collect()
    }

    /// All tickers, in order, with the close of their newest bar, UTC.
    pub(crate) fn newest_closes(&self) -> Vec<(Ticker, Option<DateTime<Utc>>)> {
        self.tickers
            .iter()
            .map(|ticker| (ticker.stock.ticker.clone(), ticker.newest_close))
            .collect()
    }

    /// The stocks that `wanted` lets through.
    pub(crate) fn stocks(
        &self,
        as_of: DateTime<Utc>,
        wanted: impl Fn(usize) -> bool,
    ) -> StocksBody {
        let stocks = self
            .tickers
            .iter()
            .enumerate()
            .filter(|(place, _)| wanted(*place));
        StocksBody {
            as_of,
            disclaimer: DISCLAIMER,
            stocks: stocks.map(|(_, ticker)| ticker.stock.clone()).collect(),
        }
    }

    /// The stocks that `wanted` lets through, and the status.
    pub(crate) fn snapshot(
        &self,
        as_of: DateTime<Utc>,
        wanted: impl Fn(usize) -> bool,
    ) -> SnapshotBody {
        SnapshotBody {
            stocks: self.stocks(as_of, wanted),
            status: Arc::clone(&self.status),
        }
    }

    /// The messages published after `version` about the tickers that `wanted` lets through, in order.
    pub(crate) fn messages_since(
        &self,
        version: u64,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<&Message> {
        let about_tickers = self
            .tickers
            .iter()
            .enumerate()
            .filter(|(place, _)| wanted(*place));
        let mut messages: Vec<&Message> = about_tickers
            .flat_map(|(_, ticker)| ticker.messages.iter().flatten())
            .chain([&self.status_message])
            .filter(|message| message.version > version)
            .collect();
        messages.sort_unstable_by_key(|message| message.version);
        messages
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        body::{Market, ModelsInUseBody, Phase},
        settings::Source,
    };

    fn board() -> Board {
        let listings = ["AAPL", "MSFT"].map(|symbol| Listing {
            ticker: Ticker::parse(symbol).unwrap(),
            name: symbol.to_owned(),
            sector: "Technology".to_owned(),
        });
        let status = StatusBody {
            phase: Phase::Training,
            message: String::new(),
            source: Source::Live,
            source_note: None,
            market: Market::Closed,
            next_open: None,
            last_close: None,
            now: DateTime::UNIX_EPOCH,
            speed: 1.0,
            models: ModelsInUseBody::default(),
            setup: None,
            paused: false,
            progress: None,
            stale: None,
            trouble: Vec::new(),
        };
        Board::new(&listings, status)
    }

    fn forming(symbol: &str, price: f64) -> Update {
        let quote = Quote {
            price,
            ..Quote::default()
        };
        Update::Forming {
            ticker: Ticker::parse(symbol).unwrap(),
            quote,
        }
    }

    fn prices(view: &View, since: u64, wanted: impl Fn(usize) -> bool) -> Vec<f64> {
        let messages = view.messages_since(since, wanted);
        let texts = messages.iter().map(|message| message.text(1));
        texts
            .map(|text| {
                serde_json::from_str::<Value>(&text).unwrap()["price"]
                    .as_f64()
                    .unwrap()
            })
            .collect()
    }

    #[test]
    fn a_late_reader_gets_only_the_newest_of_each_ticker() {
        let board = board();
        for price in 1..=100 {
            board.publish(vec![
                forming("AAPL", f64::from(price)),
                forming("MSFT", f64::from(price) + 0.5),
            ]);
        }
        let view = board.view();
        assert_eq!(prices(&view, 0, |_| true), [100.0, 100.5]);
        assert_eq!(prices(&view, 0, |place| place == 1), [100.5]);
        assert!(view.messages_since(view.version(), |_| true).is_empty());
    }

    #[test]
    fn a_closed_bar_ends_the_price_of_its_minute() {
        let board = board();
        board.publish(vec![forming("AAPL", 1.0)]);
        let bar = BarBody {
            time: DateTime::UNIX_EPOCH,
            open: 2.0,
            high: 2.0,
            low: 2.0,
            close: 2.0,
            volume: 1.0,
        };
        let ticker = Ticker::parse("AAPL").unwrap();
        board.publish(vec![Update::Bar {
            ticker,
            quote: Quote {
                price: 2.0,
                ..Quote::default()
            },
            bar,
        }]);
        assert_eq!(prices(&board.view(), 0, |_| true), [2.0]);
    }

    #[test]
    fn messages_are_json_with_type_and_sequence_first() {
        let board = board();
        board.publish(vec![forming("AAPL", 1.25)]);
        let view = board.view();
        let text = view.messages_since(0, |_| true)[0].text(7);
        assert!(
            text.starts_with(r#"{"type":"price","seq":7,"ticker":"AAPL","#),
            "{text}"
        );
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn unknown_tickers_are_left_alone() {
        let board = board();
        board.publish(vec![forming("TSLA", 1.0)]);
        assert!(board.view().messages_since(0, |_| true).is_empty());
    }
}

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::DateTime;
use domain::{Price, Ticker};
use prost::Message;
use serde::Deserialize;

use super::parse::as_quoted;
use crate::{FormingTrade, new_york::is_plausible};

/// Longest text of a frame that is decoded, in bytes. A trade takes some 200.
pub(crate) const LONGEST_FRAME: usize = 64 << 10;

/// `market_hours` of a trade in the regular session.
const REGULAR_MARKET: i32 = 1;

/// The fields of Yahoo's protobuf message `PricingData` that are read or that tell a reader what it is about. Numbers and
/// types as in the schema that Yahoo's own pages load.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PricingData {
    /// The ticker.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Price of the trade, in single precision.
    #[prost(float, tag = "2")]
    pub price: f32,
    /// When it happened, Unix milliseconds, UTC.
    #[prost(sint64, tag = "3")]
    pub time: i64,
    /// Such as `USD`.
    #[prost(string, tag = "4")]
    pub currency: String,
    /// Such as `NMS`.
    #[prost(string, tag = "5")]
    pub exchange: String,
    /// 8 for shares.
    #[prost(int32, tag = "6")]
    pub quote_type: i32,
    /// 0 before the session, 1 in it, 2 after it, 3 other extended hours.
    #[prost(int32, tag = "7")]
    pub market_hours: i32,
    /// Change since the previous close, percent.
    #[prost(float, tag = "8")]
    pub change_percent: f32,
    /// Shares traded today.
    #[prost(sint64, tag = "9")]
    pub day_volume: i64,
    /// Change since the previous close, in the currency.
    #[prost(float, tag = "12")]
    pub change: f32,
    /// Decimals to show.
    #[prost(sint64, tag = "27")]
    pub price_hint: i64,
}

/// A trade that has just happened, before its bar is known.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveTrade {
    /// Whose.
    pub ticker: Ticker,
    /// When and at what price.
    pub trade: FormingTrade,
}

/// The second version of the stream wraps the message into JSON; the first sends its base64 bare.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

/// What a frame holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Trade(LiveTrade),
    /// A trade outside the regular session, a heartbeat, or what we did not ask for.
    Other,
    Unreadable,
}

pub(crate) fn read_frame(text: &str) -> Frame {
    let text = text.trim();
    if text.len() > LONGEST_FRAME {
        return Frame::Unreadable;
    }
    let envelope;
    let encoded = if text.starts_with('{') {
        match serde_json::from_str::<Envelope>(text) {
            Ok(read) => envelope = read,
            Err(_) => return Frame::Unreadable,
        }
        if envelope.kind != "pricing" {
            return Frame::Other;
        }
        envelope.message.as_str()
    } else {
        text
    };
    let Some(data) = STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| PricingData::decode(bytes.as_slice()).ok())
    else {
        return Frame::Unreadable;
    };
    if data.market_hours != REGULAR_MARKET {
        return Frame::Other;
    }
    trade_of(&data).map_or(Frame::Unreadable, Frame::Trade)
}

fn trade_of(data: &PricingData) -> Option<LiveTrade> {
    Some(LiveTrade {
        ticker: Ticker::parse(&data.id).ok()?,
        trade: FormingTrade {
            time: DateTime::from_timestamp_millis(data.time).filter(is_plausible)?,
            price: Price::new(as_quoted(f64::from(data.price))).ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> PricingData {
        PricingData {
            id: "AAPL".to_owned(),
            price: 168.07,
            time: 1_522_071_137_250,
            quote_type: 8,
            market_hours: 1,
            ..PricingData::default()
        }
    }

    fn wrapped(data: &PricingData) -> String {
        let message = STANDARD.encode(data.encode_to_vec());
        format!(r#"{{"type":"pricing","message":"{message}"}}"#)
    }

    #[test]
    fn both_versions_of_the_stream_are_read() {
        let bare = STANDARD.encode(data().encode_to_vec());
        for text in [wrapped(&data()), bare] {
            let Frame::Trade(live) = read_frame(&text) else {
                panic!("{text}");
            };
            assert_eq!(live.ticker.as_str(), "AAPL");
            assert_eq!(live.trade.price.get(), 168.07, "not 168.07000732421875");
            assert_eq!(live.trade.time.timestamp_millis(), 1_522_071_137_250);
        }
    }

    #[test]
    fn bytes_are_those_of_the_schema() {
        // id "A", price 1.5, time 1 (zigzag 2), market_hours 1, written by hand.
        let bytes = [0x0a, 1, b'A', 0x15, 0, 0, 0xc0, 0x3f, 0x18, 2, 0x38, 1];
        let read = PricingData::decode(bytes.as_slice()).unwrap();
        assert_eq!(
            (read.id.as_str(), read.price, read.time, read.market_hours),
            ("A", 1.5, 1, 1)
        );
    }

    #[test]
    fn extended_hours_and_other_messages_are_passed_over() {
        let before = PricingData {
            market_hours: 0,
            ..data()
        };
        assert_eq!(read_frame(&wrapped(&before)), Frame::Other);
        assert_eq!(read_frame(r#"{"type":"heartbeat"}"#), Frame::Other);
        for text in [
            "{",
            "no base64!",
            "AAAA",
            r#"{"type":"pricing","message":"AAAA"}"#,
        ] {
            assert_eq!(read_frame(text), Frame::Unreadable, "{text}");
        }
        let nonsense = PricingData {
            price: -1.0,
            ..data()
        };
        assert_eq!(read_frame(&wrapped(&nonsense)), Frame::Unreadable);
    }

    proptest! {
        #[test]
        fn any_frame_can_be_read(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0_usize..200) {
            let _ = read_frame(&text);
            let _ = read_frame(&STANDARD.encode(&bytes));
            let whole = wrapped(&data());
            let _ = read_frame(whole.get(..cut).unwrap_or(&whole));
        }
    }
}

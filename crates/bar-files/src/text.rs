//! Text as it is found in files: packed or not, in one of several encodings.

use std::{
    io::{self, Read},
    path::Path,
};

use csv::Position;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1252};
use flate2::read::MultiGzDecoder;

/// The first bytes of what gzip has packed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads a file of text, unpacked if gzip has packed it, and decoded.
///
/// # Errors
/// The system's, and that a packed file is torn.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(decode(if is_gzip(&bytes) {
        unpack(&bytes)?
    } else {
        bytes
    }))
}

pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP)
}

pub(crate) fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// By its byte order mark, else UTF-8; a line that is not UTF-8 is Windows-1252, of which Latin-1 is a part.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    // Headers are plain letters, of which UTF-16 leaves one byte zero.
    let unmarked = match bytes.as_slice() {
        [1..=0x7f, 0, 1..=0x7f, 0, ..] => Some(UTF_16LE),
        [0, 1..=0x7f, 0, 1..=0x7f, ..] => Some(UTF_16BE),
        _ => None,
    };
    let marked = Encoding::for_bom(&bytes).map(|(encoding, _)| encoding);
    if let Some(encoding) = marked.or(unmarked) {
        return encoding.decode(&bytes).0.into_owned();
    }
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let lines = error.as_bytes().split_inclusive(|byte| *byte == b'\n');
        lines
            .map(|line| match std::str::from_utf8(line) {
                Ok(line) => line.into(),
                Err(_) => WINDOWS_1252.decode(line).0,
            })
            .collect()
    })
}

/// The separator of a table's cells, told by its first line; Excel may state it in a line of its own, which is cut off.
pub fn separator(text: &str) -> (u8, &str) {
    let first_line = |text: &str| {
        text.lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    let first = first_line(text);
    if let Some(stated) = first.trim().strip_prefix("sep=")
        && let [separator] = *stated.as_bytes()
    {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        return (separator, rest);
    }
    let count = |separator: u8| first.bytes().filter(|byte| *byte == separator).count();
    // Of equally many the later counts: the comma, which stands last.
    let separator = [b'|', b'\t', b';', b',']
        .into_iter()
        .max_by_key(|separator| count(*separator))
        .unwrap_or(b',');
    (separator, text)
}

/// Line numbers of ascending places in a table. (The csv crate's own count is off after blank lines and `\r\n`.)
#[derive(Debug)]
pub struct Lines<'a> {
    table: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// Lines of a text, the end of which is the table that [`separator`] found.
    pub fn new(text: &str, table: &'a str) -> Self {
        Self {
            table: table.as_bytes(),
            byte: 0,
            line: 1 + u64::from(table.len() < text.len()),
        }
    }

    /// Line in the text, from 1, of what stands at a position in the table or follows it.
    pub fn at(&mut self, position: Option<&Position>) -> u64 {
        let byte = position.map_or(0, Position::byte);
        let mut end = usize::try_from(byte).unwrap_or(self.table.len());
        while matches!(self.table.get(end), Some(b'\r' | b'\n')) {
            end += 1;
        }
        let passed = self.table.get(self.byte..end).unwrap_or_default();
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.byte = self.byte.max(end);
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_with_and_without_a_mark() {
        let little: Vec<u8> = "ts,é".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "ts,é".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            "ts,é".as_bytes().to_vec(),
            ["\u{feff}".as_bytes(), "ts,é".as_bytes()].concat(),
            little.clone(),
            [vec![0xff, 0xfe], little].concat(),
            big.clone(),
            [vec![0xfe, 0xff], big].concat(),
        ] {
            assert_eq!(decode(bytes), "ts,é");
        }
        assert_eq!(
            decode(b"Soci\xe9t\xe9\nnaiv\xc3\xa9".to_vec()),
            "Société\nnaivé"
        );
    }

    #[test]
    fn separators_are_told_by_the_first_line() {
        for (text, separator_found) in [
            ("ticker,ts,open\n1;2,5,3", b','),
            ("\nticker;ts;open\n", b';'),
            ("ticker\tts\topen, in USD\n", b'\t'),
            ("ticker|ts|open\n", b'|'),
            ("ts\n", b','),
        ] {
            assert_eq!(separator(text), (separator_found, text));
        }
        assert_eq!(separator("sep=;\na;b\n"), (b';', "a;b\n"));
    }
}

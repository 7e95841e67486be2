//! Bytes to text: files come from Excel as often as from programs.

/// Decodes a file's text: UTF-8, or UTF-16 as Excel's "Unicode text" is, both with or without a byte order mark. What is
/// neither keeps its readable parts: a name with an accent in a column that nobody needs spoils nothing.
pub fn decode(bytes: Vec<u8>) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes
            .chunks_exact(2)
            .filter_map(|pair| Some(unit(pair.try_into().ok()?)));
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Headers are plain letters, of which UTF-16 leaves one byte zero.
        [1..=0x7f, 0, 1..=0x7f, 0, ..] => utf16(&bytes, u16::from_le_bytes),
        [0, 1..=0x7f, 0, 1..=0x7f, ..] => utf16(&bytes, u16::from_be_bytes),
        _ => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
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
            decode(b"Soci\xe9t\xe9,1".to_vec()),
            "Soci\u{fffd}t\u{fffd},1"
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

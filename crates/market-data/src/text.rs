//! Vendors' texts: plain for readers, short for messages, and the numbers in them.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// Longest piece of a vendor's words in a message, in characters.
const LONGEST_EXCERPT: usize = 200;

/// A vendor's words for a message: one line, bounded.
pub(crate) fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_EXCERPT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// A finite number, also one that is written as text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| finite(value.as_str()?))
}

/// A text as a finite number.
pub(crate) fn finite(text: &str) -> Option<f64> {
    let number = text.trim().parse().ok();
    number.filter(|number: &f64| number.is_finite())
}

/// A headline or summary as plain text: tags removed, entities decoded (also those that were encoded twice), UTF-8 that was
/// read as Windows-1252 repaired, letters composed (NFC), marks that cannot be seen dropped, white space collapsed, control
/// characters (a database refuses NUL) dropped. `None` when nothing is left.
///
/// What is plain already stays as it is.
pub fn plain_text(text: &str) -> Option<String> {
    let mut plain = text.to_owned();
    loop {
        // Each pass that changes anything but the composition of letters makes it shorter.
        let decoded = decode_entities(&without_tags(&visible(&repaired(&plain))));
        let composed: String = decoded.nfc().collect();
        let line = composed.split_whitespace().collect::<Vec<_>>().join(" ");
        if line == plain {
            return (!line.is_empty()).then_some(line);
        }
        plain = line;
    }
}

/// Without what has no width and what turns the direction of writing; control characters become spaces.
fn visible(text: &str) -> String {
    let letters = text.chars().filter(|letter| {
        !matches!(
            letter,
            '\u{ad}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
        )
    });
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Takes back that UTF-8 was read as Windows-1252: "donâ€™t" was "don’t". Each run of letters beyond ASCII is looked at by
/// itself, and only where it begins as such a mistake does.
fn repaired(text: &str) -> Cow<'_, str> {
    // First bytes of the UTF-8 of accented letters, punctuation, symbols and emoji.
    const BEGINNINGS: [char; 4] = ['Â', 'Ã', 'â', 'ð'];
    if !text.contains(BEGINNINGS) {
        return text.into();
    }
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| !letter.is_ascii()) {
        let (before, run) = rest.split_at(start);
        let end = run
            .find(|letter: char| letter.is_ascii())
            .unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        let (bytes, _, unmappable) = WINDOWS_1252.encode(run);
        let right = match std::str::from_utf8(&bytes) {
            Ok(right) if run.starts_with(BEGINNINGS) && !unmappable => right,
            _ => run,
        };
        repaired.push_str(before);
        repaired.push_str(right);
        rest = after;
    }
    repaired.push_str(rest);
    repaired.into()
}

/// Drops what looks like an HTML tag: `<` followed by a letter, `/` or `!`, up to the next `>`. "EPS < $1" stays.
fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        let is_tag =
            after.starts_with(|next: char| next.is_ascii_alphabetic() || "/!".contains(next));
        match after.split_once('>') {
            Some((_, behind)) if is_tag => {
                plain.push(' ');
                rest = behind;
            }
            _ => {
                plain.push('<');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Decodes HTML entities: the named ones that headlines use, and numbers, whose semicolon may be missing as browsers allow.
/// Unknown ones stay as they are.
fn decode_entities(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        match numbered(after).or_else(|| named(after)) {
            Some((letter, behind)) => {
                decoded.push(letter);
                rest = behind;
            }
            None => {
                decoded.push('&');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The letter of "#39;" or "#x27;", and what follows.
fn numbered(entity: &str) -> Option<(char, &str)> {
    let number = entity.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let end = digits
        .find(|digit: char| !digit.is_digit(radix))
        .unwrap_or(digits.len());
    let (digits, behind) = digits.split_at(end);
    let code = u32::from_str_radix(digits, radix).ok()?;
    // Old pages number the letters of Windows-1252: "&#146;" is an apostrophe.
    let letter = match u8::try_from(code) {
        Ok(byte @ 0x80..=0x9f) => WINDOWS_1252.decode(&[byte]).0.chars().next(),
        _ => char::from_u32(code),
    };
    match behind.strip_prefix(';') {
        Some(behind) => Some((letter?, behind)),
        None => Some((letter.filter(|letter| !letter.is_control())?, behind)),
    }
}

fn named(entity: &str) -> Option<(char, &str)> {
    let (name, behind) = entity.split_once(';')?;
    let letter = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "bull" => '•',
        "middot" => '·',
        "trade" => '™',
        "reg" => '®',
        "copy" => '©',
        "euro" => '€',
        "pound" => '£',
        "yen" => '¥',
        "cent" => '¢',
        "sbquo" => '‚',
        "bdquo" => '„',
        "laquo" => '«',
        "raquo" => '»',
        "prime" => '′',
        "percnt" => '%',
        "dollar" => '$',
        "num" => '#',
        "comma" => ',',
        "period" => '.',
        "colon" => ':',
        "excl" => '!',
        "quest" => '?',
        "lpar" => '(',
        "rpar" => ')',
        "plus" => '+',
        "minus" => '−',
        "plusmn" => '±',
        "times" => '×',
        "deg" => '°',
        "frac12" => '½',
        "frac14" => '¼',
        "frac34" => '¾',
        "sect" => '§',
        "shy" => '\u{ad}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "ensp" | "emsp" | "thinsp" | "NewLine" | "Tab" => ' ',
        "agrave" => 'à',
        "aacute" => 'á',
        "acirc" => 'â',
        "atilde" => 'ã',
        "auml" => 'ä',
        "aring" => 'å',
        "aelig" => 'æ',
        "ccedil" => 'ç',
        "egrave" => 'è',
        "eacute" => 'é',
        "ecirc" => 'ê',
        "euml" => 'ë',
        "iacute" => 'í',
        "icirc" => 'î',
        "iuml" => 'ï',
        "ntilde" => 'ñ',
        "oacute" => 'ó',
        "ocirc" => 'ô',
        "otilde" => 'õ',
        "ouml" => 'ö',
        "oslash" => 'ø',
        "uacute" => 'ú',
        "ucirc" => 'û',
        "uuml" => 'ü',
        "szlig" => 'ß',
        "Agrave" => 'À',
        "Auml" => 'Ä',
        "Aring" => 'Å',
        "Ccedil" => 'Ç',
        "Eacute" => 'É',
        "Ouml" => 'Ö',
        "Oslash" => 'Ø',
        "Uuml" => 'Ü',
        _ => return None,
    };
    Some((letter, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headlines_become_plain_text() {
        for (vendor, read) in [
            ("AT&amp;T&#39;s profit", "AT&T's profit"),
            (
                "Apple &ldquo;wins&rdquo;&nbsp;&#x2014; again",
                "Apple “wins” — again",
            ),
            ("<ul><li>One</li><li>Two</li></ul>", "One Two"),
            ("EPS < $1 & P/E > 20", "EPS < $1 & P/E > 20"),
            ("R&D; &unknown; &#1114112; &", "R&D; &unknown; &#1114112; &"),
            (
                "Acme&amp;#39;s &amp;lt;b&amp;gt;best&amp;lt;/b&amp;gt; year",
                "Acme's best year",
            ),
            ("Acme&#146;s 5&#37 gain&#x21 &#8203;", "Acme’s 5% gain!"),
            ("doesnâ€™t Â£5 CafÃ© ðŸš€", "doesn’t £5 Café 🚀"),
            ("Société â la carte Ã", "Société â la carte Ã"),
            (
                "re\u{301}sultats\u{a0}: pro\u{ad}fit\u{200b}",
                "résultats : profit",
            ),
            ("\u{202b}\u{feff}Acme\u{202c}", "Acme"),
            ("  two\n lines\u{0} ", "two lines"),
            ("a <b", "a <b"),
        ] {
            assert_eq!(plain_text(vendor).as_deref(), Some(read));
        }
        assert_eq!(plain_text(" <br/> &#8203;"), None);
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(
            excerpt(" Edge:\r\n Too Many Requests "),
            "Edge: Too Many Requests"
        );
        assert_eq!(
            excerpt(&"é".repeat(500)).chars().count(),
            LONGEST_EXCERPT + 1
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "\\PC{0,40}|[<>&;#a-z0-9x ]{0,40}|(&(amp;|lt;|gt;|#3[89];|#173;)|[Ââ€™ðb ]){0,20}") {
            let _ = excerpt(&text);
            if let Some(read) = plain_text(&text) {
                prop_assert!(!read.chars().any(char::is_control));
                prop_assert_eq!(plain_text(&read), Some(read));
            }
        }
    }
}

//! Vendors' texts: plain for readers, short for messages.

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

/// A headline or summary as plain text: tags removed, entities decoded, white space collapsed, control characters (a
/// database refuses NUL) dropped. `None` when nothing is left.
pub(crate) fn plain(text: &str) -> Option<String> {
    let decoded = decode_entities(&without_tags(text));
    let visible: String = decoded
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
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

/// Decodes HTML entities: the named ones that headlines use, and numbers. Unknown ones stay as they are.
fn decode_entities(text: &str) -> String {
    /// Longest entity that is looked for, without `&` and `;`.
    const LONGEST: usize = 8;
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let entity = after
            .split_once(';')
            .filter(|(name, _)| name.len() <= LONGEST)
            .and_then(|(name, behind)| Some((entity(name)?, behind)));
        match entity {
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

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
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
        "eacute" => 'é',
        _ => return None,
    };
    Some(letter)
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
            ("  two\n lines\u{0} ", "two lines"),
            ("a <b", "a <b"),
        ] {
            assert_eq!(plain(vendor).as_deref(), Some(read));
        }
        assert_eq!(plain(" <br/> "), None);
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
        fn any_text_can_be_read(text in "\\PC{0,40}|[<>&;#a-z0-9x ]{0,40}") {
            let _ = excerpt(&text);
            if let Some(read) = plain(&text) {
                prop_assert!(!read.chars().any(char::is_control));
            }
        }
    }
}

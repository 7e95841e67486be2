//! From text to terms: words and phrases with their meanings, numbers with their size, ends of clauses.

use std::ops::Range;

use super::vocabulary::{Meaning, Vocabulary};

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    /// Where it stands in the text, in bytes.
    pub(super) place: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A word or phrase that the vocabulary knows.
    Known(Meaning),
    /// Another word.
    Other,
    /// The word "in" or "of", which lets a move look ahead: "a rise in sales".
    In,
    /// The word "to", which lets a second figure follow: "from 5 to 7".
    To,
    /// A figure with its factor applied: an amount, a count or, apart from those, a percentage.
    Number { value: f64, percent: bool },
    /// A comma, dash or parenthesis.
    Comma,
    /// The end of a sentence or clause.
    Stop,
}

/// A word or punctuation mark as it stands.
enum Raw {
    Word(String),
    Number(f64),
    Percent,
    Comma,
    Stop,
}

pub(super) fn terms(text: &str) -> Vec<Term> {
    let vocabulary = Vocabulary::get();
    let raw = split(text);
    let mut terms = Vec::with_capacity(raw.len());
    let mut rest = raw.as_slice();
    while let Some((first, place)) = rest.first() {
        let mut used = 1;
        let kind = match first {
            Raw::Number(value) => {
                let (number, length) = number(vocabulary, *value, rest);
                used = length;
                number
            }
            Raw::Percent => Kind::Other,
            Raw::Comma => Kind::Comma,
            Raw::Stop => Kind::Stop,
            Raw::Word(word) => {
                let words: Vec<&str> = rest
                    .iter()
                    .map_while(|(raw, _)| match raw {
                        Raw::Word(word) => Some(word.as_str()),
                        _ => None,
                    })
                    .take(4)
                    .collect();
                match (vocabulary.phrase(&words), word.as_str()) {
                    (Some((meaning, count)), _) => {
                        used = count;
                        Kind::Known(meaning)
                    }
                    (None, "in" | "of") => Kind::In,
                    (None, "to") => Kind::To,
                    (None, word) => vocabulary.word(word).map_or(Kind::Other, Kind::Known),
                }
            }
        };
        let end = rest.get(used - 1).map_or(place.end, |(_, place)| place.end);
        terms.push(Term {
            kind,
            place: place.start..end,
        });
        rest = rest.get(used..).unwrap_or_default();
    }
    without_dates(terms)
}

/// A number with the factors after it, as in "13.1 mn" and "5 per cent".
fn number(vocabulary: &Vocabulary, mut value: f64, raw: &[(Raw, Range<usize>)]) -> (Kind, usize) {
    let mut used = 1;
    let mut percent = false;
    while let Some((raw, _)) = raw.get(used) {
        let meaning = match raw {
            Raw::Percent => Some(Meaning::Percent),
            Raw::Word(word) => vocabulary.word(word),
            _ => None,
        };
        match meaning {
            Some(Meaning::Factor(factor)) => value *= factor,
            Some(Meaning::Percent) => percent = true,
            _ => break,
        }
        used += 1;
    }
    (Kind::Number { value, percent }, used)
}

/// Years and days are no figures.
fn without_dates(mut terms: Vec<Term>) -> Vec<Term> {
    let is_month =
        |term: Option<&Term>| term.is_some_and(|term| term.kind == Kind::Known(Meaning::Month));
    let dates: Vec<bool> = terms
        .iter()
        .enumerate()
        .map(|(index, term)| {
            let Kind::Number { value, percent } = term.kind else {
                return false;
            };
            let year = !percent
                && (1950.0..2100.0).contains(&value)
                && value.fract() == 0.0
                && term.place.len() == 4;
            let before = index.checked_sub(1).and_then(|before| terms.get(before));
            year || is_month(before) || is_month(terms.get(index + 1))
        })
        .collect();
    for (term, date) in terms.iter_mut().zip(dates) {
        if date {
            term.kind = Kind::Other;
        }
    }
    terms
}

/// Words in lower case without "'s", numbers, and what divides clauses.
fn split(text: &str) -> Vec<(Raw, Range<usize>)> {
    let mut pieces = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let mut end = start + character.len_utf8();
        let raw = if character.is_alphabetic() {
            while let Some((index, next)) = characters.peek().copied() {
                // An apostrophe within a word belongs to it: "isn't".
                let within = next.is_alphabetic()
                    || matches!(next, '\'' | '’')
                        && text
                            .get(index + next.len_utf8()..)
                            .is_some_and(|rest| rest.starts_with(char::is_alphabetic));
                if !within {
                    break;
                }
                end = index + next.len_utf8();
                characters.next();
            }
            let word = text.get(start..end).unwrap_or_default().to_lowercase();
            let word = word.replace('’', "'");
            Raw::Word(word.strip_suffix("'s").unwrap_or(&word).to_owned())
        } else if character.is_ascii_digit() {
            let (value, length) = leading_number(text.get(start..).unwrap_or_default());
            end = start + length;
            while characters.next_if(|(index, _)| *index < end).is_some() {}
            // "-1.2", but not "2005-06" or "year-5".
            let before = text.get(..start).unwrap_or_default();
            let negative = before.strip_suffix('-').is_some_and(|before| {
                before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || c == '(')
            });
            Raw::Number(if negative { -value } else { value })
        } else {
            match character {
                '%' => Raw::Percent,
                ',' | '(' | ')' | '–' | '—' => Raw::Comma,
                '.' | ';' | '!' | '?' | ':' => Raw::Stop,
                _ => continue,
            }
        };
        pieces.push((raw, start..end));
    }
    pieces
}

/// The number at the beginning of `text` and its length in bytes. Commas group thousands. A blank before the decimal
/// point is allowed: some feeds write "EUR131 .5".
fn leading_number(text: &str) -> (f64, usize) {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let mut digits = String::new();
    let mut index = 0;
    let mut decimals = false;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'0'..=b'9' => digits.push(char::from(*byte)),
            b',' if !decimals && (index + 1..index + 4).all(digit) && !digit(index + 4) => {}
            b'.' if !decimals && digit(index + 1) => {
                decimals = true;
                digits.push('.');
            }
            b' ' if !decimals && bytes.get(index + 1) == Some(&b'.') && digit(index + 2) => {}
            _ => break,
        }
        index += 1;
    }
    (digits.parse().unwrap_or(0.0), index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<(f64, bool)> {
        terms(text)
            .into_iter()
            .filter_map(|term| match term.kind {
                Kind::Number { value, percent } => Some((value, percent)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn numbers_have_their_factors_and_dates_are_none() {
        assert_eq!(
            numbers("EUR13 .1 m in 2005, USD 1,234.5, 8.2 % on 31 March 2006, 5 pct, 2.5bn"),
            [
                (13.1e6, false),
                (1234.5, false),
                (8.2, true),
                (5.0, true),
                (2.5e9, false)
            ]
        );
        assert_eq!(
            numbers("a result of EUR -1.2 mn, ( -3 ), 2004-05"),
            [(-1.2e6, false), (-3.0, false), (5.0, false)]
        );
        assert_eq!(
            numbers("1,23 4,5678"),
            [(1.0, false), (23.0, false), (4.0, false), (5678.0, false)]
        );
    }

    #[test]
    fn words_and_phrases_are_known_where_they_stand() {
        let text = "Share capital wasn’t the company’s price target.";
        let terms = terms(text);
        let known: Vec<(&str, Meaning)> = terms
            .iter()
            .filter_map(|term| match term.kind {
                Kind::Known(meaning) => Some((&text[term.place.clone()], meaning)),
                _ => None,
            })
            .collect();
        assert_eq!(
            known,
            [
                ("Share capital", Meaning::Thing(0.0)),
                ("wasn’t", Meaning::Negation),
                ("price target", Meaning::Thing(1.0)),
            ]
        );
    }
}

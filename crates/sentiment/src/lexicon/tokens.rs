//! From text to terms: words and phrases with their meanings, numbers with their size, ends of clauses.

use std::{borrow::Cow, ops::Range};

use unicode_normalization::UnicodeNormalization;

use super::vocabulary::{LONGEST_PHRASE, Meaning, Vocabulary};

/// What results are held against: "better than feared".
const STANDARDS: [&str; 19] = [
    "anticipated",
    "consensus",
    "estimated",
    "estimates",
    "expectations",
    "expected",
    "feared",
    "forecast",
    "forecasts",
    "guidance",
    "guided",
    "hoped",
    "predicted",
    "projected",
    "street",
    "target",
    "targets",
    "thought",
    "views",
];
/// How far after "than" they may stand, in words: "than Wall Street analysts expected".
const STANDARD_REACH: usize = 4;

/// Words with a full stop that ends no sentence.
const ABBREVIATIONS: [&str; 10] = [
    "co", "corp", "dr", "inc", "jr", "ltd", "mr", "ms", "st", "vs",
];

/// Before the symbol of a stock: "(NASDAQ: AAPL)".
const EXCHANGES: [&str; 9] = [
    "NASDAQ", "NYSE", "NYSEARCA", "AMEX", "OTC", "OTCMKTS", "LSE", "LON", "TSX",
];

/// First words of a question that asks whether, not why.
const WHETHER: [&str; 26] = [
    "are", "buy", "can", "could", "did", "do", "does", "has", "have", "hold", "is", "may", "might",
    "must", "now", "sell", "shall", "should", "still", "time", "too", "was", "were", "which",
    "will", "would",
];

/// First words of a question about what has happened.
const REASON: [&str; 6] = ["how", "what", "when", "where", "who", "why"];

/// A text in one plain form, and its terms.
pub(super) struct Reading {
    text: String,
    pub(super) terms: Vec<Term>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    pub(super) kind: Kind,
    /// Where it stands in the text, in bytes.
    place: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A word or phrase that the vocabulary knows.
    Known(Meaning),
    /// Another word.
    Other,
    /// The word "in" or "of", which lets a move look ahead: "a rise in sales".
    In,
    /// The word "to" or "into", which lets a second figure follow: "from 5 to 7".
    To,
    /// A figure with its factor applied: an amount, a count or, apart from those, a percentage.
    Number { value: f64, percent: bool },
    /// A comma, dash or parenthesis.
    Comma,
    /// The end of a sentence or clause.
    Stop,
}

/// A word or punctuation mark as it stands.
#[derive(Clone, Copy, PartialEq)]
enum Raw<'a> {
    Word(&'a str),
    Number(f64),
    Percent,
    Comma,
    Stop,
    Question,
}

type Pieces<'a> = [(Raw<'a>, Range<usize>)];

impl Reading {
    /// Takes a text apart. Of one in another language nothing is left: what its words are in English they do not mean.
    pub(super) fn of(text: &str) -> Self {
        let text = plain(text);
        let terms = without_dates(terms(&text));
        let terms = if is_english(&text, &terms) {
            terms
        } else {
            Vec::new()
        };
        Self { text, terms }
    }

    /// The words that the vocabulary does not know, and the negations before them.
    pub(super) fn unknown_words(&self) -> String {
        let mut words = String::with_capacity(self.text.len());
        for term in &self.terms {
            let negates = matches!(term.kind, Kind::Known(meaning) if meaning.negates());
            if negates || term.kind == Kind::Other {
                words.push_str(self.text.get(term.place.clone()).unwrap_or_default());
                words.push(' ');
            }
        }
        words
    }
}

/// In lower case, with plain apostrophes and hyphens, without what is no word: addresses, names of accounts, symbols of
/// stocks.
fn plain(text: &str) -> String {
    let text: Cow<'_, str> = if text.is_ascii() && !text.contains('`') {
        text.into()
    } else {
        // Before NFKC too, which makes a blank of an accent that stands for an apostrophe.
        let letters = text.chars().filter_map(plain_letter);
        letters.nfkc().filter_map(plain_letter).collect()
    };
    let text = without_publisher(&text);
    // In a headline of capitals a word in parentheses may be any word.
    let capitals = !text.bytes().any(|letter| letter.is_ascii_lowercase());
    let mut plain = String::with_capacity(text.len());
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let name = word.trim_start_matches(['(', '[']);
        let bracketed = name.len() < word.len();
        let exchange = EXCHANGES
            .iter()
            .find_map(|exchange| name.strip_prefix(exchange)?.strip_prefix(':'));
        let symbol = if exchange == Some("") {
            words.next()
        } else {
            exchange
        };
        let left_out = symbol.is_some()
            || bracketed && !capitals && is_symbol(name)
            || is_address(word)
            || name.starts_with('@')
            || name
                .strip_prefix('$')
                .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()));
        let kept = if left_out {
            // The clause ends all the same.
            let last = symbol.unwrap_or(word);
            last.get(last.trim_end_matches(['.', ',', ';', '!', '?']).len()..)
                .unwrap_or_default()
        } else {
            word
        };
        if !plain.is_empty() && !kept.is_empty() {
            plain.push(' ');
        }
        plain.push_str(kept);
    }
    if plain.is_ascii() {
        plain.make_ascii_lowercase();
        plain
    } else {
        plain.to_lowercase()
    }
}

/// Typographic marks as the keyboard has them; nothing for what cannot be seen.
const fn plain_letter(letter: char) -> Option<char> {
    Some(match letter {
        '‘' | '’' | '‛' | 'ʼ' | 'ʻ' | '′' | '´' | '`' => '\'',
        '‐' | '‒' | '–' | '—' | '―' | '−' => '-',
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => return None,
        other => other,
    })
}

/// A text without the publisher's name behind it, where case tells it: words with capitals behind a headline without.
/// One word may be what is said: " - Sell".
fn without_publisher(text: &str) -> &str {
    let Some(divider) = text.rfind(" - ").max(text.rfind(" | ")) else {
        return text;
    };
    let (headline, name) = text.split_at(divider);
    let name = name.split_whitespace().skip(1);
    let is_name = (2..=5).contains(&name.clone().count())
        && name.clone().all(|word| {
            matches!(word, "of" | "the" | "and" | "&") || word.starts_with(char::is_uppercase)
        });
    let in_sentence_case = || {
        let mut words = headline.split_whitespace().skip(1);
        words.any(|word| word.len() > 3 && word.starts_with(char::is_lowercase))
    };
    if is_name && in_sentence_case() {
        headline
    } else {
        text
    }
}

fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.") || word.contains(".com/")
}

/// "AAPL)" or "BRK.B)," behind a parenthesis.
fn is_symbol(name: &str) -> bool {
    let Some((symbol, _)) = name.split_once([')', ']']) else {
        return false;
    };
    (1..=6).contains(&symbol.len())
        && symbol
            .bytes()
            .all(|letter| letter.is_ascii_uppercase() || letter == b'.')
}

fn terms(text: &str) -> Vec<Term> {
    let vocabulary = Vocabulary::get();
    let raw = split(text);
    let mut terms = Vec::with_capacity(raw.len());
    let mut sentence = 0;
    let mut phrase = String::new();
    let mut rest = raw.as_slice();
    while let Some((first, place)) = rest.first() {
        let mut used = 1;
        let kind = match *first {
            Raw::Number(value) => {
                let (number, length) = number(vocabulary, value, rest);
                used = length;
                number
            }
            Raw::Percent => Kind::Other,
            Raw::Comma => Kind::Comma,
            Raw::Stop => Kind::Stop,
            Raw::Question => {
                let said = said(text, &terms, sentence);
                terms.truncate(said);
                Kind::Stop
            }
            Raw::Word(word) => {
                let kind;
                (kind, used) = word_or_phrase(vocabulary, text, word, rest, &mut phrase);
                let behind = rest.get(used..).unwrap_or_default();
                let (kind, more) = if word == "less" && is_judgement(vocabulary, behind) {
                    (Kind::Known(Meaning::Negation), 0)
                } else {
                    against_standard(kind, word, behind)
                };
                used += more;
                kind
            }
        };
        let end = rest.get(used - 1).map_or(place.end, |(_, place)| place.end);
        terms.push(Term {
            kind,
            place: place.start..end,
        });
        if kind == Kind::Stop {
            sentence = terms.len();
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    terms
}

/// What the longest phrase that begins here means, else the word; with the number of pieces. `phrase` is a buffer.
fn word_or_phrase(
    vocabulary: &Vocabulary,
    text: &str,
    word: &str,
    pieces: &Pieces<'_>,
    phrase: &mut String,
) -> (Kind, usize) {
    let longest = vocabulary.longest_phrase(word);
    if longest > 1 {
        phrase.clear();
        let mut ends = [0; LONGEST_PHRASE];
        let mut count = 0;
        for ((raw, place), end) in pieces.iter().take(longest).zip(&mut ends) {
            let piece = match raw {
                Raw::Word(word) => *word,
                // "Chapter 11".
                Raw::Number(_) => text.get(place.clone()).unwrap_or_default(),
                _ => break,
            };
            if count > 0 {
                phrase.push('_');
            }
            phrase.push_str(piece);
            *end = phrase.len();
            count += 1;
        }
        for count in (2..=count).rev() {
            let candidate = ends.get(count - 1).and_then(|end| phrase.get(..*end));
            if let Some(meaning) = candidate.and_then(|phrase| vocabulary.meaning(phrase)) {
                return (Kind::Known(meaning), count);
            }
        }
    }
    let kind = match word {
        "in" | "of" => Kind::In,
        "to" | "into" => Kind::To,
        _ => match vocabulary.meaning(word) {
            Some(meaning) => Kind::Known(meaning),
            None if word.ends_with("n't") => Kind::Known(Meaning::Negation),
            None => Kind::Other,
        },
    };
    (kind, 1)
}

/// Whether a judgement comes first: "less weak", not "less debt".
fn is_judgement(vocabulary: &Vocabulary, pieces: &Pieces<'_>) -> bool {
    let Some((Raw::Word(word), _)) = pieces.first() else {
        return false;
    };
    matches!(
        vocabulary.meaning(word),
        Some(Meaning::Judgement(_) | Meaning::Intense)
    )
}

/// What a word means that is held against what was likely, and how many of the pieces behind it say so: "better than
/// feared", "below analysts' estimates".
fn against_standard(kind: Kind, word: &str, behind: &Pieces<'_>) -> (Kind, usize) {
    if let Kind::Known(Meaning::Level(_)) = kind {
        // "Ahead of results" is a time.
        let time = (Kind::Known(Meaning::Link), 0);
        return standard(behind, STANDARD_REACH).map_or(time, |length| (kind, length));
    }
    let meaning = match (kind, word) {
        (_, "more") => Meaning::Surprise(1.0),
        (_, "less") => Meaning::Surprise(-1.0),
        (Kind::Known(Meaning::Judgement(strength)), _) => {
            Meaning::Judgement(2.0_f32.copysign(strength))
        }
        (Kind::Known(known @ (Meaning::Move(_) | Meaning::Intense)), _) => known,
        _ => return (kind, 0),
    };
    let reach = match behind.first().map(|(raw, _)| *raw) {
        Some(Raw::Word("than")) => STANDARD_REACH,
        Some(Raw::Word("as")) => 1,
        _ => return (kind, 0),
    };
    match standard(behind.get(1..).unwrap_or_default(), reach) {
        Some(length) => (Kind::Known(meaning), length + 1),
        None => (kind, 0),
    }
}

/// How many words there are up to the last of [`STANDARDS`] within reach.
fn standard(pieces: &Pieces<'_>, reach: usize) -> Option<usize> {
    let words = pieces.iter().take(reach).zip(1..);
    words
        .take_while(|((raw, _), _)| matches!(raw, Raw::Word(_)))
        .filter(|((raw, _), _)| matches!(raw, Raw::Word(word) if STANDARDS.contains(word)))
        .last()
        .map(|(_, count)| count)
}

/// How many of the terms before a question mark are said: the others are only asked. `sentence` is where the last sentence
/// begins.
fn said(text: &str, terms: &[Term], sentence: usize) -> usize {
    let word = |index: usize| {
        let term = terms.get(index);
        term.and_then(|term| text.get(term.place.clone()))
            .unwrap_or_default()
    };
    // "Which is the better stock: ..."
    if WHETHER.contains(&word(0)) {
        return 0;
    }
    if REASON.contains(&word(sentence)) && word(sentence + 1) != "if" {
        return terms.len();
    }
    if WHETHER.contains(&word(sentence)) {
        return sentence;
    }
    let asked = terms.iter().skip(sentence);
    let comma = asked.clone().rposition(|term| term.kind == Kind::Comma);
    comma
        .map(|comma| sentence + comma)
        .filter(|comma| WHETHER.contains(&word(comma + 1)))
        .unwrap_or(sentence)
}

/// A number with the factors after it, as in "13.1 mn" and "5 per cent".
fn number(vocabulary: &Vocabulary, mut value: f64, pieces: &Pieces<'_>) -> (Kind, usize) {
    let mut used = 1;
    let mut percent = false;
    while let Some((raw, _)) = pieces.get(used) {
        let meaning = match raw {
            Raw::Percent => Some(Meaning::Percent),
            Raw::Word(word) => vocabulary.meaning(word),
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
    for index in 0..terms.len() {
        let Some(Term {
            kind: Kind::Number { value, percent },
            place,
        }) = terms.get(index)
        else {
            continue;
        };
        let year = !percent
            && (1950.0..2100.0).contains(value)
            && value.fract() == 0.0
            && place.len() == 4;
        let before = index.checked_sub(1).and_then(|before| terms.get(before));
        let date = year || is_month(before) || is_month(terms.get(index + 1));
        if date && let Some(term) = terms.get_mut(index) {
            term.kind = Kind::Other;
        }
    }
    terms
}

/// Not where words of other languages outnumber those that join English ones.
fn is_english(text: &str, terms: &[Term]) -> bool {
    let count =
        |wanted: &dyn Fn(Kind) -> bool| terms.iter().filter(|term| wanted(term.kind)).count();
    let foreign = count(&|kind| kind == Kind::Known(Meaning::Foreign));
    if foreign == 0 {
        return true;
    }
    let english = count(&|kind| {
        matches!(
            kind,
            Kind::In | Kind::To | Kind::Known(Meaning::Link | Meaning::Article)
        )
    });
    // One such word may be a name's; letters that English has not tell more.
    let letters = text
        .chars()
        .any(|letter| !letter.is_ascii() && letter.is_alphabetic());
    foreign <= english || foreign == 1 && !letters
}

/// Words without "'s", numbers, and what divides clauses.
fn split(text: &str) -> Vec<(Raw<'_>, Range<usize>)> {
    let mut pieces = Vec::with_capacity(text.len() / 4);
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let mut end = start + character.len_utf8();
        let rest = text.get(end..).unwrap_or_default();
        let raw = if character.is_alphabetic() {
            while let Some((index, next)) = characters.peek().copied() {
                // An apostrophe within a word belongs to it: "isn't".
                let within = next.is_alphabetic()
                    || next == '\''
                        && text
                            .get(index + 1..)
                            .is_some_and(|rest| rest.starts_with(char::is_alphabetic));
                if !within {
                    break;
                }
                end = index + next.len_utf8();
                characters.next();
            }
            let word = text.get(start..end).unwrap_or_default();
            Raw::Word(word.strip_suffix("'s").unwrap_or(word))
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
                ',' | '(' | ')' => Raw::Comma,
                '-' if rest.starts_with([' ', '-'])
                    && text
                        .get(..start)
                        .is_some_and(|before| before.ends_with([' ', '-'])) =>
                {
                    Raw::Comma
                }
                '.' if ends_sentence(rest, &pieces, start) => Raw::Stop,
                ';' | '!' | ':' | '|' => Raw::Stop,
                '?' => Raw::Question,
                _ => continue,
            }
        };
        pieces.push((raw, start..end));
    }
    pieces
}

/// Whether a full stop is one: not in "U.S." and "Inc."
fn ends_sentence(rest: &str, before: &Pieces<'_>, stop: usize) -> bool {
    if !rest.is_empty() && !rest.starts_with(' ') {
        return false;
    }
    match before.last() {
        Some((Raw::Word(word), place)) if place.end == stop => {
            word.len() > 1 && !ABBREVIATIONS.contains(word)
        }
        _ => true,
    }
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
        Reading::of(text)
            .terms
            .into_iter()
            .filter_map(|term| match term.kind {
                Kind::Number { value, percent } => Some((value, percent)),
                _ => None,
            })
            .collect()
    }

    /// The known words and phrases of a text that are more than joints.
    fn known(text: &str) -> Vec<(String, Meaning)> {
        let reading = Reading::of(text);
        reading
            .terms
            .iter()
            .filter_map(|term| match term.kind {
                Kind::Known(Meaning::Link | Meaning::Article) => None,
                Kind::Known(meaning) => {
                    Some((reading.text[term.place.clone()].to_owned(), meaning))
                }
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
        let share_capital = ("share capital".to_owned(), Meaning::Thing(0.0));
        assert_eq!(
            known("Share capital WASN’T the company’s price target: Chapter 11"),
            [
                share_capital,
                ("wasn't".to_owned(), Meaning::Negation),
                ("price target".to_owned(), Meaning::Thing(1.0)),
                ("chapter 11".to_owned(), Meaning::Trouble(-2.0)),
            ]
        );
        assert_eq!(
            known("worse than the Street had feared"),
            [(
                "worse than the street had feared".to_owned(),
                Meaning::Judgement(-2.0)
            )]
        );
    }

    #[test]
    fn what_is_no_word_is_left_out() {
        for (text, read) in [
            ("Acme (NASDAQ: LOSE) falls", "acme falls"),
            ("Acme (LOSE), falls", "acme , falls"),
            ("NYSE:LOSE falls", "falls"),
            ("NET (LOSS) GROWS", "net (loss) grows"),
            ("$LOSE at $5 https://example.com/loss @loser", "at $5"),
            ("Ａcme’s pro\u{ad}ﬁt – 5\u{a0}%", "acme's profit - 5 %"),
            ("Acme doesn´t and didn`t", "acme doesn't and didn't"),
            ("Acme profit falls — Gains of the Day", "acme profit falls"),
            (
                "Acme profit falls - sell now",
                "acme profit falls - sell now",
            ),
            ("Acme profit falls - Sell", "acme profit falls - sell"),
            ("Acme Falls - Sell Now", "acme falls - sell now"),
        ] {
            assert_eq!(plain(text), read);
        }
    }

    #[test]
    fn an_abbreviation_ends_no_sentence() {
        let stops = |text| {
            let terms = Reading::of(text).terms;
            terms.iter().filter(|term| term.kind == Kind::Stop).count()
        };
        assert_eq!(stops("U.S. sales of Acme Inc. rose 1.5 times"), 0);
        assert_eq!(stops("Sales rose. Costs fell ."), 2);
    }

    #[test]
    fn what_is_only_asked_is_not_said() {
        for text in [
            "Will Acme miss estimates?",
            "Acme a buy?",
            "What if Acme fails?",
        ] {
            assert_eq!(known(text), [], "{text}");
        }
        let profit_fell = known("Profit fell");
        assert_eq!(known("Profit fell: time to buy?"), profit_fell);
        assert_eq!(known("Profit fell, is Acme in trouble?"), profit_fell);
        assert_eq!(known("Why profit fell?"), profit_fell);
    }
}

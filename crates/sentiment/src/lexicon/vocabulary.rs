//! What words mean to an investor.

use std::{collections::HashMap, sync::LazyLock};

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::parse(include_str!("vocabulary.txt")).0);

/// Longest phrase, in words.
const LONGEST_PHRASE: usize = 4;
/// Shortest word of which the ending may vary.
const SHORTEST_STEM: usize = 3;

/// What a word or phrase means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// More (1) or less (-1) of something.
    Move(f32),
    /// Something of which more is good (1) or bad (-1); 0 where it is neither.
    Thing(f32),
    /// A loss: more is bad, and so is having one.
    Loss,
    /// Praise (positive) or blame.
    Judgement(f32),
    /// An event of business: a contract, a launch, an offer.
    Business,
    /// From loss to profit or back, with "to" after it.
    Swing,
    /// Introduces what is left out of account: "profit before taxes", "excluding costs".
    Beside,
    /// Turns what follows round.
    Negation,
    /// What follows is said in passing.
    Aside,
    /// What follows outweighs what came before.
    Turn,
    /// Stands between a figure and the one it is held against.
    Versus,
    /// A plan or a description.
    Plan,
    /// A factor of the number before it.
    Factor(f64),
    /// Makes the number before it a percentage.
    Percent,
    /// The number beside it is a day.
    Month,
}

/// Words and phrases with their meanings.
pub(super) struct Vocabulary {
    /// Words and phrases as they are; the words of a phrase are joined by `_`.
    exact: HashMap<&'static str, Meaning>,
    /// Words with any ending, without it.
    stems: HashMap<&'static str, Meaning>,
    /// First words of phrases.
    openings: HashMap<&'static str, usize>,
}

impl Vocabulary {
    pub(super) fn get() -> &'static Self {
        &VOCABULARY
    }

    /// Reads the file's text; lines it does not understand are given back.
    fn parse(text: &'static str) -> (Self, Vec<&'static str>) {
        let mut vocabulary = Self {
            exact: HashMap::new(),
            stems: HashMap::new(),
            openings: HashMap::new(),
        };
        let mut unknown = Vec::new();
        let mut meaning = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(section) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                meaning = meaning_of_section(section);
                if meaning.is_none() {
                    unknown.push(line);
                }
                continue;
            }
            let Some(meaning) = meaning else {
                unknown.push(line);
                continue;
            };
            for entry in line.split_whitespace() {
                match entry.strip_suffix('*') {
                    Some(stem) => vocabulary.stems.insert(stem, meaning),
                    None => vocabulary.exact.insert(entry, meaning),
                };
                if let Some((opening, rest)) = entry.split_once('_') {
                    let words = 2 + rest.matches('_').count();
                    let longest = vocabulary.openings.entry(opening).or_insert(0);
                    *longest = words.max(*longest);
                }
            }
        }
        (vocabulary, unknown)
    }

    /// The meaning of a single word, lower case.
    pub(super) fn word(&self, word: &str) -> Option<Meaning> {
        if let Some(meaning) = self.exact.get(word) {
            return Some(*meaning);
        }
        let ends = word
            .char_indices()
            .map(|(index, _)| index)
            .skip(SHORTEST_STEM);
        ends.chain([word.len()])
            .filter_map(|end| word.get(..end))
            .filter_map(|stem| self.stems.get(stem))
            .last()
            .copied()
    }

    /// The longest phrase that `words` begin with: its meaning and its number of words.
    pub(super) fn phrase(&self, words: &[&str]) -> Option<(Meaning, usize)> {
        let longest = *self.openings.get(words.first()?)?;
        (2..=longest.min(LONGEST_PHRASE).min(words.len()))
            .rev()
            .find_map(|count| {
                let phrase = words.get(..count)?.join("_");
                let meaning = self.exact.get(phrase.as_str()).copied();
                // Only the last word of a phrase may have any ending, and only where that is said.
                let meaning = meaning.or_else(|| {
                    let ends = phrase.char_indices().map(|(index, _)| index);
                    ends.filter(|end| *end > phrase.rfind('_').unwrap_or(0) + 1)
                        .chain([phrase.len()])
                        .filter_map(|end| phrase.get(..end))
                        .find_map(|stem| self.stems.get(stem))
                        .copied()
                });
                meaning.map(|meaning| (meaning, count))
            })
    }
}

fn meaning_of_section(section: &str) -> Option<Meaning> {
    Some(match section {
        "up" => Meaning::Move(1.0),
        "down" => Meaning::Move(-1.0),
        "good" => Meaning::Thing(1.0),
        "bad" => Meaning::Thing(-1.0),
        "inert" => Meaning::Thing(0.0),
        "loss" => Meaning::Loss,
        "positive 1" => Meaning::Judgement(1.0),
        "positive 2" => Meaning::Judgement(2.0),
        "negative 1" => Meaning::Judgement(-1.0),
        "negative 2" => Meaning::Judgement(-2.0),
        "business" => Meaning::Business,
        "swing" => Meaning::Swing,
        "beside" => Meaning::Beside,
        "negation" => Meaning::Negation,
        "aside" => Meaning::Aside,
        "turn" => Meaning::Turn,
        "versus" => Meaning::Versus,
        "plan" => Meaning::Plan,
        "thousand" => Meaning::Factor(1e3),
        "million" => Meaning::Factor(1e6),
        "billion" => Meaning::Factor(1e9),
        "percent" => Meaning::Percent,
        "month" => Meaning::Month,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood_and_no_entry_stands_twice() {
        let text = include_str!("vocabulary.txt");
        assert_eq!(Vocabulary::parse(text).1, Vec::<&str>::new());
        let entries = text
            .lines()
            .filter(|line| !line.starts_with(['#', '[']))
            .flat_map(str::split_whitespace);
        let mut seen = std::collections::HashSet::new();
        let twice: Vec<&str> = entries.filter(|entry| !seen.insert(*entry)).collect();
        assert_eq!(twice, Vec::<&str>::new());
    }

    #[test]
    fn the_longest_entry_wins() {
        let vocabulary = Vocabulary::get();
        assert_eq!(vocabulary.word("increasingly"), Some(Meaning::Move(1.0)));
        assert_eq!(vocabulary.word("fell"), Some(Meaning::Move(-1.0)));
        assert_eq!(vocabulary.word("Fell"), None);
        assert_eq!(
            vocabulary.phrase(&["share", "capital", "rose"]),
            Some((Meaning::Thing(0.0), 2))
        );
        assert_eq!(vocabulary.phrase(&["share", "rose"]), None);
        assert_eq!(vocabulary.phrase(&[]), None);
    }
}

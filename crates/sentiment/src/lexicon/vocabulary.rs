//! What words mean to an investor.

use std::{collections::HashMap, sync::LazyLock};

static VOCABULARY: LazyLock<Vocabulary> =
    LazyLock::new(|| Vocabulary::parse(include_str!("vocabulary.txt")).0);

/// Longest phrase, in words.
pub(super) const LONGEST_PHRASE: usize = 4;
/// Length of the beginnings that stems are looked up by, in bytes: no stem is shorter.
const SHORTEST_STEM: usize = 3;

/// What a word or phrase means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    /// More (1) or less (-1) of something.
    Move(f32),
    /// Less of something, unless a move stands right before it, which it turns round: "the decline slows".
    Fades,
    /// Less of something good or more of something bad.
    Worsens,
    /// More of something, or the end of a trouble.
    Lift,
    /// Something of which more is good (1) or bad (-1); 0 where it is neither.
    Thing(f32),
    /// A loss: more is bad, and so is having one.
    Loss,
    /// Praise (positive) or blame.
    Judgement(f32),
    /// What is to come gets better (1) or worse (-1), which outweighs what came before a comma.
    Guides(f32),
    /// Praise of good things, blame of bad ones.
    Intense,
    /// Blame, unless a level follows: "hits a record high".
    Hits,
    /// Blame that turns into praise where it eases or ends: a lawsuit, fears.
    Trouble(f32),
    /// Those who gain where the stock falls.
    Shorts {
        /// Their judgement where they do not lose.
        alone: f32,
        /// Whether the word is no verb too: *bears* is one.
        noun: bool,
    },
    /// The same, said of the loss before it: "losses mount for short sellers".
    ForShorts,
    /// Puts an end to something.
    Ends {
        /// Its judgement where nothing is said to end.
        alone: f32,
        /// Whether the end of something good is meant too.
        also_good: bool,
    },
    /// An analyst's rating: sell (-1), hold (0) or buy (1).
    Rating(f32),
    /// Changes a rating for the better (1) or worse (-1), or gives or keeps one.
    Rates(f32),
    /// An event of business: a contract, a launch, an offer.
    Business,
    /// From loss to profit or back, with "to" after it.
    Swing,
    /// Introduces what is left out of account: "profit before taxes", "excluding costs".
    Beside,
    /// Turns what follows round.
    Negation,
    /// A negation of the thing right behind it as well: "no growth".
    No,
    /// The same, but not of what the verb before it acts on: "grows without debt".
    Averts,
    /// A negation, and what may come where it is negated itself: "nobody rules out a default".
    RulesOut,
    /// Introduces what may come: "cannot rule out a default".
    NotRuledOut,
    /// A negation that is bad news by itself: "fails to".
    Failure,
    /// More (1) or less (-1) than was held likely.
    Surprise(f32),
    /// Above (1) or below (-1) what was held likely.
    Level(f32),
    /// What follows is said in passing.
    Aside,
    /// What follows outweighs what came before.
    Turn,
    /// Stands between a figure and the one it is held against.
    Versus,
    /// A plan or a description.
    Plan,
    /// Joins words; what a move moves does not stand behind it.
    Link,
    /// Joins words, and may stand between a move and what it moves.
    Article,
    /// Joins words in another language.
    Foreign,
    /// A factor of the number before it.
    Factor(f64),
    /// Makes the number before it a percentage.
    Percent,
    /// The number beside it is a day.
    Month,
}

impl Meaning {
    /// More (1) or less (-1), where this is a move.
    pub(super) const fn direction(self) -> Option<f32> {
        match self {
            Self::Move(direction) => Some(direction),
            Self::Fades | Self::Worsens => Some(-1.0),
            _ => None,
        }
    }

    /// Whether what follows is turned round.
    pub(super) const fn negates(self) -> bool {
        matches!(
            self,
            Self::Negation | Self::No | Self::Averts | Self::RulesOut | Self::Failure
        )
    }
}

/// Words and phrases with their meanings.
pub(super) struct Vocabulary {
    /// Words and phrases as they are; the words of a phrase are joined by `_`.
    exact: HashMap<&'static str, Meaning>,
    /// Words and phrases with any ending, without it, by their first bytes.
    stems: HashMap<[u8; SHORTEST_STEM], Vec<(&'static str, Meaning)>>,
    /// The longest phrase that begins with a word, in words.
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
                if !vocabulary.add(entry, meaning) {
                    unknown.push(entry);
                }
            }
        }
        (vocabulary, unknown)
    }

    /// Whether the entry can be looked up: a stem or phrase may be too short or too long for that.
    fn add(&mut self, entry: &'static str, meaning: Meaning) -> bool {
        let words = 1 + entry.matches('_').count();
        if words > LONGEST_PHRASE {
            return false;
        }
        match entry.strip_suffix('*') {
            Some(stem) => {
                let Some(beginning) = stem.as_bytes().first_chunk() else {
                    return false;
                };
                self.stems
                    .entry(*beginning)
                    .or_default()
                    .push((stem, meaning));
            }
            None => {
                self.exact.insert(entry, meaning);
            }
        }
        if let Some((opening, _)) = entry.split_once('_') {
            let longest = self.openings.entry(opening).or_insert(0);
            *longest = words.max(*longest);
        }
        true
    }

    /// The meaning of a word, or of a phrase with its words joined by `_`, in lower case: as it stands, else by its
    /// longest stem.
    pub(super) fn meaning(&self, entry: &str) -> Option<Meaning> {
        if let Some(meaning) = self.exact.get(entry) {
            return Some(*meaning);
        }
        // Only the last word of a phrase may have any ending.
        let shortest = entry.rfind('_').map_or(0, |last| last + 2);
        self.stems
            .get(entry.as_bytes().first_chunk()?)?
            .iter()
            .filter(|(stem, _)| stem.len() >= shortest && entry.starts_with(stem))
            .max_by_key(|(stem, _)| stem.len())
            .map(|(_, meaning)| *meaning)
    }

    /// The longest phrase that begins with this word, in words; 1 where there is none.
    pub(super) fn longest_phrase(&self, opening: &str) -> usize {
        self.openings.get(opening).copied().unwrap_or(1)
    }
}

fn meaning_of_section(section: &str) -> Option<Meaning> {
    Some(match section {
        "up" => Meaning::Move(1.0),
        "down" => Meaning::Move(-1.0),
        "fades" => Meaning::Fades,
        "worsens" => Meaning::Worsens,
        "lift" => Meaning::Lift,
        "good" => Meaning::Thing(1.0),
        "bad" => Meaning::Thing(-1.0),
        "inert" | "publisher" => Meaning::Thing(0.0),
        "loss" => Meaning::Loss,
        "positive 1" => Meaning::Judgement(1.0),
        "positive 2" => Meaning::Judgement(2.0),
        "negative 1" => Meaning::Judgement(-1.0),
        "negative 2" => Meaning::Judgement(-2.0),
        "guides 1" => Meaning::Guides(1.0),
        "guides -1" => Meaning::Guides(-1.0),
        "intense" => Meaning::Intense,
        "hits" => Meaning::Hits,
        "trouble 1" => Meaning::Trouble(-1.0),
        "trouble 2" => Meaning::Trouble(-2.0),
        "ends -1" => ends(-1.0, true),
        "ends 0" => ends(0.0, false),
        "ends 1" => ends(1.0, false),
        "bars" => ends(0.0, true),
        "rating -1" => Meaning::Rating(-1.0),
        "rating 0" => Meaning::Rating(0.0),
        "rating 1" => Meaning::Rating(1.0),
        "rates 1" => Meaning::Rates(1.0),
        "rates -1" => Meaning::Rates(-1.0),
        "rates 0" => Meaning::Rates(0.0),
        "business" => Meaning::Business,
        "swing" => Meaning::Swing,
        "beside" => Meaning::Beside,
        "negation" => Meaning::Negation,
        "no" => Meaning::No,
        "averts" => Meaning::Averts,
        "rules out" => Meaning::RulesOut,
        "not ruled out" => Meaning::NotRuledOut,
        "shorts -1" => shorts(-1.0, true),
        "shorts 0" => shorts(0.0, true),
        "bears" => shorts(-1.0, false),
        "for shorts" => Meaning::ForShorts,
        "failure" => Meaning::Failure,
        "level 1" => Meaning::Level(1.0),
        "level -1" => Meaning::Level(-1.0),
        "aside" => Meaning::Aside,
        "turn" => Meaning::Turn,
        "versus" => Meaning::Versus,
        "plan" => Meaning::Plan,
        "link" => Meaning::Link,
        "article" => Meaning::Article,
        "foreign" => Meaning::Foreign,
        "thousand" => Meaning::Factor(1e3),
        "million" => Meaning::Factor(1e6),
        "billion" => Meaning::Factor(1e9),
        "percent" => Meaning::Percent,
        "month" => Meaning::Month,
        _ => return None,
    })
}

const fn ends(alone: f32, also_good: bool) -> Meaning {
    Meaning::Ends { alone, also_good }
}

const fn shorts(alone: f32, noun: bool) -> Meaning {
    Meaning::Shorts { alone, noun }
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
        assert_eq!(vocabulary.meaning("increasingly"), Some(Meaning::Move(1.0)));
        assert_eq!(vocabulary.meaning("fell"), Some(Meaning::Move(-1.0)));
        assert_eq!(vocabulary.meaning("Fell"), None);
        assert_eq!(vocabulary.meaning("by"), Some(Meaning::Link));
        assert_eq!(vocabulary.meaning("ü"), None);
        assert_eq!(
            vocabulary.meaning("share_capital"),
            Some(Meaning::Thing(0.0))
        );
        assert_eq!(
            vocabulary.meaning("material_weaknesses"),
            Some(Meaning::Trouble(-2.0))
        );
        // A stem of the first word alone says nothing of a phrase.
        assert_eq!(vocabulary.meaning("profits_rose"), None);
        assert_eq!(vocabulary.longest_phrase("share"), 2);
        assert_eq!(vocabulary.longest_phrase("profits"), 1);
    }
}

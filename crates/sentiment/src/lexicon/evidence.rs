//! What in a text speaks for good or bad news.

use super::{
    tokens::{Kind, Term},
    vocabulary::Meaning,
};

/// Kinds of evidence.
pub(super) const KINDS: usize = 17;

/// Their names, in the order of [`Evidence::values`].
pub(super) const NAMES: [&str; KINDS] = [
    "improved",
    "worsened",
    "rose",
    "fell",
    "better",
    "worse",
    "praise",
    "strong praise",
    "blame",
    "strong blame",
    "business",
    "loss",
    "kind words",
    "harsh words",
    "plans",
    "things",
    "figures",
];

/// How far a move looks back for what moves, in terms: "profit for the nine-month period ended 30 September rose".
const LOOK_BACK: usize = 14;
/// How far it looks ahead: "a rise of 5 % in comparable net sales".
const LOOK_AHEAD: usize = 6;
/// How far before a thing the word may stand that leaves it out of account.
const BESIDE_REACH: usize = 2;
/// How far a negation reaches.
const NEGATION_REACH: usize = 3;
/// How far after a figure the word that holds it against another may stand, and the other after that.
const VERSUS_REACH: usize = 10;

/// What was found, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    /// A good thing rose or a bad one fell.
    pub(super) improved: f32,
    /// The opposite.
    pub(super) worsened: f32,
    /// Something unnamed rose.
    pub(super) rose: f32,
    /// Something unnamed fell.
    pub(super) fell: f32,
    /// A figure is better than the one it is held against.
    pub(super) better: f32,
    /// A figure is worse.
    pub(super) worse: f32,
    /// Praise.
    pub(super) praise: f32,
    /// Strong praise.
    pub(super) strong_praise: f32,
    /// Blame.
    pub(super) blame: f32,
    /// Strong blame.
    pub(super) strong_blame: f32,
    /// Events of business.
    pub(super) business: f32,
    /// A loss is mentioned, and not as past or smaller.
    pub(super) loss: f32,
    /// VADER's compound score of the words that finance has no own use for, where positive.
    pub(super) kind_words: f32,
    /// The same where negative.
    pub(super) harsh_words: f32,
    /// Plans and descriptions.
    pub(super) plans: f32,
    /// A good or bad thing is spoken of.
    pub(super) things: f32,
    /// There are figures.
    pub(super) figures: f32,
}

impl Evidence {
    /// From a text's terms, without VADER's part.
    pub(super) fn of(terms: &[Term]) -> Self {
        let mut evidence = Self::default();
        let weights = weights(terms);
        let mut losses_explained = false;
        for (index, (term, weight)) in terms.iter().zip(weights).enumerate() {
            match term.kind {
                // "slipped to a loss", "swung to a profit": where it ends says all.
                Kind::Known(meaning @ (Meaning::Move(_) | Meaning::Swing))
                    if let Some(end) = end_of_move(terms, index, meaning) =>
                {
                    losses_explained |= end > 0.0;
                    evidence.moved(end * weight);
                }
                // "a loss, down from a profit": the comparison says it.
                Kind::Known(Meaning::Move(_)) if turns_round(terms, index + 1) => {}
                Kind::Known(Meaning::Move(direction)) => {
                    let direction = direction * polarity(terms, index);
                    match thing_of_move(terms, index) {
                        Some(Found::Loss) => {
                            losses_explained |= direction < 0.0;
                            evidence.moved(-direction * weight);
                        }
                        Some(Found::Thing(sign)) => evidence.moved(sign * direction * weight),
                        None if direction > 0.0 => evidence.rose += weight,
                        None => evidence.fell += weight,
                    }
                }
                Kind::Known(Meaning::Judgement(strength)) => {
                    let strength = strength * polarity(terms, index);
                    let kind = match strength {
                        1.5.. => &mut evidence.strong_praise,
                        0.0.. => &mut evidence.praise,
                        -1.5.. => &mut evidence.blame,
                        _ => &mut evidence.strong_blame,
                    };
                    *kind += weight;
                }
                Kind::Known(Meaning::Versus) => match comparison(terms, index) {
                    Some(Comparison::Better) => {
                        losses_explained = true;
                        evidence.better += weight;
                    }
                    Some(Comparison::Worse) => evidence.worse += weight,
                    None => {}
                },
                Kind::Known(Meaning::Loss) => evidence.loss += weight,
                Kind::Known(Meaning::Thing(sign)) if sign != 0.0 => evidence.things += 1.0,
                Kind::Known(Meaning::Business) => evidence.business += weight,
                Kind::Known(Meaning::Plan) => evidence.plans += 1.0,
                Kind::Number { .. } => evidence.figures += 1.0,
                _ => {}
            }
        }
        if losses_explained {
            evidence.loss = 0.0;
        }
        evidence
    }

    fn moved(&mut self, amount: f32) {
        if amount > 0.0 {
            self.improved += amount;
        } else {
            self.worsened -= amount;
        }
    }

    /// As the calibration reads it: each kind saturates, so that a long text is no stronger than a clear one.
    pub(super) fn values(&self) -> [f32; KINDS] {
        [
            self.improved,
            self.worsened,
            self.rose,
            self.fell,
            self.better,
            self.worse,
            self.praise,
            self.strong_praise,
            self.blame,
            self.strong_blame,
            self.business,
            self.loss,
            self.kind_words,
            self.harsh_words,
            self.plans,
            self.things,
            self.figures,
        ]
        .map(|value| value / (1.0 + value))
    }
}

/// How much each term counts: half after "despite" up to the clause's end, and half before "but".
fn weights(terms: &[Term]) -> Vec<f32> {
    let mut weights = vec![1.0; terms.len()];
    let mut aside = false;
    let mut sentence = 0;
    for (index, term) in terms.iter().enumerate() {
        match term.kind {
            Kind::Known(Meaning::Aside) => aside = true,
            Kind::Known(Meaning::Turn) => {
                if let Some(before) = weights.get_mut(sentence..index) {
                    before.iter_mut().for_each(|weight| *weight *= 0.5);
                }
            }
            Kind::Stop => {
                aside = false;
                sentence = index;
            }
            Kind::Comma => aside = false,
            _ => {}
        }
        if aside && let Some(weight) = weights.get_mut(index) {
            *weight *= 0.5;
        }
    }
    weights
}

/// -1 after a negation, else 1.
fn polarity(terms: &[Term], index: usize) -> f32 {
    let before = terms.get(index.saturating_sub(NEGATION_REACH)..index);
    let negated = before
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|term| !matches!(term.kind, Kind::Stop | Kind::Comma))
        .any(|term| term.kind == Kind::Known(Meaning::Negation));
    if negated { -1.0 } else { 1.0 }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Loss,
    Thing(f32),
}

fn thing(term: &Term) -> Option<Found> {
    match term.kind {
        Kind::Known(Meaning::Thing(sign)) => Some(Found::Thing(sign)),
        Kind::Known(Meaning::Loss) => Some(Found::Loss),
        _ => None,
    }
}

/// What the move at `index` moves: "sales rose", "a rise in sales", "higher sales".
fn thing_of_move(terms: &[Term], index: usize) -> Option<Found> {
    let within = |term: &&Term| term.kind != Kind::Stop;
    let ahead = || {
        terms
            .get(index + 1..)
            .unwrap_or_default()
            .iter()
            .take_while(within)
    };
    if ahead().next().is_some_and(|term| term.kind == Kind::In) {
        let found = ahead().take(LOOK_AHEAD).find_map(thing);
        if found.is_some() {
            return found;
        }
    }
    ahead()
        .take(1)
        .find_map(thing)
        .or_else(|| subject(terms.get(..index).unwrap_or_default()))
        .or_else(|| ahead().take(LOOK_AHEAD).find_map(thing))
}

/// The nearest thing before, within the clause; one that is only left out of account ("profit before charges rose") when
/// there is no other.
fn subject(before: &[Term]) -> Option<Found> {
    let mut beside = None;
    let clause = before.iter().enumerate().rev().take(LOOK_BACK);
    for (index, term) in clause.take_while(|(_, term)| term.kind != Kind::Stop) {
        let Some(found) = thing(term) else { continue };
        let aside = before
            .get(index.saturating_sub(BESIDE_REACH)..index)
            .unwrap_or_default()
            .iter()
            .any(|term| term.kind == Kind::Known(Meaning::Beside));
        if !aside {
            return Some(found);
        }
        beside = beside.or(Some(found));
    }
    beside
}

/// 1 or -1 where a move or swing is said to end in a profit or loss.
fn end_of_move(terms: &[Term], index: usize, meaning: Meaning) -> Option<f32> {
    let ahead = terms.get(index + 1..)?;
    if !matches!(ahead.first()?.kind, Kind::To) {
        return None;
    }
    let found = ahead
        .iter()
        .take(LOOK_AHEAD)
        .take_while(|term| term.kind != Kind::Stop)
        .find_map(thing)?;
    match (meaning, found) {
        (_, Found::Loss) => Some(-1.0),
        (Meaning::Swing, Found::Thing(sign)) if sign > 0.0 => Some(1.0),
        _ => None,
    }
}

/// Whether a loss is held against a profit at `index`, or the other way round.
fn turns_round(terms: &[Term], index: usize) -> bool {
    let versus = terms.get(index).map(|term| &term.kind) == Some(&Kind::Known(Meaning::Versus));
    versus && subjects(terms, index).is_some_and(|(now, then)| sides(now, then).is_some())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Better,
    Worse,
}

/// What the figures around a "compared to" say: "profit was 13.1 mn, compared to 8.7 mn", "a loss of 2 mn against a profit
/// of 1 mn". A move in between speaks for itself.
fn comparison(terms: &[Term], index: usize) -> Option<Comparison> {
    let (now, then) = subjects(terms, index)?;
    if let Some(comparison) = sides(now, then) {
        return Some(comparison);
    }
    let within = |term: &&Term| term.kind != Kind::Stop;
    let mut before = terms.get(..index)?.iter().rev().take_while(within);
    let (value, percent) = before.by_ref().take(VERSUS_REACH).find_map(figure)?;
    let moved = terms
        .get(index.saturating_sub(LOOK_BACK)..index)?
        .iter()
        .any(|term| matches!(term.kind, Kind::Known(Meaning::Move(_))));
    if moved {
        return None;
    }
    let mut after = terms.get(index + 1..)?.iter().take_while(within);
    let (other, other_percent) = after.by_ref().take(VERSUS_REACH).find_map(figure)?;
    if percent != other_percent {
        return None;
    }
    let sign = match now {
        Found::Loss => -1.0,
        Found::Thing(sign) => f64::from(sign),
    };
    let gain = sign * (value - other);
    if gain > 0.0 {
        Some(Comparison::Better)
    } else if gain < 0.0 {
        Some(Comparison::Worse)
    } else {
        None
    }
}

fn figure(term: &Term) -> Option<(f64, bool)> {
    match term.kind {
        Kind::Number { value, percent } => Some((value, percent)),
        _ => None,
    }
}

/// What the figures before and after a "compared to" at `index` are figures of; the latter where it is said anew.
fn subjects(terms: &[Term], index: usize) -> Option<(Found, Option<Found>)> {
    let now = subject(terms.get(..index)?)?;
    let then = terms
        .get(index + 1..)?
        .iter()
        .take(LOOK_AHEAD + 2)
        .take_while(|term| !matches!(term.kind, Kind::Stop | Kind::Comma))
        .find_map(thing);
    Some((now, then))
}

/// What a profit beside a loss says.
fn sides(now: Found, then: Option<Found>) -> Option<Comparison> {
    match (now, then?) {
        (Found::Loss, Found::Thing(sign)) if sign > 0.0 => Some(Comparison::Worse),
        (Found::Thing(sign), Found::Loss) if sign > 0.0 => Some(Comparison::Better),
        _ => None,
    }
}

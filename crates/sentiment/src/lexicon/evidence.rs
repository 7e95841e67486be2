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
/// How far a verb looks ahead for its object: "cuts its full-year profit outlook".
const OBJECT_REACH: usize = 4;
/// How far it looks back for a trouble or a deal: "tariffs on its goods fall".
const EVENT_REACH: usize = 4;
/// How far "record" looks ahead for what it is a record of.
const INTENSE_REACH: usize = 3;
/// How far a verb that puts an end to something looks back for it: "the order for 20 jets is cancelled".
const SUBJECT_REACH: usize = 6;
/// How far before a thing the word may stand that leaves it out of account.
const BESIDE_REACH: usize = 2;
/// How far a negation reaches.
const NEGATION_REACH: usize = 3;
/// How far a "no" reaches to a thing.
const NO_REACH: usize = 2;
/// How far after a figure the word that holds it against another may stand, and the other after that.
const VERSUS_REACH: usize = 10;
/// How far a move and a "less than feared", a verb and a rating may stand apart.
const PHRASE_REACH: usize = 5;

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
        let mut told = vec![false; terms.len()];
        let loss_is_past = evidence.add_verbs(terms, &weights, &mut told);
        evidence.add_words(terms, &weights, &told);
        if loss_is_past || evidence.better > 0.0 {
            evidence.loss = 0.0;
        }
        evidence
    }

    /// Adds what verbs say with what they act on, and marks in `told` what they have turned round, which says nothing by
    /// itself then: "the strike ends". Returns whether a loss is past or smaller.
    fn add_verbs(&mut self, terms: &[Term], weights: &[f32], told: &mut [bool]) -> bool {
        let mut losses_explained = false;
        for (index, (term, weight)) in terms.iter().zip(weights).enumerate() {
            let Kind::Known(meaning) = term.kind else {
                continue;
            };
            if told.get(index) == Some(&true) {
                continue;
            }
            // "Short sellers lose money".
            if meaning == Meaning::Worsens
                && let Some(shorts) = losing_shorts(terms, index)
            {
                mark(told, shorts);
                let denied = if is_denying(terms.get(index + 1)) {
                    -1.0
                } else {
                    1.0
                };
                self.moved(denied * polarity(terms, index) * weight);
                continue;
            }
            // "Loses no customers", "cut none of its jobs".
            if is_denying(terms.get(index + 1)) {
                match (meaning, object_of(terms, index + 1, object)) {
                    (verb, Some((found, place))) if let Some(said) = effect(verb, found) => {
                        mark(told, place);
                        self.moved(-said * polarity(terms, index) * weight);
                        continue;
                    }
                    // "Loses no sleep".
                    (Meaning::Worsens, None) => continue,
                    _ => {}
                }
            }
            let (direction, found) = match meaning {
                // "slipped to a loss", "swung to a profit": where it ends says all.
                Meaning::Move(_) | Meaning::Fades | Meaning::Worsens | Meaning::Swing
                    if let Some(end) = end_of_move(terms, index, meaning) =>
                {
                    losses_explained |= end > 0.0;
                    self.moved(end * weight);
                    continue;
                }
                // "a loss, down from a profit": the comparison says it.
                Meaning::Move(_) | Meaning::Fades | Meaning::Worsens
                    if turns_round(terms, index + 1) =>
                {
                    continue;
                }
                // "The sales decline slows".
                Meaning::Move(direction) if fades(terms, index + 1) => {
                    mark(told, index + 1);
                    (-direction, subject(terms.get(..index).unwrap_or_default()))
                }
                // "Pares gains", "loses approval".
                Meaning::Move(-1.0) | Meaning::Fades | Meaning::Worsens
                    if let Some(gains) = gains_of(terms, index, meaning) =>
                {
                    (-1.0, Some((Found::Good, gains)))
                }
                Meaning::Worsens => match thing_of_move(terms, index) {
                    Some((Found::Thing(0.0), place)) => (-1.0, Some((Found::Thing(0.0), place))),
                    found => (-1.0, found.map(|(_, place)| (Found::Good, place))),
                },
                Meaning::Move(direction) => (direction, thing_of_move(terms, index)),
                Meaning::Fades => (-1.0, thing_of_move(terms, index)),
                Meaning::Lift => match thing_of_move(terms, index) {
                    Some((Found::Trouble, place)) => (-1.0, Some((Found::Trouble, place))),
                    found => (1.0, found),
                },
                Meaning::Ends { alone, also_good } => match ended(terms, index, also_good) {
                    Some(found) => (-1.0, Some(found)),
                    None => {
                        self.judged(alone * polarity(terms, index), *weight);
                        continue;
                    }
                },
                // Whose loss it is, is no blame of their own.
                Meaning::Loss => {
                    if let Some(shorts) = shorts_of_loss(terms, index) {
                        mark(told, shorts);
                    }
                    continue;
                }
                _ => continue,
            };
            let direction = direction * polarity(terms, index) * surprise(terms, index);
            let ends = matches!(meaning, Meaning::Ends { .. });
            if !ends && moves_rating(terms, index) {
                self.judged(2.0 * direction, *weight);
                continue;
            }
            match found {
                Some((Found::Loss, place)) if shorts_of_loss(terms, place).is_some() => {
                    mark(told, place);
                    self.moved(direction * weight);
                }
                Some((Found::Loss, place)) => {
                    losses_explained |= direction < 0.0;
                    // "Can't stem losses" does not deny them.
                    if polarity(terms, index) < 0.0 {
                        mark(told, place);
                    }
                    self.moved(-direction * weight);
                }
                Some((Found::Trouble, place)) => {
                    tell(terms, told, place);
                    self.moved(-direction * weight);
                }
                Some((Found::Good, place)) => {
                    if direction < 0.0 {
                        mark(told, place);
                    }
                    self.moved(direction * weight);
                }
                Some((Found::Thing(sign), _)) => self.moved(sign * direction * weight),
                None if direction > 0.0 => self.rose += weight,
                None => self.fell += weight,
            }
        }
        losses_explained
    }

    /// Adds what words say by themselves or by their neighbours.
    fn add_words(&mut self, terms: &[Term], weights: &[f32], told: &[bool]) {
        let untold = terms.iter().zip(weights).zip(told).enumerate();
        for (index, ((term, &weight), _)) in untold.filter(|(_, (_, told))| !**told) {
            let polarity = || polarity(terms, index);
            match term.kind {
                Kind::Known(Meaning::Judgement(strength) | Meaning::Trouble(strength)) => {
                    self.judged(strength * polarity(), weight);
                }
                Kind::Known(Meaning::Shorts { alone, .. }) => {
                    self.judged(alone * polarity(), weight);
                }
                Kind::Known(Meaning::ForShorts) => self.judged(-polarity(), weight),
                Kind::Known(Meaning::Guides(sign)) => {
                    self.judged(2.0 * sign * polarity(), weight);
                }
                Kind::Known(Meaning::Intense) => {
                    self.judged(2.0 * polarity() * intensified(terms, index), weight);
                }
                Kind::Known(Meaning::Rating(rank)) => {
                    self.judged(rating(terms, index, rank) * polarity(), weight);
                }
                Kind::Known(Meaning::Rates(strength)) => self.judged(strength * polarity(), weight),
                Kind::Known(Meaning::Failure) => self.judged(-1.0, weight),
                Kind::Known(Meaning::Hits) if !level_follows(terms, index) => {
                    self.judged(-polarity(), weight);
                }
                Kind::Known(Meaning::Surprise(sign)) if !follows_move(terms, index) => {
                    self.judged(2.0 * sign * side(terms, index), weight);
                }
                Kind::Known(Meaning::Level(sign)) => {
                    self.judged(2.0 * sign * side(terms, index), weight);
                }
                Kind::Known(Meaning::Versus) => match comparison(terms, index) {
                    Some(Comparison::Better) => self.better += weight,
                    Some(Comparison::Worse) => self.worse += weight,
                    None => {}
                },
                Kind::Known(Meaning::Loss) if shorts_of_loss(terms, index).is_some() => {
                    self.moved(polarity() * weight);
                }
                Kind::Known(Meaning::Loss) if polarity() < 0.0 => self.moved(weight),
                Kind::Known(Meaning::Loss) => self.loss += weight,
                Kind::Known(Meaning::Thing(sign)) if sign != 0.0 => {
                    self.things += 1.0;
                    if is_denied(terms, index) {
                        self.moved(-sign * weight);
                    } else if sign < 0.0 && is_not_ruled_out(terms, index) {
                        self.judged(-1.0, weight);
                    }
                }
                Kind::Known(Meaning::Business) if polarity() < 0.0 => self.judged(-1.0, weight),
                // "Opens a probe", "launches a recall".
                Kind::Known(Meaning::Business)
                    if matches!(object_of(terms, index, object), Some((Found::Trouble, _))) => {}
                Kind::Known(Meaning::Business) => self.business += weight,
                Kind::Known(Meaning::Plan | Meaning::NotRuledOut) => self.plans += 1.0,
                Kind::Number { .. } => self.figures += 1.0,
                _ => {}
            }
        }
    }

    /// Praise (positive), blame, or nothing.
    fn judged(&mut self, strength: f32, weight: f32) {
        let kind = match strength {
            1.5.. => &mut self.strong_praise,
            0.5.. => &mut self.praise,
            ..=-1.5 => &mut self.strong_blame,
            ..=-0.5 => &mut self.blame,
            _ => return,
        };
        *kind += weight;
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

/// How much each term counts: half after "despite" up to the clause's end, and before "but"; a quarter before a "but"
/// that says something, and where what is to come is said behind a comma: "beats estimates, cuts outlook".
fn weights(terms: &[Term]) -> Vec<f32> {
    let mut weights = vec![1.0; terms.len()];
    let mut aside = false;
    let mut sentence = 0;
    let mut comma = None;
    for (index, term) in terms.iter().enumerate() {
        let (outweighed, factor) = match term.kind {
            Kind::Known(Meaning::Turn) if says_something(terms, index) => (Some(index), 0.25),
            Kind::Known(Meaning::Turn) => (Some(index), 0.5),
            Kind::Known(Meaning::Guides(_) | Meaning::Level(_)) => (comma, 0.25),
            _ => (None, 1.0),
        };
        if let Some(end) = outweighed {
            if let Some(before) = weights.get_mut(sentence..end) {
                before.iter_mut().for_each(|weight| *weight *= factor);
            }
            comma = None;
        }
        match term.kind {
            Kind::Known(Meaning::Aside) => aside = true,
            Kind::Stop => {
                aside = false;
                sentence = index;
                comma = None;
            }
            Kind::Comma => {
                aside = false;
                comma = Some(index);
            }
            _ => {}
        }
        if aside && let Some(weight) = weights.get_mut(index) {
            *weight *= 0.5;
        }
    }
    weights
}

/// Whether good or bad news stands behind `index` in its sentence.
fn says_something(terms: &[Term], index: usize) -> bool {
    let behind = terms.get(index + 1..).unwrap_or_default().iter();
    behind
        .take_while(|term| term.kind != Kind::Stop)
        .any(|term| {
            matches!(
                term.kind,
                Kind::Known(
                    Meaning::Move(_)
                        | Meaning::Fades
                        | Meaning::Worsens
                        | Meaning::Judgement(_)
                        | Meaning::Shorts { .. }
                        | Meaning::ForShorts
                        | Meaning::Guides(_)
                        | Meaning::Intense
                        | Meaning::Trouble(_)
                        | Meaning::Level(_)
                        | Meaning::Surprise(_)
                        | Meaning::Rates(_)
                        | Meaning::Rating(_)
                        | Meaning::Ends { .. }
                )
            )
        })
}

/// -1 after a negation, else 1; after two of them it is 1 again.
fn polarity(terms: &[Term], index: usize) -> f32 {
    let mut polarity = 1.0;
    for (offset, term) in terms_before(terms, index, NEGATION_REACH).enumerate() {
        match term.kind {
            // The negations before it are its own: "nobody can rule out a recession".
            Kind::Known(Meaning::RulesOut) => {
                return -polarity * self::polarity(terms, index - 1 - offset);
            }
            Kind::Known(meaning) if meaning.negates() => polarity = -polarity,
            _ => {}
        }
    }
    polarity
}

/// Whether it is said that the bad thing at `index` may come: "cannot rule out default", "a default is not ruled out".
fn is_not_ruled_out(terms: &[Term], index: usize) -> bool {
    let is_said = |place: usize| match terms.get(place).map(|term| term.kind) {
        Some(Kind::Known(Meaning::NotRuledOut)) => true,
        Some(Kind::Known(Meaning::RulesOut)) => polarity(terms, place) < 0.0,
        _ => false,
    };
    let before = terms_before(terms, index, NEGATION_REACH).count();
    let after = terms_after(terms, index, PHRASE_REACH).count();
    (index - before..index + 1 + after).any(is_said)
}

/// Those of the same clause, the nearest first.
fn terms_before(terms: &[Term], index: usize, reach: usize) -> impl Iterator<Item = &Term> {
    let before = terms.get(index.saturating_sub(reach)..index);
    let same_clause = |term: &&Term| !matches!(term.kind, Kind::Stop | Kind::Comma);
    before
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(same_clause)
}

/// Those of the same clause, the nearest first.
fn terms_after(terms: &[Term], index: usize, reach: usize) -> impl Iterator<Item = &Term> {
    let after = terms.get(index + 1..).unwrap_or_default();
    let same_clause = |term: &&Term| !matches!(term.kind, Kind::Stop | Kind::Comma);
    after.iter().take(reach).take_while(same_clause)
}

/// What a verb acts on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Loss,
    /// Something of which more is good (1) or bad (-1), or neither.
    Thing(f32),
    Trouble,
    /// Something that is good news by itself: a contract, an approval.
    Good,
}

fn thing(term: &Term) -> Option<Found> {
    match term.kind {
        Kind::Known(Meaning::Thing(sign)) => Some(Found::Thing(sign)),
        Kind::Known(Meaning::Loss) => Some(Found::Loss),
        _ => None,
    }
}

fn object(term: &Term) -> Option<Found> {
    match term.kind {
        Kind::Known(Meaning::Trouble(_)) => Some(Found::Trouble),
        Kind::Known(Meaning::Business) => Some(Found::Good),
        _ => thing(term),
    }
}

/// What the move at `index` moves, and where it stands: "sales rose", "a rise in sales", "higher sales", "eases fears".
fn thing_of_move(terms: &[Term], index: usize) -> Option<(Found, usize)> {
    let ahead = |reach: usize| {
        let ahead = terms.get(index + 1..).unwrap_or_default().iter();
        let within = ahead.take(reach).take_while(|term| term.kind != Kind::Stop);
        within
            .enumerate()
            .find_map(|(offset, term)| Some((thing(term)?, index + 1 + offset)))
    };
    let of = terms
        .get(index + 1)
        .is_some_and(|term| term.kind == Kind::In);
    of.then(|| ahead(LOOK_AHEAD))
        .flatten()
        .or_else(|| object_of(terms, index, object))
        .or_else(|| event_before(terms, index))
        .or_else(|| subject(terms.get(..index).unwrap_or_default()))
        .or_else(|| ahead(LOOK_AHEAD))
}

/// The object of the verb at `index`: the last of the nouns behind it ("its debt worries"), before anything that begins
/// a phrase of its own.
fn object_of(
    terms: &[Term],
    index: usize,
    class: impl Fn(&Term) -> Option<Found>,
) -> Option<(Found, usize)> {
    let mut inert = None;
    let mut places = index + 1..(index + 1 + OBJECT_REACH).min(terms.len());
    let first = places.find_map(|place| {
        let term = terms.get(place)?;
        match (class(term), term.kind) {
            (Some(Found::Thing(0.0)), _) => {
                inert = inert.or(Some((Found::Thing(0.0), place)));
                None
            }
            (Some(found), _) => Some(Some((found, place))),
            (
                None,
                Kind::Other
                | Kind::In
                | Kind::Number { .. }
                | Kind::Known(
                    Meaning::Article | Meaning::Intense | Meaning::Thing(_) | Meaning::Business,
                ),
            ) => None,
            (None, _) => Some(None),
        }
    });
    let Some(Some((mut found, mut place))) = first else {
        return inert;
    };
    while let Some(next) = terms.get(place + 1).and_then(&class)
        && next != Found::Thing(0.0)
    {
        (found, place) = (next, place + 1);
    }
    Some((found, place))
}

/// Whether a verb at `index` turns the move right before it round: it has no object of its own.
fn fades(terms: &[Term], index: usize) -> bool {
    matches!(terms.get(index), Some(term) if term.kind == Kind::Known(Meaning::Fades))
        && object_of(terms, index, object).is_none()
}

/// Praise, and what is good news by itself: "an approval", "an exemption".
fn is_praise(term: &Term) -> bool {
    matches!(
        term.kind,
        Kind::Known(Meaning::Judgement(0.5..) | Meaning::Ends { alone: 0.5.., .. })
    )
}

/// Where the gains stand that a verb of less right before them reduces.
fn gains_of(terms: &[Term], index: usize, verb: Meaning) -> Option<usize> {
    let gains = object_of(terms, index, |term| match term.kind {
        Kind::Known(Meaning::Move(1.0)) => Some(Found::Good),
        _ if verb == Meaning::Worsens && is_praise(term) => Some(Found::Good),
        Kind::Known(Meaning::Thing(_) | Meaning::Business) => Some(Found::Thing(1.0)),
        _ => None,
    });
    gains
        .filter(|(found, _)| *found == Found::Good)
        .map(|(_, place)| place)
}

/// The trouble or deal that an intransitive verb at `index` is about: "fears ease", not "a probe sinks Acme".
fn event_before(terms: &[Term], index: usize) -> Option<(Found, usize)> {
    if terms
        .get(index + 1)
        .is_some_and(|term| term.kind == Kind::Other)
    {
        return None;
    }
    terms_before(terms, index, EVENT_REACH)
        .enumerate()
        .filter_map(|(offset, term)| Some((object(term)?, index - 1 - offset)))
        .find(|(found, _)| *found != Found::Thing(0.0))
        .filter(|(found, _)| matches!(found, Found::Trouble | Found::Good))
}

/// What the verb at `index` puts an end to: its object, else what stands before it. Something good only where that is
/// meant too.
fn ended(terms: &[Term], index: usize, also_good: bool) -> Option<(Found, usize)> {
    let class = |term: &Term| match (object(term), direction(term)) {
        (Some(Found::Trouble), _) => Some(Found::Trouble),
        // "Halts the decline", "erases gains".
        (None, Some(..0.0)) => Some(Found::Trouble),
        _ if !also_good => None,
        (None, Some(_)) => Some(Found::Good),
        (Some(Found::Thing(0.0)), _) => None,
        (None, None) if is_praise(term) => Some(Found::Good),
        (found, _) => found,
    };
    // "Stems losses", but not "the loss for the year that ended".
    let behind = |term: &Term| {
        thing(term)
            .filter(|found| *found == Found::Loss)
            .or_else(|| class(term))
    };
    object_of(terms, index, behind).or_else(|| {
        terms_before(terms, index, SUBJECT_REACH)
            .enumerate()
            .find_map(|(offset, term)| Some((class(term)?, index - 1 - offset)))
    })
}

/// Marks the troubles that stand together around a place: "recession fears".
fn tell(terms: &[Term], told: &mut [bool], place: usize) {
    let is_trouble = |place: usize| matches!(terms.get(place), Some(term) if object(term) == Some(Found::Trouble));
    let first = (0..place)
        .rev()
        .take_while(|place| is_trouble(*place))
        .last();
    let last = (place + 1..).take_while(|place| is_trouble(*place)).last();
    let places = first.unwrap_or(place)..=last.unwrap_or(place);
    if let Some(told) = told.get_mut(places) {
        told.fill(true);
    }
}

fn mark(told: &mut [bool], place: usize) {
    if let Some(told) = told.get_mut(place) {
        *told = true;
    }
}

fn direction(term: &Term) -> Option<f32> {
    match term.kind {
        Kind::Known(meaning) => meaning.direction(),
        _ => None,
    }
}

fn is_move(term: &Term) -> bool {
    direction(term).is_some() || term.kind == Kind::Known(Meaning::Lift)
}

/// -1 where the move at `index` was less than feared or hoped: then it is good or bad news the other way round.
fn surprise(terms: &[Term], index: usize) -> f32 {
    let behind = terms.get(index + 1..).unwrap_or_default();
    let behind = behind.iter().take(PHRASE_REACH);
    let less = Kind::Known(Meaning::Surprise(-1.0));
    let end = behind.clone().position(|term| term.kind == less);
    // "Sales fall, but less than feared"; behind a comma another thing may be less.
    let mut comma = false;
    let is_of_it = |term: &Term| {
        comma |= term.kind == Kind::Comma;
        let another = comma && thing(term).is_some();
        term.kind != Kind::Stop && !is_move(term) && !another
    };
    if end.is_some_and(|end| behind.take(end).all(is_of_it)) {
        -1.0
    } else {
        1.0
    }
}

/// Whether the surprise at `index` is one of a move, as [`surprise`] reads it.
fn follows_move(terms: &[Term], index: usize) -> bool {
    let before = terms.get(index.saturating_sub(PHRASE_REACH)..index);
    let mut named = false;
    before
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|term| {
            let ends = term.kind == Kind::Stop || named && term.kind == Kind::Comma;
            named |= thing(term).is_some();
            !ends
        })
        .any(is_move)
}

/// -1 where what is spoken of before `index` is a loss or cost, else 1.
fn side(terms: &[Term], index: usize) -> f32 {
    match subject(terms.get(..index).unwrap_or_default()) {
        Some((Found::Loss, _)) => -1.0,
        Some((Found::Thing(sign), _)) if sign < 0.0 => -1.0,
        _ => 1.0,
    }
}

/// Whether a level stands behind a "hits": "a 52-week low", "a record".
fn level_follows(terms: &[Term], index: usize) -> bool {
    terms_after(terms, index, OBJECT_REACH)
        .any(|term| direction(term).is_some() || term.kind == Kind::Known(Meaning::Intense))
}

/// -1 where "record" or "strong" goes with something bad: "a record $3 bn loss".
fn intensified(terms: &[Term], index: usize) -> f32 {
    let with = terms_after(terms, index, INTENSE_REACH)
        .take_while(|term| !matches!(term.kind, Kind::Known(Meaning::Link | Meaning::Article)))
        .find_map(object);
    match with {
        Some(Found::Loss | Found::Trouble) => -1.0,
        Some(Found::Thing(sign)) if sign < 0.0 => -1.0,
        Some(_) => 1.0,
        None => side(terms, index),
    }
}

/// "No growth", "without a loss".
fn is_denied(terms: &[Term], index: usize) -> bool {
    terms_before(terms, index, NO_REACH)
        .any(|term| matches!(term.kind, Kind::Known(Meaning::No | Meaning::Averts)))
}

/// Whether a term right behind a verb denies what the verb acts on.
fn is_denying(term: Option<&Term>) -> bool {
    term.is_some_and(|term| matches!(term.kind, Kind::Known(Meaning::Negation | Meaning::No)))
}

/// What a verb says that acts on something: good (positive) or bad news, or nothing where it is no such verb.
fn effect(verb: Meaning, on: Found) -> Option<f32> {
    let direction = match verb {
        Meaning::Worsens => return Some(-1.0),
        Meaning::Lift if on == Found::Trouble => -1.0,
        Meaning::Lift => 1.0,
        Meaning::Ends { .. } => -1.0,
        _ => verb.direction()?,
    };
    Some(match on {
        Found::Loss | Found::Trouble => -direction,
        Found::Thing(sign) => sign * direction,
        Found::Good => direction,
    })
}

/// Those who lose at `index`, where they gain by the fall of the stock: "short sellers of Acme lose".
fn losing_shorts(terms: &[Term], index: usize) -> Option<usize> {
    let before = terms.get(..index)?;
    let shorts = before
        .iter()
        .rposition(|term| matches!(term.kind, Kind::Known(Meaning::Shorts { .. })))?;
    let between = before.get(shorts + 1..)?;
    let is_auxiliary =
        |term: &Term| matches!(term.kind, Kind::Known(Meaning::Article | Meaning::Negation));
    let of_somebody = between.split_first().is_some_and(|(first, rest)| {
        matches!(
            first.kind,
            Kind::In | Kind::Known(Meaning::Link | Meaning::Versus)
        ) && rest.iter().all(|term| {
            is_auxiliary(term) || matches!(term.kind, Kind::Other | Kind::Number { .. })
        })
    });
    (of_somebody || between.iter().all(is_auxiliary)).then_some(shorts)
}

/// Those whose loss stands at `index`, where they gain by the fall of the stock: "short sellers face a loss", "losses mount
/// for short sellers".
fn shorts_of_loss(terms: &[Term], index: usize) -> Option<usize> {
    let given = terms_after(terms, index, OBJECT_REACH)
        .position(|term| term.kind == Kind::Known(Meaning::ForShorts));
    if let Some(offset) = given {
        return Some(index + 1 + offset);
    }
    let kind = |place: usize| terms.get(place).map(|term| term.kind);
    let is_amount = |place: &usize| {
        matches!(
            kind(*place),
            Some(Kind::Number { .. } | Kind::Known(Meaning::Article | Meaning::Intense))
        )
    };
    let verb = (0..index).rev().find(|place| !is_amount(place))?;
    let shorts = verb.checked_sub(1)?;
    let are_shorts = matches!(
        kind(shorts),
        Some(Kind::Known(Meaning::Shorts { noun: true, .. }))
    );
    (are_shorts && kind(verb) == Some(Kind::Other)).then_some(shorts)
}

/// Whether a move at `index` is one of a rating: "cut Acme to hold".
fn moves_rating(terms: &[Term], index: usize) -> bool {
    let to = terms_after(terms, index, PHRASE_REACH).position(|term| term.kind == Kind::To);
    to.is_some_and(|to| {
        terms_after(terms, index + 1 + to, BESIDE_REACH)
            .any(|term| matches!(term.kind, Kind::Known(Meaning::Rating(_))))
    })
}

/// What the rating at `index` says: -1 to 1, or 2 where it is held against an older one.
fn rating(terms: &[Term], index: usize, rank: f32) -> f32 {
    let joint = |index: usize| {
        terms_before(terms, index, BESIDE_REACH)
            .find(|term| term.kind != Kind::Known(Meaning::Article))
            .map(|term| term.kind)
    };
    match joint(index) {
        // The older one.
        Some(Kind::Known(Meaning::Versus)) => 0.0,
        Some(Kind::To) => {
            let older = terms.iter().enumerate().find_map(|(place, term)| {
                let Kind::Known(Meaning::Rating(older)) = term.kind else {
                    return None;
                };
                (joint(place) == Some(Kind::Known(Meaning::Versus))).then_some(older)
            });
            if let Some(older) = older {
                let change = rank - older;
                return if change == 0.0 {
                    0.0
                } else {
                    2.0_f32.copysign(change)
                };
            }
            // Without a verb of ratings "to buy" and "to sell" are what somebody does.
            let verb = terms_before(terms, index, LOOK_AHEAD).find_map(|term| match term.kind {
                Kind::Known(Meaning::Rates(sign)) => Some(sign),
                _ => None,
            });
            match verb {
                Some(sign) if sign * rank >= 0.0 => rank,
                _ => 0.0,
            }
        }
        _ => rank,
    }
}

/// The nearest thing before, within the clause; one that is only left out of account ("profit before charges rose") when
/// there is no other. Of "sales of security systems" the sales count.
fn subject(before: &[Term]) -> Option<(Found, usize)> {
    let mut other = None;
    let mut part = false;
    let clause = before.iter().enumerate().rev().take(LOOK_BACK);
    for (index, term) in clause.take_while(|(_, term)| term.kind != Kind::Stop) {
        part |= term.kind == Kind::In;
        let Some(found) = thing(term) else { continue };
        let aside = before
            .get(index.saturating_sub(BESIDE_REACH)..index)
            .unwrap_or_default()
            .iter()
            .any(|term| term.kind == Kind::Known(Meaning::Beside));
        match other {
            // What is not of it is another subject.
            Some((Found::Thing(0.0), _)) if !part => return other,
            _ if !aside && found != Found::Thing(0.0) => return Some((found, index)),
            _ => {}
        }
        if other.is_none() {
            part = false;
            other = Some((found, index));
        }
    }
    other
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
        .any(|term| direction(term).is_some());
    if moved {
        return None;
    }
    let mut after = terms.get(index + 1..)?.iter().take_while(within);
    let (other, other_percent) = after.by_ref().take(VERSUS_REACH).find_map(figure)?;
    if percent != other_percent {
        return None;
    }
    let sign = match now {
        Found::Thing(sign) => f64::from(sign),
        _ => -1.0,
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
    let (now, _) = subject(terms.get(..index)?)?;
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

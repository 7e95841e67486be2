//! How a headline sounds, for the vendor that says so itself. Counting a few words is enough to stand in for it.

const GOOD: [&str; 20] = [
    "beat",
    "beats",
    "gain",
    "gains",
    "growth",
    "higher",
    "jump",
    "jumps",
    "outperform",
    "profit",
    "raise",
    "raises",
    "rally",
    "record",
    "rise",
    "rises",
    "soar",
    "strong",
    "surge",
    "upgrade",
];
const BAD: [&str; 20] = [
    "cut",
    "cuts",
    "decline",
    "declines",
    "downgrade",
    "drop",
    "drops",
    "fall",
    "falls",
    "lawsuit",
    "loss",
    "lower",
    "miss",
    "misses",
    "plunge",
    "probe",
    "slump",
    "sue",
    "warns",
    "weak",
];

/// From -1, bad, to 1, good.
pub(crate) fn score(text: &str) -> f64 {
    let words = text
        .split(|letter: char| !letter.is_alphanumeric())
        .map(str::to_lowercase);
    let (mut good, mut bad) = (0.0, 0.0);
    for word in words {
        good += f64::from(u8::from(GOOD.contains(&&*word)));
        bad += f64::from(u8::from(BAD.contains(&&*word)));
    }
    (good - bad) / (good + bad + 1.0)
}

/// Alpha Vantage's word for a score.
pub(crate) fn label(score: f64) -> &'static str {
    match score {
        score if score <= -0.35 => "Bearish",
        score if score <= -0.15 => "Somewhat-Bearish",
        score if score < 0.15 => "Neutral",
        score if score < 0.35 => "Somewhat-Bullish",
        _ => "Bullish",
    }
}

//! Numbers as programs and people write them.

/// How a file writes its fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NumberStyle {
    /// 1,300.06
    #[default]
    Point,
    /// 1.300,06
    Comma,
}

/// What the numbers of a table say of its style: `100,06` can only be a fraction, `35,439` may be thousands. Prices
/// decide before volumes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StyleVotes {
    prices: Marks,
    volumes: Marks,
}

/// How many cells have which mark before their fraction, and how many a comma that may stand between thousands.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    points: usize,
    commas: usize,
    undecided_commas: usize,
}

impl StyleVotes {
    /// Takes a row's cells of open, high, low, close and volume.
    pub fn add(&mut self, cells: [&str; 5]) {
        let [prices @ .., volume] = cells;
        for price in prices {
            self.prices.add(price);
        }
        self.volumes.add(volume);
    }

    /// Tells the style. Where nothing tells, a comma that only prices have is a fraction's between semicolons or tabs;
    /// else it stands between thousands.
    pub const fn style(self, separator: u8) -> NumberStyle {
        let (prices, volumes) = (self.prices, self.volumes);
        let telling = if prices.points == prices.commas {
            volumes
        } else {
            prices
        };
        let is_comma = if telling.points == telling.commas {
            matches!(separator, b';' | b'\t')
                && prices.undecided_commas > 0
                && volumes.undecided_commas == 0
        } else {
            telling.commas > telling.points
        };
        if is_comma {
            NumberStyle::Comma
        } else {
            NumberStyle::Point
        }
    }
}

impl Marks {
    fn add(&mut self, cell: &str) {
        match (cell.rfind('.'), cell.rfind(',')) {
            (Some(point), Some(comma)) if point > comma => self.points += 1,
            (Some(_), Some(_)) => self.commas += 1,
            (Some(_), None) => self.points += usize::from(!is_thousands(cell, '.')),
            (None, Some(_)) if is_thousands(cell, ',') => self.undecided_commas += 1,
            (None, Some(_)) => self.commas += 1,
            (None, None) => (),
        }
    }
}

/// Reads a number: plain, with an exponent, with thousands in groups, a currency's sign, or K, M and B for powers of a
/// thousand. Empty for what is none.
pub fn parse_number(text: &str, style: NumberStyle) -> Option<f64> {
    if style == NumberStyle::Point
        && let Ok(number) = text.parse()
    {
        return Some(number);
    }
    let (thousands, fraction) = match style {
        NumberStyle::Point => (',', '.'),
        NumberStyle::Comma => ('.', ','),
    };
    let mut plain: String = text
        .chars()
        .filter(|character| {
            !character.is_whitespace() && !matches!(character, '\'' | '’' | '_' | '$' | '€' | '£')
        })
        .collect();
    let scale = match plain.chars().last()? {
        'K' | 'k' => 1e3,
        'M' | 'm' => 1e6,
        'B' | 'b' => 1e9,
        _ => 1.0,
    };
    if scale != 1.0 {
        plain.pop();
    }
    let (whole, behind) = plain.split_once(fraction).unwrap_or((&plain, ""));
    if behind.contains(thousands) || (whole.contains(thousands) && !is_thousands(whole, thousands))
    {
        return None;
    }
    let plain: String = plain
        .chars()
        .filter(|character| *character != thousands)
        .map(|character| {
            if character == fraction {
                '.'
            } else {
                character
            }
        })
        .collect();
    plain.parse::<f64>().ok().map(|number| number * scale)
}

/// Whether a separator stands between groups of digits, the last of three: `35,439` and `1,00,000`.
fn is_thousands(text: &str, separator: char) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let mut groups = digits.split(separator).rev();
    let is_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    groups
        .next()
        .is_some_and(|group| group.len() == 3 && is_digits(group))
        && groups.all(|group| (1..=3).contains(&group.len()) && is_digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, style, expected) in [
            ("100.06", NumberStyle::Point, Some(100.06)),
            ("1.2e-05", NumberStyle::Point, Some(1.2e-5)),
            ("1,300.06", NumberStyle::Point, Some(1_300.06)),
            ("35,439", NumberStyle::Point, Some(35_439.0)),
            ("1,00,000", NumberStyle::Point, Some(100_000.0)),
            ("$1 300.5", NumberStyle::Point, Some(1_300.5)),
            ("35\u{a0}439", NumberStyle::Point, Some(35_439.0)),
            ("35'439", NumberStyle::Point, Some(35_439.0)),
            ("1.5M", NumberStyle::Point, Some(1_500_000.0)),
            ("100,06", NumberStyle::Comma, Some(100.06)),
            ("1.300,06", NumberStyle::Comma, Some(1_300.06)),
            ("35.439", NumberStyle::Comma, Some(35_439.0)),
            ("35439", NumberStyle::Comma, Some(35_439.0)),
            ("100,06", NumberStyle::Point, None),
            ("1.300,06", NumberStyle::Point, None),
            ("1,300.06", NumberStyle::Comma, None),
            ("1O.5", NumberStyle::Point, None),
            ("many", NumberStyle::Point, None),
            ("#N/A", NumberStyle::Comma, None),
        ] {
            assert_eq!(parse_number(text, style), expected, "{text}");
        }
    }

    #[test]
    fn a_table_tells_its_style() {
        for (price, volume, separator, expected) in [
            ("100,06", "35439", b';', NumberStyle::Comma),
            ("100,060", "35.439", b';', NumberStyle::Comma),
            ("100,125", "35439", b'\t', NumberStyle::Comma),
            ("100.06", "35,439", b';', NumberStyle::Point),
            ("100.125", "35439", b';', NumberStyle::Point),
            ("100.125", "35,439", b';', NumberStyle::Point),
            ("100.125", "35,439", b'\t', NumberStyle::Point),
            ("100.06", "35,5", b';', NumberStyle::Point),
            ("100", "35,439", b';', NumberStyle::Point),
            ("312,500", "1,439", b'\t', NumberStyle::Point),
            ("1,300.06", "35,439", b',', NumberStyle::Point),
            ("1.300,06", "35.439", b',', NumberStyle::Comma),
            ("100,06", "35.439", b',', NumberStyle::Comma),
            ("100", "35,439", b',', NumberStyle::Point),
        ] {
            let mut votes = StyleVotes::default();
            votes.add([price, price, price, price, volume]);
            assert_eq!(votes.style(separator), expected, "{price} {volume}");
        }
    }
}

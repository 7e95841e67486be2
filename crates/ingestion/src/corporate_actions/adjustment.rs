//! What corporate actions do to prices. The database's views compute the same from its own rows; here it is for bars
//! that are in no database, and as a second opinion in tests.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{CorporateAction, ShareChange};

use crate::basis::{changes_of, factors_between};

/// How a bar is brought to a later share basis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitFactor {
    /// What prices are divided by.
    pub price: f64,
    /// What share counts are multiplied by.
    pub shares: f64,
}

/// The factor of what carries all splits up to `carried` (UTC), as seen at `as_of` (UTC): the product of those in
/// between. Of a bar, `carried` is the later of its start and its fetch. An action counts from its effective time on,
/// not from its announcement. `actions` are one ticker's, in any order.
pub fn split_factor(
    actions: &[CorporateAction],
    carried: DateTime<Utc>,
    as_of: DateTime<Utc>,
) -> SplitFactor {
    let (price, shares) = factors_between(&changes_of(actions), carried, as_of);
    SplitFactor { price, shares }
}

/// Closes without the dividends, as Yahoo's `adj_close`: for each dividend that was effective at `as_of` (UTC), every
/// close before its ex-date is multiplied by `1 - D / C`, `D` the amount and `C` the last close before the ex-date (the
/// rule and its check are described with the recorded daily prices). An amount of `C` or more is an error and left out.
///
/// `closes` are one ticker's, split-adjusted, ascending by session (New York date); `actions` are the same ticker's in
/// any order, amounts on the same share basis as the closes.
pub fn without_dividends(
    closes: &[(NaiveDate, f64)],
    actions: &[CorporateAction],
    as_of: DateTime<Utc>,
) -> Vec<f64> {
    let mut dividends: Vec<(NaiveDate, f64)> = actions
        .iter()
        .filter(|action| action.effective_at <= as_of)
        .filter_map(|action| match action.change {
            ShareChange::Dividend { amount } => Some((action.ex_date, amount)),
            ShareChange::Split { .. } | ShareChange::SpinOff { .. } => None,
        })
        .collect();
    dividends.sort_by_key(|(ex_date, _)| *ex_date);
    let mut factor = 1.0;
    let mut adjusted: Vec<f64> = closes
        .iter()
        .rev()
        .map(|(session, close)| {
            while let Some((_, amount)) = dividends.pop_if(|(ex_date, _)| *ex_date > *session) {
                if amount < *close {
                    factor *= 1.0 - amount / close;
                }
            }
            close * factor
        })
        .collect();
    adjusted.reverse();
    adjusted
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::Ticker;

    use super::*;

    fn action(day: &str, change: ShareChange) -> CorporateAction {
        let ex_date: NaiveDate = day.parse().unwrap();
        CorporateAction {
            ticker: Ticker::parse("AAPL").unwrap(),
            ex_date,
            effective_at: calendar::nyse().session_on(ex_date).unwrap().open,
            change,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_split_counts_from_its_open_on_and_for_what_does_not_carry_it() {
        let split = action("2020-08-31", ShareChange::Split { ratio: 4.0 });
        let open = split.effective_at;
        let before = open - TimeDelta::minutes(1);
        let price =
            |carried, as_of| split_factor(std::slice::from_ref(&split), carried, as_of).price;
        assert_eq!(price(before, before), 1.0, "announced, not effective");
        assert_eq!(price(before, open), 4.0);
        assert_eq!(price(open, open), 1.0, "the first bar of the new basis");
        assert_eq!(price(open, at("2030-01-01T00:00:00Z")), 1.0);
    }

    #[test]
    fn factors_multiply_and_a_spin_off_leaves_share_counts() {
        let actions = [
            action("2023-01-04", ShareChange::SpinOff { ratio: 1.281 }),
            action("2021-08-02", ShareChange::Split { ratio: 0.125 }),
            action("2021-08-02", ShareChange::Dividend { amount: 1.0 }),
        ];
        let factor = split_factor(
            &actions,
            at("2020-01-02T15:00:00Z"),
            at("2024-01-02T15:00:00Z"),
        );
        assert_eq!(factor.price, 1.281 * 0.125);
        assert_eq!(factor.shares, 0.125);
    }

    #[test]
    fn dividends_leave_the_closes_from_their_ex_date_on() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let closes = [
            (day("2020-08-05"), 110.0),
            (day("2020-08-06"), 114.0),
            (day("2020-08-07"), 111.0),
            // The session of the second ex-date is missing.
            (day("2020-11-05"), 119.0),
            (day("2020-11-09"), 116.0),
        ];
        let as_of = at("2021-01-04T15:00:00Z");
        let actions = [
            action("2020-11-06", ShareChange::Dividend { amount: 0.205 }),
            action("2020-08-07", ShareChange::Dividend { amount: 0.2 }),
            action("2020-08-07", ShareChange::Split { ratio: 4.0 }),
            // Before all closes; above the price; not effective yet.
            action("2020-01-06", ShareChange::Dividend { amount: 0.2 }),
            action("2020-11-09", ShareChange::Dividend { amount: 500.0 }),
            action("2021-02-05", ShareChange::Dividend { amount: 0.205 }),
        ];
        let second = 1.0 - 0.205 / 119.0;
        let both = second * (1.0 - 0.2 / 114.0);
        assert_eq!(
            without_dividends(&closes, &actions, as_of),
            [
                110.0 * both,
                114.0 * both,
                111.0 * second,
                119.0 * second,
                116.0
            ]
        );
        assert_eq!(without_dividends(&[], &actions, as_of), Vec::<f64>::new());
    }
}

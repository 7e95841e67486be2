use domain::Ticker;

/// What is known of a company: its description, and what drives its price in a generated market.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its symbol.
    pub ticker: Ticker,
    /// The company's name.
    pub name: String,
    /// Yahoo's code and name of the exchange.
    pub exchange: Exchange,
    /// Line of business, as Yahoo names it. Stocks of one sector move together.
    pub sector: &'static str,
    /// Price around which the stock wanders, US dollars.
    pub(super) base_price: f64,
    /// How much it moves with the market.
    pub(super) market_beta: f64,
    /// How much it moves with its sector.
    pub(super) sector_beta: f64,
    /// Standard deviation of a day's own movement, as a fraction of the price.
    pub(super) own_volatility: f64,
    /// Usual volume of a full session, shares.
    pub(super) daily_volume: f64,
    /// Dividends of a year, as a fraction of the base price.
    pub(super) dividend_yield: f64,
}

/// Where a stock is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Nasdaq Global Select.
    Nasdaq,
    /// New York Stock Exchange.
    Nyse,
}

impl Exchange {
    /// Yahoo's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nasdaq => "NMS",
            Self::Nyse => "NYQ",
        }
    }

    /// Yahoo's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nasdaq => "NasdaqGS",
            Self::Nyse => "NYSE",
        }
    }
}

/// The 20 tickers of a generated market when none are named.
pub const DEFAULT_TICKERS: [&str; 20] = [
    "AAPL", "MSFT", "AMZN", "GOOGL", "META", "NVDA", "TSLA", "NFLX", "JPM", "BAC", "V", "JNJ",
    "PFE", "UNH", "XOM", "CVX", "WMT", "PG", "KO", "BA",
];

type Row = (
    &'static str,
    &'static str,
    Exchange,
    &'static str,
    f64,
    f64,
    f64,
    f64,
    f64,
    f64,
);

/// Orders of magnitude of the real companies, nothing measured:
/// ticker, name, exchange, sector, price, market beta, sector beta, own daily volatility, millions of shares a day,
/// dividend yield.
const KNOWN: [Row; 21] = {
    use Exchange::{Nasdaq, Nyse};
    const TECHNOLOGY: &str = "Technology";
    const COMMUNICATION: &str = "Communication Services";
    const CYCLICAL: &str = "Consumer Cyclical";
    const FINANCE: &str = "Financial Services";
    const HEALTH: &str = "Healthcare";
    const ENERGY: &str = "Energy";
    const STAPLES: &str = "Consumer Defensive";
    const INDUSTRY: &str = "Industrials";
    [
        (
            "AAPL",
            "Apple Inc.",
            Nasdaq,
            TECHNOLOGY,
            240.0,
            1.15,
            0.9,
            0.009,
            52.0,
            0.005,
        ),
        (
            "MSFT",
            "Microsoft Corporation",
            Nasdaq,
            TECHNOLOGY,
            440.0,
            1.05,
            1.0,
            0.008,
            22.0,
            0.008,
        ),
        (
            "AMZN",
            "Amazon.com, Inc.",
            Nasdaq,
            CYCLICAL,
            210.0,
            1.25,
            0.7,
            0.011,
            40.0,
            0.0,
        ),
        (
            "GOOGL",
            "Alphabet Inc.",
            Nasdaq,
            COMMUNICATION,
            190.0,
            1.1,
            0.9,
            0.010,
            28.0,
            0.005,
        ),
        (
            "META",
            "Meta Platforms, Inc.",
            Nasdaq,
            COMMUNICATION,
            590.0,
            1.25,
            1.0,
            0.013,
            14.0,
            0.004,
        ),
        (
            "NVDA",
            "NVIDIA Corporation",
            Nasdaq,
            TECHNOLOGY,
            140.0,
            1.6,
            1.5,
            0.018,
            210.0,
            0.0,
        ),
        (
            "TSLA",
            "Tesla, Inc.",
            Nasdaq,
            CYCLICAL,
            290.0,
            1.7,
            1.2,
            0.025,
            95.0,
            0.0,
        ),
        (
            "NFLX",
            "Netflix, Inc.",
            Nasdaq,
            COMMUNICATION,
            880.0,
            1.1,
            0.8,
            0.016,
            4.2,
            0.0,
        ),
        (
            "JPM",
            "JPMorgan Chase & Co.",
            Nyse,
            FINANCE,
            240.0,
            1.0,
            1.0,
            0.007,
            9.5,
            0.022,
        ),
        (
            "BAC",
            "Bank of America Corporation",
            Nyse,
            FINANCE,
            44.0,
            1.1,
            1.2,
            0.008,
            38.0,
            0.024,
        ),
        (
            "V",
            "Visa Inc.",
            Nyse,
            FINANCE,
            310.0,
            0.9,
            0.4,
            0.008,
            6.5,
            0.008,
        ),
        (
            "JNJ",
            "Johnson & Johnson",
            Nyse,
            HEALTH,
            155.0,
            0.5,
            0.8,
            0.007,
            7.8,
            0.032,
        ),
        (
            "PFE",
            "Pfizer Inc.",
            Nyse,
            HEALTH,
            27.0,
            0.6,
            0.9,
            0.011,
            38.0,
            0.06,
        ),
        (
            "UNH",
            "UnitedHealth Group Incorporated",
            Nyse,
            HEALTH,
            480.0,
            0.6,
            0.7,
            0.013,
            5.0,
            0.016,
        ),
        (
            "XOM",
            "Exxon Mobil Corporation",
            Nyse,
            ENERGY,
            112.0,
            0.7,
            1.2,
            0.006,
            15.0,
            0.035,
        ),
        (
            "CVX",
            "Chevron Corporation",
            Nyse,
            ENERGY,
            152.0,
            0.7,
            1.1,
            0.006,
            8.0,
            0.043,
        ),
        (
            "WMT",
            "Walmart Inc.",
            Nyse,
            STAPLES,
            92.0,
            0.6,
            0.8,
            0.008,
            16.0,
            0.009,
        ),
        (
            "PG",
            "The Procter & Gamble Company",
            Nyse,
            STAPLES,
            168.0,
            0.45,
            1.0,
            0.006,
            7.0,
            0.024,
        ),
        (
            "KO",
            "The Coca-Cola Company",
            Nyse,
            STAPLES,
            64.0,
            0.45,
            1.0,
            0.006,
            14.0,
            0.03,
        ),
        (
            "BA",
            "The Boeing Company",
            Nyse,
            INDUSTRY,
            180.0,
            1.3,
            1.0,
            0.016,
            8.5,
            0.0,
        ),
        (
            "FB",
            "Facebook, Inc.",
            Nasdaq,
            COMMUNICATION,
            180.0,
            1.2,
            1.0,
            0.013,
            22.0,
            0.0,
        ),
    ]
};

impl Profile {
    /// The company behind a ticker; one that is not known gets plausible figures, the same for every seed.
    pub fn of(ticker: &Ticker) -> Self {
        let known = KNOWN
            .into_iter()
            .find(|&(text, ..)| text == ticker.as_str());
        let (
            _,
            name,
            exchange,
            sector,
            base_price,
            market_beta,
            sector_beta,
            own_volatility,
            millions,
            dividend_yield,
        ) = known.unwrap_or_else(|| unknown(ticker));
        Self {
            ticker: ticker.clone(),
            name: if name.is_empty() {
                ticker.to_string()
            } else {
                name.to_owned()
            },
            exchange,
            sector,
            base_price,
            market_beta,
            sector_beta,
            own_volatility,
            daily_volume: millions * 1e6,
            dividend_yield,
        }
    }
}

fn unknown(ticker: &Ticker) -> Row {
    let digits = crate::random::hash(ticker.as_str());
    // Two independent numbers in 0..1.
    let [first, second] =
        [digits & 0xffff, digits >> 16 & 0xffff].map(|bits| bits as f64 / 65_536.0);
    (
        "",
        "",
        Exchange::Nyse,
        "Industrials",
        20.0 * 15f64.powf(first),
        0.6 + 0.8 * second,
        0.8,
        0.012,
        8.0,
        0.0,
    )
}

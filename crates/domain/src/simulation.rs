/// What is planted in every simulated market so that a demo has something to find, for whoever looks at it. The figures
/// are `EPISODES` of the program `market-sim`.
pub const PLANTED_EFFECT: &str = "In this simulated market an effect is planted for the models to find: about once a \
     session each stock is bought or sold persistently for 45 to 75 minutes, at two and a half times its usual volume \
     and with a drift of half a standard deviation of its own minute. No real market is so kind: what is earned here \
     says nothing about real prices.";

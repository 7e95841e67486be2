-- The newest $3 analyses of each ticker of $1, of bars that start before $2, with both predictions and the bar.
select
    recommendation.ticker as "ticker!",
    recommendation.bar_start as "bar_start!",
    recommendation.action as "action!",
    recommendation.reason as "reason!",
    recommendation.abstained as "abstained!",
    recommendation.as_of as "as_of!",
    recommendation.decision as "decision?",
    recommendation.standing as "standing?",
    lstm.model_id as "lstm_model_id!",
    lstm.down as "lstm_down!",
    lstm.neutral as "lstm_neutral!",
    lstm.up as "lstm_up!",
    transformer.model_id as "transformer_model_id!",
    transformer.down as "transformer_down!",
    transformer.neutral as "transformer_neutral!",
    transformer.up as "transformer_up!",
    bar.open as "open?",
    bar.high as "high?",
    bar.low as "low?",
    bar.close as "close?",
    bar.volume as "volume?",
    coalesce(recommendation.late, false) as "late!"
from unnest($1::text[]) with ordinality as wanted (ticker, place)
cross join lateral (
    select *
    from recommendation
    where recommendation.ticker = wanted.ticker
        and recommendation.bar_start < coalesce($2, 'infinity'::timestamptz)
    order by recommendation.bar_start desc
    limit $3
) as recommendation
join prediction as lstm
    on lstm.ticker = recommendation.ticker
    and lstm.bar_start = recommendation.bar_start
    and lstm.model_id = recommendation.lstm_model_id
join prediction as transformer
    on transformer.ticker = recommendation.ticker
    and transformer.bar_start = recommendation.bar_start
    and transformer.model_id = recommendation.transformer_model_id
left join lateral (
    select open, high, low, close, volume
    from price_adjusted
    where price_adjusted.ticker = recommendation.ticker
        and price_adjusted.bar_start = recommendation.bar_start
) as bar on true
order by wanted.place, recommendation.bar_start desc

-- What came of predictions is read by time, over all tickers.

create index outcome_by_bar_start on outcome (bar_start);

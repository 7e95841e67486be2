-- Stories, who filed them under which stock and when, and how they sound.

create table news_article (
    article_id bigint generated always as identity primary key,
    story_key text collate "C" not null constraint news_article_once unique check (story_key <> ''),
    title text not null,
    summary text,
    publisher text,
    url text,
    published_at timestamptz not null,
    first_seen_at timestamptz not null,
    available_at timestamptz,
    ingested_at timestamptz not null default now(),
    constraint news_article_seen_before_available check (available_at >= first_seen_at)
);

comment on table news_article is
    'Stories as they were first seen, one row each however many sources and stocks carry them. The text is never '
    'changed afterwards.';
comment on column news_article.article_id is 'Number of the story, in the order of storing.';
comment on column news_article.story_key is 'What makes it the same story, computed from address, title and day.';
comment on column news_article.title is 'Headline, plain text.';
comment on column news_article.summary is 'The first sentences, plain text, where the vendor sends them.';
comment on column news_article.publisher is 'Name of the publisher.';
comment on column news_article.url is 'Address of the story.';
comment on column news_article.published_at is
    'When the publisher says it appeared, UTC. Publishers err: never join on it.';
comment on column news_article.first_seen_at is 'Just after the answer that first held it, UTC, market clock.';
comment on column news_article.available_at is
    'When its first sentiment was stored, UTC, market clock: features may use it from here on. Never moved; empty '
    'before.';
comment on column news_article.ingested_at is 'When this row was stored, UTC, clock of the database.';

create index news_article_unscored on news_article (article_id) where available_at is null;

create table news_article_ticker (
    ticker text collate "C" not null check (ticker <> ''),
    article_id bigint not null references news_article (article_id),
    first_seen_at timestamptz not null,
    primary key (article_id, ticker)
);

comment on table news_article_ticker is 'The stocks that a story is filed under; many are usual.';
comment on column news_article_ticker.ticker is 'Exchange symbol as Yahoo spells it, upper case.';
comment on column news_article_ticker.article_id is 'The story.';
comment on column news_article_ticker.first_seen_at is
    'When it was first seen under this stock, UTC, market clock: later than the story''s own when another stock had '
    'it first.';

create index news_article_ticker_newest on news_article_ticker (ticker, first_seen_at, article_id);

create table news_sighting (
    article_id bigint not null references news_article (article_id),
    source text collate "C" not null check (source in ('yahoo', 'news_api', 'finnhub', 'alpha_vantage')),
    vendor_id text collate "C" not null,
    published_at timestamptz not null,
    first_seen_at timestamptz not null,
    primary key (article_id, source, vendor_id)
);

comment on table news_sighting is 'Where a story was seen: one row for each id that a source gave it.';
comment on column news_sighting.article_id is 'The story.';
comment on column news_sighting.source is 'yahoo, news_api, finnhub or alpha_vantage.';
comment on column news_sighting.vendor_id is 'The source''s own id of the story, or its address.';
comment on column news_sighting.published_at is 'When this source says that it appeared, UTC.';
comment on column news_sighting.first_seen_at is 'When this source was first seen to have it, UTC, market clock.';

create table news_sentiment (
    article_id bigint not null references news_article (article_id),
    model text collate "C" not null check (model <> ''),
    negative real not null,
    neutral real not null,
    positive real not null,
    scored_at timestamptz not null,
    ingested_at timestamptz not null default now(),
    primary key (article_id, model),
    constraint news_sentiment_is_a_distribution check (
        negative between 0 and 1
        and neutral between 0 and 1
        and positive between 0 and 1
        and abs(negative + neutral + positive - 1) < 0.01
    )
);

comment on table news_sentiment is
    'How a story sounds to an investor, by each model that read it. The first reading of a model stands.';
comment on column news_sentiment.article_id is 'The story.';
comment on column news_sentiment.model is 'Name and version of the sentiment model.';
comment on column news_sentiment.negative is 'Probability of bad news, 0 to 1.';
comment on column news_sentiment.neutral is 'Probability of neither, 0 to 1.';
comment on column news_sentiment.positive is 'Probability of good news, 0 to 1.';
comment on column news_sentiment.scored_at is 'When the model read it, UTC, market clock.';
comment on column news_sentiment.ingested_at is 'When this row was stored, UTC, clock of the database.';

-- A report is looked for by its page, and by its headline, which begins the story's key.
create index news_article_url on news_article (url);

create table vendor_usage (
    vendor text collate "C" not null check (vendor <> ''),
    day date not null,
    requests integer not null check (requests > 0),
    primary key (vendor, day)
);

comment on table vendor_usage is
    'How many requests were sent to a vendor, so that processes share its daily allowance and a restart does not '
    'overspend it.';
comment on column vendor_usage.vendor is 'Whom was asked, lower case, such as news_api.';
comment on column vendor_usage.day is 'The day, UTC, market clock.';
comment on column vendor_usage.requests is 'Requests sent on it.';

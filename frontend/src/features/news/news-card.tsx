import type { ReactNode } from 'react'

import { formatChange, formatDate, formatDateTime, formatProbability, formatTime } from '@/lib/format'
import { StaleNote } from '@/lib/stale-note'
import type { Sentiment, Source, Story } from '@/lib/wire'

import styles from './news-card.module.css'
import { keyOf, useNews } from './news'
import { type Tone, toneOf } from './tone'

const TONE_LABEL: Record<Tone, string> = { positive: 'Good news', neutral: 'Neutral', negative: 'Bad news' }
const TONE_GLYPH: Record<Tone, string> = { positive: '▲', neutral: '■', negative: '▼' }

interface Props {
  /** Null until it is known which stocks there are. */
  ticker: string | null
  /** Snapshots so far; each may follow a gap, after which it is asked again. */
  snapshots: number
  /** A replay has the news that it was given and no other. */
  source: Source | null
  /** The card's heading, and what stands beside it. */
  title: ReactNode
}

/** What was written about a stock, and how it sounds. */
export function NewsCard({ ticker, snapshots, source, title }: Props) {
  const news = useNews(ticker, snapshots)
  const { stories, openedAt } = news.value ?? { stories: [], openedAt: 0 }
  const arrived = stories.filter(({ first_seen_at }) => first_seen_at > openedAt).length
  return (
    <section className={`card ${styles.news}`} aria-label="News" data-testid="news">
      {title}
      <StaleNote polled={news} />
      {news.value === null && news.failure === null && (
        <p className={styles.empty} role="status">
          Loading…
        </p>
      )}
      {news.value === null && news.failure !== null && (
        <p className={styles.empty} role="alert">
          {news.failure} It is asked for again in a few seconds.
        </p>
      )}
      {news.value !== null && stories.length === 0 && (
        <p className={styles.empty}>
          {source === 'replay'
            ? `No news of ${ticker} so far: a replay has only the news that it was given.`
            : `No news of ${ticker} yet. It appears here when it arrives.`}
        </p>
      )}
      {stories.length > 0 && (
        <div className={styles.scroll} role="region" aria-label={`News of ${ticker}`} tabIndex={0}>
          <ol>
            {stories.map((story) => (
              <StoryRow key={keyOf(story)} story={story} arrived={story.first_seen_at > openedAt} />
            ))}
          </ol>
        </div>
      )}
      <span className="visually-hidden" role="status">
        {arrived > 0 ? `${arrived} new ${arrived === 1 ? 'headline' : 'headlines'}` : ''}
      </span>
    </section>
  )
}

function StoryRow({ story, arrived }: { story: Story; arrived: boolean }) {
  const { title, url, publisher, published_at, first_seen_at, sources, sentiment } = story
  const times = `First seen ${formatDateTime(first_seen_at)} in New York; by the publisher's clock it appeared ${formatDateTime(published_at)}.`
  return (
    <li className={styles.story} data-arrived={arrived}>
      <SentimentBadge sentiment={sentiment} />
      <div className={styles.words}>
        <p className={styles.headline} dir="auto">
          {url === null ? (
            title
          ) : (
            <a href={url} target="_blank" rel="noopener noreferrer">
              {title}
            </a>
          )}
        </p>
        <p className={styles.facts}>
          <time dateTime={new Date(first_seen_at).toISOString()} title={times}>
            {formatDate(first_seen_at)}, {formatTime(first_seen_at)}
          </time>
          {publisher !== null && (
            <>
              {' · '}
              <bdi>{publisher}</bdi>
            </>
          )}
          {sources.length > 1 && <span title={`Seen at ${sources.join(', ')}`}> · {sources.length} sources</span>}
          {arrived && <span className={styles.new}> · new</span>}
        </p>
      </div>
    </li>
  )
}

/** How the headline sounds and which model says so. */
function SentimentBadge({ sentiment }: { sentiment: Sentiment | null }) {
  if (sentiment === null) {
    return (
      <div className={styles.sentiment} title="No model has read it yet">
        <span className={styles.score}>–</span>
        <span className={styles.model}>not read</span>
      </div>
    )
  }
  const { model, score, positive, neutral, negative } = sentiment
  const tone = toneOf(sentiment)
  return (
    <div
      className={styles.sentiment}
      title={`${TONE_LABEL[tone]}, says ${model}: good ${formatProbability(positive)}, neutral ${formatProbability(neutral)}, bad ${formatProbability(negative)}`}
    >
      <span className={styles.score} data-tone={tone}>
        <span aria-hidden="true">{TONE_GLYPH[tone]} </span>
        <span className="visually-hidden">{TONE_LABEL[tone]} </span>
        {formatChange(score)}
      </span>
      <span className={styles.model}>{model}</span>
    </div>
  )
}

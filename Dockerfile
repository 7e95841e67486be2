# syntax=docker/dockerfile:1
# One image for every service; docker-compose.yml chooses the program.

FROM rust:1.95-bookworm AS rust
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY crates crates
COPY services services
COPY migrations migrations
COPY .sqlx .sqlx
# Written into every model's card, beside the version: the image has no git to ask.
ARG TANDEM_COMMIT=
# The dev profile is Tandem's one profile: it is optimised (see Cargo.toml).
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --workspace --bins --locked \
    && mkdir /out \
    && for program in api corporate-actions drift-monitor macro-ingestor news-ingestor nightly price-ingestor tandem tandem-research trainer validator; do cp "target/debug/$program" /out/; done \
    && strip /out/*

FROM node:22-bookworm-slim AS frontend
WORKDIR /src
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-fund --no-audit
COPY frontend ./
RUN NEXT_TELEMETRY_DISABLED=1 npm run build

# The dashboard's own container: static files, and the way to the api on the same origin.
FROM nginx:1.29-alpine AS dashboard
COPY scripts/docker/nginx.conf /etc/nginx/conf.d/default.conf
COPY --from=frontend /src/out /usr/share/nginx/html

FROM debian:bookworm-slim AS services
# curl asks the services for their health. cron reads its schedule in the local time zone, and that is the market's; the
# services themselves work in UTC.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates cron curl tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && ln -sf /usr/share/zoneinfo/America/New_York /etc/localtime \
    && groupadd --system --gid 10001 tandem \
    && useradd --system --create-home --home-dir /var/lib/tandem --uid 10001 --gid tandem tandem \
    && install -d -o tandem -g tandem /var/lib/tandem/models /var/lib/tandem/config /var/lib/tandem/nights
COPY --from=rust /out/ /usr/local/bin/
COPY --from=frontend /src/out /usr/share/tandem/frontend
COPY config /etc/tandem
COPY scripts/docker/nightly-cron /usr/local/bin/nightly-cron
ENV TANDEM_CONFIG=/etc/tandem/tandem.toml \
    TANDEM_MODELS_DIR=/var/lib/tandem/models \
    TANDEM_MODEL_CONFIG=/var/lib/tandem/config/model_config.json \
    TANDEM_NIGHTS_DIR=/var/lib/tandem/nights \
    TANDEM_FRONTEND_DIR=/usr/share/tandem/frontend \
    TANDEM_LOG_FORMAT=json
USER 10001:10001
WORKDIR /var/lib/tandem
CMD ["api"]

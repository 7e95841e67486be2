use axum::Json;
use utoipa::OpenApi;

use super::{
    actions, data_quality, drift, economy, models, news, operations, pipeline, stocks,
    track_record, validation,
};
use crate::body::{AnalysisBody, PriceBody, SnapshotBody, StatusMessageBody};

/// The description of the interface.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tandem",
        description = "Real-time dual-model stock analysis. All times are RFC 3339, UTC. Prices are US dollars per \
            share. `GET /ws` is a WebSocket: the client may send `{\"subscribe\":[\"AAPL\"]}`; the server sends \
            objects with `type` and an increasing `seq` before the fields of Snapshot (first, and after each \
            subscription), PriceMessage (`price`), Analysis (`analysis`), StatusMessage (`status`) or Error (`error`). \
            A slow client gets the newest of each kind and ticker.",
    ),
    paths(
        stocks::list,
        stocks::history,
        stocks::predictions,
        news::list,
        actions::list,
        economy::list,
        data_quality::report,
        models::list,
        models::one,
        validation::reports,
        drift::report,
        track_record::report,
        pipeline::runs,
        operations::health,
        operations::ready,
        operations::metrics,
    ),
    components(schemas(SnapshotBody, PriceBody, AnalysisBody, StatusMessageBody))
)]
struct Description;

/// `GET /openapi.json`.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

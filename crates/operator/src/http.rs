//! `/healthz` (the process answers), `/readyz` (it can do its work, or stands by), `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::process::Shared;
use godwit_service::serve::Limits;

/// Of the OpenMetrics text format.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is told to stop.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(shared);
    godwit_service::serve::serve(listener, router, Limits::default(), stop).await;
}

async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let complaints = shared.complaints();
    if complaints.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", complaints.join("\n")))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    shared.refresh_metrics();
    match shared.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

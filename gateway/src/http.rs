//! Plain HTTP: the gateway's public keys, and for operators its health and metrics.

use crate::app::App;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::fmt::Write as _;
use std::sync::Arc;
use vault::rotation::TOKEN_NOTICE_SECONDS;

/// Returns what partners and consoles reach.
pub fn public(app: Arc<App>) -> Router {
    Router::new().route("/.well-known/jwks.json", get(keys)).with_state(app)
}

/// Returns what operators reach.
pub fn admin(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/.well-known/jwks.json", get(keys))
        .with_state(app)
}

async fn keys(State(app): State<Arc<App>>) -> impl IntoResponse {
    // No longer than the next key is published before it signs.
    let age = format!("public, max-age={TOKEN_NOTICE_SECONDS}");
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json".to_owned()), (header::CACHE_CONTROL, age)];
    (headers, app.authority.jwks())
}

async fn health(State(app): State<Arc<App>>) -> (StatusCode, String) {
    match app.vault.health() {
        Ok(()) => (StatusCode::OK, troubles(&app).fold("serving\n".to_owned(), |text, line| text + &line + "\n")),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not serving: {problem}\n")),
    }
}

/// Says what the steward should see to while the gateway serves.
pub fn troubles(app: &App) -> impl Iterator<Item = String> {
    let datasets = app.vault.troubles().into_iter().map(|(dataset, problem)| format!("dataset {dataset}: {problem}"));
    // The data is safe at home: whoever reads this mends the target, and nobody restarts the gateway for it.
    let backup = app.vault.backup_status().and_then(|status| status.problem);
    let mirror = app
        .vault
        .mirror_problem()
        .map(|problem| format!("the mirror does not follow, and folds and erasures wait for it: {problem}"));
    let synopses = app.synopses.lock();
    let synopses: Vec<String> =
        synopses.problems().map(|(dataset, problem)| format!("dataset {dataset}: {problem}")).collect();
    let backup = backup.map(|problem| format!("the backup does not follow: {problem}"));
    datasets.chain(backup).chain(mirror).chain(synopses)
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render(&app))
}

/// Writes the metrics in Prometheus' text format. Labels are names of methods and reasons, never of people or values.
fn render(app: &App) -> String {
    let mut text =
        String::from("# HELP silhouette_calls_total Finished calls.\n# TYPE silhouette_calls_total counter\n");
    // Writing to a string can't fail.
    for ((method, outcome), count) in app.counters.lock().iter() {
        let _ = writeln!(text, "silhouette_calls_total{{method=\"{method}\",outcome=\"{outcome}\"}} {count}");
    }
    let gauges = [
        ("silhouette_serving", "gauge", "Whether data calls are served.", u64::from(app.vault.health().is_ok())),
        ("silhouette_overruns_total", "counter", "Answers that missed their class's deadline.", app.pace.overruns()),
        (
            "silhouette_policy_errors_total",
            "counter",
            "Policy evaluations that failed and were answered with a denial.",
            app.rules.load().evaluation_errors(),
        ),
    ];
    let backup = app.vault.backup_status().map(|status| {
        let lag = status.current.saturating_sub(status.shipped);
        [
            ("silhouette_backup_lag_frames", "gauge", "Frames of the log that the backup lacks.", lag),
            ("silhouette_backup_missing_pieces", "gauge", "Pieces that the backup lacks.", status.missing),
            ("silhouette_backup_failing", "gauge", "Whether the backup fails.", u64::from(status.problem.is_some())),
        ]
    });
    for (name, kind, help, value) in gauges.into_iter().chain(backup.into_iter().flatten()) {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    text
}

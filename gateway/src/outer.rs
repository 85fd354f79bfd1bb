//! The outermost layer of gRPC: authentication before a body is read, deadlines, message sizes, and typed statuses for
//! whatever the transport says by itself. Refusals of known callers are in the log before they are told.

use crate::app::App;
use crate::clock::Stopwatch;
use crate::pipeline::{self, Authenticated, Call};
use crate::status::{self, Failure};
use axum::body::Body;
use http::{HeaderMap, Request, Response};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use policy::decide::{Principal, Reason, Refusal};
use prost::Message as _;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;

/// Services that need no token: the one that gives tokens, and what every gRPC tool expects to be open.
const OPEN: [&str; 3] =
    ["/silhouette.v1.TokenService/", "/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/"];

/// What calls are counted under while their method is not yet known to be one of ours.
const RPC: &str = "transport";

/// Methods that stream for as long as their client wishes, unless it sets a deadline.
const UNTIMED: [&str; 1] = ["/silhouette.v1.IngestService/StreamRecords"];

/// When a call must have ended, in a request's extensions, for methods that outlive their response head.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadline(Option<(Stopwatch, Duration)>);

impl Deadline {
    /// Waits until the deadline has passed; forever if there is none.
    pub async fn passed(self) {
        match self.0 {
            Some((since, after)) => tokio::time::sleep(after.saturating_sub(since.elapsed())).await,
            None => std::future::pending().await,
        }
    }
}

/// The layer around the routes.
#[derive(Debug, Clone)]
pub struct Outer {
    app: Arc<App>,
    routes: axum::Router,
    methods: Arc<BTreeSet<String>>,
}

impl Outer {
    /// Puts the layer around routes.
    pub fn new(app: Arc<App>, routes: axum::Router) -> Self {
        Self { app, routes, methods: Arc::new(methods()) }
    }

    /// Answers one request.
    pub async fn call(self, mut request: Request<Incoming>) -> Response<Body> {
        let since = Stopwatch::start();
        let path = request.uri().path().to_owned();
        let principal = if OPEN.iter().any(|open| path.starts_with(open)) {
            None
        } else {
            match pipeline::authenticate(&self.app, request.headers()) {
                Ok(principal) => {
                    request.extensions_mut().insert(Authenticated(principal.clone()));
                    Some(principal)
                }
                Err(problem) => return pipeline::refuse_anonymous(&self.app, RPC, problem).into_http(),
            }
        };
        let asked = timeout(request.headers());
        let longest = Duration::from_secs(self.app.config.max_deadline_seconds);
        let untimed = asked.is_none() && UNTIMED.contains(&path.as_str());
        let usual = Duration::from_secs(self.app.config.deadline_seconds);
        let limit = asked.unwrap_or(usual).min(longest);
        request.extensions_mut().insert(Deadline((!untimed).then_some((since, limit))));
        let oversize = Arc::new(AtomicBool::new(false));
        let bytes = self.app.config.message_bytes;
        let request = request.map(|body| Body::new(Measured::new(body, bytes, Arc::clone(&oversize))));
        let answered = tokio::time::timeout(limit, self.routes.clone().oneshot(request)).await;
        let refusal = match answered {
            Err(_) => deadline_exceeded(),
            Ok(Err(never)) => match never {},
            Ok(Ok(_)) if oversize.load(Ordering::Relaxed) => too_large(bytes),
            Ok(Ok(response)) => match bare(&response) {
                Some(code) => return self.refuse_for(code, principal, &path).await.into_http(),
                None => return response,
            },
        };
        self.refuse(principal, &path, refusal).await.into_http()
    }

    /// Gives a bare status of the transport its reason and its place in the log; the code stays.
    async fn refuse_for(&self, code: Code, principal: Option<Principal>, path: &str) -> Status {
        let refused = self.refuse(principal, path, status::transport(code)).await;
        // The log can't be written: that is what the caller has to know.
        if refused.code() == Code::Unavailable { refused } else { status::with_code(code, &refused) }
    }

    /// Logs a refusal of a known caller, counts one of an unknown caller.
    async fn refuse(&self, principal: Option<Principal>, path: &str, refusal: Refusal) -> Status {
        let Some(principal) = principal else {
            self.app.count_anonymous(refusal.reason.as_str());
            self.app.count(RPC, refusal.reason.as_str());
            return status::of_refusal(&refusal, "");
        };
        let call = Call::of(&self.app, principal, RPC);
        // A path that is none of our methods could hold anything, and stays out of the log.
        let method = self.methods.get(path).map_or_else(|| "unknown method".to_owned(), |path| short(path).to_owned());
        let work = move || call.refuse_as(&method, &Failure::Refused(refusal));
        pipeline::blocking(&self.app, RPC, work).await.unwrap_or_else(|status| status)
    }
}

fn short(path: &str) -> &str {
    path.strip_prefix("/silhouette.v1.").unwrap_or(path)
}

/// Returns the paths of our methods.
fn methods() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let services = set.file.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    let paths = services.flat_map(|(package, service)| {
        service.method.iter().map(move |method| format!("/{package}.{}/{}", service.name(), method.name()))
    });
    paths.collect()
}

/// Returns the code of an answer that the transport gave by itself, without a reason.
fn bare(response: &Response<Body>) -> Option<Code> {
    let status = Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok)?;
    status.get_error_details().error_info().is_none().then(|| status.code())
}

fn deadline_exceeded() -> Refusal {
    Refusal {
        reason: Reason::DeadlineExceeded,
        message: "the call's deadline has passed".to_owned(),
        next_step: "call again with the same request id and a longer deadline: what was paid for is kept".to_owned(),
    }
}

fn too_large(bytes: usize) -> Refusal {
    Refusal {
        reason: Reason::MessageTooLarge,
        message: format!("a message is larger than the {bytes} bytes this gateway takes"),
        next_step: "send less in one message".to_owned(),
    }
}

/// Returns the refusal of a stream that a message over the limit broke; `None` if something else did.
pub fn refused_by_size(status: &Status, bytes: usize) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    (info.reason == Reason::MessageTooLarge.as_str()).then(|| too_large(bytes))
}

/// Reads `grpc-timeout`: up to eight digits and a unit. One that can't be read counts as absent.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// A request body whose messages are measured by their headers, before they are gathered in memory.
struct Measured {
    body: Incoming,
    limit: usize,
    oversize: Arc<AtomicBool>,
    /// Bytes of the current message that are still to come.
    rest: usize,
    /// The part of the next message's header that was seen.
    header: Vec<u8>,
}

/// A message begins with one byte of flags and four of length.
const HEADER: usize = 5;

impl Measured {
    fn new(body: Incoming, limit: usize, oversize: Arc<AtomicBool>) -> Self {
        Self { body, limit, oversize, rest: 0, header: Vec::with_capacity(HEADER) }
    }

    /// Follows the messages through a chunk; false when one is too large.
    fn follow(&mut self, mut chunk: &[u8]) -> bool {
        while !chunk.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(chunk.len());
                self.rest = self.rest.saturating_sub(skipped);
                chunk = chunk.get(skipped..).unwrap_or_default();
                continue;
            }
            let missing = HEADER.saturating_sub(self.header.len()).min(chunk.len());
            let (begun, after) = chunk.split_at(missing);
            self.header.extend_from_slice(begun);
            chunk = after;
            if let [_, a, b, c, d] = *self.header.as_slice() {
                self.rest = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                self.header.clear();
                if self.rest > self.limit {
                    return false;
                }
            }
        }
        true
    }
}

impl hyper::body::Body for Measured {
    type Data = Bytes;
    type Error = tower::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tower::BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let fits = match frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
            Some(data) => self.follow(data),
            None => true,
        };
        if fits {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.oversize.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Box::new(status::of_refusal(&too_large(self.limit), "")))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("10u"), Some(Duration::from_micros(10)));
        for bad in ["", "S", "123456789S", "5x", "-1S"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_methods_of_every_service_are_known() {
        let methods = methods();
        assert!(methods.contains("/silhouette.v1.InsightService/Portrait"));
        assert!(methods.iter().all(|path| path.starts_with("/silhouette.v1.")));
    }
}

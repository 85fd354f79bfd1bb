//! Keys, for stewards: what there is, and replacing it while everything else goes on.

use super::{Answers, Service};
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::keys;
use policy::permit::Verb;
use proto::v1;
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};
use vault::rotation::Rotated;

const RPC: &str = "AdminService/RotateKeys";

/// Steps that may wait for a client that reads slowly; it misses those beyond.
const STEPS_AHEAD: usize = 64;

/// Lists keys.
pub fn list(call: &mut Call, _: v1::ListKeysRequest) -> Result<v1::ListKeysResponse, Failure> {
    let permit = call.permit(Verb::Maintain, None, None, &[])?;
    let found = call.app.vault.keys(&permit)?;
    Ok(v1::ListKeysResponse {
        keys: found.lines.iter().map(keys::encode).collect(),
        generation: found.generation,
        locked: found.locked,
    })
}

/// Replaces keys on a thread of its own, which goes on when nobody listens any more.
pub async fn rotate(
    service: &Service,
    request: Request<v1::RotateKeysRequest>,
) -> Result<Response<Answers<v1::RotateKeysResponse>>, Status> {
    let app = Arc::clone(&service.0);
    let mut call = Call::begin(&app, &request, RPC)?;
    let message = request.into_inner();
    let (sender, steps) = mpsc::channel(STEPS_AHEAD);
    let work = {
        let sender = sender.clone();
        move || {
            let done = replace(&mut call, message, &sender).map_err(|failure| call.refuse(&failure));
            if done.is_ok() {
                call.app.count(RPC, "OK");
            }
            done.map(keys::rotated)
        }
    };
    tokio::spawn(async move {
        let last = pipeline::blocking(&app, RPC, work).await.and_then(|done| done);
        // Whoever asked may have gone away; what was done is in the log.
        let _ = sender.send(last).await;
    });
    Ok(Response::new(Answers::new(steps)))
}

fn replace(
    call: &mut Call,
    request: v1::RotateKeysRequest,
    sender: &mpsc::Sender<Result<v1::RotateKeysResponse, Status>>,
) -> Result<Rotated, Failure> {
    let v1::RotateKeysRequest { rotation, acknowledge_new_pseudonyms, request_id } = request;
    call.take_request_id(&request_id)?;
    let permit = call.permit(Verb::Maintain, None, None, &[])?;
    let what = keys::rotation(rotation, acknowledge_new_pseudonyms)?;
    let watch = |step| {
        // A step that finds no room is not said: the next says more.
        let _ = sender.try_send(Ok(keys::progress(step)));
    };
    let done = call.app.vault.rotate(&permit, what, call.now, &watch)?;
    // The next token key is published from here on.
    call.app.reload_token_keys()?;
    Ok(done)
}

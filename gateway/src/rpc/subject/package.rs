//! The access package. A part is read when the transport asks for it, so that memory stays bounded however much is held, and
//! leaves only if the person is still held then; an erasure waits for the part on its way, never for whoever reads slowly.

use super::About;
use crate::app::App;
use crate::pipeline::{self, Call};
use crate::status::Failure;
use crate::wire::subject;
use parking_lot::Mutex;
use policy::permit::Verb;
use proto::v1;
use std::pin::Pin;
use std::sync::Arc;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use vault::subjects::OnItsWay;
use vault::vault::AccessReading;

const RPC: &str = "SubjectService/StreamAccessPackage";

/// The messages of one package.
pub type Parts = Pin<Box<dyn Stream<Item = Result<v1::StreamAccessPackageResponse, Status>> + Send>>;

/// A package of which parts are still to come.
struct Package {
    call: Call,
    about: About,
    reading: Mutex<AccessReading>,
}

/// Begins a package.
pub(super) async fn stream(
    app: &Arc<App>,
    request: Request<v1::StreamAccessPackageRequest>,
) -> Result<Response<Parts>, Status> {
    let begun = pipeline::unary(app, request, RPC, begin).await?;
    Ok(begun.map(|package| -> Parts { Box::pin(package.parts()) }))
}

fn begin(call: &mut Call, request: v1::StreamAccessPackageRequest) -> Result<Package, Failure> {
    let v1::StreamAccessPackageRequest { dataset, subject: who, request_id, identity } = request;
    let about = About::begin(call, &dataset, (&identity, &who), &request_id, Verb::AccessSubject)?;
    let reading = call.app.vault.begin_access(&about.permit, &about.key, call.now)?;
    Ok(Package { call: call.again(), about, reading: Mutex::new(reading) })
}

impl Package {
    fn parts(self) -> impl Stream<Item = Result<v1::StreamAccessPackageResponse, Status>> + Send {
        let package = Arc::new(self);
        tokio_stream::iter(std::iter::repeat(())).then(move |()| Arc::clone(&package).message()).map_while(|part| part)
    }

    async fn message(self: Arc<Self>) -> Option<Result<v1::StreamAccessPackageResponse, Status>> {
        let app = Arc::clone(&self.call.app);
        let work = move || self.next().map_err(|failure| self.call.refuse(&failure));
        match pipeline::blocking(&app, RPC, work).await {
            // What holds erasures back is dropped here, when this future ends: in the same poll the message goes to the
            // transport.
            Ok(Ok(part)) => part.map(|(message, _on_its_way)| Ok(message)),
            Ok(Err(status)) | Err(status) => Some(Err(status)),
        }
    }

    fn next(&self) -> Result<Option<(v1::StreamAccessPackageResponse, OnItsWay)>, Failure> {
        self.call.still_welcome()?;
        let Call { app, now: begun, .. } = &self.call;
        let mut reading = self.reading.lock();
        let part = app.vault.next_part(&self.about.permit, &self.about.key, &mut reading, app.clock.now())?;
        Ok(part.map(|(part, on_its_way)| (subject::part(part, &reading, *begun), on_its_way)))
    }
}

//! What one member of the co-operative asks for, through its portal.

use super::cast::Cast;
use super::teller::Teller;
use crate::cli::chart::grouped;
use crate::cli::command::subject::{Erased, access, erase_people};
use crate::cli::error::{CliError, Exit};
use crate::cli::rights::{self, Json};
use crate::clock::Stopwatch;

const DATASET: &str = "coop";
/// Someone who shops there.
const MEMBER: &str = "m0000007";

/// A member sees what is held, and is erased.
pub async fn asks(teller: &Teller, cast: &Cast) -> Result<(), CliError> {
    teller.step("A member asks what is held, and to be erased")?;
    let mut json = Json::new(Vec::new());
    let (package, _) = rights::read(access::request(DATASET, ("", MEMBER)), &cast.portal, &mut json).await?;
    let page = rights::page(&package)?;
    let facts = package.attributes.iter().filter(|held| held.value.is_some()).count();
    let records = package.records();
    let answers: u64 = package.uses.iter().map(|used| used.releases).sum();
    teller.say(&format!(
        "The co-operative's portal acts for members who have signed in there. Of this one {facts} facts, {records} views, \
         carts and orders and {} acts of consent are held: {} bytes of JSON, and a page to read and print. It also says in \
         how many answers this member could have been counted, {answers}, and in how many lists passed to partners this \
         member was, {}.",
        package.consents.len(),
        grouped(json.into_inner().len() as u64),
        package.audiences.len()
    ))?;
    if !page.contains(MEMBER) {
        return Err(CliError::failed("the page does not name its member"));
    }
    let watch = Stopwatch::start();
    let Erased { verdict, .. } = erase_people(DATASET, "", &[MEMBER.to_owned()], None, &cast.portal).await?;
    let took = watch.elapsed();
    teller.show(&verdict?)?;
    teller.say(&format!(
        "Erased in {:.0} ms: no older copy of the data folder can be read for this member any more, with any key that \
         exists. The receipt was checked by code that shares nothing with what wrote it; silhouette-verify does the same \
         offline. Asked again, nobody is said to be erased twice:",
        took.as_secs_f64() * 1000.0
    ))?;
    match erase_people(DATASET, "", &[MEMBER.to_owned()], None, &cast.portal).await {
        Err(error) if error.exit() == Exit::Refused => teller.show(&error.words()),
        Err(error) => Err(error),
        Ok(_) => Err(CliError::failed("the gateway erased someone twice")),
    }
}

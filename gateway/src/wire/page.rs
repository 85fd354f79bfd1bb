//! Pages. A token names the position to go on from and is bound to the request it came from; it authorizes nothing, and
//! what it holds (a public name, an index of the log) is nothing the caller has not seen.

use crate::status::Failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Reads a page size: 0 is the default, more than the largest is the largest.
pub fn size(asked: i32, default: usize, largest: usize) -> Result<usize, Failure> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(size) => Ok(size.min(largest)),
        Err(_) => Err(Failure::invalid("page_size", "must not be negative")),
    }
}

/// Writes a token for a position in the answer to `request` (all that the request says, the page aside).
pub fn token(request: &str, position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{position}", binding(request)))
}

/// Reads a token; `None` at the start.
pub fn position(request: &str, token: &str) -> Result<Option<String>, Failure> {
    if token.is_empty() {
        return Ok(None);
    }
    let wrong = || Failure::invalid("page_token", "is not from the previous page of this very request");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    text.strip_prefix(&binding(request)).map(|position| Some(position.to_owned())).ok_or_else(wrong)
}

/// Cuts a page out of items in order of their names. Returns the page and the token of the next.
pub fn cut<T>(
    items: Vec<(String, T)>,
    request: &str,
    (asked, token): (i32, &str),
) -> Result<(Vec<T>, String), Failure> {
    let size = size(asked, 50, 100)?;
    let after = position(request, token)?.unwrap_or_default();
    let mut rest = items.into_iter().skip_while(|(name, _)| !after.is_empty() && *name <= after).peekable();
    let mut page = Vec::new();
    let mut last = String::new();
    for (name, item) in rest.by_ref().take(size) {
        last = name;
        page.push(item);
    }
    let next = if rest.peek().is_some() { self::token(request, &last) } else { String::new() };
    Ok((page, next))
}

fn binding(request: &str) -> String {
    let digest = Sha256::digest(request.as_bytes());
    format!("{}:", URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or_default()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_everything_once_and_tokens_are_bound() {
        let items: Vec<(String, u32)> = (0..7).map(|n| (format!("n{n}"), n)).collect();
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let (page, next) = cut(items.clone(), "request", (3, &token)).unwrap();
            assert!(page.len() <= 3);
            seen.extend(page);
            if next.is_empty() {
                break;
            }
            assert!(cut(items.clone(), "another", (3, &next)).is_err());
            token = next;
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
        assert!(cut(items, "request", (-1, "")).is_err());
    }
}

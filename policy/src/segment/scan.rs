//! A first look at the text, before the grammar reads it: quotes, brackets, alphabet and nesting.
//!
//! The grammar's reader recurses along brackets and along chains such as `a.b.c` or `a < b < c`, without a bound of
//! its own on the latter; a few kilobytes of dots would end the process. This look bounds both. It accepts only texts
//! that it splits into tokens exactly as the reader does: quoted texts without a prefix and with plain escapes, ASCII
//! outside of them. So nothing can hide from it what the reader then sees.

/// Deepest nesting of brackets.
const MAX_BRACKETS: usize = 24;
/// Most operators and links that are open at one place: those since the last `&&`, `||` or comma of its own bracket and
/// of each bracket around it.
const MAX_OPEN: usize = 96;

/// Where a text cannot be read (a byte offset) and what would be right.
pub(super) type Unreadable = (usize, &'static str);

/// A bracket that is open.
struct Level {
    at: usize,
    close: u8,
    /// Operators and links since the last separator, those within brackets closed since then included.
    open: usize,
    /// The most that `open` was before an earlier separator.
    peak: usize,
}

impl Level {
    fn new(at: usize, close: u8) -> Self {
        Self { at, close, open: 0, peak: 0 }
    }
}

/// Looks at a text.
pub(super) fn scan(text: &str) -> Result<(), Unreadable> {
    let bytes = text.as_bytes();
    let mut levels = vec![Level::new(0, 0)];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match byte {
            b'"' | b'\'' => {
                at = quoted(bytes, at)?;
                continue;
            }
            b'/' if next == Some(b'/') => {
                while bytes.get(at).is_some_and(|b| *b != b'\n') {
                    at += 1;
                }
                continue;
            }
            b'&' | b'|' if next == Some(byte) => {
                separate(&mut levels);
                at += 1;
            }
            b'&' | b'|' => return Err((at, "`&&` or `||` would be right")),
            b',' => separate(&mut levels),
            b'(' | b'[' | b'{' => {
                link(&mut levels, at, 1)?;
                let close = if byte == b'(' { b')' } else { byte + 2 };
                levels.push(Level::new(at, close));
                if levels.len() > MAX_BRACKETS + 1 {
                    return Err((at, "brackets are nested too deep here; at most 24"));
                }
            }
            b')' | b']' | b'}' => match levels.pop() {
                Some(level) if level.close == byte => link(&mut levels, at, level.open.max(level.peak))?,
                _ => return Err((at, "this bracket closes none that is open")),
            },
            b'.' | b'?' | b':' | b'<' | b'>' | b'=' | b'!' | b'+' | b'-' | b'*' | b'/' | b'%' => {
                link(&mut levels, at, 1)?
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return Err((at, "this character has no meaning here; texts stand in double quotes")),
        }
        at += 1;
    }
    match levels.pop() {
        Some(level) if level.close != 0 => Err((level.at, "this bracket is never closed")),
        _ => Ok(()),
    }
}

fn separate(levels: &mut [Level]) {
    if let Some(level) = levels.last_mut() {
        level.peak = level.peak.max(level.open);
        level.open = 0;
    }
}

fn link(levels: &mut [Level], at: usize, links: usize) -> Result<(), Unreadable> {
    if let Some(level) = levels.last_mut() {
        level.open += links;
    }
    if levels.iter().map(|level| level.open).sum::<usize>() > MAX_OPEN {
        return Err((at, "this chain of operators is too long; join shorter conditions with `&&` or `||`"));
    }
    Ok(())
}

/// Walks over a quoted text and returns the offset after it.
fn quoted(bytes: &[u8], start: usize) -> Result<usize, Unreadable> {
    let quote = bytes.get(start).copied();
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return Err((start, "texts take no prefix; a space or an operator stands before the quote"));
    }
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'\n' | b'\r' => break,
            b'\\' => match bytes.get(at + 1) {
                Some(b'\\' | b'"' | b'\'') => at += 2,
                _ => return Err((at, "a backslash stands before a quote or another backslash only")),
            },
            _ if Some(byte) == quote => {
                // Two quotes and a third would open a text of many lines.
                if bytes.get(at + 1).copied() == quote {
                    return Err((at, "an operator stands between two texts"));
                }
                return Ok(at + 1);
            }
            _ => at += 1,
        }
    }
    Err((start, "this quote is never closed on its line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, at: usize, problem: &str) {
        match scan(text) {
            Err((place, why)) => assert!(place == at && why.contains(problem), "{text}: {place} {why}"),
            Ok(()) => assert_eq!(text, "refused"),
        }
    }

    #[test]
    fn quotes_brackets_and_characters_are_placed() {
        for text in ["", "a", "a == \"(\"", "'\"' == a", "\"\\\"(\" == a", "a // ( \"\n && b", "a.b(c[1], {})", "''"] {
            assert_eq!(scan(text), Ok(()), "{text}");
        }
        refused("a == \"x", 5, "never closed");
        refused("a == \"x\ny\"", 5, "never closed");
        refused("a == r\"x\"", 6, "no prefix");
        refused("a == \"\\x41\"", 6, "backslash");
        refused("a == \"\"\"x\"\"\"", 6, "between two texts");
        refused("(a && (b)", 0, "never closed");
        refused("(a]", 2, "closes none");
        refused("a)", 1, "closes none");
        refused("a & b", 2, "`&&`");
        refused("a # b", 2, "no meaning");
        refused("é", 0, "no meaning");
        refused("`a`", 0, "no meaning");
    }

    #[test]
    fn nesting_and_chains_are_bounded_together() {
        let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(scan(&nested(24)), Ok(()));
        refused(&nested(25), 24, "nested too deep");
        let chain = |n: usize| format!("a{}", ".a".repeat(n));
        assert_eq!(scan(&chain(96)), Ok(()));
        refused(&chain(97), 193, "too long");
        assert_eq!(scan(&format!("{0} && {0} && f({0}, {0})", chain(90))), Ok(()));
        assert!(scan(&format!("f({})", chain(96))).is_err());
        for (few, many) in [("({}.b.b.b)", "({}.b.b.b.b.b.b.b.b)"), ("b.b.b.({})", "b.b.b.b.b.b.b.b.({})")] {
            let nest = |shape: &str| (0..12).fold("a".to_owned(), |inner, _| shape.replace("{}", &inner));
            assert_eq!(scan(&nest(few)), Ok(()), "{few}");
            assert!(scan(&nest(many)).is_err(), "{many}");
        }
    }
}

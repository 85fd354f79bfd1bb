//! Reads what `strace -f -yy -x` wrote: system calls with the files they were on and the bytes they took, and the HTTP/2
//! frames that went out on each connection.

use std::collections::{BTreeMap, HashMap};

/// A system call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The file or connection it was on, as strace calls it.
    pub file: String,
    /// The bytes it was given.
    pub bytes: Vec<u8>,
    /// What it returned; none for an error.
    pub result: Option<u64>,
    /// The line in which it began.
    pub began: usize,
    /// The line in which it returned.
    pub ended: usize,
}

/// A frame of HTTP/2 that the gateway sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// On which connection.
    pub connection: String,
    /// On which stream of it.
    pub stream: u32,
    /// 0 is data, 1 is headers.
    pub kind: u8,
    /// What it carries.
    pub payload: Vec<u8>,
    /// The line in which the write of its first byte began.
    pub line: usize,
}

const FRAME_HEAD: usize = 9;

/// Lists the calls of a trace in the order in which they began. A call takes one line, or two, `<unfinished ...>` and
/// `resumed`, when another thread came between. Calls that never returned are left out.
pub fn calls(text: &str) -> Vec<Call> {
    let mut all = Vec::new();
    let mut under_way: HashMap<&str, Call> = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        let ended = |call: Call| Call { result: result(text), ended: line, ..call };
        if text.starts_with("<... ") {
            all.extend(under_way.remove(thread).map(ended));
        } else if let Some(call) = begun(text, line) {
            if text.ends_with("<unfinished ...>") {
                under_way.insert(thread, call);
            } else {
                all.push(ended(call));
            }
        }
    }
    all.sort_by_key(|call| call.began);
    all
}

fn begun(text: &str, line: usize) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let (_, on) = arguments.split_once('<')?;
    // A connection is written `TCP:[from->to]`, so a `>` that ends the name is followed by none of its characters.
    let ends = on.match_indices('>').find(|(at, _)| on[at + 1..].starts_with([',', ')', ' ']))?.0;
    let (name, file) = (name.to_owned(), on[..ends].to_owned());
    Some(Call { name, file, bytes: strings(&on[ends..]), result: None, began: line, ended: line })
}

fn result(text: &str) -> Option<u64> {
    text.rsplit(" = ").next()?.split(' ').next()?.parse().ok()
}

/// Joins the bytes of the quoted strings in a call's arguments.
fn strings(arguments: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = arguments;
    while let Some((_, quoted)) = rest.split_once('"') {
        rest = string(quoted, &mut bytes);
    }
    bytes
}

/// Reads a string up to its closing quote and returns what comes after it.
fn string<'a>(quoted: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let mut at = 0;
    let text = quoted.as_bytes();
    while let Some(byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'"', _) => return &quoted[at + 1..],
            (b'\\', Some(b'x')) => {
                bytes.push(u8::from_str_radix(&quoted[at + 2..at + 4], 16).expect("two hexadecimal digits"));
                at += 4;
            }
            (b'\\', Some(escaped)) => {
                let plain = [(b'n', b'\n'), (b't', b'\t'), (b'r', b'\r'), (b'f', 12), (b'v', 11)];
                bytes.push(plain.iter().find(|(letter, _)| letter == escaped).map_or(*escaped, |(_, byte)| *byte));
                at += 2;
            }
            (byte, _) => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    ""
}

/// Lists the HTTP/2 frames that the gateway wrote, connection by connection.
pub fn frames(calls: &[Call]) -> Vec<Frame> {
    let mut streams: BTreeMap<&str, (Vec<u8>, Vec<(usize, usize)>)> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.file.starts_with("TCP:")) {
        let Some(written) = call.result.and_then(|count| call.bytes.get(..usize::try_from(count).ok()?)) else {
            continue;
        };
        let (bytes, starts) = streams.entry(&call.file).or_default();
        starts.push((bytes.len(), call.began));
        bytes.extend_from_slice(written);
    }
    let of =
        |(connection, (bytes, starts)): (&str, (Vec<u8>, Vec<(usize, usize)>))| frames_of(connection, &bytes, &starts);
    streams.into_iter().flat_map(of).collect()
}

/// Cuts what was written on a connection into frames; `starts` says from which byte on which line wrote it.
fn frames_of(connection: &str, bytes: &[u8], starts: &[(usize, usize)]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some([high, mid, low, kind, _flags, a, b, c, d]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let length = usize::from(*high) << 16 | usize::from(*mid) << 8 | usize::from(*low);
        let Some(payload) = bytes.get(at + FRAME_HEAD..at + FRAME_HEAD + length) else { break };
        let line = starts.iter().rev().find(|(start, _)| *start <= at).map_or(0, |(_, line)| *line);
        let stream = u32::from_be_bytes([*a, *b, *c, *d]);
        frames.push(Frame { connection: connection.to_owned(), stream, kind: *kind, payload: payload.to_vec(), line });
        at += FRAME_HEAD + length;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_is_one_call() {
        let text = "7 fdatasync(3</d/1.wal> <unfinished ...>\n8 write(4</d/2.wal>, \"ab\\n\", 3) = 3\n\
                    7 <... fdatasync resumed>) = 0\n7 fsync(5</r/root.cell>) = -1 EIO (Input/output error)\n";
        let calls = calls(text);
        let seen: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.began, call.ended, call.result)).collect();
        assert_eq!(seen, [("fdatasync", 1, 3, Some(0)), ("write", 2, 2, Some(3)), ("fsync", 4, 4, None)]);
        assert_eq!((calls[1].file.as_str(), calls[1].bytes.as_slice()), ("/d/2.wal", b"ab\n".as_slice()));
    }

    #[test]
    fn frames_are_found_across_writes_and_within_them() {
        let head = "\\x00\\x00\\x02\\x01\\x04\\x00\\x00\\x00\\x05";
        let data = "\\x00\\x00\\x03\\x00\\x00\\x00\\x00\\x00\\x05";
        let text = format!(
            "7 writev(9<TCP:[a:1->b:2]>, [{{iov_base=\"{head}\", iov_len=9}}, {{iov_base=\"\\x41\\x42{data}\", iov_len=11}}], 2) = 13\n\
             7 write(9<TCP:[a:1->b:2]>, \"\\x03\\x00\\x00\\x00\\x00\\x00\\x05xyz\", 10) = 10\n"
        );
        let frames = frames(&calls(&text));
        let seen: Vec<_> = frames.iter().map(|f| (f.stream, f.kind, f.payload.as_slice(), f.line)).collect();
        assert_eq!(seen, [(5, 1, b"AB".as_slice(), 1), (5, 0, b"xyz".as_slice(), 1)]);
    }
}

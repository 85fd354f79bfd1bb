//! What receipts have in common: JSON members by name, and leaves of the subject tree with their proofs. Every problem names
//! the member that does not fit, in backquotes.

use super::note::VerifierKey;
use super::once::Once;
use super::proof::Proof;
use serde_json::{Map, Value};

/// The members of a JSON object, and where it is: `outcome`.
#[derive(Debug, Clone)]
pub struct Members {
    place: String,
    map: Map<String, Value>,
}

/// A leaf that is proven to be in the subject tree.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Its index.
    pub index: u64,
    /// What it says.
    pub says: Members,
}

impl Members {
    /// Reads a document of a format and version, with no members but these.
    pub fn document(text: &str, format: &str, members: &[&str]) -> Result<Self, String> {
        let Once(value) = serde_json::from_str(text).map_err(|problem| {
            let what = if problem.is_data() { "a member comes twice" } else { "not JSON" };
            format!("{what}: line {}, column {}", problem.line(), problem.column())
        })?;
        let document = Self::of(String::new(), value)?;
        document.same("format", &Value::from(format))?;
        document.same("version", &Value::from(1))?;
        document.only(&[&["format", "version"], members].concat())?;
        Ok(document)
    }

    /// Takes an object.
    pub fn of(place: String, value: Value) -> Result<Self, String> {
        match value {
            Value::Object(map) => Ok(Self { place, map }),
            _ if place.is_empty() => Err("not a JSON object".to_owned()),
            _ => Err(format!("`{place}` is not a JSON object")),
        }
    }

    /// Refuses members that are not known.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(format!("`{}` is not known to this verifier", self.path(key))),
            None => Ok(()),
        }
    }

    /// Writes where a member is: `outcome.leaf`.
    pub fn path(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// Returns a member; null if it is missing.
    pub fn member(&self, key: &str) -> &Value {
        self.map.get(key).unwrap_or(&Value::Null)
    }

    /// Returns the names of the members.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// Returns a text.
    pub fn text(&self, key: &str) -> Result<&str, String> {
        self.member(key).as_str().ok_or_else(|| format!("`{}` is not a text", self.path(key)))
    }

    /// Returns a whole number.
    pub fn number(&self, key: &str) -> Result<u64, String> {
        self.member(key).as_u64().ok_or_else(|| format!("`{}` is not a whole number", self.path(key)))
    }

    /// Returns an object.
    pub fn object(&self, key: &str) -> Result<Self, String> {
        Self::of(self.path(key), self.member(key).clone())
    }

    /// Returns the objects of a list, each with its place: `intents[0]`.
    pub fn objects(&self, key: &str) -> Result<Vec<Self>, String> {
        let list = self.member(key).as_array().ok_or_else(|| format!("`{}` is not a list", self.path(key)))?;
        let at = |(at, value): (usize, &Value)| Self::of(format!("{}[{at}]", self.path(key)), value.clone());
        list.iter().enumerate().map(at).collect()
    }

    /// Checks what a member is.
    pub fn same(&self, key: &str, wanted: &Value) -> Result<(), String> {
        let found = self.member(key);
        if found == wanted { Ok(()) } else { Err(format!("`{}` is {found} and must be {wanted}", self.path(key))) }
    }

    /// Writes the members as canonical JSON (RFC 8785), as far as that is needed: texts, whole numbers, null, and lists and
    /// objects of such.
    pub fn canonical(&self) -> Result<String, String> {
        let mut members: Vec<(&String, &Value)> = self.map.iter().collect();
        members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let mut texts = Vec::with_capacity(members.len());
        for (key, value) in members {
            texts.push(format!("{}:{}", Value::from(key.as_str()), canonical(self.path(key), value)?));
        }
        Ok(format!("{{{}}}", texts.join(",")))
    }

    /// Returns an instant of a leaf, in microseconds since 1970.
    pub fn micros(&self, key: &str) -> Result<i64, String> {
        let time: jiff::Timestamp =
            self.text(key)?.parse().map_err(|_| format!("`{}` is not an instant", self.path(key)))?;
        Ok(time.as_microsecond())
    }

    /// Checks that `index`, `leaf` and `proof` here belong together, and that the leaf is in the subject tree of the log.
    pub fn proven(&self, key: &VerifierKey) -> Result<Leaf, String> {
        let proof = Proof::read(self.text("proof")?, key);
        let proof = proof.map_err(|problem| format!("`{}`: {problem}", self.path("proof")))?;
        let tree = key.for_tree("subject").name;
        if proof.head.origin != tree {
            return Err(format!("`{}` is of {}, and must be of {tree}", self.path("proof"), proof.head.origin));
        }
        self.same("index", &Value::from(proof.index))?;
        let text = self.text("leaf")?;
        if !proof.is_for(text.as_bytes()) {
            let (leaf, proof_path) = (self.path("leaf"), self.path("proof"));
            return Err(format!("`{leaf}` is not entry {} of {tree}, or `{proof_path}` was changed", proof.index));
        }
        let says = serde_json::from_str(text).map_err(|_| format!("`{}` is not JSON", self.path("leaf")))?;
        Ok(Leaf { index: proof.index, says: Self::of(self.path("leaf"), says)? })
    }
}

/// Writes a value that is at a place; nesting is as deep as the JSON reader lets it be.
fn canonical(place: String, value: &Value) -> Result<String, String> {
    match value {
        Value::Object(_) => Members::of(place, value.clone())?.canonical(),
        Value::Array(list) => {
            let texts = list.iter().enumerate().map(|(at, value)| canonical(format!("{place}[{at}]"), value));
            Ok(format!("[{}]", texts.collect::<Result<Vec<_>, _>>()?.join(",")))
        }
        plain if plain.is_string() || plain.is_null() || plain.is_u64() || plain.is_i64() => Ok(plain.to_string()),
        _ => Err(format!("`{place}` is neither a text nor a whole number")),
    }
}

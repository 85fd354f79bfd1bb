//! A leaf: what the log says happened, as canonical JSON (RFC 8785: sorted keys, no white space, integers only).
//!
//! Every field is a checked name, a number, a hash or a [`Word`], so a personal value does not fit: no e-mail address passes
//! as a word, no telephone number, no free text. What concerns one subject is a 16-byte reference and a salted commitment.
//! Does not: stop a caller from spelling a person's name as a word; words come from code and from schemas, never from data.

use policy::consent::LawfulBasis;
use policy::decide::Reason;
use policy::id::{ClientId, DatasetId, EpochId, PartnerId, PopulationId, PurposeId};
use policy::privacy::{NanoRho, Quarter};
use policy::schema::{FieldRef, Schema};
use policy::time::Timestamp;
use policy::treatment::Treatment;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// Format version of a leaf.
const VERSION: u64 = 1;
/// Largest integer that JSON numbers hold exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why a leaf or a word was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The text is no public word.
    #[error("a word is 1-120 letters, digits, spaces and `._-:/,()=%#`, with at most 6 digits in a row")]
    NotAWord,
    /// The bytes are no leaf; says which field is wrong.
    #[error("not a leaf: {0}")]
    Malformed(&'static str),
}

/// A short public text that can't hold an e-mail address or a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(String);

impl Word {
    /// Checks a text.
    pub fn new(text: &str) -> Result<Self, LeafError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/,()=%#".contains(c);
        let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
        if (1..=120).contains(&text.len()) && text.chars().all(allowed) && digits <= 6 {
            Ok(Self(text.to_owned()))
        } else {
            Err(LeafError::NotAWord)
        }
    }

    /// Takes an id that a caller chose (a request id, a token id): a UUID or a word stands as it is; anything else is
    /// replaced by `sha256:` and the first 16 bytes of its hash in hex, since it might say something about a person.
    pub fn from_id(id: &str) -> Self {
        let hashed = id.strip_prefix("sha256:").is_some_and(|hex| is_hex(hex, 32));
        if is_uuid(id) || hashed {
            return Self(id.to_ascii_lowercase());
        }
        Self::new(id).unwrap_or_else(|_| {
            let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
            Self(format!("sha256:{}", hex(digest.get(..16).unwrap_or_default())))
        })
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Reason> for Word {
    fn from(reason: Reason) -> Self {
        Self(reason.as_str().to_owned())
    }
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// A field's written form, by a schema: `age_band`, `order.category`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(String);

impl FieldPath {
    /// Takes a field of a schema.
    pub fn of(schema: &Schema, field: FieldRef) -> Self {
        Self(schema.path(field))
    }

    /// Reads a written form back.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.split('.').all(|name| policy::id::FieldName::new(name).is_ok()).then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $type:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$inner])* $variant,)+ }

        impl $type {
            /// Returns the text in the leaf.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What kind of thing happened.
    Kind {
        /// A data call is about to run; carries its charge.
        Intent = "intent",
        /// A data call ended; `of` names its intent.
        Outcome = "outcome",
        /// A call was refused.
        Refuse = "refuse",
        /// A consent event of one subject.
        Consent = "consent",
        /// A subject was erased.
        Erase = "erase",
        /// A legal hold on one subject's data was placed, or ended; `of` names the placing.
        Hold = "hold",
        /// A dataset was created or its schema changed.
        Dataset = "dataset",
        /// A public record (client, segment, policy set) was written or removed.
        Record = "record",
        /// A token was issued.
        TokenIssue = "token_issue",
        /// A token was revoked.
        TokenRevoke = "token_revoke",
        /// The log was read.
        LogRead = "log_read",
        /// An epoch was closed.
        Epoch = "epoch",
        /// What was acknowledged was folded; no epoch closed.
        Fold = "fold",
        /// An audience was delivered.
        Audience = "audience",
        /// A batch was ingested.
        Ingest = "ingest",
        /// A key was made, rotated or destroyed.
        Key = "key",
        /// Refusals of the unauthenticated, counted per reason.
        AnonymousRefusals = "anonymous_refusals",
        /// A client's quota was set.
        Quota = "quota",
        /// The cap of a population's lifetime was extended.
        Extension = "extension",
        /// The vault was opened.
        Start = "start",
        /// The vault was closed.
        Stop = "stop",
    }
}

words! {
    /// What was decided.
    Decision {
        /// Permitted.
        Permit = "permit",
        /// Refused.
        Refuse = "refuse",
    }
}

/// One leaf. Build it as `Leaf { client: Some(..), ..Leaf::new(kind, now) }`; what is empty is left out of the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// When.
    pub t: Timestamp,
    /// What kind of thing happened.
    pub kind: Kind,
    /// Request id: [`Word::from_id`].
    pub req: Option<Word>,
    /// Who asked.
    pub client: Option<ClientId>,
    /// In which role: `service`, `officer`.
    pub role: Option<Word>,
    /// The partner, if the role is one or an audience is for one.
    pub partner: Option<PartnerId>,
    /// What for.
    pub purpose: Option<PurposeId>,
    /// Purposes granted: of a token.
    pub purposes: Vec<PurposeId>,
    /// On which lawful basis.
    pub basis: Option<LawfulBasis>,
    /// On which dataset.
    pub dataset: Option<DatasetId>,
    /// Which closed epoch was read, or was closed.
    pub epoch: Option<EpochId>,
    /// The call or question in public words: `portrait`, `/silhouette.v1.InsightService/Portrait`, `withdraw`.
    pub what: Option<Word>,
    /// The thing acted upon: `clients/insights`, a token id by [`Word::from_id`].
    pub object: Option<Word>,
    /// Hash of the canonical question.
    pub question: Option<[u8; 32]>,
    /// Fields touched, and how each was treated.
    pub fields: BTreeMap<FieldPath, Treatment>,
    /// Loss charged.
    pub rho: Option<NanoRho>,
    /// The ledger charged.
    pub population: Option<PopulationId>,
    /// The quarter charged.
    pub quarter: Option<Quarter>,
    /// Number of the policy set that decided.
    pub policy_epoch: Option<u64>,
    /// Hash of the disclosure table that decided.
    pub table: Option<[u8; 32]>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// Why it was refused, or how it ended.
    pub reason: Option<Word>,
    /// Counts of the gateway's own work, by public names. Never a count of people that match something.
    pub counts: BTreeMap<Word, u64>,
    /// Keyed reference of the one subject concerned.
    pub subject_ref: Option<[u8; 16]>,
    /// SHA-256 of salt and body: the body is sealed elsewhere and can be erased.
    pub commit: Option<[u8; 32]>,
    /// Index of the intent an outcome belongs to, in the same tree.
    pub of: Option<u64>,
    /// Ed25519 public key that signs checkpoints of this tree from the next leaf on.
    pub key: Option<[u8; 32]>,
    /// Signature of that key's announcement by the key before it.
    pub signature: Option<[u8; 64]>,
}

impl Leaf {
    /// Begins a leaf.
    pub fn new(kind: Kind, t: Timestamp) -> Self {
        Self {
            t,
            kind,
            req: None,
            client: None,
            role: None,
            partner: None,
            purpose: None,
            purposes: Vec::new(),
            basis: None,
            dataset: None,
            epoch: None,
            what: None,
            object: None,
            question: None,
            fields: BTreeMap::new(),
            rho: None,
            population: None,
            quarter: None,
            policy_epoch: None,
            table: None,
            decision: None,
            reason: None,
            counts: BTreeMap::new(),
            subject_ref: None,
            commit: None,
            of: None,
            key: None,
            signature: None,
        }
    }

    /// Adds a count under a public name; a name that is no word is an error.
    pub fn count(mut self, name: &str, count: u64) -> Result<Self, LeafError> {
        self.counts.insert(Word::new(name)?, count);
        Ok(self)
    }

    /// Writes the canonical JSON.
    pub fn to_json(&self) -> String {
        let text = |word: &Option<Word>| word.as_ref().map(|word| string(word.as_str()));
        let bytes = |bytes: &[u8]| string(&hex(bytes));
        let object = |pairs: Vec<String>| (!pairs.is_empty()).then(|| format!("{{{}}}", pairs.join(",")));
        let fields = self.fields.iter().map(|(path, how)| format!("{}:{}", string(path.as_str()), serde_text(how)));
        let counts = self.counts.iter().map(|(name, n)| format!("{}:{}", string(name.as_str()), integer(*n)));
        let purposes: Vec<_> = self.purposes.iter().map(|purpose| string(purpose.as_str())).collect();
        // In the order of the keys, which is the canonical one.
        let members = [
            ("basis", self.basis.as_ref().map(serde_text)),
            ("client", self.client.as_ref().map(|id| string(id.as_str()))),
            ("commit", self.commit.as_ref().map(|hash| bytes(hash))),
            ("counts", object(counts.collect())),
            ("dataset", self.dataset.as_ref().map(|id| string(id.as_str()))),
            ("decision", self.decision.map(|decision| string(decision.as_str()))),
            ("epoch", self.epoch.map(|epoch| integer(epoch.0.into()))),
            ("fields", object(fields.collect())),
            ("key", self.key.as_ref().map(|key| bytes(key))),
            ("kind", Some(string(self.kind.as_str()))),
            ("object", text(&self.object)),
            ("of", self.of.map(integer)),
            ("partner", self.partner.as_ref().map(|id| string(id.as_str()))),
            ("policy_epoch", self.policy_epoch.map(integer)),
            ("population", self.population.as_ref().map(|id| string(id.as_str()))),
            ("purpose", self.purpose.as_ref().map(|id| string(id.as_str()))),
            ("purposes", (!purposes.is_empty()).then(|| format!("[{}]", purposes.join(",")))),
            ("quarter", self.quarter.map(|quarter| string(&quarter_text(quarter)))),
            ("question", self.question.as_ref().map(|hash| bytes(hash))),
            ("reason", text(&self.reason)),
            ("req", text(&self.req)),
            ("rho", self.rho.map(|rho| integer(rho.0))),
            ("role", text(&self.role)),
            ("signature", self.signature.as_ref().map(|signature| bytes(signature))),
            ("subject_ref", self.subject_ref.as_ref().map(|reference| bytes(reference))),
            ("t", Some(string(&instant(self.t)))),
            ("table", self.table.as_ref().map(|hash| bytes(hash))),
            ("v", Some(integer(VERSION))),
            ("what", text(&self.what)),
        ];
        let members = members.into_iter().filter_map(|(key, value)| value.map(|value| format!("\"{key}\":{value}")));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// Reads a leaf back; only the exact bytes [`Leaf::to_json`] writes are accepted.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| LeafError::Malformed("JSON"))?;
        let Value::Object(map) = value else { return Err(LeafError::Malformed("JSON")) };
        let from = Members(map);
        let mut leaf = Self::new(
            from.text("kind")?.and_then(Kind::parse).ok_or(LeafError::Malformed("kind"))?,
            from.text("t")?.and_then(parse_instant).ok_or(LeafError::Malformed("t"))?,
        );
        leaf.req = from.text("req")?.map(Word::from_id);
        leaf.client = from.name("client")?;
        leaf.role = from.word("role")?;
        leaf.partner = from.name("partner")?;
        leaf.purpose = from.name("purpose")?;
        leaf.purposes = from.name("purposes")?.unwrap_or_default();
        leaf.basis = from.name("basis")?;
        leaf.dataset = from.name("dataset")?;
        leaf.epoch = from.name("epoch")?;
        leaf.what = from.word("what")?;
        leaf.object = from.text("object")?.map(Word::from_id);
        leaf.question = from.hex("question")?;
        let fields: BTreeMap<String, Treatment> = from.name("fields")?.unwrap_or_default();
        for (path, how) in fields {
            leaf.fields.insert(FieldPath::parse(&path).ok_or(LeafError::Malformed("fields"))?, how);
        }
        leaf.rho = from.name("rho")?;
        leaf.population = from.name("population")?;
        leaf.quarter = from.parsed("quarter", parse_quarter)?;
        leaf.policy_epoch = from.name("policy_epoch")?;
        leaf.table = from.hex("table")?;
        leaf.decision = from.parsed("decision", Decision::parse)?;
        leaf.reason = from.word("reason")?;
        let counts: BTreeMap<String, u64> = from.name("counts")?.unwrap_or_default();
        for (name, count) in counts {
            leaf.counts.insert(Word::new(&name)?, count);
        }
        leaf.subject_ref = from.hex("subject_ref")?;
        leaf.commit = from.hex("commit")?;
        leaf.of = from.name("of")?;
        leaf.key = from.hex("key")?;
        leaf.signature = from.hex("signature")?;
        if leaf.to_json().as_bytes() == bytes { Ok(leaf) } else { Err(LeafError::Malformed("not in canonical form")) }
    }
}

/// The members of a JSON object, read by type.
struct Members(serde_json::Map<String, Value>);

impl Members {
    fn text(&self, key: &'static str) -> Result<Option<&str>, LeafError> {
        let value = self.0.get(key);
        value.map(|value| value.as_str().ok_or(LeafError::Malformed(key))).transpose()
    }

    fn parsed<T>(&self, key: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, LeafError> {
        self.text(key)?.map(|text| parse(text).ok_or(LeafError::Malformed(key))).transpose()
    }

    fn word(&self, key: &'static str) -> Result<Option<Word>, LeafError> {
        self.text(key)?.map(Word::new).transpose()
    }

    fn name<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, LeafError> {
        let value = self.0.get(key).cloned();
        value.map(|value| serde_json::from_value(value).map_err(|_| LeafError::Malformed(key))).transpose()
    }

    fn hex<const N: usize>(&self, key: &'static str) -> Result<Option<[u8; N]>, LeafError> {
        self.parsed(key, |text| {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
            bytes.filter(|_| rest.is_empty())?.try_into().ok()
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON string. All our strings are ASCII without quotes, backslashes or control characters, by their types.
fn string(text: &str) -> String {
    Value::from(text).to_string()
}

fn serde_text<T: serde::Serialize>(value: &T) -> String {
    // Serialising a unit variant to text can't fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn integer(number: u64) -> String {
    number.min(MAX_INTEGER).to_string()
}

fn instant(t: Timestamp) -> String {
    let t = jiff::Timestamp::from_microsecond(t.0).unwrap_or(jiff::Timestamp::MAX);
    t.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn parse_instant(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|t| Timestamp(t.as_microsecond()))
}

pub(super) fn quarter_text(quarter: Quarter) -> String {
    format!("{:04}Q{}", quarter.0 / 4, quarter.0 % 4 + 1)
}

fn parse_quarter(text: &str) -> Option<Quarter> {
    let (year, quarter) = text.split_once('Q')?;
    let quarter: u32 = quarter.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
    year.parse::<u32>().ok()?.checked_mul(4)?.checked_add(quarter - 1).map(Quarter)
}
